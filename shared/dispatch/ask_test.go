package dispatch_test

import (
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

// undecided is a world whose event's delivery was made because the endpoint's
// filter failed on the event; the filter is now another.
func undecided(t *testing.T, filter string) *world {
	t.Helper()
	w := newWorld(t)
	w.event.Body = []byte(`{"type":"order.placed","data":{"total":250}}`)
	w.event.Undecided = w.event.Targets
	w.must(w.store.PutEvents(t.Context(), []webhook.Event{w.event}))
	w.refilter(filter)
	return w
}

func (w *world) refilter(filter string) {
	w.t.Helper()
	e, err := w.store.Endpoint(w.t.Context(), tenant, endpoint)
	w.must(err)
	e.Filter = filter
	w.must(w.store.UpdateEndpoint(w.t.Context(), e))
}

func TestAFilterThatFailedIsAskedAgain(t *testing.T) {
	t.Parallel()
	const fails, refuses, wants = `data.city == "x"`, `data.total > 1000`, `data.total > 100`

	t.Run("AnEventThatIsWantedIsSent", func(t *testing.T) {
		t.Parallel()
		for _, filter := range []string{wants, ""} {
			w := undecided(t, filter)
			w.settle()
			w.wantState(webhook.Delivered, 1, 1)
		}
	})
	t.Run("AnEventThatIsNotIsCancelledAndSaysSo", func(t *testing.T) {
		t.Parallel()
		w := undecided(t, refuses)
		w.settle()
		if d := w.wantState(webhook.Cancelled, 0, 0); d.Reason != webhook.ReasonFiltered {
			t.Errorf("reason %s", d.Reason)
		}
		w.wantQueues(0, 0)
	})
	t.Run("WhereItFailsAnAttemptFailsAndNothingIsSent", func(t *testing.T) {
		t.Parallel()
		w := undecided(t, fails)
		w.settle()
		d := w.wantState(webhook.Retrying, 1, 0)
		a := d.Attempts[0]
		if a.Reason != webhook.ReasonFilterFailed || !strings.Contains(a.Detail, "no such key: city (line 1, column") || a.StatusCode != 0 {
			t.Errorf("%+v", a)
		}
		e, err := w.store.Endpoint(t.Context(), tenant, endpoint)
		w.must(err)
		if !e.Health.Well() {
			t.Errorf("it counts against the endpoint: %+v", e.Health)
		}
	})
	t.Run("ItIsNeverLost", func(t *testing.T) {
		t.Parallel()
		w := undecided(t, fails)
		for range 4 {
			w.settle()
			w.advance(25 * time.Hour)
		}
		w.settle()
		if d := w.wantState(webhook.Dead, 4, 0); d.Reason != webhook.ReasonExhausted {
			t.Errorf("reason %s", d.Reason)
		}
		w.wantQueues(0, 1)
	})
	t.Run("CorrectedItIsSentAtTheNextAttempt", func(t *testing.T) {
		t.Parallel()
		w := undecided(t, fails)
		w.settle()
		w.refilter(wants)
		w.advance(2 * time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 2, 1)
	})
	t.Run("OnceItIsDecidedItIsNotAskedAnyMore", func(t *testing.T) {
		t.Parallel()
		w := undecided(t, wants)
		w.sender.answers = []webhook.Result{status(500), status(200)}
		w.settle()
		w.wantState(webhook.Retrying, 1, 1)
		w.refilter(refuses)
		w.advance(2 * time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 2, 2)
	})
	t.Run("AnOrdinaryDeliveryIsNotAskedFor", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.refilter(refuses)
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
	})
	t.Run("AnAttemptByHandAsksToo", func(t *testing.T) {
		t.Parallel()
		w := undecided(t, fails)
		w.settle()
		w.refilter(refuses)
		w.send(w.event, true)
		w.settle()
		w.wantState(webhook.Cancelled, 1, 0)
	})
}
