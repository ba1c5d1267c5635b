package replay_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/history"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

func (w *world) withdrawer() replay.Withdrawer {
	clock := func() time.Time { return w.now }
	return replay.Withdrawer{
		Events: history.History{Store: w.store}, Store: w.store, Now: clock, Trail: audit.Trail{Store: w.store, IDs: w.ids, Now: clock},
	}
}

// scheduled stores an event for two endpoints that is due in a while.
func (w *world) scheduled(in time.Duration) webhook.Event {
	w.t.Helper()
	e := w.event(0, "order.placed", endpoint, "other")
	e.DeliverAt, e.Held = w.now.Add(in), true
	w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{e}))
	return e
}

// states of the event's deliveries, with their reasons, as lists by state show them.
func (w *world) listed(state webhook.State) (keys []webhook.EndpointID) {
	w.t.Helper()
	found, _, err := w.store.Deliveries(w.t.Context(), tenant, history.Filter{State: state}, webhook.Page{Limit: 10})
	w.must(err)
	for _, d := range found {
		keys = append(keys, d.Endpoint)
	}
	slices.Sort(keys)
	return keys
}

func TestCancelOfAScheduledEvent(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("EndsAllItsDeliveriesAndIsOnRecordOnce", func(w *world) {
		e := w.scheduled(time.Hour)
		for range 2 {
			got, deliveries, err := w.withdrawer().Cancel(w.t.Context(), tenant, e.ID)
			w.must(err)
			if !got.CancelledAt.Equal(w.now) || got.Held || len(deliveries) != 2 || deliveries[1].Reason != webhook.ReasonEventCancelled {
				w.t.Fatalf("%+v, %+v", got, deliveries)
			}
		}
		if got := w.listed(webhook.Cancelled); !slices.Equal(got, []webhook.EndpointID{endpoint, "other"}) {
			w.t.Fatalf("listed as cancelled: %v", got)
		}
		if got := w.trail(); !slices.Equal(got, []audit.Action{audit.EventCancelled}) {
			w.t.Fatalf("trail %v", got)
		}
		if due, err := w.store.DueEvents(w.t.Context(), w.now.Add(time.Hour), 10); err != nil || len(due) > 0 {
			w.t.Fatalf("still due: %v, %v", due, err)
		}
	})
	rule("IsRefusedOnceItsTimeHasCome", func(w *world) {
		e := w.scheduled(time.Hour)
		w.now = w.now.Add(time.Hour)
		for _, id := range []webhook.EventID{e.ID, w.event(0, "order.placed", endpoint).ID} {
			if _, _, err := w.withdrawer().Cancel(w.t.Context(), tenant, id); !errors.Is(err, replay.ErrNotScheduled) {
				w.t.Fatalf("got %v", err)
			}
		}
		if got := w.trail(); len(got) > 0 {
			w.t.Fatalf("trail %v", got)
		}
	})
	rule("FindsNoEventOfAnother", func(w *world) {
		e := w.scheduled(time.Hour)
		if _, _, err := w.withdrawer().Cancel(w.t.Context(), "another", e.ID); !errors.Is(err, webhook.ErrNotFound) {
			w.t.Fatalf("got %v", err)
		}
	})
	rule("WorksWhenItsMessagesAreOnTheirWay", func(w *world) {
		e := w.scheduled(time.Minute)
		w.must(w.store.EventSent(w.t.Context(), tenant, e.Ref))
		got, _, err := w.withdrawer().Cancel(w.t.Context(), tenant, e.ID)
		w.must(err)
		if got.CancelledAt.IsZero() {
			w.t.Fatalf("%+v", got)
		}
	})
	rule("IsFinishedByTheNextCallAfterAFailure", func(w *world) {
		e := w.scheduled(time.Hour)
		broken := w.withdrawer()
		broken.Store = failing{broken.Store}
		if _, _, err := broken.Cancel(w.t.Context(), tenant, e.ID); err == nil {
			w.t.Fatal("no error")
		}
		if got := w.delivery(webhook.DeliveryKey{Tenant: tenant, Event: e.Ref, Endpoint: endpoint}); got.State != webhook.Cancelled {
			w.t.Fatalf("the delivery is %s", got.State) // the event's mark decides
		}
		w.now = w.now.Add(2 * time.Hour)
		_, _, err := w.withdrawer().Cancel(w.t.Context(), tenant, e.ID)
		w.must(err)
		if got := w.listed(webhook.Cancelled); len(got) != 2 {
			w.t.Fatalf("listed as cancelled: %v", got)
		}
	})
	rule("ARetryByHandBeforeItsTimeIsRefused", func(w *world) {
		e := w.scheduled(time.Hour)
		key := webhook.DeliveryKey{Tenant: tenant, Event: e.Ref, Endpoint: endpoint}
		if _, err := w.replayer().Retry(w.t.Context(), key); !errors.Is(err, replay.ErrNotDue) {
			w.t.Fatalf("got %v", err)
		}
	})
}

