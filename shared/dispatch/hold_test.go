package dispatch_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

// set changes the endpoint.
func (w *world) set(change func(e *webhook.Endpoint)) {
	w.t.Helper()
	e, err := w.store.Endpoint(w.t.Context(), tenant, endpoint)
	w.must(err)
	change(&e)
	w.must(w.store.UpdateEndpoint(w.t.Context(), e))
}

func (w *world) state(state webhook.EndpointState) {
	w.t.Helper()
	w.set(func(e *webhook.Endpoint) { e.State = state })
}

func (w *world) rate(count int, window time.Duration) {
	w.t.Helper()
	w.set(func(e *webhook.Endpoint) { e.Terms.Rate = webhook.Rate{Count: count, Window: window} })
}

func TestPause(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("APausedEndpointGetsNothingAndItsDeliveriesWaitInTheStore", func(w *world) {
		w.state(webhook.EndpointPaused)
		w.turnAll(time.Minute, 60)
		if d := w.wantState(webhook.Parked, 0, 0); d.NextCause != webhook.NextPaused || d.HeldUntil.IsZero() {
			w.t.Fatalf("%s until %s", d.NextCause, d.HeldUntil)
		}
		w.wantQueues(0, 0)
	})
	rule("OnceResumedEverythingArrivesWithinTenMinutes", func(w *world) {
		w.state(webhook.EndpointPaused)
		events := []webhook.Event{w.event, w.accept(), w.accept()}
		w.turnAll(time.Minute, 300)
		w.state(webhook.EndpointEnabled)
		w.turnAll(time.Minute, 11)
		if got := w.states(events); got[webhook.Delivered] != 3 {
			w.t.Fatalf("states %v", got)
		}
	})
	rule("ARetryWaitsTooAndGoesOnWithItsSchedule", func(w *world) {
		w.sender.answers = []webhook.Result{status(500), status(500), status(200)}
		w.settle()
		w.state(webhook.EndpointPaused)
		w.turnAll(time.Minute, 5)
		w.wantState(webhook.Parked, 1, 1)
		w.state(webhook.EndpointEnabled)
		w.turnAll(time.Minute, 2)
		if d := w.wantState(webhook.Retrying, 2, 2); d.Spent() != 2 {
			w.t.Fatalf("%d spent", d.Spent())
		}
	})
	rule("AnAttemptByHandIsMadeAllTheSame", func(w *world) {
		w.state(webhook.EndpointPaused)
		w.settle()
		w.send(w.event, true)
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
	})
	rule("APauseLastsLongerThanAnEndpointMayFail", func(w *world) {
		w.state(webhook.EndpointPaused)
		w.turnAll(time.Hour, 7*24)
		w.wantState(webhook.Parked, 0, 0)
	})
	rule("WhatItKeepsIsADeadLetterWhileItsEventOutlastsTheDeadLetterQueue", func(w *world) {
		w.state(webhook.EndpointPaused)
		w.turnAll(time.Hour, 8*24+2)
		d := w.wantState(webhook.Dead, 0, 0)
		if d.Reason != webhook.ReasonParkedTooLong || w.event.ExpiresAt.Sub(d.DiedAt) < 21*24*time.Hour {
			w.t.Fatalf("%s at %s", d.Reason, d.DiedAt)
		}
		w.wantQueues(0, 1)
	})
	rule("TimeSpentPausedIsNotTimeThatTheEndpointFailed", func(w *world) {
		w.state(webhook.EndpointPaused)
		w.turnAll(time.Hour, 5*24)
		w.state(webhook.EndpointEnabled)
		w.must(w.store.SaveHealth(w.t.Context(), tenant, endpoint, webhook.Health{
			Failures: 9, FailingSince: w.now, LastFailureAt: w.now, OpenedAt: w.now, OpenUntil: w.now.Add(2 * time.Hour),
		}))
		w.turnAll(time.Hour, 1)
		if d := w.wantState(webhook.Parked, 0, 0); d.NextCause != webhook.NextBreaker || w.now.Sub(d.ParkedAt) > time.Hour {
			w.t.Fatalf("%s since %s", d.NextCause, d.ParkedAt)
		}
	})
	rule("ARedriveWhilePausedIsParkedWithAFreshBudget", func(w *world) {
		w.fail()
		w.state(webhook.EndpointPaused)
		w.advance(time.Millisecond)
		w.must(w.queue.StartMove(w.t.Context()))
		w.settle()
		if d := w.delivery(); d.State != webhook.Parked || d.Spent() != 0 || d.NextCause != webhook.NextPaused {
			w.t.Fatalf("%s because of %s, %d spent", d.State, d.NextCause, d.Spent())
		}
	})
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("NoWindowHasMoreAttemptsThanTheLimit", func(w *world) {
		w.rate(3, 10*time.Second)
		events := []webhook.Event{w.event}
		for len(events) < 40 {
			events = append(events, w.accept())
		}
		windows := map[time.Time]int{}
		w.sender.during = func() { windows[w.now.Truncate(10*time.Second)]++ }
		w.settle()
		w.turnAll(time.Second, 140)
		for window, made := range windows {
			if made > 3 {
				w.t.Errorf("%d posts in the window of %s", made, window)
			}
		}
		for _, w.event = range events {
			w.wantDelivered(1)
		}
	})
	rule("WhatWaitsUsesUpNoAttemptsAndLittleOfItsReceives", func(w *world) {
		w.rate(1, time.Minute)
		events := []webhook.Event{w.event}
		for len(events) < 20 {
			events = append(events, w.accept())
		}
		w.turnAll(time.Second, 60*21)
		for _, w.event = range events {
			w.wantDelivered(1)
		}
		w.wantQueues(0, 0)
	})
	rule("ATurnThatIsMissedIsTakenAnew", func(w *world) {
		w.rate(1, time.Minute)
		w.accept()
		w.settle()
		w.advance(3 * time.Minute) // nobody was there at its turn
		w.settle()
		w.accept()
		w.settle()
		if got := w.sender.posts(); got != 2 {
			w.t.Fatalf("%d posts, want the first and one of the last window", got)
		}
	})
	rule("AnEndpointWithoutALimitTakesNoTurns", func(w *world) {
		w.settle()
		if at, given, err := w.store.TakeTurn(w.t.Context(), tenant, endpoint, webhook.Rate{Count: 1, Window: time.Hour}, w.now); err != nil || !given || at.After(w.now) {
			w.t.Fatalf("%s, %v, %v", at, given, err)
		}
		w.wantState(webhook.Delivered, 1, 1)
	})
	rule("AnAttemptByHandTakesNoTurn", func(w *world) {
		w.rate(1, time.Hour)
		w.settle()
		w.event = w.accept()
		w.settle()
		w.wantState(webhook.Parked, 0, 1)
		w.send(w.event, true)
		w.settle()
		w.wantState(webhook.Delivered, 1, 2)
	})
}

