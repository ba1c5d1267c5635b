package ingest_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const tenant = webhook.TenantID("acme")

var errBroken = errors.New("broken")

// world is an ingester over a real store and queue in memory, whose clock moves
// only when something sleeps.
type world struct {
	t        *testing.T
	mu       sync.Mutex
	now      time.Time
	store    *faultyStore
	queue    *faultyQueue
	sqlite   *sqlite.Store
	ingester *ingest.Ingester
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	var err error
	w.sqlite, err = sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: w.clock})
	w.must(err)
	t.Cleanup(func() { _ = w.sqlite.Close() })
	w.store, w.queue = &faultyStore{Store: w.sqlite}, &faultyQueue{Queue: w.sqlite.Queue()}
	w.ingester = ingest.New(ingest.Config{
		Store: w.store, Queue: w.queue, IDs: id.NewSource(), Retention: 30 * 24 * time.Hour, Now: w.clock,
		Sleep: func(_ context.Context, d time.Duration) error { w.advance(d); return nil },
		Log:   telemetry.NewLogger(io.Discard, 0),
	})
	_, _, err = w.sqlite.PutTenant(t.Context(), webhook.Tenant{ID: tenant, CreatedAt: w.now})
	w.must(err)
	w.endpoint("all")
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) endpoint(endpoint webhook.EndpointID, types ...webhook.Pattern) {
	w.t.Helper()
	w.must(w.sqlite.CreateEndpoint(w.t.Context(), webhook.Endpoint{
		Tenant: tenant, ID: endpoint, EventTypes: types, State: webhook.EndpointEnabled, Scheme: webhook.SchemeHMAC,
	}))
}

func (w *world) accept(r ingest.Request) (ingest.Accepted, error) {
	r.Tenant = tenant
	if r.Type == "" {
		r.Type = "order.placed"
	}
	if r.Data == nil {
		r.Data = []byte(`{"n":1}`)
	}
	return w.ingester.Accept(w.t.Context(), r)
}

// messages returns how many messages are in the queue.
func (w *world) messages() int {
	w.t.Helper()
	got, err := w.sqlite.Queue().Receive(w.t.Context(), 100)
	w.must(err)
	return len(got)
}

type faultyStore struct {
	ingest.Store
	put, update error
}

func (f *faultyStore) PutEvents(ctx context.Context, events []webhook.Event) error {
	if f.put != nil {
		return f.put
	}
	return f.Store.PutEvents(ctx, events)
}

func (f *faultyStore) UpdateClaim(ctx context.Context, old, c ingest.Claim) error {
	if f.update != nil {
		return f.update
	}
	return f.Store.UpdateClaim(ctx, old, c)
}

type faultyQueue struct {
	ingest.Queue
	before, after error
	// manyOnly refuses what is more than one message.
	manyOnly error
}

func (f *faultyQueue) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	if f.before != nil {
		return f.before
	}
	if f.manyOnly != nil && len(keys) > 1 {
		return f.manyOnly
	}
	if err := f.Queue.Send(ctx, keys); err != nil {
		return err
	}
	return f.after
}