// failing stores no delivery.
type failing struct{ replay.EventStore }

func (failing) SaveDelivery(context.Context, webhook.Delivery) error { return context.DeadlineExceeded }

func TestExpunge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.event(time.Minute, "order.placed", endpoint, "done", "dead", "retrying")
	e.Body = []byte(`{"secret":"4711"}`)
	w.must(w.store.PutEvents(t.Context(), []webhook.Event{e}))
	said := webhook.Attempt{At: w.now, Reason: webhook.ReasonTimeout, Response: []byte("echo 4711")}
	w.must(w.store.SaveDelivery(t.Context(), webhook.NewDelivery(e, "done").Succeed(webhook.Attempt{At: w.now, Response: []byte("thanks for 4711")})))
	w.must(w.store.SaveDelivery(t.Context(), webhook.NewDelivery(e, "dead").GiveUp(said, webhook.ReasonExhausted)))
	late := webhook.NewDelivery(e, "retrying").Retry(said, w.now, webhook.NextSchedule)
	w.must(w.store.SaveDelivery(t.Context(), late))

	for range 2 {
		got, deliveries, err := w.withdrawer().Expunge(t.Context(), tenant, e.ID)
		w.must(err)
		if len(got.Body) > 0 || !got.ExpungedAt.Equal(w.now) || got.Type != e.Type || len(deliveries) != 4 {
			t.Fatalf("%+v, %+v", got, deliveries)
		}
		w.now = w.now.Add(time.Hour)
		for i, want := range []struct {
			state  webhook.State
			reason webhook.Reason
		}{
			{webhook.Cancelled, webhook.ReasonExpunged}, {webhook.Delivered, ""},
			{webhook.Dead, webhook.ReasonExhausted}, {webhook.Cancelled, webhook.ReasonExpunged},
		} {
			d := w.delivery(deliveries[i].DeliveryKey)
			if d.State != want.state || d.Reason != want.reason || d.Rev == 0 || !d.Expunged {
				t.Errorf("%s is %s because of %q", d.ID(), d.State, d.Reason)
			}
			for _, a := range d.Attempts {
				if a.Response != nil || a.At.IsZero() {
					t.Errorf("%s keeps %+v", d.ID(), a)
				}
			}
		}
		w.now = w.now.Add(-time.Hour)
	}
	if got := w.trail(); !slices.Equal(got, []audit.Action{audit.EventExpunged}) {
		t.Errorf("trail %v", got)
	}

	// A dispatcher that was posting meanwhile cannot bring anything back.
	late.Rev = 1
	if err := w.store.SaveDelivery(t.Context(), late.Fail(said)); !errors.Is(err, webhook.ErrConflict) {
		t.Errorf("a late write: %v", err)
	}
	row := w.delivery(late.DeliveryKey).Fail(said)
	if last := row.Attempts[len(row.Attempts)-1]; last.Response != nil || row.AttemptCount != 2 {
		t.Errorf("a late attempt: %+v", last)
	}
	if _, err := w.replayer().Retry(t.Context(), webhook.DeliveryKey{Tenant: tenant, Event: e.Ref, Endpoint: "dead"}); !errors.Is(err, replay.ErrCancelled) {
		t.Errorf("a retry by hand: %v", err)
	}
}
