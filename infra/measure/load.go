package measure

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

// Loader posts events over keep-alive connections: to the relay, or as the
// floor straight to the receiver.
type Loader struct {
	client *http.Client
	url    string
	// Direct: the receiver is posted to, so the loader itself names the events.
	Direct bool
	// Patience is how long an event that is not taken is posted again, as a
	// producer does, with an Idempotency-Key; 0: it is posted once.
	Patience time.Duration
}

// NewLoader returns one that posts to url over so many connections.
func NewLoader(url string, connections int) *Loader {
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, DisableCompression: true}
	return &Loader{client: &http.Client{Transport: transport, Timeout: time.Minute}, url: url}
}

// Close ends its connections.
func (l *Loader) Close() { l.client.CloseIdleConnections() }

// Posted is one event that was taken.
type Posted struct {
	// Sent is when it was posted first.
	Sent  time.Time
	Acked time.Time
	ID    string
	// Again: it was taken only after it had been posted before.
	Again bool
	// answer names the event; it is read after the clock has stopped.
	answer []byte
}

// again is the pause before an event is posted again.
const again = 50 * time.Millisecond

// post posts body as event n, for as long as its patience lasts.
func (l *Loader) post(n int, body []byte) (Posted, error) {
	began, repeated := time.Now(), false
	for {
		p, err := l.once(n, body)
		if repeated {
			p.Again, p.Sent = true, began
		}
		if err == nil || time.Since(began) >= l.Patience {
			return p, err
		}
		repeated = true
		time.Sleep(again)
	}
}

func (l *Loader) once(n int, body []byte) (Posted, error) {
	request, err := http.NewRequest(http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return Posted{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+AdminKey)
	if l.Patience > 0 {
		request.Header.Set("Idempotency-Key", fmt.Sprintf("event-%d", n))
	}
	var p Posted
	if l.Direct {
		p.ID = fmt.Sprintf("evt_%026d", n)
		request.Header.Set(signature.HeaderID, p.ID)
	}
	p.Sent = time.Now()
	response, err := l.client.Do(request)
	if err != nil {
		return p, err
	}
	defer response.Body.Close()
	if p.answer, err = io.ReadAll(response.Body); err != nil {
		return p, err
	}
	p.Acked = time.Now()
	if response.StatusCode/100 != 2 {
		return p, fmt.Errorf("answered %s: %s", response.Status, p.answer)
	}
	return p, nil
}

// Flood posts the bodies as fast as they are taken, by so many workers.
func (l *Loader) Flood(bodies [][]byte, workers int) ([]Posted, error) {
	var next atomic.Int64
	return l.gather(workers, func() int { return int(next.Add(1)) - 1 }, bodies)
}

// Pace posts the bodies at a steady rate, however long each takes.
func (l *Loader) Pace(bodies [][]byte, perSecond int) ([]Posted, error) {
	began := time.Now()
	var next atomic.Int64
	var mu sync.Mutex
	// As many workers as events would be one goroutine each; a second's worth is
	// more than are ever under way.
	return l.gather(perSecond, func() int {
		mu.Lock()
		defer mu.Unlock()
		n := int(next.Add(1)) - 1
		if n < len(bodies) {
			time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))))
		}
		return n
	}, bodies)
}

// gather runs workers that post what take hands out until it is past the end.
func (l *Loader) gather(workers int, take func() int, bodies [][]byte) ([]Posted, error) {
	all := make([]Posted, len(bodies))
	failed := make(chan error, workers)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := take(); i < len(bodies); i = take() {
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
func nameAll(all []Posted) error {
	for i := range all {
		if all[i].ID != "" {
			continue
		}
		var answer struct{ ID string }
		if err := json.Unmarshal(all[i].answer, &answer); err != nil || answer.ID == "" {
			return fmt.Errorf("answer %q names no event", all[i].answer)
		}
		all[i].ID, all[i].answer = answer.ID, nil
	}
	return nil
}

// IDs names the events.
func IDs(all []Posted) []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.ID
	}
	return names
}
