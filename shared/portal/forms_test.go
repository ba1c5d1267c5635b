package portal_test

import (
	"html"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/client"
	"webhookrelay/shared/portal"
)

func TestAFormWithFaultsKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	for rule, tc := range map[string]struct {
		fields []string
		wants  []string
	}{
		"NoURL":           {[]string{"all", "yes"}, []string{"Enter the URL"}},
		"NoScheme":        {[]string{"url", "hooks.example.com", "all", "yes"}, []string{"Start the URL with https://", `value="hooks.example.com"`}},
		"NothingChosen":   {[]string{"url", "https://a.example/"}, []string{"Choose all events, or only some.", `value="https://a.example/"`}},
		"NoTypes":         {[]string{"url", "https://a.example/", "all", "no"}, []string{"Choose at least one event type."}},
		"ABadPattern":     {[]string{"url", "https://a.example/", "all", "no", "types", "a*b"}, []string{"a*b", `id="types"`}},
		"ABadHeader":      {[]string{"url", "https://a.example/", "all", "yes", "headers", "nonsense"}, []string{"Write one header a line", "nonsense"}},
		"ARefusedHeader":  {[]string{"url", "https://a.example/", "all", "yes", "headers", "Host: a"}, []string{"Host"}},
		"ABadTimeout":     {[]string{"url", "https://a.example/", "all", "yes", "timeout", "soon"}, []string{"whole number above 0", `value="soon"`}},
		"ATimeoutTooLong": {[]string{"url", "https://a.example/", "all", "yes", "timeout", "31"}, []string{"1 to 30"}},
		"HalfARate":       {[]string{"url", "https://a.example/", "all", "yes", "rate_count", "5"}, []string{"both numbers, or neither"}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.receiver("acme")
			r := b.post("/portal/t/acme/endpoints", tc.fields...)
			if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, "<title>Error: ") {
				t.Fatalf("%d\n%s", r.status, r.body)
			}
			w.shows(r.body, tc.wants...)
		})
	}
}

func TestAnEndpointIsAddedAsItWasSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	b.leads(b.post("/portal/t/acme/endpoints", "url", " https://a.example/hook ", "description", "Shop", "all", "no",
		"type", "order.placed", "type", "order.paid", "types", "refund.*\norder.paid\n", "headers", "X-Key: a:b\nX-Other: c",
		"timeout", "5", "rate_count", "10", "rate_seconds", "2"), `/portal/t/acme/endpoints/ep_\w+/secret\?done=added`)
	found, err := w.relay.ListEndpoints(t.Context(), "acme", client.PageOptions{})
	if err != nil || len(found.Data) != 1 {
		t.Fatal(found, err)
	}
	e := found.Data[0]
	if e.URL != "https://a.example/hook" || e.Description != "Shop" || strings.Join(e.EventTypes, " ") != "refund.* order.paid order.placed" ||
		len(e.Headers) != 2 || *e.TimeoutSeconds != 5 || *e.RateLimit != (client.RateLimit{Count: 10, Seconds: 2}) {
		t.Errorf("got %+v", e)
	}

	// The same URL again may be meant, or not.
	again := []string{"url", "https://a.example/hook", "all", "yes"}
	r := b.post("/portal/t/acme/endpoints", again...)
	if r.status != http.StatusUnprocessableEntity {
		t.Fatalf("%d", r.status)
	}
	w.shows(r.body, "has the same URL already", "Add it anyway")
	b.leads(b.post("/portal/t/acme/endpoints", append(again, "double", "yes")...), ".*done=added")

	// What is left out of the form goes back to the relay's own; headers stay.
	at := "/portal/t/acme/endpoints/" + e.ID
	w.shows(b.page(at+"/edit"), "X-Key", `value="5"`, "refund.*")
	b.leads(b.post(at+"/edit", "url", e.URL, "all", "yes"), ".*done=saved")
	e, err = w.relay.GetEndpoint(t.Context(), "acme", e.ID)
	if err != nil || len(e.EventTypes) != 0 || e.TimeoutSeconds != nil || e.RateLimit != nil || len(e.Headers) != 2 {
		t.Errorf("got %+v, %v", e, err)
	}
	b.leads(b.post(at+"/edit", "url", e.URL, "all", "yes", "no_headers", "yes"), ".*done=saved")
	if e, err = w.relay.GetEndpoint(t.Context(), "acme", e.ID); err != nil || len(e.Headers) != 0 {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestSecretsAreShownOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	w.endpoint("acme", "shop")
	secret, err := w.relay.GetSecret(t.Context(), "acme", "shop")
	if err != nil {
		t.Fatal(err)
	}
	at := "/portal/t/acme/endpoints/shop"
	for _, page := range []string{at, at + "/secret", at + "/edit", at + "/delete", at + "/test"} {
		if strings.Contains(html.UnescapeString(b.page(page)), secret.Secret) {
			t.Errorf("%s shows the secret", page)
		}
	}
	if r := b.post(at + "/secret"); !strings.Contains(html.UnescapeString(r.body), secret.Secret) || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("it is not shown, or kept: %v", r.header)
	}
	for _, s := range portal.Snippets() {
		w.shows(b.page(at+"/secret?lang="+s), "quick: queue")
	}
}

func TestWhatIsCountedIsWhatIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	event := w.event("acme", "order.placed", "1")
	w.endpoint("acme", "late")
	for w.now = time.Now(); !w.now.Truncate(time.Millisecond).After(event.AcceptedAt); w.now = time.Now() {
		runtime.Gosched() // the event's own millisecond is not yet over, and not yet counted
	}
	at := "/portal/t/acme/endpoints/late/recover"
	r := b.post(at, "kind", "replay", "since", "24h")
	w.shows(r.body, "1 delivery</h2>", "Send 1 delivery", `name="at" value="`)
	_, rest, _ := strings.Cut(r.body, `name="at" value="`)
	moment, _, _ := strings.Cut(rest, `"`)
	b.leads(b.post(at, "kind", "replay", "since", "24h", "at", moment, "step", "start", "of", "1"), `/portal/t/acme/jobs/job_\w+\?of=1`)
	jobs, err := w.relay.ListJobs(t.Context(), "acme", client.PageOptions{})
	if err != nil || len(jobs.Data) != 1 || jobs.Data[0].Until.UTC().Format(time.RFC3339Nano) != moment {
		t.Errorf("counted until %s, sent until %+v, %v", moment, jobs.Data, err)
	}
	if r := b.post(at, "kind", "replay", "since", "exact", "from", "yesterday"); r.status != http.StatusUnprocessableEntity {
		t.Errorf("no time at all: %d", r.status)
	}
	w.shows(b.post(at, "kind", "recover", "since", "1h").body, "Nothing to send")
}

// Text of senders and receivers is shown, and is nothing but text.
func TestForeignTextStaysText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	const script = `<script>alert(1)</script><img src=x onerror=alert(2)>`
	_, err := w.relay.CreateEndpoint(t.Context(), "acme", client.NewEndpoint{
		ID: "shop", URL: "https://a.example/?q=%3Cscript%3E&x='\"", Description: script + "\u202e", Tags: []string{"a"},
	})
	if err != nil {
		t.Fatal(err)
	}
	event := w.event("acme", "order.placed", `{"note":"</code></pre>`+script+`","rtl":"a\u202eb"}`)
	for _, at := range []string{"", "/endpoints/shop", "/endpoints/shop/edit", "/endpoints/shop/delete", "/endpoints/shop/test", "/deliveries",
		"/deliveries?type=%22%3E%3Cscript%3E", "/deliveries/" + event.Deliveries[0].ID, "/events/" + event.ID} {
		r := b.get("/portal/t/acme" + at)
		if strings.Contains(r.body, "<script>") || strings.Contains(r.body, "<img src=x") || strings.Contains(r.body, "ZgotmplZ") {
			t.Errorf("%s: %d\n%s", at, r.status, r.body)
		}
	}
	page := b.page("/portal/t/acme/deliveries/" + event.Deliveries[0].ID)
	w.shows(page, `&lt;/code&gt;&lt;/pre&gt;&lt;script&gt;`, `a\u202eb`)
}

func TestLinksBeginWithTheStageOfTheGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	w.endpoint("acme", "shop")
	r := b.at("/relay", http.MethodGet, "/portal/t/acme")
	w.shows(r.body, `href="/relay/portal/t/acme/endpoints/shop"`, `src="/relay/portal/assets/`, `data-enter="/relay/portal/enter"`)
	if strings.Contains(r.body, `="/portal`) {
		t.Errorf("a link leaves the stage out:\n%s", r.body)
	}
	r = b.at("/relay", http.MethodPost, "/portal/leave")
	b.leads(r, "/relay/portal")
	if b.cookie.Path != "/relay/portal" {
		t.Errorf("the cookie is %s", b.cookie)
	}
	w.shows(b.at("/hooks/v2", http.MethodGet, "/portal").body, `data-enter="/hooks/v2/portal/enter"`)
	// What an address says of itself is not taken for a stage.
	if r := b.at("//evil.example", http.MethodPost, "/portal/leave"); r.header.Get("Location") != "/portal" {
		t.Errorf("leads to %s", r.header.Get("Location"))
	}
}

func TestAssetsAreKeptForAYearUnderTheirHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	page := b.page("/portal")
	for _, name := range []string{"style.css", "portal.js", "htmx.min.js", "icon.svg"} {
		before, _, found := strings.Cut(page, "/"+name)
		at := before[strings.LastIndex(before, `"`)+1:] + "/" + name
		r := b.get(at)
		if !found || r.status != http.StatusOK || !strings.Contains(r.header.Get("Cache-Control"), "immutable") || r.header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", at, r.status, r.header)
		}
		if r := b.get("/portal/assets/000000000000/" + name); r.status != http.StatusNotFound {
			t.Errorf("under another hash: %d", r.status)
		}
	}
}

func TestColoursAreRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	r := b.post("/portal/theme", "theme", "dark")
	if len(r.cookies) != 1 || r.cookies[0].Value != "dark" || r.cookies[0].MaxAge <= 0 {
		t.Fatalf("got %v", r.cookies)
	}
	b.cookie = r.cookies[0]
	w.shows(b.page("/portal"), `data-theme="dark"`)
	b.as.Set("Referer", "http://example.com/portal/t/acme?range=7d")
	b.leads(b.post("/portal/theme", "theme", ""), `/portal/t/acme\?range=7d`)
	b.as.Set("Referer", "https://evil.example/portal/t/acme")
	b.leads(b.post("/portal/theme", "theme", ""), `/portal`)
}
