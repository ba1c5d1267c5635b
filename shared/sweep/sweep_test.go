package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

// sent notes what is sent again, and fails once where told.
type sent struct {
	keys   []webhook.DeliveryKey
	delays []time.Duration
	err    error
}

func (s *sent) Send(_ context.Context, keys []webhook.DeliveryKey) error {
	if err := s.err; err != nil {
		s.err = nil
		return err
	}
	s.keys = append(s.keys, keys...)
	return nil
}

func (s *sent) SendDelayed(ctx context.Context, messages []sweep.Delayed) error {
	keys := make([]webhook.DeliveryKey, len(messages))
	for i, m := range messages {
		keys[i] = m.DeliveryKey
		s.delays = append(s.delays, m.Delay)
	}
	return s.Send(ctx, keys)
}

type world struct {
	t       *testing.T
	now     time.Time
	store   *sqlite.Store
	sent    *sent
	sweeper sweep.Sweeper
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), sent: new(sent)}
	clock := func() time.Time { return w.now }
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: clock})
	w.must(err)
	t.Cleanup(func() { _ = store.Close() })
	w.store = store
	w.sweeper = sweep.Sweeper{
		Store: store, Queue: w.sent, Breaker: breaker.Policy{Failures: 3, Window: time.Minute}, Lifetime: 72 * time.Hour,
		Interval: time.Minute, Rate: 2, Now: clock, Log: telemetry.NewLogger(io.Discard, 0),
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// event stores an event of a given age, with one target.
func (w *world) event(tenant webhook.TenantID, age time.Duration) webhook.Event {
	w.t.Helper()
	at := w.now.Add(-age)
	_, _, err := w.store.PutTenant(w.t.Context(), webhook.Tenant{ID: tenant, CreatedAt: at})
	w.must(err)
	e := webhook.Event{
		Tenant: tenant, Ref: id.NewSource().EventRef(at), Type: "a", Timestamp: at, Body: []byte("{}"),
		Targets: []webhook.EndpointID{"e"}, AcceptedAt: at, ExpiresAt: at.Add(30 * 24 * time.Hour),
	}
	e.ID = id.EventID(e.Ref)
	w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{e}))
	return e
}

func (w *world) wantSent(events ...webhook.Event) {
	w.t.Helper()
	var got, want []string
	for _, key := range w.sent.keys {
		got = append(got, string(key.Event))
	}
	for _, e := range events {
		want = append(want, string(e.Ref))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Fatalf("sent again %v, want %v", got, want)
	}
}

func TestOnlyDeliveriesLeftBehindAreSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left := w.event("a", 2*time.Hour)
	yesterday := w.event("b", 30*time.Hour)
	w.event("a", time.Minute)   // likely still in the queue
	w.event("a", 100*time.Hour) // seen by earlier walks
	attempted := w.event("a", 3*time.Hour)
	w.must(w.store.SaveDelivery(t.Context(), webhook.NewDelivery(attempted, "e").Succeed(webhook.Attempt{At: w.now})))
	replayed := w.event("a", 5*time.Hour) // the store carries its delivery
	w.must(w.store.SaveDelivery(t.Context(), webhook.NewDelivery(replayed, "e").Replay(w.now.Add(time.Minute), w.now)))
	refused := w.event("a", 4*time.Hour)
	w.must(w.store.MarkUnsent(t.Context(), refused.Tenant, refused.Ref))

	w.must(w.sweeper.Run(t.Context()))
	w.wantSent(left, yesterday)

	// The day's walk is done; the next minute does nothing.
	w.must(w.sweeper.Run(t.Context()))
	w.wantSent(left, yesterday)
}

func TestAWalkThatFailsGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var events []webhook.Event
	for i := range 5 {
		events = append(events, w.event(webhook.TenantID(fmt.Sprintf("tenant-%d", i)), 2*time.Hour))
	}
	broken := errors.New("queue is down")
	w.sent.err = broken
	if err := w.sweeper.Run(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	w.must(w.sweeper.Run(t.Context()))
	w.wantSent(events...)
}

func TestAWalkCutShortGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var events []webhook.Event
	for i := range 3 {
		events = append(events, w.event(webhook.TenantID(fmt.Sprintf("tenant-%d", i)), 2*time.Hour))
	}
	// Each run ends after two looks at the store.
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		counting := &countingStore{Store: w.sweeper.Store, after: 2, cancel: cancel}
		cut := w.sweeper
		cut.Store = counting
		w.must(cut.Run(ctx))
		cancel()
	}
	w.wantSent(events...)
}

type countingStore struct {
	sweep.Store
	after  int
	cancel context.CancelFunc
}

func (c *countingStore) count() {
	if c.after--; c.after == 0 {
		c.cancel()
	}
}

func (c *countingStore) Tenants(ctx context.Context, p webhook.Page) ([]webhook.Tenant, string, error) {
	defer c.count()
	return c.Store.Tenants(ctx, p)
}

func (c *countingStore) Deliveries(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Delivery, string, error) {
	defer c.count()
	return c.Store.Deliveries(ctx, tenant, f, p)
}
