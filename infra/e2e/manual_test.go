package e2e

import (
	"net/http"
	"testing"
)

// later is a failure after which no scheduled attempt gets in a test's way.
var later = answer{status: 503, header: map[string]string{"Retry-After": "3600"}}

func TestARetryByHandOfARetryingDeliveryIsOneAttemptBesideItsSchedule(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, later, status(500), status(200))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	before := n.awaitState(t, a.ID, e.ID, "retrying")

	n.retry(t, before)
	d := n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool { return d.AttemptCount == 2 })
	if got := d.Attempts[1]; got.Trigger != "manual" || got.Outcome != "failed" || got.Number != 2 {
		t.Errorf("the attempt is %+v", got)
	}
	if d.State != "retrying" || d.NextAttemptAt == nil || !d.NextAttemptAt.Equal(*before.NextAttemptAt) || d.NextCause != before.NextCause {
		t.Errorf("the schedule changed: %s, next at %v because of %q", d, d.NextAttemptAt, d.NextCause)
	}

	n.retry(t, d)
	d = n.awaitState(t, a.ID, e.ID, "delivered")
	if got := d.Attempts[2]; got.Trigger != "manual" || got.Outcome != "delivered" {
		t.Errorf("the attempt is %+v", got)
	}
	if d.NextAttemptAt != nil {
		t.Errorf("delivered, it is still due at %s", d.NextAttemptAt)
	}
	if got := len(h.await(t, 3)); got != 3 {
		t.Errorf("%d arrivals, want 3", got)
	}
}

func TestARetryByHandCostsNoneOfTheScheduledAttempts(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitState(t, a.ID, e.ID, "retrying")
	n.retry(t, d)
	n.retry(t, d)
	d = n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool { return d.State == "dead" && d.AttemptCount >= attemptsOfSchedule+2 })
	made := map[string]int{}
	for _, attempt := range d.Attempts {
		if attempt.Trigger == "redrive" {
			break // another test's redrive began a schedule anew
		}
		made[attempt.Trigger]++
	}
	if made["schedule"] != attemptsOfSchedule || made["manual"] != 2 {
		t.Errorf("the delivery is %s", d)
	}
}

func TestARetryByHandSendsADeliveredEventAgain(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(200), status(500), status(200))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{"order":"1001"}`)
	d := n.awaitState(t, a.ID, e.ID, "delivered")
	for i, outcome := range []string{"failed", "delivered"} {
		n.retry(t, d)
		d = n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool { return d.AttemptCount == i+2 })
		if got := d.Attempts[i+1]; got.Trigger != "manual" || got.Outcome != outcome {
			t.Errorf("the attempt is %+v, want %s", got, outcome)
		}
		if d.State != "delivered" {
			t.Errorf("what was delivered once is now %s", d)
		}
	}
	for _, arrival := range h.await(t, 3) {
		if arrival.id != a.ID || string(arrival.body) != a.wireBody(`{"order":"1001"}`) {
			t.Errorf("sent again: %s with %s", arrival.id, arrival.body)
		}
	}
}

func TestARetryByHandGivesADeadDeliveryAFreshSchedule(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitState(t, a.ID, e.ID, "dead")
	// One more failure, so that it takes a schedule and not only an attempt.
	h.answers(status(500), status(200))
	n.retry(t, d)
	d = n.awaitState(t, a.ID, e.ID, "delivered")
	// A redrive by another test may have come first, and its attempt been the failure.
	if d.AttemptCount < attemptsOfSchedule+1 {
		t.Errorf("the delivery is %s", d)
	}
	eventually(t, patience, func() (bool, string) {
		return deadLetterOf(t, d) == nil, "still among the dead letters"
	})
}

func TestARetryByHandReachesADisabledEndpoint(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, later, status(200))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitState(t, a.ID, e.ID, "retrying")
	n.change(t, e.ID, map[string]any{"state": "disabled"})
	n.retry(t, d)
	n.awaitState(t, a.ID, e.ID, "delivered")
}

// Two attempts at once: whatever comes last, what arrived has arrived.
func TestAnAttemptThatFailsAfterAnotherWasTakenChangesNothing(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	release := make(chan struct{})
	h := newHook(t, answer{hold: release, status: 500}, status(200))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	h.await(t, 1)
	n.retry(t, n.deliveryTo(t, a.ID, e.ID))
	n.awaitState(t, a.ID, e.ID, "delivered")
	close(release)
	d := n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool { return d.AttemptCount == 2 })
	if d.State != "delivered" || d.NextAttemptAt != nil || d.Attempts[1].Outcome != "failed" {
		t.Errorf("the delivery is %s", d)
	}
	if got := len(h.await(t, 2)); got != 2 {
		t.Errorf("%d arrivals, want 2", got)
	}
}

// A row of attempts cannot grow for ever. The count goes on.
func TestTheLatestFiftyAttemptsAreKept(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitState(t, a.ID, e.ID, "delivered")
	const kept, more = 50, 55
	for i := range more {
		n.retry(t, d)
		if i%5 == 4 { // a few at once, which write the same row
			n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool { return d.AttemptCount == i+2 })
		}
	}
	d = n.deliveryTo(t, a.ID, e.ID)
	if d.AttemptCount != more+1 || len(d.Attempts) != kept {
		t.Fatalf("%d attempts, %d of them kept; want %d and %d", d.AttemptCount, len(d.Attempts), more+1, kept)
	}
	for i, got := range d.Attempts {
		if want := more + 1 - kept + i + 1; got.Number != want {
			t.Errorf("attempt %d has the number %d", want, got.Number)
		}
	}
}

func TestACancelledDeliveryCannotBeRetried(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	h.awaitEvent(t, a.ID)
	n.send(t, http.MethodDelete, n.at("/endpoints/%s", e.ID), nil).must(t, http.StatusNoContent)
	d := n.awaitState(t, a.ID, e.ID, "cancelled")
	if d.Reason != "endpoint_deleted" || d.NextAttemptAt != nil {
		t.Errorf("the delivery is %s, next %v", d, d.NextAttemptAt)
	}
	r := n.send(t, http.MethodPost, n.at("/deliveries/%s/retry", d.ID), nil).must(t, http.StatusConflict)
	if got := as[problem](t, r); got.Type != "urn:webhookrelay:problem:delivery-cancelled" || got.Detail == "" {
		t.Errorf("got %+v", got)
	}
	arrivals := len(h.got())
	if next := n.post(t, "order.placed", `{}`); next.Deliveries != 0 {
		t.Errorf("the next event has %d deliveries", next.Deliveries)
	}
	if got := len(h.got()); got != arrivals {
		t.Errorf("the deleted endpoint got another %d requests", got-arrivals)
	}
}
