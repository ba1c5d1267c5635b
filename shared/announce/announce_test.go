package announce_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"webhookrelay/shared/announce"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const operator = webhook.TenantID("operator")

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// world is an announcer over a real store and queue in memory.
type world struct {
	*testing.T
	store *sqlite.Store
	queue *deaf
	announce.Announcer
}

func newWorld(t *testing.T) world {
	t.Helper()
	clock := func() time.Time { return now }
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	queue := &deaf{Queue: store.Queue()}
	return world{t, store, queue, announce.Announcer{Tenant: operator, Ingester: ingest.New(ingest.Config{
		Store: store, Queue: queue, IDs: id.NewSource(), Retention: 30 * 24 * time.Hour, Now: clock,
		Sleep: ingest.Sleep, Log: telemetry.NewLogger(io.Discard, 0),
	})}}
}

// listens gives the operator an endpoint for the event types.
func (w world) listens(types ...webhook.Pattern) {
	w.Helper()
	_, _, err := w.store.PutTenant(w.Context(), webhook.Tenant{ID: operator, CreatedAt: now})
	w.must(err)
	w.must(w.store.CreateEndpoint(w.Context(), webhook.Endpoint{
		Tenant: operator, ID: "alerts", URL: "https://alerts.example/", EventTypes: types, State: webhook.EndpointEnabled, Scheme: webhook.SchemeHMAC,
	}))
}

func (w world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// said returns what the queued events say, oldest first.
func (w world) said() (all []map[string]any) {
	w.Helper()
	batch, err := w.store.Queue().Receive(w.Context(), 100)
	w.must(err)
	for _, m := range batch {
		var key struct{ Event webhook.EventRef }
		w.must(json.Unmarshal(m.Body, &key))
		e, err := w.store.EventByRef(w.Context(), operator, key.Event)
		w.must(err)
		var body struct {
			Type string
			Data map[string]any
		}
		w.must(json.Unmarshal(e.Body, &body))
		body.Data["type"] = body.Type
		all = append(all, body.Data)
	}
	return all
}

var shop = webhook.Endpoint{Tenant: "acme", ID: "shop", URL: "https://shop.example/?token=secret", State: webhook.EndpointEnabled, Rev: 3}

func dead() webhook.Delivery {
	ref := id.NewSource().EventRef(now)
	d := webhook.NewDelivery(webhook.Event{Tenant: "acme", Ref: ref, ID: "order-7", Type: "order.placed"}, "shop")
	return d.GiveUp(webhook.Attempt{At: now, Reason: webhook.ReasonHTTP5xx, StatusCode: 503}, webhook.ReasonExhausted)
}

func TestAnnouncer(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("SaysWhatDiedAndWhyOnce", func(w world) {
		w.listens()
		d := dead()
		w.must(w.DeliveryDied(w.Context(), d))
		w.must(w.DeliveryDied(w.Context(), d))
		d.AttemptCount++ // tried by hand meanwhile: the same death, in other words
		w.must(w.DeliveryDied(w.Context(), d))
		said := w.said()
		if len(said) != 1 {
			w.Fatalf("%d events", len(said))
		}
		for field, want := range map[string]any{
			"type": "delivery.dead", "tenant_id": "acme", "endpoint_id": "shop", "event_id": "order-7", "event_type": "order.placed",
			"delivery_id": string(d.ID()), "reason": "attempts_exhausted", "attempts": 1.0, "last_failure": "http_5xx", "last_status": 503.0,
			"died_at": "2026-01-31T12:00:00Z",
		} {
			if said[0][field] != want {
				w.Errorf("%s is %v, want %v", field, said[0][field], want)
			}
		}
	})
	rule("ASecondDeathIsAnotherEvent", func(w world) {
		w.listens()
		d := dead()
		w.must(w.DeliveryDied(w.Context(), d))
		d.DiedAt = d.DiedAt.Add(time.Hour)
		w.must(w.DeliveryDied(w.Context(), d))
		if said := w.said(); len(said) != 2 {
			w.Fatalf("%d events", len(said))
		}
	})
	rule("SaysWhatBecomesOfAnEndpointButNotItsURL", func(w world) {
		w.listens("endpoint.*")
		h := webhook.Health{FailingSince: now, LastFailureAt: now.Add(time.Hour)}
		w.must(w.EndpointFailing(w.Context(), shop, h, 1, now.Add(120*time.Hour)))
		w.must(w.EndpointFailing(w.Context(), shop, h, 2, now.Add(120*time.Hour)))
		w.must(w.EndpointRecovered(w.Context(), shop, h))
		w.must(w.EndpointDisabled(w.Context(), shop, webhook.ReasonFailingTooLong))
		var types []any
		for _, e := range w.said() {
			types = append(types, e["type"])
			if e["endpoint_id"] != "shop" || e["tenant_id"] != "acme" || e["url"] != nil {
				w.Errorf("%v", e)
			}
		}
		if len(types) != 4 {
			w.Fatalf("%v", types)
		}
	})
	rule("StoresNothingThatNobodyWants", func(w world) {
		w.must(w.DeliveryDied(w.Context(), dead())) // there is no such tenant
		w.listens("endpoint.disabled")
		w.must(w.DeliveryDied(w.Context(), dead()))
		hears, err := w.HearsOfDeath(w.Context(), dead())
		if said := w.said(); len(said) > 0 || hears || err != nil {
			w.Fatalf("%v, %t, %v", said, hears, err)
		}
	})
	rule("SaysNothingOfTheOperatorsOwn", func(w world) {
		w.listens()
		mine, d := shop, dead()
		mine.Tenant, d.Tenant = operator, operator
		w.must(w.DeliveryDied(w.Context(), d))
		w.must(w.EndpointDisabled(w.Context(), mine, webhook.ReasonHTTP410))
		hears, err := w.HearsOfDeath(w.Context(), d)
		if said := w.said(); len(said) > 0 || hears || err != nil {
			w.Fatalf("%v, %t, %v", said, hears, err)
		}
	})
}

// Whoever began to tell of it may be gone before the event was stored.
func TestWhatWasBegunInOtherWordsIsSaidAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listens("delivery.dead")
	w.queue.err = errors.New("the queue is down")
	d := webhook.Delivery{
		DeliveryKey: webhook.DeliveryKey{Tenant: "acme", Event: id.NewSource().EventRef(now), Endpoint: "shop"},
		State:       webhook.Dead, Reason: webhook.ReasonExhausted, AttemptCount: 2, DiedAt: now,
	}
	if err := w.DeliveryDied(t.Context(), d); err == nil {
		t.Fatal("told through a queue that is down")
	}
	w.queue.err = nil
	d.AttemptCount++ // by hand
	for range 2 {
		w.must(w.DeliveryDied(t.Context(), d))
	}
	if said := w.said(); len(said) != 1 {
		t.Fatalf("said %v", said)
	}
}

// deaf is a queue that takes nothing while it has an error.
type deaf struct {
	ingest.Queue
	err error
}

func (q *deaf) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	if q.err != nil {
		return q.err
	}
	return q.Queue.Send(ctx, keys)
}
