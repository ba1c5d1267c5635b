package ingest_test

import (
	"errors"
	"fmt"
	"testing"

	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

func requests(n int, change func(i int, r *ingest.Request)) []ingest.Request {
	all := make([]ingest.Request, n)
	for i := range all {
		all[i] = ingest.Request{Tenant: tenant, Type: "order.placed", Data: fmt.Appendf(nil, `{"n":%d}`, i)}
		if change != nil {
			change(i, &all[i])
		}
	}
	return all
}

func TestAcceptAll(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(t *testing.T, w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, newWorld(t))
		})
	}
	rule("EachEventIsStoredAndQueued", func(t *testing.T, w *world) {
		outcomes, err := w.ingester.AcceptAll(t.Context(), tenant, requests(40, nil))
		w.must(err)
		ids := map[webhook.EventID]bool{}
		for i, o := range outcomes {
			w.must(o.Err)
			ids[o.ID] = true
			if o.Deliveries != 1 {
				t.Errorf("event %d: %+v", i, o)
			}
		}
		if got := w.messages(); len(ids) != 40 || got != 40 {
			t.Fatalf("%d events, %d messages", len(ids), got)
		}
	})
	rule("WhatWasSentBeforeMakesNoSecondEvent", func(t *testing.T, w *world) {
		named := func(i int, r *ingest.Request) { r.IdempotencyKey = fmt.Sprint(i) }
		first, err := w.ingester.AcceptAll(t.Context(), tenant, requests(3, named))
		w.must(err)
		again, err := w.ingester.AcceptAll(t.Context(), tenant, requests(5, named))
		w.must(err)
		for i := range first {
			if again[i] != first[i] {
				t.Errorf("event %d: %+v, then %+v", i, first[i], again[i])
			}
		}
		if got := w.messages(); got != 5 {
			t.Fatalf("%d messages", got)
		}
	})
	rule("ANameThatComesTwiceInABatchMakesOneEvent", func(t *testing.T, w *world) {
		outcomes, err := w.ingester.AcceptAll(t.Context(), tenant, requests(3, func(i int, r *ingest.Request) {
			r.ID, r.Data = "order-7", []byte(`{"n":1}`)
			if i == 2 {
				r.Data = []byte(`{"n":2}`)
			}
		}))
		w.must(err)
		if outcomes[0].Err != nil || outcomes[1] != outcomes[0] || !errors.Is(outcomes[2].Err, ingest.ErrKeyReused) || w.messages() != 1 {
			t.Fatalf("%+v", outcomes)
		}
	})
	rule("AnUnknownTenantIsNotFound", func(t *testing.T, w *world) {
		if _, err := w.ingester.AcceptAll(t.Context(), "nobody", requests(2, nil)); !errors.Is(err, webhook.ErrNotFound) {
			t.Fatalf("got %v", err)
		}
	})
	rule("WhenNothingCanBeStoredAllAreRefused", func(t *testing.T, w *world) {
		w.store.put = errBroken
		outcomes, err := w.ingester.AcceptAll(t.Context(), tenant, requests(3, nil))
		w.must(err)
		for _, o := range outcomes {
			if !errors.Is(o.Err, ingest.ErrUnavailable) {
				t.Errorf("%+v", o)
			}
		}
	})
	rule("WhenTheBatchFailsEachIsTriedOnItsOwn", func(t *testing.T, w *world) {
		w.queue.manyOnly = errBroken
		outcomes, err := w.ingester.AcceptAll(t.Context(), tenant, requests(3, nil))
		w.must(err)
		for _, o := range outcomes {
			w.must(o.Err)
		}
		if got := w.messages(); got != 3 {
			t.Fatalf("%d messages", got)
		}
	})
}
