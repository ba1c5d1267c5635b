package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"webhookrelay/shared/signature"
)

// receiver takes webhooks and notes when each first arrived at each path.
type receiver struct {
	url    string
	server *http.Server
	// fail makes it answer 500 that many times.
	fail atomic.Int64

	mu       sync.Mutex
	arrived  map[arrival]time.Time
	repeats  int
	want     int
	complete chan struct{}
}

// arrival names one webhook at one path.
type arrival struct{ path, id string }

func newReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String()}
	r.expect(0)
	r.server = &http.Server{Handler: r}
	go func() { _ = r.server.Serve(listener) }() // ends when it is closed
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

// expect forgets what has arrived and waits for n arrivals.
func (r *receiver) expect(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived, r.repeats, r.want = make(map[arrival]time.Time, n), 0, n
	r.complete = make(chan struct{})
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	_, err := io.Copy(io.Discard, request.Body)
	now := time.Now()
	if err != nil {
		http.Error(w, "broken body", http.StatusBadRequest)
		return
	}
	if r.fail.Add(-1) >= 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.note(arrival{request.URL.Path, request.Header.Get(signature.HeaderID)}, now)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) note(a arrival, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.arrived[a]; known {
		r.repeats++
		return
	}
	r.arrived[a] = at
	if len(r.arrived) == r.want {
		close(r.complete)
	}
}

// patience is how long arrivals may take before they count as missing.
const patience = 2 * time.Minute

// received is what came since expect.
type received struct {
	first   map[arrival]time.Time
	last    time.Time
	repeats int
}

// wait returns once all that is expected has arrived and some time for
// duplicates has passed. It is an error if something is missing.
func (r *receiver) wait() (received, error) {
	select {
	case <-r.complete:
	case <-time.After(patience):
	}
	time.Sleep(300 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	got := received{first: r.arrived, repeats: r.repeats}
	for _, at := range got.first {
		if at.After(got.last) {
			got.last = at
		}
	}
	if len(got.first) != r.want {
		return got, fmt.Errorf("%d webhooks arrived, %d were expected", len(got.first), r.want)
	}
	return got, nil
}

// check returns an error unless the webhook of every id arrived at every path.
func (g received) check(ids []string, paths []string) error {
	missing := 0
	for _, id := range ids {
		for _, path := range paths {
			if _, ok := g.first[arrival{path, id}]; !ok {
				missing++
			}
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d deliveries of accepted events did not arrive", missing)
	}
	return nil
}
