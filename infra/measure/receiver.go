package measure

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"webhookrelay/shared/signature"
)

// Receiver takes webhooks and notes when each first arrived at each path.
type Receiver struct {
	// URL is its address, without a path.
	URL    string
	server *http.Server

	mu       sync.Mutex
	answer   Answer
	arrived  map[Arrival]time.Time
	posts    int
	repeats  int
	want     int
	complete chan struct{}
}

// Answer may answer a request in the receiver's place and return true: then the
// webhook has not arrived. The body has been read.
type Answer func(w http.ResponseWriter, r *http.Request) bool

// Arrival names one webhook at one path.
type Arrival struct{ Path, ID string }

// NewReceiver starts one on a free port of this machine.
func NewReceiver() (*Receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Receiver{URL: "http://" + listener.Addr().String()}
	r.Expect(0)
	r.server = &http.Server{Handler: r}
	go func() { _ = r.server.Serve(listener) }() // ends when it is closed
	return r, nil
}

// Close ends it, and the requests under way.
func (r *Receiver) Close() { _ = r.server.Close() }

// Answer sets what may answer in its place; nil: nothing does.
func (r *Receiver) Answer(a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = a
}

// Expect forgets what has arrived and waits for n arrivals.
func (r *Receiver) Expect(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived, r.posts, r.repeats, r.want = make(map[Arrival]time.Time, n), 0, 0, n
	r.complete = make(chan struct{})
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	_, err := io.Copy(io.Discard, request.Body)
	now := time.Now()
	if err != nil {
		http.Error(w, "broken body", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.posts++
	answer := r.answer
	r.mu.Unlock()
	if answer != nil && answer(w, request) {
		return
	}
	r.note(Arrival{request.URL.Path, request.Header.Get(signature.HeaderID)}, now)
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receiver) note(a Arrival, at time.Time) {
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

// Received is what came since Expect.
type Received struct {
	First map[Arrival]time.Time
	Last  time.Time
	// Posts counts the requests, those not taken included.
	Posts int
	// Repeats counts what was taken again.
	Repeats int
}

// Wait returns once all that is expected has arrived and some time for
// duplicates has passed. It is an error if something is missing.
func (r *Receiver) Wait() (Received, error) {
	r.Await(patience)
	time.Sleep(300 * time.Millisecond)
	got := r.Received()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(got.First) != r.want {
		return got, fmt.Errorf("%d webhooks arrived, %d were expected", len(got.First), r.want)
	}
	return got, nil
}

// Await returns whether all that is expected has arrived within limit, as soon
// as it has.
func (r *Receiver) Await(limit time.Duration) bool {
	r.mu.Lock()
	complete := r.complete
	r.mu.Unlock()
	select {
	case <-complete:
		return true
	case <-time.After(limit):
		return false
	}
}

// Count is how many webhooks have arrived.
func (r *Receiver) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.arrived)
}

// Received returns what has come so far.
func (r *Receiver) Received() Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := Received{First: maps.Clone(r.arrived), Posts: r.posts, Repeats: r.repeats}
	for _, at := range got.First {
		if at.After(got.Last) {
			got.Last = at
		}
	}
	return got
}

// Check returns an error unless the webhook of every id arrived at every path.
func (g Received) Check(ids, paths []string) error {
	if missing := g.Missing(ids, paths); missing > 0 {
		return fmt.Errorf("%d deliveries of accepted events did not arrive", missing)
	}
	return nil
}

// Missing counts the webhooks that did not arrive.
func (g Received) Missing(ids, paths []string) (missing int) {
	for _, id := range ids {
		for _, path := range paths {
			if _, ok := g.First[Arrival{path, id}]; !ok {
				missing++
			}
		}
	}
	return missing
}
