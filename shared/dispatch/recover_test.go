package dispatch_test

import (
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

// recover lets the delivery die, and then does what a job does to it.
func (w *world) recover(due time.Duration) webhook.Delivery {
	w.t.Helper()
	w.fail()
	w.wantQueues(0, 1)
	w.advance(time.Hour)
	d := w.delivery().Recover(w.now.Add(due), w.now)
	w.must(w.store.SaveDelivery(w.t.Context(), d))
	return d
}

func TestARecoveredDelivery(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("IsAttemptedWhenItsTurnComes", func(w *world) {
		w.recover(0)
		w.sender.answers = []webhook.Result{status(500), status(200)}
		w.settle()
		d := w.wantState(webhook.Retrying, 5, 5)
		if got := d.Attempts[4].Trigger; got != webhook.TriggerRecover || d.Spent() != 1 || d.HeldUntil.IsZero() {
			w.t.Fatalf("trigger %q, %d spent, held until %s", got, d.Spent(), d.HeldUntil)
		}
		w.wantQueues(0, 1) // the store carries it
		w.advance(time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 6, 6)
		w.must(w.queue.StartMove(w.t.Context()))
		w.settle()
		w.wantState(webhook.Delivered, 6, 6)
		w.wantQueues(0, 0)
	})
	rule("IsNotHurriedByARedriveOfItsOldMessage", func(w *world) {
		d := w.recover(time.Minute)
		w.must(w.queue.StartMove(w.t.Context()))
		w.settle()
		w.wantQueues(0, 0)
		if got := w.wantState(webhook.Retrying, 4, 4); !got.HeldUntil.Equal(d.HeldUntil) {
			w.t.Fatalf("the store carries it until %s", got.HeldUntil)
		}
	})
	rule("ThatDiesAgainLiesInTheDeadLettersAgain", func(w *world) {
		w.recover(0)
		w.fail()
		w.wantState(webhook.Dead, 8, 8)
		w.wantQueues(0, 2)
	})
	rule("ThatIsCancelledIsNotAttempted", func(w *world) {
		d := w.recover(0)
		d.Rev++
		w.must(w.store.SaveDelivery(w.t.Context(), d.Cancel(webhook.ReasonUnwanted, w.now)))
		w.send(w.event, false)
		w.must(w.queue.StartMove(w.t.Context()))
		w.settle()
		w.wantState(webhook.Cancelled, 4, 4)
		w.wantQueues(0, 0)
	})
}

func TestAReplayedDeliveryIsMadeAndRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settle()
	w.wantState(webhook.Delivered, 1, 1)
	w.must(w.store.CreateEndpoint(t.Context(), webhook.Endpoint{Tenant: tenant, ID: "new", State: webhook.EndpointEnabled}))
	d := webhook.NewDelivery(w.event, "new").Replay(w.now, w.now)
	w.must(w.store.SaveDelivery(t.Context(), d))
	w.sender.answers = []webhook.Result{status(500), status(200)}
	for range 2 {
		w.settle()
		w.advance(time.Hour)
	}
	got, err := w.store.Delivery(t.Context(), d.DeliveryKey)
	if err != nil || got.State != webhook.Delivered || got.AttemptCount != 2 || got.Attempts[0].Trigger != webhook.TriggerReplay ||
		got.Attempts[1].Trigger != webhook.TriggerSchedule {
		t.Fatalf("got %+v, %v", got, err)
	}
}
