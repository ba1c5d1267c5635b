package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/id"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const maxReceives = 12

var breaks = breaker.Policy{Failures: 5, Window: 10 * time.Minute, DisableAfter: 120 * time.Hour}

// world is a dispatcher over a real store and queue in memory, with a clock
// that stands until it is moved and a sender that answers from a script.
type world struct {
	t          *testing.T
	now        time.Time
	store      *sqlite.Store
	queue      *sqlite.Queue
	faults     *faults
	sender     *script
	operator   *listener
	log        *bytes.Buffer
	dispatcher *dispatch.Dispatcher
	sweeper    sweep.Sweeper
	ids        *id.Source
	event      webhook.Event
}

const (
	tenant   = webhook.TenantID("acme")
	endpoint = webhook.EndpointID("shop")
)

// newWorld holds one tenant with one endpoint and one event queued for it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), ids: id.NewSource(), log: new(bytes.Buffer)}
	var err error
	w.store, err = sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: w.clock, MaxReceives: maxReceives})
	w.must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.queue = w.store.Queue()
	w.faults = &faults{Store: w.store}
	w.sender = &script{}
	w.operator = &listener{}
	w.dispatcher = dispatch.New(dispatch.Config{
		Store: w.faults, Queue: w.queue, Sender: w.sender, Announcer: w.operator,
		Policy:  retry.Policy{Schedule: []time.Duration{time.Minute, time.Hour, 24 * time.Hour}},
		Breaker: breaks, Lifetime: 72 * time.Hour,
		Now: w.clock, Log: telemetry.NewLogger(w.log, slog.LevelInfo),
	})
	w.sweeper = sweep.Sweeper{
		Store: w.store, Queue: w.queue, Breaker: breaks, Lifetime: 72 * time.Hour, Interval: time.Second, Rate: 100,
		Now: w.clock, Log: telemetry.NewLogger(io.Discard, 0),
	}
	_, _, err = w.store.PutTenant(t.Context(), webhook.Tenant{ID: tenant, CreatedAt: w.now})
	w.must(err)
	w.must(w.store.CreateEndpoint(t.Context(), webhook.Endpoint{
		Tenant: tenant, ID: endpoint, URL: "https://example.com/", State: webhook.EndpointEnabled,
		Scheme: webhook.SchemeHMAC, Secrets: []webhook.Secret{{Sealed: []byte("sealed")}},
	}))
	w.event = w.accept()
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// accept stores an event for the endpoint and queues its delivery.
func (w *world) accept() webhook.Event {
	w.t.Helper()
	ref := w.ids.EventRef(w.now)
	e := webhook.Event{
		Tenant: tenant, Ref: ref, ID: id.EventID(ref), Type: "order.placed", Timestamp: w.now, Body: []byte(`{}`),
		Targets: []webhook.EndpointID{endpoint}, AcceptedAt: w.now, ExpiresAt: w.now.Add(30 * 24 * time.Hour),
	}
	w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{e}))
	w.send(e, false)
	return e
}

func (w *world) send(e webhook.Event, once bool) {
	w.t.Helper()
	key := webhook.DeliveryKey{Tenant: tenant, Event: e.Ref, Endpoint: endpoint}
	w.must(w.queue.SendEnvelope(w.t.Context(), envelope.Envelope{DeliveryKey: key, Once: once}))
}

// turn hands what is visible to the dispatcher and deletes what it does not
// keep, as an event source mapping does. It returns how many were received.
func (w *world) turn() int {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.sweeper.Release(ctx)
	w.must(err)
	batch, err := w.queue.Receive(ctx, 10)
	w.must(err)
	kept := w.dispatcher.Handle(ctx, batch)
	done := slices.DeleteFunc(slices.Clone(batch), func(m dispatch.Message) bool { return slices.Contains(kept, m.ID) })
	w.must(w.queue.Delete(ctx, done))
	return len(batch)
}

// settle turns until nothing is visible any more.
func (w *world) settle() {
	w.t.Helper()
	for range 100 {
		if w.turn() == 0 {
			return
		}
	}
	w.t.Fatal("messages go round without end")
}

func (w *world) advance(d time.Duration) { w.now = w.now.Add(d) }

func (w *world) delivery() webhook.Delivery {
	w.t.Helper()
	d, err := w.store.Delivery(w.t.Context(), webhook.DeliveryKey{Tenant: tenant, Event: w.event.Ref, Endpoint: endpoint})
	w.must(err)
	return d
}

