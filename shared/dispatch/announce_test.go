package dispatch_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

var errDeaf = errors.New("nobody hears")

func (w *world) wantHeard(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.operator.heard, want) {
		w.t.Fatalf("the operator heard %q, want %q", w.operator.heard, want)
	}
}

func (w *world) endpointState() (webhook.EndpointState, webhook.Reason) {
	w.t.Helper()
	e, err := w.store.Endpoint(w.t.Context(), tenant, endpoint)
	w.must(err)
	return e.State, e.DisabledReason
}

func TestTheOperatorHears(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	told := func(code int, c webhook.Control) webhook.Result {
		r := status(code)
		r.Control = c
		return r
	}
	rule("OfADeathOnceHoweverOftenItsMessageComes", func(w *world) {
		w.sender.answers = []webhook.Result{told(400, webhook.ControlAbort)}
		w.settle()
		w.wantState(webhook.Dead, 1, 1)
		w.wantHeard("dead receiver_stop")
		w.wantQueues(0, 1)
	})
	rule("OfADeathLaterWhenItCannotBeTold", func(w *world) {
		w.sender.answers = []webhook.Result{told(400, webhook.ControlAbort)}
		w.operator.deaf = errDeaf
		w.settle()
		if !w.wantState(webhook.Dead, 1, 1).Untold {
			w.t.Fatal("taken for told")
		}
		w.operator.deaf = nil
		w.advance(time.Minute)
		w.settle()
		w.wantHeard("dead receiver_stop")
		w.wantQueues(0, 1)
	})
	rule("OfAnEndpointThatSaysThatItIsGone", func(w *world) {
		w.sender.answers = []webhook.Result{status(410)}
		w.settle()
		w.wantHeard("disabled shop http_410", "dead http_410")
	})
	rule("OfAnEndpointThatWantsNoMore", func(w *world) {
		w.sender.answers = []webhook.Result{told(200, webhook.ControlDisable)}
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
		w.wantHeard("disabled shop receiver_stop")
		if state, reason := w.endpointState(); state != webhook.EndpointDisabled || reason != webhook.ReasonReceiverStop {
			w.t.Fatalf("%s, %s", state, reason)
		}
	})
	rule("BeforeAnEndpointIsDisabledOrItStaysEnabled", func(w *world) {
		w.operator.deaf = errDeaf
		w.sender.answers = []webhook.Result{told(200, webhook.ControlDisable)}
		w.settle()
		if state, _ := w.endpointState(); state != webhook.EndpointEnabled {
			w.t.Fatal("disabled, and nobody knows")
		}
	})
	rule("WarningsAndTheEndOfAnEndpointThatOnlyFails", func(w *world) {
		w.sender.answers = []webhook.Result{status(500)}
		w.settle()
		for range 10 { // a failure every twelve hours
			w.advance(12 * time.Hour)
			w.accept()
			w.settle()
		}
		w.operator.heard = slices.DeleteFunc(w.operator.heard, func(s string) bool { return s == "dead attempts_exhausted" })
		w.wantHeard("failing shop 1 until 120h0m0s", "failing shop 2 until 120h0m0s", "failing shop 3 until 120h0m0s",
			"disabled shop failing_too_long")
		if state, reason := w.endpointState(); state != webhook.EndpointDisabled || reason != webhook.ReasonFailingTooLong {
			w.t.Fatalf("%s, %s", state, reason)
		}
	})
	rule("OfARecoveryAfterAWarning", func(w *world) {
		w.sender.answers = []webhook.Result{status(500)}
		w.settle()
		w.advance(24 * time.Hour)
		w.settle()
		w.wantHeard("failing shop 1 until 120h0m0s")
		w.sender.answers = []webhook.Result{status(200)}
		w.operator.deaf = errDeaf // then not yet
		w.accept()
		w.settle()
		w.operator.deaf = nil
		w.accept()
		w.settle()
		w.accept()
		w.settle()
		w.wantHeard("failing shop 1 until 120h0m0s", "recovered shop")
		if h := w.health(); !h.Well() || h.Warned > 0 {
			w.t.Fatalf("%+v", h)
		}
	})
	rule("NothingOfAFailureOrTwo", func(w *world) {
		w.sender.answers = []webhook.Result{status(500), status(500), status(200)}
		w.settle()
		w.advance(time.Minute)
		w.settle()
		w.advance(time.Hour)
		w.settle()
		w.wantState(webhook.Delivered, 3, 3)
		w.wantHeard()
	})
}
