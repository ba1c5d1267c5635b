package dispatch_test

import (
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

// down makes the endpoint fail until its breaker is open, with n events waiting.
func (w *world) down(n int) []webhook.Event {
	w.t.Helper()
	w.sender.answers = []webhook.Result{status(503)}
	events := []webhook.Event{w.event}
	for len(events) < n {
		events = append(events, w.accept())
	}
	w.settle()
	if !w.health().Open() {
		w.t.Fatalf("the breaker is closed after %d posts", w.sender.posts())
	}
	return events
}

func (w *world) health() webhook.Health {
	w.t.Helper()
	e, err := w.store.Endpoint(w.t.Context(), tenant, endpoint)
	w.must(err)
	return e.Health
}

// states counts the events' deliveries by state.
func (w *world) states(events []webhook.Event) map[webhook.State]int {
	w.t.Helper()
	counts := map[webhook.State]int{}
	for _, e := range events {
		w.event = e
		counts[w.delivery().State]++
	}
	return counts
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("OpensAfterFailuresInARowAndThenNoPostIsMade", func(w *world) {
		events := w.down(50)
		if posts := w.sender.posts(); posts > 5+perBatch {
			w.t.Fatalf("%d posts", posts)
		}
		before := w.sender.posts()
		w.accept()
		w.settle()
		if got := w.sender.posts(); got != before {
			w.t.Fatalf("%d posts while the breaker is open", got-before)
		}
		if got := w.states(events); got[webhook.Parked] < 50-before || got[webhook.Parked]+got[webhook.Retrying] != 50 {
			w.t.Fatalf("states %v", got)
		}
	})
	rule("NothingOnHoldIsInFlight", func(w *world) {
		w.down(50)
		w.advance(time.Hour) // those that failed before it opened are parked too
		w.turnAll(time.Minute, 3)
		if got := w.messages(); got > 1 {
			w.t.Fatalf("%d messages in the queue", got)
		}
	})
	rule("AProbeThatFailsKeepsItOpenAndUsesUpNoRetries", func(w *world) {
		events := w.down(20)
		before := w.sender.posts()
		w.turnAll(time.Minute, 60)
		probes := w.sender.posts() - before
		if probes < 5 || probes > 60 {
			w.t.Fatalf("%d probes in an hour", probes)
		}
		if got := w.states(events); got[webhook.Dead] > 0 {
			w.t.Fatalf("states %v", got)
		}
	})
	rule("ASuccessClosesItAndEverythingArrives", func(w *world) {
		events := w.down(50)
		w.turnAll(10*time.Second, 6)
		w.sender.answers = nil
		w.turnAll(time.Second, 120)
		w.advance(time.Hour)
		w.settle()
		if got := w.states(events); got[webhook.Delivered] != 50 {
			w.t.Fatalf("states %v", got)
		}
		if h := w.health(); !h.Well() {
			w.t.Fatalf("health %+v", h)
		}
		w.wantQueues(0, 0)
		if opened, closed := len(w.logged("breaker opened")), len(w.logged("breaker closed")); opened != 1 || closed != 1 {
			w.t.Fatalf("opened %d times, closed %d", opened, closed)
		}
	})
	rule("WhatIsOnHoldForTooLongIsADeadLetter", func(w *world) {
		events := w.down(10)
		for range 80 {
			w.advance(time.Hour)
			w.settle()
		}
		for _, e := range events {
			w.event = e
			if d := w.delivery(); d.State != webhook.Dead {
				w.t.Fatalf("%s after %d attempts, parked at %s", d.State, d.AttemptCount, d.ParkedAt)
			}
		}
		w.wantQueues(0, 10)
	})
	rule("AWellEndpointIsNeverWrittenTo", func(w *world) {
		for range 20 {
			w.accept()
		}
		w.settle()
		if h := w.health(); h.Rev != 0 {
			w.t.Fatalf("health was written %d times", h.Rev)
		}
	})
	rule("AManualAttemptIsMadeAllTheSame", func(w *world) {
		events := w.down(20)
		w.event = events[19]
		if d := w.delivery(); d.State != webhook.Parked {
			w.t.Fatalf("state %s", d.State)
		}
		before := w.sender.posts()
		w.send(w.event, true)
		w.turn()
		if got := w.sender.posts() - before; got != 1 {
			w.t.Fatalf("%d posts", got)
		}
		if d := w.delivery(); d.State != webhook.Parked || d.HeldUntil.IsZero() || d.AttemptCount != 1 {
			w.t.Fatalf("%s, held until %s, %d attempts", d.State, d.HeldUntil, d.AttemptCount)
		}
	})
	rule("ARedriveWhileItIsOpenIsParkedWithAFreshBudget", func(w *world) {
		w.fail()
		dead := w.event
		w.down(10)
		w.advance(time.Millisecond)
		w.must(w.queue.StartMove(w.t.Context()))
		w.settle()
		w.event = dead
		if d := w.delivery(); d.State != webhook.Parked || d.Spent() != 0 {
			w.t.Fatalf("%s, %d spent", d.State, d.Spent())
		}
	})
}

// perBatch is how many more attempts may be under way when the breaker opens.
const perBatch = 5

// turnAll settles n times, a while apart.
func (w *world) turnAll(apart time.Duration, n int) {
	w.t.Helper()
	for range n {
		w.advance(apart)
		w.settle()
	}
}