// wantDelivered checks the delivery of w.event.
func (w *world) wantDelivered(attempts int) {
	w.t.Helper()
	if d := w.delivery(); d.State != webhook.Delivered || d.AttemptCount != attempts {
		w.t.Fatalf("%s after %d attempts, because of %s until %s", d.State, d.AttemptCount, d.NextCause, d.NextAttemptAt)
	}
}

func TestAnEndpointsOwnScheduleReplacesTheRelays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(func(e *webhook.Endpoint) { e.Terms.Schedule = []time.Duration{2 * time.Second} })
	w.sender.answers = []webhook.Result{status(500)}
	w.settle()
	if d := w.wantState(webhook.Retrying, 1, 1); !d.NextAttemptAt.Equal(w.now.Add(2 * time.Second)) {
		t.Fatalf("next at %s, now %s", d.NextAttemptAt, w.now)
	}
	w.advance(2 * time.Second)
	w.settle()
	w.wantState(webhook.Dead, 2, 2)

	w.set(func(e *webhook.Endpoint) { e.Terms.Schedule = []time.Duration{} })
	w.event = w.accept()
	w.settle()
	w.wantState(webhook.Dead, 1, 3)
}

// The queue's receives are meant for the operator's schedule.
func TestAnEndpointsOwnScheduleMayHaveMoreAttemptsThanAMessageHasReceives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(func(e *webhook.Endpoint) {
		for range maxReceives + 8 {
			e.Terms.Schedule = append(e.Terms.Schedule, time.Minute)
		}
	})
	w.sender.answers = []webhook.Result{status(404)}
	w.settle()
	w.turnAll(time.Hour, 30)
	if d := w.wantState(webhook.Dead, maxReceives+9, maxReceives+9); d.Reason != webhook.ReasonExhausted {
		t.Fatalf("dead because of %s", d.Reason)
	}
	w.wantQueues(0, 1)
}

func TestConcurrencyIsBoundedAndWhoFindsNoPlaceWaitsInTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(func(e *webhook.Endpoint) { e.Terms.Concurrency = 1 })
	var under, most atomic.Int64
	var once sync.Once
	hold := make(chan struct{})
	w.sender.open = func() {
		most.Store(max(most.Load(), under.Add(1)))
		once.Do(func() { <-hold })
		under.Add(-1)
	}
	// The first ends once the two that found no place are parked.
	parked := new(atomic.Int64)
	w.faults.saved = func(d webhook.Delivery) {
		if d.NextCause == webhook.NextConcurrency && parked.Add(1) == 2 {
			close(hold)
		}
	}
	events := []webhook.Event{w.event, w.accept(), w.accept()}
	w.turn()
	if got := parked.Load(); got != 2 {
		t.Fatalf("%d parked", got)
	}
	w.turnAll(time.Second, 5)
	if got := w.states(events); got[webhook.Delivered] != 3 || most.Load() != 1 {
		t.Fatalf("states %v, %d at once", got, most.Load())
	}
}
