package sweep_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// endpoint stores the endpoint of w's events, with the given health.
func (w *world) endpoint(tenant webhook.TenantID, h webhook.Health) {
	w.t.Helper()
	_, _, err := w.store.PutTenant(w.t.Context(), webhook.Tenant{ID: tenant, CreatedAt: w.now})
	w.must(err)
	w.must(w.store.CreateEndpoint(w.t.Context(), webhook.Endpoint{Tenant: tenant, ID: "e", State: webhook.EndpointEnabled}))
	if h != (webhook.Health{}) {
		w.must(w.store.SaveHealth(w.t.Context(), tenant, "e", h))
	}
}

// change changes the endpoint of w's events.
func (w *world) change(tenant webhook.TenantID, f func(e *webhook.Endpoint)) {
	w.t.Helper()
	e, err := w.store.Endpoint(w.t.Context(), tenant, "e")
	w.must(err)
	f(&e)
	w.must(w.store.UpdateEndpoint(w.t.Context(), e))
}

// hold stores an event whose delivery waits until then.
func (w *world) hold(tenant webhook.TenantID, until time.Time) webhook.Event {
	w.t.Helper()
	e := w.event(tenant, time.Minute)
	d := webhook.NewDelivery(e, "e").Retry(webhook.Attempt{At: w.now}, until, webhook.NextSchedule).Hold(until)
	w.must(w.store.SaveDelivery(w.t.Context(), d))
	return e
}

func (w *world) row(e webhook.Event) webhook.Delivery {
	w.t.Helper()
	d, err := w.store.Delivery(w.t.Context(), webhook.DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: "e"})
	w.must(err)
	return d
}

