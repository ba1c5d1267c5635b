package main

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"webhookrelay/infra/measure"
	"webhookrelay/shared/api"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

// What every event passes through. `go test -bench . -benchmem ./infra/bench`

func BenchmarkSign(b *testing.B) {
	for _, scheme := range []struct {
		name   string
		secret signature.Secret
	}{
		{"HMAC", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="},
		{"Ed25519", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="},
	} {
		b.Run(scheme.name, func(b *testing.B) {
			body, now := ingest.Body(measure.EventType, time.Now(), measure.EventData(0)), time.Now()
			secrets := []signature.Secret{scheme.secret}
			for b.Loop() {
				if _, err := signature.Sign("evt_01M83XJ8800000000000000000", now, body, secrets); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIngestBody(b *testing.B) {
	data, now := measure.EventData(0), time.Now()
	for b.Loop() {
		ingest.Body(measure.EventType, now, data)
	}
}

var benchKey = webhook.DeliveryKey{Tenant: tenantID, Event: "01M83XJ8800000000000000000", Endpoint: "ep_01M83XJ8800000000000000000"}

func BenchmarkEnvelopeEncode(b *testing.B) {
	for b.Loop() {
		envelope.Encode(envelope.Envelope{DeliveryKey: benchKey})
	}
}

func BenchmarkEnvelopeDecode(b *testing.B) {
	body := []byte(envelope.Encode(envelope.Envelope{DeliveryKey: benchKey}))
	for b.Loop() {
		if _, err := envelope.Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadEvent reads and checks one event of a request that holds several.
func BenchmarkReadEvent(b *testing.B) {
	item := measure.EventRequest(0)
	for b.Loop() {
		if _, err := api.ReadEvent(tenantID, item); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFilter asks a filter that was compiled before about a new event.
func BenchmarkFilter(b *testing.B) {
	matcher, now := filter.NewMatcher(), time.Now()
	endpoint := webhook.Endpoint{ID: "receiver", State: webhook.EndpointEnabled, Filter: `data.currency == "EUR" && data.items.exists(i, i.quantity > 100)`}
	event := webhook.Event{Tenant: tenantID, Type: measure.EventType, Timestamp: now, Body: ingest.Body(measure.EventType, now, measure.EventData(0))}
	for b.Loop() {
		if wants, err := matcher.Wants(endpoint, filter.NewSubject(event)); wants || err != nil {
			b.Fatal(wants, err)
		}
	}
}

// BenchmarkSchema holds an event's data to a schema.
func BenchmarkSchema(b *testing.B) {
	schema, err := catalogue.Compile([]byte(`{"type":"object","required":["order_id","items"],"properties":{"order_id":{"type":"string","pattern":"^ord_"},
		"items":{"type":"array","items":{"type":"object","required":["sku"],"properties":{"sku":{"type":"string"},"quantity":{"type":"integer","minimum":1}}}}}}`))
	must(b, err)
	data := measure.EventData(0)
	for b.Loop() {
		if err := schema.Validate(data); err != nil {
			b.Fatal(err)
		}
	}
}

// taker takes every event at once.
type taker struct{}

func (taker) Send(context.Context, webhook.Endpoint, webhook.Event) (webhook.Result, error) {
	return webhook.Result{StatusCode: 204}, nil
}

// BenchmarkHandleBatchOf10 takes first attempts through the dispatcher: decode,
// load, send, record. The store is SQLite in memory; the sender is a stub.
func BenchmarkHandleBatchOf10(b *testing.B) {
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory})
	must(b, err)
	b.Cleanup(func() { must(b, store.Close()) })
	_, _, err = store.PutTenant(b.Context(), webhook.Tenant{ID: tenantID, CreatedAt: time.Now()})
	must(b, err)
	must(b, store.CreateEndpoint(b.Context(), webhook.Endpoint{
		Tenant: tenantID, ID: "receiver", URL: "https://example.com/", State: webhook.EndpointEnabled,
		Scheme: webhook.SchemeHMAC,
	}))
	schedule, err := retry.ParseSchedule(retry.DefaultSchedule)
	must(b, err)
	dispatcher := dispatch.New(dispatch.Config{
		Store: store, Queue: store.Queue(), Sender: taker{}, Policy: retry.Policy{Schedule: schedule},
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	ids := id.NewSource()
	for b.Loop() {
		b.StopTimer()
		messages := queued(b, store, ids)
		b.StartTimer()
		if kept := dispatcher.Handle(b.Context(), messages); len(kept) > 0 {
			b.Fatalf("kept %v", kept)
		}
	}
}

// queued stores ten new events and returns the messages for them.
func queued(b *testing.B, store *sqlite.Store, ids *id.Source) []dispatch.Message {
	b.Helper()
	var messages []dispatch.Message
	for n := range 10 {
		now := time.Now()
		e := webhook.Event{
			Tenant: tenantID, Ref: ids.EventRef(now), Type: measure.EventType, Timestamp: now, Body: ingest.Body(measure.EventType, now, measure.EventData(n)),
			Targets: []webhook.EndpointID{"receiver"}, AcceptedAt: now, ExpiresAt: now.Add(time.Hour),
		}
		e.ID = id.EventID(e.Ref)
		must(b, store.PutEvents(b.Context(), []webhook.Event{e}))
		key := webhook.DeliveryKey{Tenant: tenantID, Event: e.Ref, Endpoint: "receiver"}
		messages = append(messages, dispatch.Message{
			ID: strconv.Itoa(n), Body: []byte(envelope.Encode(envelope.Envelope{DeliveryKey: key})), SentAt: now, Receives: 1,
		})
	}
	return messages
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestConsumed(t *testing.T) {
	for body, want := range map[string]float64{
		`{"ConsumedCapacity":{"TableName":"t","CapacityUnits":2.5}}`:                                       2.5,
		`{"ConsumedCapacity":[{"TableName":"t","CapacityUnits":1},{"TableName":"u","CapacityUnits":0.5}]}`: 1.5,
	} {
		if got, err := consumed([]byte(body)); err != nil || got != want {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
	if _, err := consumed([]byte(`{}`)); err == nil {
		t.Error("a reply without consumption passes")
	}
}
