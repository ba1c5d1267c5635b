package dynamo

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

var times = rapid.Custom(func(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "none") {
		return time.Time{}
	}
	return time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "ms")).UTC()
})

func drawEvent(t *rapid.T) webhook.Event {
	k := deliveryKeys.Draw(t, "key")
	e := webhook.Event{
		Tenant: k.Tenant, Ref: k.Event, ID: id.EventID(k.Event),
		Type:       webhook.EventType(rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "type")),
		Timestamp:  times.Draw(t, "timestamp"),
		Body:       bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(t, "body"), rapid.IntRange(1, 5).Draw(t, "times")),
		AcceptedAt: times.Draw(t, "accepted"),
		ExpiresAt:  times.Draw(t, "expires"),
		Unsent:     rapid.Bool().Draw(t, "unsent"),
	}
	if rapid.Bool().Draw(t, "own id") {
		e.ID = webhook.EventID(ids.Draw(t, "id"))
	}
	for _, target := range rapid.SliceOfN(ids, 0, 5).Draw(t, "targets") {
		e.Targets = append(e.Targets, webhook.EndpointID(target))
	}
	return e
}

func TestEventRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		k, _ := eventKey(e.Tenant, e.Ref)
		row := encodeEvent(k, e)
		got, err := decodeEvent(e.Tenant, row)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Fatalf("event (-stored +read):\n%s", diff)
		}
		if row.key() != k {
			t.Fatalf("key %v, want %v", row.key(), k)
		}
	})
}

func drawDelivery(t *rapid.T) webhook.Delivery {
	k := deliveryKeys.Draw(t, "key")
	text := rapid.StringMatching(`[a-z_]{0,12}`)
	d := webhook.Delivery{
		DeliveryKey: k, EventID: id.EventID(k.Event),
		EventType:     webhook.EventType(text.Draw(t, "type")),
		State:         rapid.SampledFrom(webhook.States).Draw(t, "state"),
		Reason:        webhook.Reason(text.Draw(t, "reason")),
		AttemptCount:  rapid.IntRange(0, 100).Draw(t, "count"),
		BudgetStart:   rapid.IntRange(0, 100).Draw(t, "budget"),
		NextAttemptAt: times.Draw(t, "next"),
		NextCause:     webhook.NextCause(text.Draw(t, "cause")),
		DiedAt:        times.Draw(t, "died"),
		UpdatedAt:     times.Draw(t, "updated"),
		ExpiresAt:     times.Draw(t, "expires"),
		Rev:           rapid.Int64Range(0, 9).Draw(t, "rev"),
		Writer:        text.Draw(t, "writer"),
		HeldUntil:     times.Draw(t, "held"),
		ParkedAt:      times.Draw(t, "parked"),
		Untold:        rapid.Bool().Draw(t, "untold"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "attempts") {
		response := rapid.SliceOfN(rapid.Byte(), 0, webhook.MaxResponseKept).Draw(t, "response")
		if len(response) == 0 {
			response = nil
		}
		d.Attempts = append(d.Attempts, webhook.Attempt{
			Number:     rapid.IntRange(-1, 1000).Draw(t, "number"),
			At:         times.Draw(t, "at"),
			Trigger:    webhook.Trigger(text.Draw(t, "trigger")),
			Reason:     webhook.Reason(text.Draw(t, "why")),
			StatusCode: rapid.IntRange(0, 599).Draw(t, "status"),
			Detail:     rapid.String().Draw(t, "detail"),
			Response:   response,
			Duration:   time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "duration")),
		})
	}
	return d
}

func TestDeliveryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDelivery(t)
		k, _ := deliveryKey(d.DeliveryKey)
		row := encodeDelivery(k, d)
		got, err := decodeDelivery(d.Tenant, row)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Fatalf("delivery (-stored +read):\n%s", diff)
		}
		_, indexed := row[attrFailedPK]
		if indexed != isFailed(d.State) {
			t.Fatalf("%s is in the index: %v", d.State, indexed)
		}
	})
}

