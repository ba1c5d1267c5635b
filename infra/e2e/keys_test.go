package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

type (
	apiKey struct {
		ID, Prefix, Scope, Name, Key string
		CreatedBy                    string     `json:"created_by"`
		ExpiresAt                    *time.Time `json:"expires_at"`
	}
	portalLink struct {
		ID, URL, Token string
		ExpiresAt      time.Time `json:"expires_at"`
	}
	auditLine struct {
		ID, Action, Target string
		TenantID           string `json:"tenant_id"`
		Detail             map[string]string
		Actor              struct{ Scope, Key, IP string }
	}
)

// with is the same tenant by another key or token.
func (n tenant) with(key string) tenant { return tenant{client{n.base, key}, n.id} }

func (n tenant) newKey(t testing.TB, fields map[string]any) apiKey {
	t.Helper()
	return as[apiKey](t, n.send(t, http.MethodPost, n.at("/keys"), fields).must(t, http.StatusCreated))
}

func TestAKeyDoesWhatItsScopeAllows(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	e := n.subscribe(t, h)
	form := regexp.MustCompile(`^relay_` + n.id + `\.key_[0-9A-Z]{26}\.[A-Za-z0-9_-]{43}$`)
	link := as[portalLink](t, n.send(t, http.MethodPost, n.at("/portal-links"), nil).must(t, http.StatusCreated))
	keys := map[string]string{"portal": link.Token}
	for _, scope := range []string{"tenant", "publish", "read"} {
		k := n.newKey(t, map[string]any{"scope": scope, "name": "for " + scope})
		if !form.MatchString(k.Key) || !strings.HasPrefix(k.Key, k.Prefix+".") || k.Scope != scope || k.ExpiresAt != nil {
			t.Errorf("made %+v", k)
		}
		keys[scope] = k.Key
	}
	for _, tc := range []struct {
		what, method, path string
		body               any
		allowed            string
		status             int
	}{
		{"post an event", http.MethodPost, n.at("/events"), eventBody("order.placed", "1"), "tenant publish", 202},
		{"list events", http.MethodGet, n.at("/events"), nil, "tenant read portal", 200},
		{"read a secret", http.MethodGet, n.at("/endpoints/%s/secret", e.ID), nil, "tenant portal", 200},
		{"change an endpoint", http.MethodPatch, n.at("/endpoints/%s", e.ID), map[string]string{"description": "x"}, "tenant portal", 200},
		{"list keys", http.MethodGet, n.at("/keys"), nil, "tenant", 200},
		{"make a link", http.MethodPost, n.at("/portal-links"), nil, "tenant", 201},
		{"read the audit trail", http.MethodGet, n.at("/audit"), nil, "tenant read", 200},
		{"rename the tenant", http.MethodPut, n.at(""), nil, "", 200},
		{"list tenants", http.MethodGet, "/v1/tenants", nil, "", 200},
		{"redrive", http.MethodPost, "/v1/dead-letters/redrive", nil, "", 202},
	} {
		for scope, key := range keys {
			r := n.with(key).send(t, tc.method, tc.path, tc.body)
			want := http.StatusForbidden
			if strings.Contains(" "+tc.allowed+" ", " "+scope+" ") {
				want = tc.status
			}
			if r.status != want {
				t.Errorf("%s with scope %s: %s, want %d", tc.what, scope, r, want)
			}
		}
	}
	other := newTenant(t)
	for scope, key := range keys {
		for _, path := range []string{other.at(""), other.at("/events"), "/v1/tenants/nobody/events"} {
			if r := n.with(key).send(t, http.MethodGet, path, nil); r.status != http.StatusNotFound {
				t.Errorf("%s with scope %s: %s", path, scope, r)
			}
		}
	}
	for _, k := range as[page[apiKey]](t, n.get(t, n.at("/keys"))).Data {
		if k.Key != "" || k.CreatedBy != "bootstrap" || k.Name != "for "+k.Scope {
			t.Errorf("listed as %+v", k)
		}
	}
}

func TestARevokedKeyEndsWithinAMinute(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	k := n.newKey(t, map[string]any{"scope": "tenant"})
	own := n.with(k.Key)
	link := as[portalLink](t, own.send(t, http.MethodPost, own.at("/portal-links"), nil).must(t, http.StatusCreated))
	visitor := n.with(link.Token)
	own.post(t, "order.placed", "1")
	visitor.get(t, n.at("/endpoints"))
	n.send(t, http.MethodDelete, n.at("/keys/%s", k.ID), nil).must(t, http.StatusNoContent)
	revoked := time.Now()
	n.send(t, http.MethodDelete, n.at("/keys/%s", k.ID), nil).must(t, http.StatusNotFound)
	eventually(t, time.Minute, func() (bool, string) {
		for _, r := range []response{
			own.send(t, http.MethodPost, n.at("/events"), eventBody("order.placed", "1")),
			own.send(t, http.MethodGet, n.at("/events"), nil),
			visitor.send(t, http.MethodGet, n.at("/endpoints"), nil),
		} {
			if r.status != http.StatusUnauthorized {
				return false, r.request + ": " + r.String()
			}
		}
		return true, ""
	})
	t.Logf("ended after %s", time.Since(revoked).Round(time.Millisecond))
}

