package ingest_test

import (
	"testing"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

func (w *world) stored(a ingest.Accepted) webhook.Event {
	w.t.Helper()
	ref, made := id.RefOf(a.ID)
	if !made {
		var err error
		ref, err = w.sqlite.EventRef(w.t.Context(), tenant, a.ID)
		w.must(err)
	}
	e, err := w.sqlite.EventByRef(w.t.Context(), tenant, ref)
	w.must(err)
	return e
}

func TestAcceptForLater(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(t *testing.T, w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, newWorld(t))
		})
	}
	const day = 24 * time.Hour
	rule("NothingIsSentAndTheStoreHoldsIt", func(t *testing.T, w *world) {
		at := w.clock().Add(10 * day)
		got, err := w.accept(ingest.Request{DeliverAt: at})
		w.must(err)
		e := w.stored(got)
		if w.messages() != 0 || got.Deliveries != 1 || !got.DeliverAt.Equal(at) || !e.Held || !e.ExpiresAt.Equal(at.Add(30*day)) {
			t.Fatalf("%+v, stored as %+v", got, e)
		}
	})
	rule("InABatchOnlyTheOthersAreSent", func(t *testing.T, w *world) {
		at := w.clock().Add(time.Hour)
		outcomes, err := w.ingester.AcceptAll(t.Context(), tenant, requests(4, func(i int, r *ingest.Request) {
			if i%2 == 0 {
				r.DeliverAt = at
			}
		}))
		w.must(err)
		for i, o := range outcomes {
			w.must(o.Err)
			if w.stored(o.Accepted).Held != (i%2 == 0) {
				t.Errorf("event %d: %+v", i, o)
			}
		}
		if got := w.messages(); got != 2 {
			t.Errorf("%d messages", got)
		}
	})
	rule("ATimeThatHasPassedIsNow", func(t *testing.T, w *world) {
		got, err := w.accept(ingest.Request{DeliverAt: w.clock().Add(-day)})
		w.must(err)
		if e := w.stored(got); w.messages() != 1 || !got.DeliverAt.IsZero() || e.Held || !e.ExpiresAt.Equal(w.clock().Add(30*day)) {
			t.Fatalf("%+v, stored as %+v", got, e)
		}
	})
	rule("WithoutEndpointsNothingIsHeld", func(t *testing.T, w *world) {
		w.must(w.sqlite.DeleteEndpoint(t.Context(), tenant, "all"))
		got, err := w.accept(ingest.Request{DeliverAt: w.clock().Add(day)})
		w.must(err)
		if w.stored(got).Held {
			t.Fatal("the sweeper would look for it")
		}
	})
	rule("ItsIDIsTakenForAsLongAsItIsKept", func(t *testing.T, w *world) {
		at := w.clock().Add(20 * day)
		first, err := w.accept(ingest.Request{ID: "mine", DeliverAt: at, Retention: 40 * day})
		w.must(err)
		w.advance(59 * day)
		again, err := w.accept(ingest.Request{ID: "mine", DeliverAt: at, Retention: 40 * day})
		w.must(err)
		if again != first || w.messages() != 0 {
			t.Fatalf("%+v, then %+v", first, again)
		}
	})
	rule("ARepeatDoesNotUndoWhatWasDoneMeanwhile", func(t *testing.T, w *world) {
		request := ingest.Request{IdempotencyKey: "k", DeliverAt: w.clock().Add(day)}
		w.store.update = errBroken // the claim is not marked done: a repeat goes on with the event
		first, err := w.accept(request)
		w.must(err)
		w.store.update = nil
		e := w.stored(first)
		w.must(w.sqlite.CancelEvent(t.Context(), tenant, e.Ref, w.clock()))
		w.must(w.sqlite.ExpungeEvent(t.Context(), tenant, e.Ref, w.clock()))
		w.advance(ingest.Lease)
		again, err := w.accept(request)
		w.must(err)
		if e := w.stored(first); again.ID != first.ID || e.CancelledAt.IsZero() || len(e.Body) > 0 || e.Held {
			t.Fatalf("%+v", e)
		}
	})
}
