package webhook_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/webhook"
)

func TestPatternMatch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern webhook.Pattern
		typ     webhook.EventType
		want    bool
	}{
		{"*", "invoice", true},
		{"*", "invoice.paid.late", true},
		{"invoice.paid", "invoice.paid", true},
		{"invoice.paid", "invoice.paid.late", false},
		{"invoice.paid", "invoice", false},
		{"invoice.*", "invoice.paid", true},
		{"invoice.*", "invoice.item.added", true},
		{"invoice.*", "invoice", false},
		{"invoice.*", "invoices.paid", false},
		{"*.paid", "invoice.paid", true},
		{"*.paid", "invoice.item.paid", false},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.b.c", false},
		{"a.*.*", "a.b", false},
		{"a.*.*", "a.b.c.d", true},
	} {
		if got := tc.pattern.Match(tc.typ); got != tc.want {
			t.Errorf("%s matches %s: %t", tc.pattern, tc.typ, got)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "order.placed", "A_1.b.c", strings.Repeat("a", 128)} {
		if err := webhook.CheckEventType("type", name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if err := webhook.CheckPatterns("event_types", []webhook.Pattern{webhook.Pattern(name)}); err != nil {
			t.Errorf("%q as a pattern: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "a.", ".a", "a..b", "a b", "a-b", "é", "a/b", "a\n", strings.Repeat("a", 129)} {
		if err := webhook.CheckEventType("type", name); !isInvalid(err, "type") {
			t.Errorf("%q is taken as an event type: %v", name, err)
		}
		if err := webhook.CheckPatterns("event_types", []webhook.Pattern{webhook.Pattern(name)}); !isInvalid(err, "event_types") {
			t.Errorf("%q is taken as a pattern: %v", name, err)
		}
	}
	for _, pattern := range []webhook.Pattern{"a*", "*a", "**", "a.*b"} {
		if err := webhook.CheckPatterns("event_types", []webhook.Pattern{pattern}); !isInvalid(err, "event_types") {
			t.Errorf("%q is taken as a pattern: %v", pattern, err)
		}
	}
	for _, id := range []string{"", "a.b", "a#b", "a/b", "ü", strings.Repeat("a", 65)} {
		if err := webhook.CheckID("id", id); !isInvalid(err, "id") {
			t.Errorf("%q is taken as an id: %v", id, err)
		}
	}
}

func isInvalid(err error, field string) bool {
	var bad *webhook.Invalid
	return errors.As(err, &bad) && bad.Field == field && bad.Reason != ""
}

func TestDeliveryIDRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := webhook.DeliveryKey{
			Tenant:   "acme",
			Event:    webhook.EventRef(rapid.StringMatching(`[0-9A-HJKMNP-TV-Z]{26}`).Draw(t, "ref")),
			Endpoint: webhook.EndpointID(rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`).Draw(t, "endpoint")),
		}
		got, ok := webhook.ParseDeliveryID("acme", string(key.ID()))
		if !ok || got != key {
			t.Fatalf("%s read as %+v, %t", key.ID(), got, ok)
		}
	})
	for _, id := range []string{"", "dlv_", "evt_01JD9K3Q4R5S6T7V8W9X0Y1Z2A_e", "dlv_01JD9K3Q4R5S6T7V8W9X0Y1Z2A", "dlv_01JD9K3Q4R5S6T7V8W9X0Y1Z2A_", "dlv_01JD9K3Q4R5S6T7V8W9X0Y1Z2A_a.b", "dlv_01JD9K3Q4R5S6T#V8W9X0Y1Z2A_e"} {
		if _, ok := webhook.ParseDeliveryID("acme", id); ok {
			t.Errorf("%q is taken as a delivery id", id)
		}
	}
}

// Whatever happens to a delivery, its attempts stay consistent with its count.
func TestAttemptsStayConsistent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		d := webhook.NewDelivery(webhook.Event{Tenant: "acme", Ref: "01JD9K3Q4R5S6T7V8W9X0Y1Z2A"}, "e")
		made := 0
		for range rapid.IntRange(0, 120).Draw(t, "steps") {
			a := webhook.Attempt{At: now, Response: bytes.Repeat([]byte("x"), webhook.MaxResponseKept)}
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				d, made = d.Succeed(a), made+1
			case 1:
				d, made = d.Retry(a, now.Add(time.Minute), webhook.NextSchedule), made+1
			case 2:
				spent := d.Spent()
				if d, made = d.Fail(a), made+1; d.Spent() != spent {
					t.Fatal("a manual failure spends the budget")
				}
			case 3:
				d, made = d.GiveUp(a, webhook.ReasonExhausted), made+1
			case 4:
				d = d.Die(webhook.ReasonEndpointDisabled, now)
			case 6:
				d = d.Park(now.Add(time.Minute), now, webhook.NextBreaker)
			case 5:
				if d = d.Reopen(); d.Spent() != 0 {
					t.Fatal("a reopened delivery has spent attempts")
				}
			}
		}
		if d.AttemptCount != made || len(d.Attempts) != min(made, webhook.MaxAttemptsKept) {
			t.Fatalf("%d attempts made, %d counted, %d kept", made, d.AttemptCount, len(d.Attempts))
		}
		for i, a := range d.Attempts {
			if want := made - len(d.Attempts) + i + 1; a.Number != want {
				t.Fatalf("attempt %d is numbered %d", want, a.Number)
			}
			if limit := webhook.MaxOldResponseKept; i < len(d.Attempts)-1 && len(a.Response) > limit {
				t.Fatalf("attempt %d keeps %d bytes of the answer", a.Number, len(a.Response))
			}
		}
		if (d.State == webhook.Retrying || d.State == webhook.Parked) == d.NextAttemptAt.IsZero() {
			t.Fatalf("state %s, next attempt %s", d.State, d.NextAttemptAt)
		}
	})
}

func TestExpandShowsQueuedDeliveriesExceptOfAnUnsentEvent(t *testing.T) {
	t.Parallel()
	e := webhook.Event{Tenant: "acme", Ref: "01JD9K3Q4R5S6T7V8W9X0Y1Z2A", Targets: []webhook.EndpointID{"a", "b"}}
	row := webhook.NewDelivery(e, "b").Succeed(webhook.Attempt{})
	got := e.Expand([]webhook.Delivery{row})
	if len(got) != 2 || got[0].State != webhook.Queued || got[1].State != webhook.Delivered {
		t.Fatalf("got %+v", got)
	}
	e.Unsent = true
	if got := e.Expand([]webhook.Delivery{row}); len(got) != 1 || got[0].Endpoint != "b" {
		t.Fatalf("unsent: %+v", got)
	}
}