// Rows live for weeks: what an earlier release stored must be read as it was.
func TestStoredRowsStayReadable(t *testing.T) {
	const ref = "01M83XJ8800000000000000000"
	at := time.Date(2026, 11, 23, 10, 0, 0, 5e6, time.UTC)
	expires := at.Add(30 * 24 * time.Hour)
	num := func(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }
	event := item{
		"pk": strValue("E#acme#20261123#0"), "sk": strValue(ref), "i": strValue("order-1"), "t": strValue("order.placed"),
		"ts": num("1795428000005"), "a": num("1795428000005"), "g": strValue("ep_1,ep_2"), "u": &types.AttributeValueMemberBOOL{Value: true},
		"b": &types.AttributeValueMemberB{Value: []byte("{}")}, "x": num("1798020000005"), "ttl": num("1798020001"),
	}
	wantEvent := webhook.Event{
		Tenant: "acme", Ref: ref, ID: "order-1", Type: "order.placed", Timestamp: at, AcceptedAt: at, ExpiresAt: expires,
		Targets: []webhook.EndpointID{"ep_1", "ep_2"}, Unsent: true, Body: []byte("{}"),
	}
	if got, err := decodeEvent("acme", event); err != nil || !cmp.Equal(wantEvent, got) {
		t.Errorf("%v; event (-want +got):\n%s", err, cmp.Diff(wantEvent, got))
	}
	if diff := cmp.Diff(event, encodeEvent(event.key(), wantEvent), cmpopts.IgnoreUnexported(types.AttributeValueMemberS{},
		types.AttributeValueMemberN{}, types.AttributeValueMemberB{}, types.AttributeValueMemberBOOL{})); diff != "" {
		t.Errorf("row (-earlier +now):\n%s", diff)
	}
	delivery := item{
		"pk": strValue("E#acme#20261123#0"), "sk": strValue(ref + "#ep_1"), "t": strValue("order.placed"), "s": strValue("retrying"),
		"fpk": strValue("retrying#0"), "fsk": strValue("acme#" + ref + "#ep_1"),
		"h": &types.AttributeValueMemberB{Value: []byte("\x01\x02\x8a\x84\xc9\xfd\xc0\x68\x08schedule\x08http_5xx\xee\x07\x02no\x01\xff\x80\x89\x7a")},
		"n": num("1"), "d": num("1795428000005"), "c": strValue("schedule"), "m": num("1795428000005"),
		"x": num("1798020000005"), "ttl": num("1798020001"), "v": num("1"),
	}
	wantDelivery := webhook.Delivery{
		DeliveryKey: webhook.DeliveryKey{Tenant: "acme", Event: ref, Endpoint: "ep_1"}, EventID: "evt_" + ref, EventType: "order.placed",
		State: webhook.Retrying, AttemptCount: 1, NextAttemptAt: at, NextCause: webhook.NextSchedule, UpdatedAt: at, ExpiresAt: expires, Rev: 1,
		Attempts: []webhook.Attempt{{
			Number: 1, At: at, Trigger: webhook.TriggerSchedule, Reason: webhook.ReasonHTTP5xx, StatusCode: 503, Detail: "no",
			Response: []byte{255}, Duration: time.Millisecond,
		}},
	}
	if got, err := decodeDelivery("acme", delivery); err != nil || !cmp.Equal(wantDelivery, got) {
		t.Errorf("%v; delivery (-want +got):\n%s", err, cmp.Diff(wantDelivery, got))
		t.Logf("%x", encodeAttempts(wantDelivery.Attempts))
	}
	if diff := cmp.Diff(delivery, encodeDelivery(delivery.key(), wantDelivery), cmpopts.IgnoreUnexported(types.AttributeValueMemberS{},
		types.AttributeValueMemberN{}, types.AttributeValueMemberB{})); diff != "" {
		t.Errorf("row (-earlier +now):\n%s", diff)
	}
}

func TestDamagedAttemptsAreRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDelivery(t)
		data := encodeAttempts(d.Attempts)
		if len(data) < 2 {
			t.Skip()
		}
		cut := data[:rapid.IntRange(1, len(data)-1).Draw(t, "cut")]
		got, err := decodeAttempts(cut)
		if err == nil && len(got) >= len(d.Attempts) {
			t.Fatalf("%d attempts read from %d of %d bytes", len(got), len(cut), len(data))
		}
		_, _ = decodeAttempts(rapid.SliceOf(rapid.Byte()).Draw(t, "noise")) // must not panic
	})
	if _, err := decodeAttempts([]byte{2, 0}); err == nil {
		t.Error("a later format is read as this one")
	}
}

func TestEndpointRoundTrip(t *testing.T) {
	at := time.UnixMilli(1_764_000_000_123).UTC()
	for name, e := range map[string]webhook.Endpoint{
		"Least": {Tenant: "t", ID: "e", Rev: 1},
		"Full": {
			Tenant: "t", ID: "EP-1_x", URL: "https://example.com/?a=b,c", Description: "a, b\nü",
			EventTypes: []webhook.Pattern{"a.*", "*", "b.*.c"},
			Headers:    webhook.SealedHeaders{Names: []string{"Authorization", "x-b"}, Sealed: []byte("\x01\x00sealed")},
			State:      webhook.EndpointDisabled, DisabledReason: webhook.ReasonHTTP410, Scheme: webhook.SchemeEd25519,
			Secrets:   []webhook.Secret{{Sealed: []byte("b"), CreatedAt: at}, {Sealed: []byte("a"), CreatedAt: at, ExpiresAt: at.Add(time.Hour)}},
			CreatedAt: at, UpdatedAt: at.Add(time.Minute), Rev: 12,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(e, decodeEndpoint(e.Tenant, encodeEndpoint(e)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("endpoint (-stored +read):\n%s", diff)
			}
		})
	}
}

func TestClaimRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := ingest.Claim{
			Tenant: "acme", Key: rapid.String().Draw(t, "key"), Ref: refs.Draw(t, "ref"),
			Fingerprint: rapid.StringMatching(`[0-9a-f]{0,64}`).Draw(t, "fingerprint"),
			At:          times.Draw(t, "at"), Done: rapid.Bool().Draw(t, "done"), ExpiresAt: times.Draw(t, "expires"),
		}
		if diff := cmp.Diff(c, decodeClaim(c.Tenant, c.Key, encodeClaim(c))); diff != "" {
			t.Fatalf("claim (-stored +read):\n%s", diff)
		}
	})
}

func TestTTLIsNeverBeforeTheExpiry(t *testing.T) {
	row := item{}
	row.setExpiry(time.UnixMilli(1_764_000_000_001))
	if ttl := row.num(attrTTL); ttl != 1_764_000_001 {
		t.Errorf("ttl %d", ttl)
	}
	at := time.UnixMilli(1_764_000_000_001)
	if row.expired(at.Add(-time.Millisecond)) || !row.expired(at) {
		t.Error("expires at another moment")
	}
}

// typicalEvent is an invoice of 1 KiB with random ids, which deflate badly.
func typicalEvent() webhook.Event {
	random := rand.New(rand.NewPCG(1, 2))
	var data strings.Builder
	for data.Len() < 900 {
		data.WriteString(`{"id":"in_` + strings.Repeat(string(rune('a'+random.IntN(26))), 3))
		for range 12 {
			data.WriteByte(byte('a' + random.IntN(26)))
		}
		data.WriteString(`","object":"line_item","amount":1999,"currency":"eur","quantity":1},`)
	}
	body := `{"type":"invoice.paid","timestamp":"2026-11-23T10:00:00Z","data":{"lines":[` + data.String() + `null]}}`
	ref := id.NewSource().EventRef(time.Now())
	return webhook.Event{
		Tenant: "acme-production", Ref: ref, ID: id.EventID(ref), Type: "invoice.paid", Timestamp: time.Now(),
		Body: []byte(body), Targets: []webhook.EndpointID{"ep_01M83XJ8800000000000000000"},
		AcceptedAt: time.Now(), ExpiresAt: time.Now().Add(30 * 24 * time.Hour),
	}
}