func TestAKeyEndsWhenItExpires(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	expires := time.Now().Add(4 * time.Second)
	k := n.newKey(t, map[string]any{"scope": "read", "expires_at": expires.UTC().Format(time.RFC3339Nano)})
	if k.ExpiresAt == nil || k.ExpiresAt.Sub(expires).Abs() > time.Second {
		t.Fatalf("expires at %v, want %s", k.ExpiresAt, expires)
	}
	own := n.with(k.Key)
	own.get(t, n.at("/events"))
	eventually(t, patience, func() (bool, string) {
		r := own.send(t, http.MethodGet, n.at("/events"), nil)
		return r.status == http.StatusUnauthorized, r.String()
	})
	if time.Now().Before(expires.Add(-time.Second)) {
		t.Error("it ended early")
	}
	if listed := as[page[apiKey]](t, n.get(t, n.at("/keys"))).Data; len(listed) > 0 {
		t.Errorf("still listed: %+v", listed)
	}
}

func TestAnAdminKeyReplacesTheBootstrapKey(t *testing.T) {
	t.Parallel()
	made := as[apiKey](t, relay.send(t, http.MethodPost, "/v1/keys", map[string]string{"name": t.Name()}).must(t, http.StatusCreated))
	if !strings.HasPrefix(made.Key, "relay_~.") || made.Scope != "admin" {
		t.Errorf("made %+v", made)
	}
	admin := client{relay.base, made.Key}
	n := admin.newTenant(t, randomName("e2e"))
	n.post(t, "order.placed", "1")
	n.newKey(t, map[string]any{"scope": "read"})
	found := false
	for _, k := range walk[apiKey](t, relay.client, "/v1/keys", 50, nil) {
		found = found || k.ID == made.ID && k.Name == t.Name()
	}
	if !found {
		t.Error("it is not listed")
	}
	relay.send(t, http.MethodDelete, n.at("/keys/%s", made.ID), nil).must(t, http.StatusNotFound)
	relay.send(t, http.MethodDelete, "/v1/keys/"+made.ID, nil).must(t, http.StatusNoContent)
	eventually(t, time.Minute, func() (bool, string) {
		r := admin.send(t, http.MethodGet, "/v1/tenants", nil)
		return r.status == http.StatusUnauthorized, r.String()
	})
}

func TestThePortalLinkExpires(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	asked := time.Now()
	link := as[portalLink](t, n.send(t, http.MethodPost, n.at("/portal-links"), map[string]int{"expires_in_seconds": 120}).must(t, http.StatusCreated))
	if life := link.ExpiresAt.Sub(asked); life < 110*time.Second || life > 130*time.Second {
		t.Errorf("expires at %s, asked for 2 minutes at %s", link.ExpiresAt, asked)
	}
	want := "/portal#" + link.Token
	if !relay.deployed { // LocalStack's own addresses are none that a function hears of
		want = relay.base + want
	}
	if !strings.HasSuffix(link.URL, want) {
		t.Errorf("the link is %s, want %s", link.URL, want)
	}
	for _, seconds := range []int64{-1, 0, 59, 86401, 1 << 62} {
		r := n.send(t, http.MethodPost, n.at("/portal-links"), map[string]int64{"expires_in_seconds": seconds}).must(t, http.StatusBadRequest)
		if p := as[problem](t, r); p.Field != "expires_in_seconds" {
			t.Errorf("%d: %+v", seconds, p)
		}
	}
}

func TestTheAuditTrailSaysWhoChangedWhat(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(410))
	own := n.with(n.newKey(t, map[string]any{"scope": "tenant"}).Key)
	e := own.subscribe(t, h)
	own.change(t, e.ID, map[string]any{"description": "moved"})
	own.send(t, http.MethodPost, n.at("/endpoints/%s/secret/rotate", e.ID), nil).must(t, http.StatusOK)
	a := own.post(t, "order.placed", "1")
	d := own.awaitState(t, a.ID, e.ID, "dead")
	eventually(t, patience, func() (bool, string) { // and the relay disables the endpoint
		got := as[endpoint](t, n.get(t, n.at("/endpoints/%s", e.ID)))
		return got.State == "disabled", got.State
	})
	own.retry(t, d)
	want := []string{
		"delivery.retried tenant " + d.ID, "endpoint.disabled relay " + e.ID, "secret.rotated tenant " + e.ID, "endpoint.changed tenant " + e.ID,
		"secret.read tenant " + e.ID, "endpoint.created tenant " + e.ID, "key.created admin", "tenant.put admin " + n.id,
	}
	lines := walk[auditLine](t, own.client, n.at("/audit"), 3, nil)
	for i, l := range lines {
		if i >= len(want) || !strings.HasPrefix(l.Action+" "+l.Actor.Scope+" "+l.Target, want[i]) || l.TenantID != n.id {
			t.Errorf("line %d is %+v", i, l)
		}
		if l.Actor.Scope != "relay" && (l.Actor.Key == "" || l.Actor.IP == "") {
			t.Errorf("line %d does not say who: %+v", i, l)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
	everywhere := as[page[auditLine]](t, relay.get(t, "/v1/audit?limit=250"))
	if len(everywhere.Data) < len(want) {
		t.Errorf("%d lines of all tenants", len(everywhere.Data))
	}
}
