package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/auth"
)

type auditLine struct {
	TenantID string `json:"tenant_id"`
	Action   string
	Target   string
	Detail   map[string]string
	Actor    struct {
		Scope, Key, IP string
		RequestID      string `json:"request_id"`
	}
}

// trail returns the audit trail, newest line first.
func (w *world) trail(path string) []auditLine {
	w.t.Helper()
	var page struct{ Data []auditLine }
	r := w.call(w.root, http.MethodGet, path, "")
	if err := json.Unmarshal([]byte(r.body), &page); err != nil || r.status != http.StatusOK {
		w.t.Fatalf("%d %s", r.status, r.body)
	}
	return page.Data
}

// unaudited are the operations that change nothing worth a line.
var unaudited = []string{
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/test",
	"POST /v1/tenants/{tenant}/events", // the event itself is on record
	"POST /v1/tenants/{tenant}/events/batch",
	"POST /v1/tenants/{tenant}/filters/test", // changes nothing
}

func TestEveryChangeAndEveryLookAtASecretIsOnRecord(t *testing.T) {
	t.Parallel()
	var unlisted []string
	for _, o := range operations(t) {
		if o.method == http.MethodGet && !strings.HasSuffix(o.path, "/secret") {
			continue
		}
		w := newWorld(t)
		alice := w.newParty("alice")
		ids, tenant := alice.ids[0], alice.id
		switch o.path {
		case "/v1/keys/{key}":
			ids = map[string]string{"key": w.must(w.root, http.MethodPost, "/v1/keys", "")["id"].(string)}
		case "/v1/tenants/{tenant}":
			tenant = "new"
		case "/v1/tenants/{tenant}/events/{event}/cancel":
			ids = map[string]string{"event": w.later("alice")}
		}
		before := len(w.trail("/v1/audit"))
		answer := w.call(w.root, o.method, o.at(tenant, ids), o.body)
		if answer.status >= 300 {
			t.Fatalf("%s: %d %s", o, answer.status, answer.body)
		}
		after := w.trail("/v1/audit")
		if len(after) == before {
			unlisted = append(unlisted, o.String())
			continue
		}
		line := after[0]
		if line.Actor.Scope != "admin" || line.Actor.Key != string(auth.Bootstrap) || line.Actor.IP != "192.0.2.1" ||
			line.Actor.RequestID != answer.header.Get("X-Request-Id") || line.Action == "" {
			t.Errorf("%s left %+v", o, line)
		}
		if o.ofTenant() {
			if got := w.trail("/v1/tenants/" + tenant + "/audit"); line.TenantID != tenant || !cmp.Equal(got[0], line) {
				t.Errorf("%s left %+v with the installation, %+v with the tenant", o, line, got[0])
			}
		}
	}
	if diff := cmp.Diff(unaudited, unlisted); diff != "" {
		t.Errorf("expected (-) and found (+) without a line: %s", diff)
	}
}

func TestALineSaysWhatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newParty("alice")
	at := "/v1/tenants/alice/endpoints/alice-1"
	for _, tc := range []struct {
		body, action, fields string
	}{
		{`{"url":"https://alice.example/?token=hush"}`, "endpoint.changed", "url"},
		{`{"state":"enabled"}`, "endpoint.changed", "state"},
		{`{"state":"disabled","description":"moving"}`, "endpoint.disabled", "description,state"},
		{`{"state":"enabled"}`, "endpoint.enabled", "state"},
	} {
		w.must(w.root, http.MethodPatch, at, tc.body)
		line := w.trail("/v1/tenants/alice/audit")[0]
		if line.Action != tc.action || line.Target != "alice-1" || line.Detail["fields"] != tc.fields {
			t.Errorf("%s left %+v", tc.body, line)
		}
	}
}

func TestARefusedChangeLeavesNoLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.newParty("alice")
	before := w.call(w.root, http.MethodGet, "/v1/audit?limit=250", "")
	for path, body := range map[string]string{
		"/v1/tenants/alice/endpoints":                      `{"id":"alice-1","url":"https://alice.example/"}`,
		"/v1/tenants/alice/endpoints/x/secret/rotate":      `{}`,
		"/v1/tenants/alice/keys":                           `{"scope":"admin"}`,
		"/v1/tenants/alice/portal-links":                   `{"expires_in_seconds":59}`,
		"/v1/tenants/alice/deliveries/none/retry":          ``,
		"/v1/tenants/" + strings.Repeat("a", 65) + "/keys": `{"scope":"read"}`,
	} {
		if r := w.call(alice.keys[auth.ScopeAdmin], http.MethodPost, path, body); r.status < 400 || r.status >= 500 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if after := w.call(w.root, http.MethodGet, "/v1/audit?limit=250", ""); after.body != before.body {
		t.Errorf("recorded: %s", after.body)
	}
}

// What is secret shows in the one answer that is meant to show it.
func TestNoListAndNoLineShowsASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.newParty("alice")
	secret := w.must(w.root, http.MethodGet, "/v1/tenants/alice/endpoints/alice-1/secret", "")["secret"].(string)
	rotated := w.must(w.root, http.MethodPost, "/v1/tenants/alice/endpoints/alice-1/secret/rotate", "")["secret"].(string)
	admin := w.must(w.root, http.MethodPost, "/v1/keys", "")["key"].(string)
	hidden := []string{secret, rotated, admin[strings.LastIndex(admin, ".")+1:]}
	for _, scope := range tenantScopes {
		hidden = append(hidden, alice.keys[scope][strings.LastIndex(alice.keys[scope], ".")+1:])
	}
	for _, o := range operations(t) {
		if o.method != http.MethodGet || strings.HasSuffix(o.path, "/secret") {
			continue
		}
		got := w.call(w.root, o.method, o.at(alice.id, alice.ids[0]), "")
		for _, text := range hidden {
			if strings.Contains(got.body, text) {
				t.Errorf("%s shows %s", o, text)
			}
		}
	}
}
