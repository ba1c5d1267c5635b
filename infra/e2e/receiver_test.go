package e2e

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver is the server behind all hooks. It outlives the tests, because
// retries may come after a test has ended.
var receiver receiverServer

type receiverServer struct {
	once   sync.Once
	server *httptest.Server
	mu     sync.Mutex
	hooks  map[string]*hook
}

func (s *receiverServer) start() {
	s.once.Do(func() {
		s.hooks = make(map[string]*hook)
		s.server = httptest.NewServer(s)
	})
}

func (s *receiverServer) close() {
	s.start()
	s.server.CloseClientConnections()
	s.server.Close()
}

func (s *receiverServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	h := s.hooks[r.URL.Path]
	s.mu.Unlock()
	if h == nil {
		http.NotFound(w, r)
		return
	}
	h.ServeHTTP(w, r)
}

// hook is an endpoint that does as it is told, and remembers what it got.
type hook struct {
	url string
	// over is closed when the test ends, so that nobody hangs on it.
	over chan struct{}

	mu       sync.Mutex
	secrets  []string
	script   []answer
	arrivals []arrival
	// decide, when set, answers instead of the script. Earlier are the event's
	// arrivals before this one.
	decide func(a arrival, earlier int) answer
}

// answer is how a hook answers one request; the zero answer is 200.
type answer struct {
	status int
	header map[string]string
	body   string
	// hold: the answer comes once this is closed.
	hold <-chan struct{}
}

// status makes an answer of nothing but a status.
func status(code int) answer { return answer{status: code} }

// newHook returns a hook that gives the answers in turn and goes on with the
// last one; with none, it answers 200.
func newHook(t testing.TB, script ...answer) *hook {
	receiver.start()
	path := "/" + randomName("hook")
	h := &hook{url: receiver.server.URL + path, over: make(chan struct{}), script: script}
	receiver.mu.Lock()
	receiver.hooks[path] = h
	receiver.mu.Unlock()
	t.Cleanup(func() { close(h.over) })
	return h
}

// answers replaces what is left of the script.
func (h *hook) answers(script ...answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.script = script
}

// trust sets the keys under which arrivals are verified.
func (h *hook) trust(secrets ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = secrets
}

// arrival is one request to a hook.
type arrival struct {
	at time.Time
	id string
	// target is the request's path and query as sent.
	target string
	header http.Header
	body   []byte
	// failure says why no trusted key verifies it; nil when one does.
	failure error
	// answered is the status of the answer, 0 while there is none.
	answered int
	// cut: the relay broke off while it waited for the answer.
	cut bool
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the relay broke off; no arrival
	}
	a := arrival{at: time.Now(), id: r.Header.Get("webhook-id"), target: r.RequestURI, header: r.Header.Clone(), body: body}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		a.failure = fmt.Errorf("%s with Content-Type %q", r.Method, r.Header.Get("Content-Type"))
	}
	index, next := h.note(a)
	if next.hold != nil {
		select {
		case <-next.hold:
		case <-h.over:
		case <-r.Context().Done():
		}
	}
	if !h.noteAnswer(index, next.status, r.Context().Err() != nil) {
		return
	}
	for name, value := range next.header {
		w.Header().Set(name, value)
	}
	if next.status != 0 {
		w.WriteHeader(next.status)
	}
	_, _ = io.WriteString(w, next.body)
}

// note adds an arrival, and returns its place and how to answer it.
func (h *hook) note(a arrival) (index int, next answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.failure == nil {
		a.failure = a.verifyAny(h.secrets)
	}
	if h.decide != nil {
		earlier := 0
		for _, other := range h.arrivals {
			if other.id == a.id {
				earlier++
			}
		}
		next = h.decide(a, earlier)
	} else if len(h.script) > 0 {
		next = h.script[0]
	}
	h.arrivals = append(h.arrivals, a)
	if len(h.script) > 1 {
		h.script = h.script[1:]
	}
	return len(h.arrivals) - 1, next
}

// noteAnswer adds how the arrival was answered, and reports whether anybody
// hears the answer.
func (h *hook) noteAnswer(index, status int, cut bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := &h.arrivals[index]
	if a.cut = cut; !cut {
		a.answered = cmp.Or(status, http.StatusOK)
	}
	return !cut
}

// got returns the arrivals so far.
func (h *hook) got() []arrival {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.arrivals) // those not answered yet still change
}

// await waits for n arrivals and returns them all. It fails the test when one
// is not genuine.
func (h *hook) await(t testing.TB, n int) []arrival {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		got := len(h.got())
		return got >= n, fmt.Sprintf("%d of %d arrivals", got, n)
	})
	all := h.got()
	for i, a := range all {
		if a.failure != nil {
			t.Fatalf("arrival %d, %s: %v", i+1, a.id, a.failure)
		}
	}
	return all
}

// awaitEvent waits until the event with the id has arrived, and returns its arrivals.
func (h *hook) awaitEvent(t testing.TB, id string) (found []arrival) {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		found = nil
		for _, a := range h.got() {
			if a.id == id {
				found = append(found, a)
			}
		}
		return len(found) > 0, "event " + id + " has not arrived"
	})
	h.await(t, 0)
	return found
}

func (a arrival) verifyAny(keys []string) error {
	err := errors.New("the hook trusts no key")
	for _, key := range keys {
		if err = a.verify(key); err == nil {
			return nil
		}
	}
	return err
}

// verify checks the arrival under one key: with the official library, or by
// hand where that knows no ed25519.
func (a arrival) verify(key string) error {
	if strings.HasPrefix(key, "whpk_") {
		return a.verifyEd25519(key)
	}
	official, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		return err
	}
	return official.Verify(a.body, a.header)
}

func (a arrival) verifyEd25519(key string) error {
	public, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whpk_"))
	if err != nil || len(public) != ed25519.PublicKeySize {
		return fmt.Errorf("%q is not a public key", key)
	}
	signed := fmt.Sprintf("%s.%s.%s", a.id, a.header.Get("webhook-timestamp"), a.body)
	for _, s := range a.signatures() {
		encoded, ok := strings.CutPrefix(s, "v1a,")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if ok && err == nil && ed25519.Verify(public, []byte(signed), raw) {
			return nil
		}
	}
	return errors.New("no v1a signature matches")
}

func (a arrival) signatures() []string { return strings.Fields(a.header.Get("webhook-signature")) }