func TestTypicalEventTakesOneWriteUnit(t *testing.T) {
	e := typicalEvent()
	k, _ := eventKey(e.Tenant, e.Ref)
	row := encodeEvent(k, e)
	if len(e.Body) < 1000 || writeUnits(row.size()) != 1 {
		t.Errorf("an event of %d bytes takes %d bytes, %d write units", len(e.Body), row.size(), writeUnits(row.size()))
	}
	if row.bytes(eventDeflated) == nil {
		t.Error("the body was not deflated")
	}
}

func TestBodyIsDeflatedOnlyToSaveAWriteUnit(t *testing.T) {
	noise := make([]byte, 3000)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for name, test := range map[string]struct {
		body     []byte
		deflated bool
	}{
		"Short":        {[]byte(strings.Repeat("a", 500)), false},
		"Long":         {[]byte(strings.Repeat("a", 5000)), true},
		"Incompressed": {noise, false},
		"Largest":      {bytes.Repeat([]byte("ab"), maxBodyBytes/2), true},
	} {
		t.Run(name, func(t *testing.T) {
			e := typicalEvent()
			e.Body = test.body
			k, _ := eventKey(e.Tenant, e.Ref)
			row := encodeEvent(k, e)
			if got := row.bytes(eventDeflated) != nil; got != test.deflated {
				t.Errorf("deflated: %v", got)
			}
			got, err := decodeEvent(e.Tenant, row)
			if err != nil || !bytes.Equal(got.Body, test.body) {
				t.Errorf("the body came back different: %v", err)
			}
		})
	}
}

func TestDamagedBodyIsAnError(t *testing.T) {
	e := typicalEvent()
	k, _ := eventKey(e.Tenant, e.Ref)
	for name, body := range map[string][]byte{
		"NotDeflated": []byte("plain"),
		"TooLarge":    deflate(make([]byte, maxBodyBytes+1)),
	} {
		row := encodeEvent(k, e)
		row.setBytes(eventDeflated, body)
		if _, err := decodeEvent(e.Tenant, row); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The promise of one write unit per first-time success holds for the longest ids.
func TestFirstSuccessTakesOneWriteUnit(t *testing.T) {
	e := typicalEvent()
	e.Tenant = webhook.TenantID(strings.Repeat("t", webhook.MaxIDLength))
	e.ID = webhook.EventID(strings.Repeat("i", webhook.MaxIDLength))
	e.Type = webhook.EventType(strings.Repeat("e", webhook.MaxEventTypeLength))
	d := webhook.NewDelivery(e, webhook.EndpointID(strings.Repeat("p", webhook.MaxIDLength))).Succeed(webhook.Attempt{
		At: time.Now(), Trigger: webhook.TriggerSchedule, StatusCode: 200, Duration: 15 * time.Second,
		Response: []byte(`{"received":true,"request_id":"0194c2b2-7b7e-7c3e-8f0a-5a8e0e6f1a2b"}`),
	})
	d.Rev = 1
	k, _ := deliveryKey(d.DeliveryKey)
	if size := encodeDelivery(k, d).size(); size > 1024 {
		t.Errorf("the row takes %d bytes", size)
	}
	typical := webhook.NewDelivery(typicalEvent(), "ep_01M83XJ8800000000000000000").Succeed(d.Attempts[0])
	k, _ = deliveryKey(typical.DeliveryKey)
	t.Logf("typical first success: %d bytes", encodeDelivery(k, typical).size())
}

func BenchmarkDeflateTypicalEvent(b *testing.B) {
	body := typicalEvent().Body
	b.ReportAllocs()
	for b.Loop() {
		deflate(body)
	}
}
