package webhook_test

import (
	"strings"
	"testing"

	"webhookrelay/shared/webhook"
)

func FuzzDeliveryID(f *testing.F) {
	for _, seed := range []string{
		"dlv_01M83XJ8800000000000000000_shop", "dlv_01M83XJ8800000000000000000_", "dlv_", "dlv_01M83XJ8800000000000000000_a_b-c",
		"dlv_01M83XJ880000000000000000._shop", "evt_01M83XJ8800000000000000000",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		key, ok := webhook.ParseDeliveryID("acme", id)
		if !ok {
			if key != (webhook.DeliveryKey{}) {
				t.Fatalf("%q is refused and names %+v", id, key)
			}
			return
		}
		if string(key.ID()) != id || key.Tenant != "acme" {
			t.Fatalf("%q names %+v, whose id is %q", id, key, key.ID())
		}
		for _, part := range []string{string(key.Event), string(key.Endpoint)} {
			if part == "" || strings.ContainsAny(part, "#./, \n") {
				t.Fatalf("%q names %+v", id, key)
			}
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"invoice.*", "invoice.paid"}, {"*", "a"}, {"a.*.c", "a.b.c"}, {"a..b", "a.b"}, {"*.*", "a.b.c"}, {"", ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p := webhook.Pattern(pattern)
		matches := p.Match(webhook.EventType(name)) // must not panic, whatever they hold
		if webhook.CheckPatterns("event_types", []webhook.Pattern{p}) != nil || webhook.CheckEventType("type", name) != nil {
			return
		}
		if pattern == name && !matches || !strings.Contains(pattern, "*") && pattern != name && matches {
			t.Fatalf("%q matches %q: %v", pattern, name, matches)
		}
		if !webhook.Pattern("*").Match(webhook.EventType(name)) {
			t.Fatalf("* does not match %q", name)
		}
	})
}
