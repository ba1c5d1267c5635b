package sweep_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// schedule stores an event for n endpoints that is due in a while.
func (w *world) schedule(in time.Duration, n int) webhook.Event {
	w.t.Helper()
	e := w.event("a", 50*time.Hour)
	e.DeliverAt, e.Held, e.Targets = w.now.Add(in), true, nil
	for i := range n {
		e.Targets = append(e.Targets, webhook.EndpointID("e"+string(rune('a'+i))))
	}
	w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{e}))
	return e
}

func TestScheduledEvents(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("WhatFallsDueBeforeTheNextRunIsSentOnceWithADelay", func(w *world) {
		late, soon := w.schedule(-time.Hour, 1), w.schedule(30*time.Second, 2)
		w.schedule(2*time.Minute, 1)
		w.release(3)
		w.wantSent(late, soon, soon)
		if !slices.Equal(w.sent.delays, []time.Duration{0, 30 * time.Second, 30 * time.Second}) {
			w.t.Fatalf("delays %v", w.sent.delays)
		}
		w.release(0)
	})
	rule("WhatCouldNotBeSentIsSentByTheNextRun", func(w *world) {
		e := w.schedule(0, 1)
		w.sent.err = errors.New("the queue is down")
		if _, err := w.sweeper.Release(w.t.Context()); err == nil {
			w.t.Fatal("no error")
		}
		w.release(1)
		w.wantSent(e)
	})
	rule("TheyDoNotWaitForWhatIsOnHold", func(w *world) {
		w.endpoint("a", webhook.Health{})
		held, e := w.hold("a", w.now.Add(-time.Hour)), w.schedule(0, 1)
		w.release(2)
		if first := w.sent.keys[0].Event; first != e.Ref {
			w.t.Errorf("%s is sent first, want %s before %s", first, e.Ref, held.Ref)
		}
	})
	rule("AFloodOfThemLeavesHalfOfTheTimeToWhatIsOnHold", func(w *world) {
		w.endpoint("a", webhook.Health{})
		w.hold("a", w.now)
		for range 300 {
			w.schedule(0, 1)
		}
		w.sweeper.Store = slow{w.store, func() { w.now = w.now.Add(w.sweeper.Interval / 4) }}
		w.release(201) // two pages, and what is on hold
		w.release(100)
	})
	rule("MoreThanAPageAreAllSent", func(w *world) {
		for range 230 {
			w.schedule(0, 3)
		}
		w.release(690)
	})
	rule("TheDailyWalkLeavesThemAlone", func(w *world) {
		e := w.event("a", 2*time.Hour)
		e.DeliverAt, e.Held = w.now.Add(24*time.Hour), true
		w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{e}))
		w.must(w.sweeper.Run(w.t.Context()))
		w.wantSent()
	})
}

// slow is a store that takes its time to list scheduled events.
type slow struct {
	sweep.Store
	pass func()
}

func (s slow) DueEvents(ctx context.Context, until time.Time, limit int) ([]webhook.Event, error) {
	s.pass()
	return s.Store.DueEvents(ctx, until, limit)
}