func (w *world) release(want int) {
	w.t.Helper()
	got, err := w.sweeper.Release(w.t.Context())
	w.must(err)
	if got != want {
		w.t.Fatalf("released %d, want %d", got, want)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	down := func(w *world, nextProbe time.Duration) webhook.Health {
		return webhook.Health{Failures: 3, FailingSince: w.now, OpenedAt: w.now.Add(-time.Hour), OpenUntil: w.now.Add(nextProbe)}
	}
	rule("WhatFallsDueBeforeTheNextRunIsSentWithADelay", func(w *world) {
		w.endpoint("a", webhook.Health{})
		due := w.hold("a", w.now.Add(-time.Second))
		soon := w.hold("a", w.now.Add(30*time.Second))
		w.hold("a", w.now.Add(2*time.Minute))
		w.release(2)
		w.wantSent(due, soon)
		if !slices.Equal(w.sent.delays, []time.Duration{0, 30 * time.Second}) {
			w.t.Fatalf("delays %v", w.sent.delays)
		}
		w.release(0) // both are on their way
	})
	rule("AMessageThatIsLostIsSentAgain", func(w *world) {
		w.endpoint("a", webhook.Health{})
		e := w.hold("a", w.now)
		w.release(1)
		w.now = w.now.Add(16 * time.Minute)
		w.release(1)
		w.wantSent(e, e)
	})
	rule("AnEndpointThatIsDownGetsOneProbeAndTheRestIsPutOff", func(w *world) {
		w.endpoint("a", down(w, 10*time.Second))
		first, second := w.hold("a", w.now), w.hold("a", w.now)
		w.release(1)
		w.wantSent(first)
		if w.sent.delays[0] != 10*time.Second {
			w.t.Fatalf("the probe is sent after %s", w.sent.delays[0])
		}
		d := w.row(second)
		if d.State != webhook.Parked || d.HeldUntil.Before(w.now.Add(time.Minute)) {
			w.t.Fatalf("%s until %s", d.State, d.HeldUntil)
		}
	})
	rule("WhereTheStoreHastensThemMostArePutOffForLonger", func(w *world) {
		w.endpoint("a", down(w, 10*time.Second))
		w.sweeper.PutOff = time.Hour
		var held []webhook.Event
		for range 25 {
			held = append(held, w.hold("a", w.now))
		}
		w.release(1)
		soon, late := 0, 0
		for _, e := range held[1:] {
			if w.row(e).HeldUntil.Before(w.now.Add(time.Hour)) {
				soon++
			} else {
				late++
			}
		}
		if soon != 2 || late != 22 {
			w.t.Fatalf("%d are looked at again soon, %d late", soon, late)
		}
	})
	rule("BeforeItsProbeIsDueAnEndpointGetsNothing", func(w *world) {
		w.endpoint("a", down(w, 5*time.Minute))
		w.hold("a", w.now)
		w.release(0)
	})
	rule("AnEndpointThatCameBackGetsNoMoreThanTheRate", func(w *world) {
		w.endpoint("a", webhook.Health{})
		for range 300 {
			w.hold("a", w.now)
		}
		w.release(121) // two a second for a minute, and the first at once
		for i, delay := range w.sent.delays {
			if want := time.Duration(i) * time.Second / 2; delay != want {
				w.t.Fatalf("message %d after %s, want %s", i, delay, want)
			}
		}
	})
	rule("APausedEndpointGetsNothingAndAllIsPutOff", func(w *world) {
		w.endpoint("a", webhook.Health{})
		w.change("a", func(e *webhook.Endpoint) { e.State = webhook.EndpointPaused })
		held := w.hold("a", w.now)
		w.release(0)
		if d := w.row(held); d.State != webhook.Parked || d.NextCause != webhook.NextPaused || d.HeldUntil.Before(w.now.Add(time.Minute)) {
			w.t.Fatalf("%s because of %s until %s", d.State, d.NextCause, d.HeldUntil)
		}
		w.now = w.now.Add(20 * time.Hour)
		w.release(0)
		if d := w.row(held); d.HeldUntil.Sub(w.now) > 10*time.Minute {
			w.t.Fatalf("looked at again after %s", d.HeldUntil.Sub(w.now))
		}
		w.change("a", func(e *webhook.Endpoint) { e.State = webhook.EndpointEnabled })
		w.now = w.now.Add(10 * time.Minute)
		w.release(1)
		w.wantSent(held)
	})
	rule("WhatAPausedEndpointKeptForTooLongIsSentToBeGivenUp", func(w *world) {
		w.endpoint("a", webhook.Health{})
		w.change("a", func(e *webhook.Endpoint) { e.State = webhook.EndpointPaused })
		e := w.hold("a", w.now)
		w.release(0)
		w.now = e.ExpiresAt.Add(-webhook.KeptAfterHold + time.Minute)
		w.release(1)
		w.wantSent(e)
	})
	rule("AnEndpointsOwnRateIsKept", func(w *world) {
		w.endpoint("a", webhook.Health{})
		w.change("a", func(e *webhook.Endpoint) { e.Terms.Rate = webhook.Rate{Count: 10, Window: time.Minute} })
		for range 30 {
			w.hold("a", w.now)
		}
		w.release(11) // one every six seconds, and the first at once
		for i, delay := range w.sent.delays {
			if want := time.Duration(i) * 6 * time.Second; delay != want {
				w.t.Fatalf("message %d after %s, want %s", i, delay, want)
			}
		}
	})
	rule("OneEndpointDoesNotUseUpTheRateOfAnother", func(w *world) {
		w.endpoint("a", webhook.Health{})
		w.endpoint("b", webhook.Health{})
		for range 10 {
			w.hold("a", w.now)
		}
		w.hold("b", w.now)
		w.release(11)
		if w.sent.delays[10] != 0 {
			w.t.Fatalf("delays %v", w.sent.delays)
		}
	})
	rule("WhatWaitedForAnEndpointThatIsBackIsSentOnceEachAndSeldomPutOff", func(w *world) {
		w.endpoint("a", webhook.Health{})
		w.change("a", func(e *webhook.Endpoint) { e.State = webhook.EndpointPaused })
		var parked []webhook.Event
		for range 3000 {
			e := w.event("a", time.Minute)
			w.must(w.store.SaveDelivery(w.t.Context(), webhook.NewDelivery(e, "e").Park(w.now.Add(time.Hour), w.now, webhook.NextPaused)))
			parked = append(parked, e)
		}
		w.change("a", func(e *webhook.Endpoint) { e.State = webhook.EndpointEnabled })
		writes := &rowWriter{Store: w.store}
		w.sweeper.Store, w.sweeper.Interval, w.sweeper.Rate = writes, 250*time.Millisecond, 2000
		for range len(parked) / 500 {
			writes.n.Store(0)
			if _, err := w.sweeper.Release(w.t.Context()); err != nil || writes.n.Load() > 1000 {
				w.t.Fatalf("a look of which the endpoint may have 500 wrote %d rows: %v", writes.n.Load(), err)
			}
			w.now = w.now.Add(w.sweeper.Interval)
		}
		w.wantSent(parked...)
	})
	rule("WhatWasOnHoldForTooLongIsSentToBeGivenUp", func(w *world) {
		w.endpoint("a", down(w, time.Hour))
		e := w.event("a", time.Minute)
		d := webhook.NewDelivery(e, "e").Park(w.now, w.now.Add(-73*time.Hour), webhook.NextBreaker)
		w.must(w.store.SaveDelivery(w.t.Context(), d))
		w.release(1)
		w.wantSent(e)
	})
	rule("DeliveriesOfADeletedEndpointAreSentToBeCancelled", func(w *world) {
		w.endpoint("a", webhook.Health{})
		e := w.hold("a", w.now)
		w.must(w.store.DeleteEndpoint(w.t.Context(), "a", "e"))
		w.release(1)
		w.wantSent(e)
	})
	rule("ARowThatCannotBeReadKeepsNoOther", func(w *world) {
		w.endpoint("a", webhook.Health{})
		e := w.hold("a", w.now)
		w.sweeper.Store = spoiled{w.store}
		w.release(1)
		w.wantSent(e)
	})
	rule("AQueueThatFailsLosesNothing", func(w *world) {
		w.endpoint("a", webhook.Health{})
		e := w.hold("a", w.now)
		w.sent.err = errors.New("queue is down")
		if _, err := w.sweeper.Release(w.t.Context()); err == nil {
			w.t.Fatal("no error")
		}
		w.release(1)
		w.wantSent(e)
	})
}

// rowWriter counts the rows that are written.
type rowWriter struct {
	sweep.Store
	n atomic.Int64
}

func (r *rowWriter) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	r.n.Add(1)
	return r.Store.SaveDelivery(ctx, d)
}

// spoiled is a store that holds one more row, which cannot be read.
type spoiled struct{ sweep.Store }

func (s spoiled) Held(ctx context.Context, until time.Time, limit int) ([]webhook.Delivery, error) {
	held, err := s.Store.Held(ctx, until, limit)
	return held, errors.Join(err, webhook.ErrUnreadable)
}