func TestAccept(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(t *testing.T, w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, newWorld(t))
		})
	}
	rule("OnlyMatchingEndpointsGetADelivery", func(t *testing.T, w *world) {
		w.endpoint("orders", "order.*")
		w.endpoint("invoices", "invoice.*")
		got, err := w.accept(ingest.Request{})
		w.must(err)
		if got.Deliveries != 2 || w.messages() != 2 {
			t.Fatalf("got %+v", got)
		}
	})
	rule("AnEndpointCreatedAMomentAgoGetsTheNextEvent", func(t *testing.T, w *world) {
		_, err := w.accept(ingest.Request{})
		w.must(err)
		w.endpoint("new")
		if got, err := w.accept(ingest.Request{}); err != nil || got.Deliveries != 2 {
			t.Fatalf("got %+v, %v", got, err)
		}
		w.must(w.sqlite.DisableEndpoint(t.Context(), tenant, "new", webhook.ReasonManual, w.now))
		if got, err := w.accept(ingest.Request{}); err != nil || got.Deliveries != 1 {
			t.Fatalf("after disabling: %+v, %v", got, err)
		}
	})
	rule("TheBodyHoldsTheDataByteForByte", func(t *testing.T, w *world) {
		data := "{ \"b\":1e400,\n\"a\": \"\\u2028\\/\" }"
		got, err := w.accept(ingest.Request{Data: []byte(data)})
		w.must(err)
		ref, _ := id.RefOf(got.ID)
		e, err := w.sqlite.EventByRef(t.Context(), tenant, ref)
		w.must(err)
		if want := `{"type":"order.placed","timestamp":"2026-01-31T12:00:00.000Z","data":` + data + `}`; string(e.Body) != want {
			t.Fatalf("body %s, want %s", e.Body, want)
		}
	})
	rule("AnUnknownTenantIsNotFound", func(t *testing.T, w *world) {
		_, err := w.ingester.Accept(t.Context(), ingest.Request{Tenant: "nobody", Type: "a", Data: []byte("1")})
		if !errors.Is(err, webhook.ErrNotFound) {
			t.Fatalf("got %v", err)
		}
	})
	rule("AnEventThatCannotBeStoredIsRefusedAndNotQueued", func(t *testing.T, w *world) {
		w.store.put = errBroken
		if _, err := w.accept(ingest.Request{}); !errors.Is(err, ingest.ErrUnavailable) || w.messages() != 0 {
			t.Fatalf("got %v", err)
		}
	})
	rule("AnEventThatCannotBeQueuedIsRefusedAndMarked", func(t *testing.T, w *world) {
		w.queue.before = errBroken
		if _, err := w.accept(ingest.Request{}); !errors.Is(err, ingest.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
		events, _, err := w.sqlite.Events(t.Context(), tenant, history.Filter{}, webhook.Page{Limit: 10})
		w.must(err)
		if len(events) != 1 || !events[0].Unsent {
			t.Fatalf("stored %+v", events)
		}
	})
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]ingest.Request{
		"ByKey":      {IdempotencyKey: "k 1"},
		"ByID":       {ID: "order-1"},
		"ByKeyAndID": {IdempotencyKey: "k", ID: "order-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rule := func(name string, check func(t *testing.T, w *world)) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					check(t, newWorld(t))
				})
			}
			rule("GetsTheSameAnswerAndSendsNothing", func(t *testing.T, w *world) {
				first, err := w.accept(request)
				w.must(err)
				w.advance(time.Hour)
				again, err := w.accept(request)
				if err != nil || again != first || w.messages() != 1 {
					t.Fatalf("first %+v, again %+v, %v", first, again, err)
				}
			})
			rule("WithAnotherBodyIsRefused", func(t *testing.T, w *world) {
				_, err := w.accept(request)
				w.must(err)
				other := request
				other.Data = []byte(`{"n":2}`)
				if _, err := w.accept(other); !errors.Is(err, ingest.ErrKeyReused) || w.messages() != 1 {
					t.Fatalf("got %v", err)
				}
			})
			rule("OfAFailedRequestResumesItAtOnce", func(t *testing.T, w *world) {
				w.queue.before = errBroken
				_, err := w.accept(request)
				if !errors.Is(err, ingest.ErrUnavailable) {
					t.Fatalf("got %v", err)
				}
				w.queue.before = nil
				before := w.clock()
				got, err := w.accept(request)
				if err != nil || w.clock() != before || w.messages() != 1 {
					t.Fatalf("got %+v, %v, after %s", got, err, w.clock().Sub(before))
				}
				events, _, err := w.sqlite.Events(t.Context(), tenant, history.Filter{}, webhook.Page{Limit: 10})
				w.must(err)
				if len(events) != 1 || events[0].Unsent || events[0].ID != got.ID {
					t.Fatalf("stored %+v", events)
				}
			})
			rule("OfARequestThatVanishedWaitsForItsLease", func(t *testing.T, w *world) {
				// The first request crashed after sending, before it could finish its claims.
				w.store.update = errBroken
				first, err := w.accept(request)
				w.must(err)
				w.store.update = nil
				if _, err := w.accept(request); !errors.Is(err, ingest.ErrInProgress) {
					t.Fatalf("within the lease: %v", err)
				}
				w.advance(ingest.Lease)
				again, err := w.accept(request)
				if err != nil || again.ID != first.ID {
					t.Fatalf("after the lease: %+v, %v", again, err)
				}
			})
			rule("ConcurrentlyMakesOneEvent", func(t *testing.T, w *world) {
				var wait sync.WaitGroup
				ids := make([]webhook.EventID, 20)
				for i := range ids {
					wait.Go(func() {
						got, err := w.accept(request)
						for errors.Is(err, ingest.ErrInProgress) {
							got, err = w.accept(request)
						}
						if err != nil {
							t.Error(err)
						}
						ids[i] = got.ID
					})
				}
				wait.Wait()
				for _, id := range ids {
					if id != ids[0] {
						t.Fatalf("ids %v", ids)
					}
				}
			})
		})
	}
	t.Run("AnIDOfAnotherEventIsRefusedUnderANewKey", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, err := w.accept(ingest.Request{ID: "order-1"})
		w.must(err)
		_, err = w.accept(ingest.Request{ID: "order-1", IdempotencyKey: "k", Data: []byte("2")})
		if !errors.Is(err, ingest.ErrKeyReused) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("AKeyIsFreeAgainAfterADay", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		first, err := w.accept(ingest.Request{IdempotencyKey: "k"})
		w.must(err)
		w.advance(25 * time.Hour)
		second, err := w.accept(ingest.Request{IdempotencyKey: "k", Data: []byte("2")})
		if err != nil || second.ID == first.ID {
			t.Fatalf("got %+v, %v", second, err)
		}
	})
}

func TestFiltersSayWhoGetsAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, filter := range map[webhook.EndpointID]string{"big": `data.n > 10`, "small": `data.n <= 10`, "fails": `data.city == "x"`} {
		w.must(w.sqlite.CreateEndpoint(t.Context(), webhook.Endpoint{
			Tenant: tenant, ID: name, Filter: filter, State: webhook.EndpointEnabled, Scheme: webhook.SchemeHMAC,
		}))
	}
	one, err := w.accept(ingest.Request{Data: []byte(`{"n":50}`)})
	w.must(err)
	if one.Deliveries != 3 { // all, big, fails
		t.Errorf("%d deliveries", one.Deliveries)
	}
	ref, ok := id.RefOf(one.ID)
	e, err := w.sqlite.EventByRef(t.Context(), tenant, ref)
	if !ok || err != nil {
		t.Fatal(err)
	}
	if want := []webhook.EndpointID{"all", "big", "fails"}; !slices.Equal(e.Targets, want) || !slices.Equal(e.Undecided, want[2:]) {
		t.Errorf("targets %v, undecided %v", e.Targets, e.Undecided)
	}
	many, err := w.ingester.AcceptAll(t.Context(), tenant, []ingest.Request{
		{Tenant: tenant, Type: "order.placed", Data: []byte(`{"n":1,"city":"y"}`)}, {Tenant: tenant, Type: "order.placed", Data: []byte(`{"n":11,"city":"x"}`)},
	})
	w.must(err)
	if many[0].Deliveries != 2 || many[1].Deliveries != 3 {
		t.Errorf("in a batch: %d and %d deliveries", many[0].Deliveries, many[1].Deliveries)
	}
	if got := w.messages(); got != 8 {
		t.Errorf("%d messages", got)
	}
}
