package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// A redrive moves the dead letters of all tenants, so that of one test revives
// those of another. Tests here check what holds however often that happens.

// deadLetterOf finds a delivery in the list of dead letters; nil when it is not there.
func deadLetterOf(t testing.TB, d delivery) *deadLetter {
	t.Helper()
	path := "/v1/dead-letters?limit=250"
	for {
		list := as[deadLetters](t, relay.get(t, path))
		for _, letter := range list.Data {
			if letter.ID == d.ID {
				return &letter
			}
		}
		if list.NextCursor == nil {
			return nil
		}
		path = "/v1/dead-letters?limit=250&cursor=" + url.QueryEscape(*list.NextCursor)
	}
}

// redriveUntil asks for redrives until done holds. One alone may come before
// the queue has moved the message, which can lag the delivery's death.
func redriveUntil(t testing.TB, done func() (bool, string)) {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		r := relay.send(t, http.MethodPost, "/v1/dead-letters/redrive", nil)
		if r.status != http.StatusAccepted && r.status != http.StatusConflict {
			t.Fatalf("the redrive was answered %s", r)
		}
		return poll(3*time.Second, done)
	})
}

func TestAnExhaustedDeliveryIsADeadLetterUntilARedriveDeliversIt(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{"order":"1001"}`)
	d := n.awaitState(t, a.ID, e.ID, "dead")
	if d.Reason != "attempts_exhausted" || d.AttemptCount%attemptsOfSchedule != 0 || d.NextAttemptAt != nil {
		t.Errorf("the delivery is %s, next %v", d, d.NextAttemptAt)
	}
	var letter *deadLetter
	eventually(t, patience, func() (bool, string) {
		letter = deadLetterOf(t, d)
		return letter != nil, "not among the dead letters"
	})
	if letter.TenantID != n.id || letter.EndpointID != e.ID || letter.EventID != a.ID || letter.State != "dead" || letter.Event == nil {
		t.Fatalf("the dead letter is %+v", letter)
	}
	if got := letter.Event; got.ID != a.ID || got.Deliveries != 1 || string(got.Payload) != a.wireBody(`{"order":"1001"}`) {
		t.Errorf("its event is %s with %d deliveries and payload %s", got.ID, got.Deliveries, got.Payload)
	}
	eventually(t, patience, func() (bool, string) {
		depth := as[deadLetters](t, relay.get(t, "/v1/dead-letters?limit=1")).Depth
		return depth >= 1, fmt.Sprintf("the dead-letter queue's depth is %d", depth)
	})

	h.answers(status(200))
	redriveUntil(t, func() (bool, string) {
		d = n.deliveryTo(t, a.ID, e.ID)
		return isDelivered(d), "the delivery is " + d.String()
	})
	if redriven := d.Attempts[attemptsOfSchedule]; redriven.Trigger != "redrive" {
		t.Errorf("attempt %d after the redrive is %+v", redriven.Number, redriven)
	}
	if d.Reason != "" {
		t.Errorf("delivered, it still has the reason %q", d.Reason)
	}
	eventually(t, patience, func() (bool, string) {
		return deadLetterOf(t, d) == nil, "still among the dead letters"
	})
	for _, arrival := range h.await(t, attemptsOfSchedule+1) {
		if arrival.id != a.ID {
			t.Errorf("an attempt was of %s", arrival.id)
		}
	}
	if move := as[deadLetters](t, relay.get(t, "/v1/dead-letters?limit=1")).Redrive; move == nil || move.Status == "" {
		t.Errorf("the list shows the redrive as %+v", move)
	}
}

func TestARedriveOpensAFreshRetryBudget(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	n.awaitState(t, a.ID, e.ID, "dead")
	var d delivery
	redriveUntil(t, func() (bool, string) {
		d = n.deliveryTo(t, a.ID, e.ID)
		return d.AttemptCount > attemptsOfSchedule, "the delivery is " + d.String()
	})
	d = n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool {
		return d.State == "dead" && d.AttemptCount >= 2*attemptsOfSchedule
	})
	if d.AttemptCount%attemptsOfSchedule != 0 || d.Reason != "attempts_exhausted" {
		t.Fatalf("the delivery is %s", d)
	}
	for i, got := range d.Attempts {
		want := "schedule"
		if i > 0 && i%attemptsOfSchedule == 0 {
			want = "redrive"
		}
		if got.Number != i+1 || got.Trigger != want {
			t.Errorf("attempt %d is %+v, want trigger %s", i+1, got, want)
		}
	}
}

func TestDeliveriesToADisabledEndpointWaitAsDeadLettersUntilItIsEnabled(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	h.awaitEvent(t, a.ID)
	n.change(t, e.ID, map[string]any{"state": "disabled"})
	d := n.awaitState(t, a.ID, e.ID, "dead")
	if d.Reason != "endpoint_disabled" {
		t.Errorf("the delivery is %s", d)
	}
	eventually(t, patience, func() (bool, string) {
		return deadLetterOf(t, d) != nil, "not among the dead letters"
	})
	h.answers(status(200))
	n.change(t, e.ID, map[string]any{"state": "enabled"})
	redriveUntil(t, func() (bool, string) {
		d = n.deliveryTo(t, a.ID, e.ID)
		return isDelivered(d), "the delivery is " + d.String()
	})
}
