package id_test

import (
	"testing"

	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

func FuzzEventID(f *testing.F) {
	for _, seed := range []string{"evt_01M83XJ8800000000000000000", "evt_01m83xj8800000000000000000", "evt_81M83XJ8800000000000000000", "order-1", "evt_", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		ref, made := id.RefOf(webhook.EventID(given))
		if !made {
			return
		}
		if id.EventID(ref) != webhook.EventID(given) || len(ref) != webhook.RefLength {
			t.Fatalf("%q has the reference %q", given, ref)
		}
		at, ok := id.Time(ref)
		if !ok {
			t.Fatalf("%q has no time", ref)
		}
		if first := id.First(at); id.First(at.UTC()) != first || len(first) != webhook.RefLength {
			t.Fatalf("%q: first of %s is %q", ref, at, first)
		}
	})
}
