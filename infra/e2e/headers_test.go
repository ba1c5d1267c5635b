package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hidden is what stands for the value of a header in every answer.
const hidden = "••••••••"

func TestAnEndpointsOwnHeadersArriveAndAreNeverShown(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	key := "Bearer " + randomName("key")
	e := n.register(t, newEndpoint{URL: h.url, Headers: map[string]string{"authorization": key, "X-Team": "billing, a\tb"}})
	h.trust(n.secret(t, e.ID))

	got := n.arrivalOfNext(t, h).header
	if got.Get("Authorization") != key || got.Get("X-Team") != "billing, a\tb" {
		t.Errorf("arrived as %q and %q", got.Get("Authorization"), got.Get("X-Team"))
	}
	want := map[string]string{"authorization": hidden, "X-Team": hidden}
	if diff := cmp.Diff(want, e.Headers); diff != "" {
		t.Errorf("registered (-want +got)\n%s", diff)
	}
	// Other changes leave them as they are.
	if diff := cmp.Diff(want, n.change(t, e.ID, map[string]any{"description": "changed", "url": h.url + "?a=b"}).Headers); diff != "" {
		t.Errorf("changed otherwise (-want +got)\n%s", diff)
	}
	for _, path := range []string{n.at("/endpoints/%s", e.ID), n.at("/endpoints"), n.at("/endpoints/%s/secret", e.ID), n.at("/deliveries")} {
		if r := n.get(t, path); strings.Contains(string(r.body), key) || strings.Contains(string(r.body), "billing") {
			t.Errorf("%s shows a value: %s", path, r)
		}
	}

	// A change replaces them all.
	if diff := cmp.Diff(map[string]string{"X-Other": hidden}, n.change(t, e.ID, map[string]any{"headers": map[string]string{"X-Other": "1"}}).Headers); diff != "" {
		t.Errorf("replaced (-want +got)\n%s", diff)
	}
	got = n.arrivalOfNext(t, h).header
	if got.Get("X-Other") != "1" || got.Get("Authorization") != "" || got.Get("X-Team") != "" {
		t.Errorf("after the change, arrived with %v", got)
	}
	if cleared := n.change(t, e.ID, map[string]any{"headers": map[string]string{}}); len(cleared.Headers) != 0 {
		t.Errorf("cleared, but shown with %v", cleared.Headers)
	}
	if got := n.arrivalOfNext(t, h).header; got.Get("X-Other") != "" {
		t.Errorf("cleared, but arrived with %v", got)
	}
	if relay.local != nil {
		for name, text := range map[string]string{"stdout": relay.local.stdout.String(), "stderr": relay.local.stderr.String()} {
			if strings.Contains(text, key) {
				t.Errorf("%s shows a value", name)
			}
		}
	}
}

// Whoever may change a URL but was never shown a value must not have it sent to
// a host of their own.
func TestHeadersDoNotFollowTheURLToAnotherHost(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	e := n.register(t, newEndpoint{URL: "https://receiver.example.com/a", Headers: map[string]string{"Authorization": "Bearer mine"}})
	at := n.at("/endpoints/%s", e.ID)
	for _, url := range []string{"https://other.example.com/a", "https://receiver.example.com:444/a", "https://receiver.example.com.example.org/a"} {
		r := n.send(t, http.MethodPatch, at, map[string]any{"url": url}).must(t, http.StatusBadRequest)
		if p := as[problem](t, r); p.Field != "headers" {
			t.Errorf("to %s: %+v", url, p)
		}
	}
	n.change(t, e.ID, map[string]any{"url": "https://RECEIVER.example.com/b"})
	n.change(t, e.ID, map[string]any{"url": "https://other.example.com/a", "headers": map[string]string{"Authorization": "Bearer other"}})
	n.change(t, e.ID, map[string]any{"url": "https://third.example.com/a", "headers": map[string]string{}})
	n.change(t, e.ID, map[string]any{"url": "https://fourth.example.com/a"})
}
