package portal_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/client"
)

func TestALinkBecomesASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	c := b.cookie
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/portal" || c.MaxAge < 3500 || c.MaxAge > 3600 || c.Partitioned {
		t.Errorf("the cookie is %s", c)
	}
	b.leads(b.get("/portal"), "/portal/t/acme")
	w.shows(b.page("/portal/t/acme"), "No endpoint yet", "Sign out")

	b.leads(b.post("/portal/leave"), "/portal")
	w.shows(b.page("/portal"), "Portal link", "API key")
	b.leads(b.get("/portal/t/acme"), "/portal")
}

func TestAPastedLinkIsAsGoodAsOneThatIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receiver("acme")
	link, err := w.relay.CreatePortalLink(t.Context(), "acme", client.NewPortalLink{})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.leads(b.post("/portal/enter", "token", " "+link.URL+"\n"), `/portal\?entered=1`)
	b.page("/portal/t/acme")
}

func TestWhatOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receiver("acme")
	link, err := w.relay.CreatePortalLink(t.Context(), "acme", client.NewPortalLink{})
	if err != nil {
		t.Fatal(err)
	}
	read, err := w.relay.CreateKey(t.Context(), "acme", client.NewKey{Scope: "read"})
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(link.Token, "portal_acme.", "portal_other.", 1)
	operators := strings.Replace(link.Token, "portal_acme.", "portal_~.", 1)
	for rule, tc := range map[string]struct {
		path, field, value string
		status             int
	}{
		"NoToken":             {"/portal/enter", "token", "", http.StatusUnprocessableEntity},
		"NotAToken":           {"/portal/enter", "token", "https://example.com/#x", http.StatusUnprocessableEntity},
		"AnotherTenantsToken": {"/portal/enter", "token", forged, http.StatusUnauthorized},
		"AnOperatorsToken":    {"/portal/enter", "token", operators, http.StatusUnauthorized},
		"AnUnknownKey":        {"/portal/sign-in", "key", w.root + "x", http.StatusUnauthorized},
		"NoKey":               {"/portal/sign-in", "key", "", http.StatusUnauthorized},
		"AKeyThatMayOnlyRead": {"/portal/sign-in", "key", read.Value, http.StatusForbidden},
	} {
		t.Run(rule, func(t *testing.T) {
			b := w.browser()
			if r := b.post(tc.path, tc.field, tc.value); r.status != tc.status || b.cookie != nil || !strings.Contains(r.body, `role="alert"`) {
				t.Errorf("%d, cookie %v", r.status, b.cookie)
			}
		})
	}
}

func TestKeysOpenWhatIsTheirs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receiver("acme")
	operator := w.operator()
	operator.leads(operator.get("/portal"), "/portal/operator")
	w.shows(operator.page("/portal/operator"), "Tenants", "acme")
	if strings.Contains(operator.cookie.Value, w.root) {
		t.Error("the browser keeps the key")
	}

	key, err := w.relay.CreateKey(t.Context(), "acme", client.NewKey{Scope: "tenant"})
	if err != nil {
		t.Fatal(err)
	}
	own := w.browser()
	own.leads(own.post("/portal/sign-in", "key", key.Value), `/portal\?entered=1`)
	own.leads(own.get("/portal"), "/portal/t/acme")
	if r := own.get("/portal/operator"); r.status != http.StatusForbidden {
		t.Errorf("a tenant sees the operator's page: %d", r.status)
	}
}

func TestASessionEndsAtItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	w.now = w.now.Add(time.Hour)
	b.leads(b.get("/portal/t/acme"), "/portal")
}

func TestASessionEndsWithItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receiver("acme")
	key, err := w.relay.CreateKey(t.Context(), "acme", client.NewKey{Scope: "tenant"})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.post("/portal/sign-in", "key", key.Value)
	b.page("/portal/t/acme")
	if err := w.relay.RevokeKey(t.Context(), "acme", key.ID); err != nil {
		t.Fatal(err)
	}
	r := b.get("/portal/t/acme")
	if r.status != http.StatusUnauthorized || b.cookie.MaxAge >= 0 {
		t.Errorf("%d, cookie %s", r.status, b.cookie)
	}
	w.shows(r.body, "Your session has ended")
}

func TestACookieThatIsRefusedIsExplained(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shows(w.browser().page("/portal?entered=1"), "refuses cookies here")
}

func TestOnlyChosenSitesMayEmbedThePortal(t *testing.T) {
	t.Parallel()
	header := func(w *world) http.Header { return w.browser().get("/portal").header }
	if h := header(newWorld(t)); !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("by default: %v", h)
	}
	w := newWorld(t, "https://app.example.com", "https://two.example.com")
	if h := header(w); !strings.HasSuffix(h.Get("Content-Security-Policy"), "frame-ancestors https://app.example.com https://two.example.com") || h.Get("X-Frame-Options") != "" {
		t.Errorf("when chosen: %v", h)
	}
	b := w.browser()
	b.as.Set("X-Forwarded-Proto", "https")
	b.post("/portal/sign-in", "key", w.root)
	if c := b.cookie; c.SameSite != http.SameSiteNoneMode || !c.Secure || !c.Partitioned {
		t.Errorf("in a frame of another site the browser keeps no %s", c)
	}
}

func TestNothingComesFromElsewhereAndNothingIsInline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.browser().get("/portal").header
	for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "form-action 'self'", "base-uri 'none'"} {
		if !strings.Contains(h.Get("Content-Security-Policy"), part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%v", h)
	}
}
