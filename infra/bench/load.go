package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"webhookrelay/shared/signature"
)

// loader posts events over keep-alive connections: to the relay, or as the
// floor straight to the receiver.
type loader struct {
	client *http.Client
	url    string
	key    string
	// direct: the receiver is posted to, so the loader itself names the events.
	direct bool
}

func newLoader(url, key string, direct bool, connections int) *loader {
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, DisableCompression: true}
	return &loader{client: &http.Client{Transport: transport, Timeout: time.Minute}, url: url, key: key, direct: direct}
}

func (l *loader) close() { l.client.CloseIdleConnections() }

// posted is one event that was taken.
type posted struct {
	sent  time.Time
	acked time.Time
	// answer names the event; it is read after the clock has stopped.
	answer []byte
	id     string
}

func (l *loader) post(n int, body []byte) (posted, error) {
	request, err := http.NewRequest(http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return posted{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+l.key)
	var p posted
	if l.direct {
		p.id = fmt.Sprintf("evt_%026d", n)
		request.Header.Set(signature.HeaderID, p.id)
	}
	p.sent = time.Now()
	response, err := l.client.Do(request)
	if err != nil {
		return p, err
	}
	defer response.Body.Close()
	if p.answer, err = io.ReadAll(response.Body); err != nil {
		return p, err
	}
	p.acked = time.Now()
	if response.StatusCode/100 != 2 {
		return p, fmt.Errorf("answered %s: %s", response.Status, p.answer)
	}
	return p, nil
}

// flood posts the bodies as fast as they are taken, by so many workers.
func (l *loader) flood(bodies [][]byte, workers int) ([]posted, error) {
	var next atomic.Int64
	return l.gather(len(bodies), workers, func() int { return int(next.Add(1)) - 1 }, bodies)
}

// pace posts the bodies at a steady rate, however long each takes.
func (l *loader) pace(bodies [][]byte, perSecond int) ([]posted, error) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var next atomic.Int64
	var mu sync.Mutex
	// As many workers as events would be one goroutine each; a second's worth is
	// more than are ever under way.
	return l.gather(len(bodies), perSecond, func() int {
		mu.Lock()
		defer mu.Unlock()
		n := int(next.Add(1)) - 1
		if n < len(bodies) {
			<-tick.C
		}
		return n
	}, bodies)
}

// gather runs workers that post what take hands out until it is past the end.
func (l *loader) gather(n, workers int, take func() int, bodies [][]byte) ([]posted, error) {
	all := make([]posted, n)
	failed := make(chan error, workers)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := take(); i < n; i = take() {
				var err error
				if all[i], err = l.post(i, bodies[i]); err != nil {
					failed <- fmt.Errorf("event %d: %w", i, err)
					return
				}
			}
		})
	}
	wait.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	return all, nameAll(all)
}

// nameAll reads the ids that the relay gave.
func nameAll(all []posted) error {
	for i := range all {
		if all[i].id != "" {
			continue
		}
		var answer struct{ ID string }
		if err := json.Unmarshal(all[i].answer, &answer); err != nil || answer.ID == "" {
			return fmt.Errorf("answer %q names no event", all[i].answer)
		}
		all[i].id, all[i].answer = answer.ID, nil
	}
	return nil
}

func ids(all []posted) []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.id
	}
	return names
}
