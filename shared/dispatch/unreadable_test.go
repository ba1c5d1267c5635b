package dispatch_test

import (
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

func TestARowThatCannotBeReadSpoilsItsOwnDeliveryOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spoiled := w.accept()
	w.faults.spoiled = spoiled.Ref
	if received := w.turn(); received != 2 {
		t.Fatalf("%d messages in the batch", received)
	}
	w.wantState(webhook.Delivered, 1, 1)
	lines := w.logged("row unreadable")
	if len(lines) != 1 || lines[0]["delivery_id"] != "dlv_"+string(spoiled.Ref)+"_shop" {
		t.Fatalf("logged %v", lines)
	}
	// It comes back until the queue has counted enough.
	for range maxReceives + 1 {
		w.advance(5 * time.Minute)
		w.turn()
	}
	w.wantQueues(0, 1)
}

func TestAnAttemptWhoseRowBecameUnreadableIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sender.during = func() {
		// Another consumer settles it meanwhile, and damages the row.
		w.must(w.store.SaveDelivery(t.Context(), webhook.NewDelivery(w.event, endpoint).Retry(webhook.Attempt{At: w.now}, w.now, webhook.NextSchedule)))
		w.faults.spoiled, w.sender.during = w.event.Ref, nil
	}
	w.turn()
	w.faults.spoiled = ""
	w.advance(time.Minute)
	w.turn()
	if d := w.delivery(); d.State != webhook.Delivered || w.sender.posts() != 2 {
		t.Errorf("%s after %d posts", d.State, w.sender.posts())
	}
}