func (w *world) wantState(state webhook.State, attempts, posts int) webhook.Delivery {
	w.t.Helper()
	d := w.delivery()
	if d.State != state || d.AttemptCount != attempts || w.sender.posts() != posts {
		w.t.Fatalf("state %s after %d recorded attempts and %d posts; want %s, %d, %d", d.State, d.AttemptCount, w.sender.posts(), state, attempts, posts)
	}
	return d
}

// messages counts what lies in the queue, hidden or not. It receives all of it.
func (w *world) messages() int {
	w.t.Helper()
	now := w.now
	defer func() { w.now = now }()
	w.advance(13 * time.Hour)
	messages, err := w.queue.Receive(w.t.Context(), 1000)
	w.must(err)
	return len(messages)
}

// wantQueues counts what lies in the queues. It receives all of it, so it comes last.
func (w *world) wantQueues(waiting, dead int) {
	w.t.Helper()
	depth, err := w.queue.Depth(w.t.Context())
	w.must(err)
	if visible := w.messages(); visible != waiting || depth != dead {
		w.t.Fatalf("%d messages in the queue and %d dead letters; want %d and %d", visible, depth, waiting, dead)
	}
}

// logged returns the log's lines with the given message.
func (w *world) logged(message string) []map[string]any {
	w.t.Helper()
	var lines []map[string]any
	for line := range bytes.Lines(w.log.Bytes()) {
		var fields map[string]any
		w.must(json.Unmarshal(line, &fields))
		if fields["msg"] == message {
			lines = append(lines, fields)
		}
	}
	return lines
}

// script answers posts in order; when it runs out, the last answer repeats.
type script struct {
	mu      sync.Mutex
	answers []webhook.Result
	made    int
	// fails: the relay itself cannot send.
	fails error
	// during runs inside each post, open too, with other posts beside it.
	during, open func()
}

func (s *script) Send(context.Context, webhook.Endpoint, webhook.Event) (webhook.Result, error) {
	if s.open != nil {
		s.open()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return webhook.Result{}, s.fails
	}
	s.made++
	if s.during != nil {
		s.during()
	}
	if len(s.answers) == 0 {
		return webhook.Result{StatusCode: 200}, nil
	}
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return answer, nil
}

func (s *script) posts() int { return s.made }

func status(code int) webhook.Result {
	r := webhook.Result{StatusCode: code}
	switch {
	case code == 410:
		r.Reason = webhook.ReasonHTTP410
	case code >= 500:
		r.Reason = webhook.ReasonHTTP5xx
	case code >= 400:
		r.Reason = webhook.ReasonHTTP4xx
	case code >= 300:
		r.Reason = webhook.ReasonRedirect
	}
	return r
}

// listener is an operator who hears everything, or whom nothing reaches.
type listener struct {
	mu    sync.Mutex
	heard []string
	deaf  error
}

func (l *listener) note(format string, args ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deaf == nil {
		l.heard = append(l.heard, fmt.Sprintf(format, args...))
	}
	return l.deaf
}

func (l *listener) HearsOfDeath(context.Context, webhook.Delivery) (bool, error) { return true, nil }

func (l *listener) DeliveryDied(_ context.Context, d webhook.Delivery) error {
	return l.note("dead %s", d.Reason)
}

func (l *listener) EndpointFailing(_ context.Context, e webhook.Endpoint, h webhook.Health, n int, at time.Time) error {
	return l.note("failing %s %d until %s", e.ID, n, at.Sub(h.FailingSince))
}

func (l *listener) EndpointRecovered(_ context.Context, e webhook.Endpoint, _ webhook.Health) error {
	return l.note("recovered %s", e.ID)
}

func (l *listener) EndpointDisabled(_ context.Context, e webhook.Endpoint, reason webhook.Reason) error {
	return l.note("disabled %s %s", e.ID, reason)
}

// faults fails store calls on demand, before or after they take effect.
type faults struct {
	dispatch.Store
	load, saveBefore, saveAfter error
	// spoiled is the event one of whose rows cannot be read.
	spoiled webhook.EventRef
	// saved is told of every row that was saved.
	saved func(webhook.Delivery)
}

func (f *faults) Load(ctx context.Context, lookups []dispatch.Lookup) ([]dispatch.Loaded, error) {
	if f.load != nil {
		return nil, f.load
	}
	loaded, err := f.Store.Load(ctx, lookups)
	for i := range loaded {
		if lookups[i].Event == f.spoiled {
			loaded[i] = dispatch.Loaded{Err: webhook.ErrUnreadable}
		}
	}
	return loaded, err
}

func (f *faults) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	if f.saveBefore != nil {
		return f.saveBefore
	}
	if err := f.Store.SaveDelivery(ctx, d); err != nil {
		return err
	}
	if f.saved != nil {
		f.saved(d)
	}
	return f.saveAfter
}
