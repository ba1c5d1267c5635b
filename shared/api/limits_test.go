package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/api"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/throttle"
)

func TestATenantPostsNoFasterThanItsRate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, func(_ *api.Config, a *api.Accept) {
		a.Rate = throttle.New(throttle.Rate{PerSecond: 1, Burst: 3}, func() time.Time { return now })
	})
	w.must(w.root, http.MethodPut, "/v1/tenants/alice", "")
	w.must(w.root, http.MethodPut, "/v1/tenants/bob", "")
	post := func(key, tenant string) reply {
		return w.call(key, http.MethodPost, "/v1/tenants/"+tenant+"/events", `{"type":"a","data":1}`)
	}
	publisher := w.must(w.root, http.MethodPost, "/v1/tenants/alice/keys", `{"scope":"publish"}`)["key"].(string)
	for range 3 { // by whichever key
		if r := post(publisher, "alice"); r.status != http.StatusAccepted {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	for _, key := range []string{publisher, w.root} {
		r := post(key, "alice")
		w.problem(r, http.StatusTooManyRequests, "too-many-requests")
		if got := r.header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After is %q", got)
		}
	}
	// Other tenants, other requests, and callers that are refused anyway, are not affected.
	if r := post(w.root, "bob"); r.status != http.StatusAccepted {
		t.Errorf("%d %s", r.status, r.body)
	}
	w.must(w.root, http.MethodGet, "/v1/tenants/alice/events", "")
	w.problem(post("wrong", "alice"), http.StatusUnauthorized, "unauthenticated")
	w.problem(post(publisher, "bob"), http.StatusNotFound, "not-found")
	now = now.Add(time.Second)
	if r := post(publisher, "alice"); r.status != http.StatusAccepted {
		t.Errorf("after the wait: %d %s", r.status, r.body)
	}
	// A batch counts for as many events as it holds.
	now = now.Add(2 * time.Second)
	batch := func(n int) reply {
		events := strings.TrimSuffix(strings.Repeat(`{"type":"a","data":1},`, n), ",")
		return w.call(publisher, http.MethodPost, "/v1/tenants/alice/events/batch", `{"events":[`+events+`]}`)
	}
	r := batch(3)
	w.problem(r, http.StatusTooManyRequests, "too-many-requests")
	if got := r.header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After is %q", got)
	}
	for _, status := range []int{http.StatusAccepted, http.StatusTooManyRequests} {
		if r := batch(2); r.status != status {
			t.Errorf("a batch: %d %s, want %d", r.status, r.body, status)
		}
	}
}

func TestAKeyAsksNoFasterThanItsRate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, func(c *api.Config, _ *api.Accept) {
		c.KeyRate = throttle.New(throttle.Rate{PerSecond: 1, Burst: 5}, func() time.Time { return now })
	})
	w.must(w.root, http.MethodPut, "/v1/tenants/alice", "")
	reader := w.must(w.root, http.MethodPost, "/v1/tenants/alice/keys", `{"scope":"read"}`)["key"].(string)
	for range 5 {
		w.must(reader, http.MethodGet, "/v1/tenants/alice", "")
	}
	w.problem(w.call(reader, http.MethodGet, "/v1/tenants/alice", ""), http.StatusTooManyRequests, "too-many-requests")
	w.must(w.root, http.MethodGet, "/v1/tenants/alice", "")
	w.must("", http.MethodGet, "/healthz", "")
	w.must(w.root, http.MethodPost, "/v1/tenants/alice/events", `{"type":"a","data":1}`)
	now = now.Add(time.Second)
	w.must(reader, http.MethodGet, "/v1/tenants/alice", "")
}

func TestObjectsAndListsNestSixtyFourDeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.root, http.MethodPut, "/v1/tenants/alice", "")
	post := func(data string) reply {
		return w.call(w.root, http.MethodPost, "/v1/tenants/alice/events", fmt.Sprintf(`{"type":"a","data":%s}`, data))
	}
	nested := func(open, inner, end string, depth int) string {
		return strings.Repeat(open, depth) + inner + strings.Repeat(end, depth)
	}
	batch := func(data string) reply {
		return w.call(w.root, http.MethodPost, "/v1/tenants/alice/events/batch", fmt.Sprintf(`{"events":[{"type":"a","data":%s}]}`, data))
	}
	for rule, data := range map[string]string{
		"Lists":                 nested("[", "", "]", 63),
		"Objects":               nested(`{"a":`, "1", "}", 63),
		"SideBySide":            "[" + strings.Repeat("[],", 1000) + "{}]",
		"BracketsInAString":     `"` + strings.Repeat("[", 1000) + `"`,
		"BracketsBehindAQuote":  `"\"` + strings.Repeat("{", 1000) + `"`,
		"BracketsInAName":       `{"` + strings.Repeat("[", 1000) + `":1}`,
		"BracketsBehindASlash":  `["\\",` + strings.TrimSuffix(strings.Repeat("[],", 1000), ",") + `]`,
		"AnEscapedQuoteInAName": `{"\\\"[":` + nested("[", "", "]", 62) + "}",
	} {
		for _, r := range []reply{post(data), batch(data)} {
			if r.status != http.StatusAccepted {
				t.Errorf("%s: %d %s", rule, r.status, r.body)
			}
		}
	}
	for rule, data := range map[string]string{
		"Lists":      nested("[", "", "]", 64),
		"Objects":    nested(`{"a":`, "1", "}", 64),
		"BehindText": `["\\",` + nested("[", "", "]", 63) + "]",
		"Hugely":     nested("[", "", "]", 100_000),
	} {
		p := w.problem(post(data), http.StatusBadRequest, "too-deep")
		if !strings.Contains(p.Detail, "64") {
			t.Errorf("%s: %q does not name the limit", rule, p.Detail)
		}
		if r := batch(data); r.status == http.StatusAccepted || !strings.Contains(r.body, "problem:too-deep") {
			t.Errorf("%s, in a batch: %d %s", rule, r.status, r.body)
		}
	}
}

func TestAPortalLinkLeadsToWhereItWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.newParty("alice")
	for _, tc := range []struct {
		rule    string
		headers []string
		prefix  string
	}{
		{"OnALaptop", nil, "http://example.com/portal#portal_alice."},
		{"BehindAGateway", []string{"X-Forwarded-Proto", "https"}, "https://example.com/portal#portal_alice."},
	} {
		got := w.must(alice.keys[auth.ScopeTenant], http.MethodPost, "/v1/tenants/alice/portal-links", "", tc.headers...)
		if url := got["url"].(string); !strings.HasPrefix(url, tc.prefix) || !strings.HasSuffix(url, got["token"].(string)) {
			t.Errorf("%s: %s", tc.rule, url)
		}
	}
}
