package portal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/client"
	"webhookrelay/shared/portal"
)

// party is a tenant with one of everything that a page may be about.
type party struct {
	tenant string
	// ids are what may stand in a path, by name.
	ids map[string]string
}

func (w *world) party(tenant string) party {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.relay.PutTenant(ctx, tenant, tenant+" & Sons"); err != nil {
		w.t.Fatal(err)
	}
	w.endpoint(tenant, tenant+"-1")
	event := w.event(tenant, tenant+".made", `{"of":"`+tenant+`"}`)
	begun, err := w.relay.RecoverEndpoint(ctx, tenant, tenant+"-1", client.NewJob{Since: time.Now().Add(-time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := w.relay.CreateKey(ctx, tenant, client.NewKey{Scope: "read", Name: tenant})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.relay.PutEventType(ctx, "order.placed", client.NewEventType{Description: "An order", Example: []byte(`{"order":"1001"}`)}); err != nil {
		w.t.Fatal(err)
	}
	return party{tenant, map[string]string{
		"type": "order.placed", "tenant": tenant, "endpoint": tenant + "-1", "event": event.ID, "delivery": event.Deliveries[0].ID, "job": begun.Job.ID, "key": key.ID,
	}}
}

// at puts ids into a route's pattern.
func (p party) at(pattern string) string {
	for name, id := range p.ids {
		pattern = strings.ReplaceAll(pattern, "{"+name+"}", id)
	}
	return "/portal" + pattern
}

// forms are what each form needs to be taken.
var forms = map[string]url.Values{
	"/t/{tenant}/endpoints":                    {"url": {"https://new.example/"}, "all": {"yes"}},
	"/t/{tenant}/endpoints/{endpoint}/edit":    {"url": {"https://new.example/"}, "all": {"no"}, "types": {"a.*"}},
	"/t/{tenant}/endpoints/{endpoint}/state":   {"state": {"paused"}},
	"/t/{tenant}/endpoints/{endpoint}/rotate":  {"overlap": {"3600"}},
	"/t/{tenant}/endpoints/{endpoint}/test":    {"type": {"a.b"}, "data": {`{"a":1}`}},
	"/t/{tenant}/endpoints/{endpoint}/recover": {"kind": {"recover"}, "since": {"1h"}, "step": {"start"}},
	"/t/{tenant}/keys":                         {"scope": {"read"}, "name": {"x"}},
	"/operator/tenants":                        {"id": {"new"}, "name": {"New"}},
	"/operator/keys":                           {"name": {"x"}},
	"/t/{tenant}/endpoints/{endpoint}/delete":  {},
	"/t/{tenant}/endpoints/{endpoint}/secret":  {},
	"/t/{tenant}/deliveries/{delivery}/resend": {},
	"/t/{tenant}/deliveries/{delivery}/cancel": {},
	"/t/{tenant}/jobs/{job}/cancel":            {},
	"/t/{tenant}/keys/{key}/revoke":            {},
	"/operator/dead-letters/redrive":           {},
}

// operatorsOnly are the pages of a tenant that a receiver's link does not open.
var operatorsOnly = regexp.MustCompile(`/(keys|audit)\b`)

func TestEveryPageOfATenantIsMadeAndEveryFormTaken(t *testing.T) {
	t.Parallel()
	for _, route := range portal.Routes() {
		if route.Open || route.Operators {
			continue
		}
		t.Run(route.Method+" "+route.Pattern, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			acme := w.party("acme")
			b := w.receiver("acme")
			r := b.do(route.Method, acme.at(route.Pattern), forms[route.Pattern])
			if operatorsOnly.MatchString(route.Pattern) {
				if r.status != http.StatusForbidden {
					t.Errorf("a link opens it: %d", r.status)
				}
				b = w.operator()
				r = b.do(route.Method, acme.at(route.Pattern), forms[route.Pattern])
			}
			if r.status == http.StatusSeeOther {
				r = b.get(r.header.Get("Location"))
			}
			if r.status != http.StatusOK || !strings.Contains(r.body, "<h1") {
				t.Fatalf("%d\n%s", r.status, r.body)
			}
			if strings.Contains(r.body, "ZgotmplZ") || strings.Contains(r.body, " style=") || strings.Contains(r.body, "<script>") {
				t.Errorf("something stands inline:\n%s", r.body)
			}
		})
	}
}

func TestEveryOperatorsPageIsMade(t *testing.T) {
	t.Parallel()
	for _, route := range portal.Routes() {
		if !route.Operators {
			continue
		}
		t.Run(route.Method+" "+route.Pattern, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			acme := w.party("acme")
			b := w.operator()
			admin, err := w.relay.CreateAdminKey(t.Context(), client.NewKey{Name: "x"})
			if err != nil {
				t.Fatal(err)
			}
			acme.ids["key"] = admin.ID
			r := b.do(route.Method, acme.at(route.Pattern), forms[route.Pattern])
			if r.status == http.StatusSeeOther {
				r = b.get(r.header.Get("Location"))
			}
			if r.status != http.StatusOK {
				t.Errorf("%d\n%s", r.status, r.body)
			}
			receiver := w.receiver("acme")
			if r := receiver.do(route.Method, acme.at(route.Pattern), forms[route.Pattern]); r.status != http.StatusForbidden && r.status != http.StatusNotFound {
				t.Errorf("a receiver gets %d", r.status)
			}
		})
	}
}

func TestNoPageReachesIntoAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.party("alice"), w.party("bob")
	b := w.receiver("bob")
	before, err := w.relay.ListAudit(t.Context(), "alice", client.PageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range portal.Routes() {
		if route.Open || route.Operators {
			continue
		}
		t.Run(route.Method+" "+route.Pattern, func(t *testing.T) {
			nobody := party{"nobody", map[string]string{"tenant": "nobody"}}
			for name, id := range alice.ids {
				if name != "tenant" {
					nobody.ids[name] = strings.ReplaceAll(id, "alice", "nobody")
				}
			}
			got := b.do(route.Method, alice.at(route.Pattern), forms[route.Pattern])
			like := b.do(route.Method, nobody.at(route.Pattern), forms[route.Pattern])
			if got.status != http.StatusNotFound || like.status != http.StatusNotFound ||
				strings.ReplaceAll(got.body, "alice", "nobody") != like.body {
				t.Errorf("another tenant's is %d, none at all %d:\n%s", got.status, like.status, got.body)
			}
			if strings.Count(route.Pattern, "{") == 1 {
				return
			}
			if strings.Contains(route.Pattern, "{type}") {
				return // types are everyone's
			}
			// Another tenant's ids, under one's own name.
			mixed := party{"bob", map[string]string{"tenant": bob.tenant}}
			for name, id := range alice.ids {
				if name != "tenant" {
					mixed.ids[name] = id
				}
			}
			want := http.StatusNotFound
			if operatorsOnly.MatchString(route.Pattern) {
				want = http.StatusForbidden
			}
			if got := b.do(route.Method, mixed.at(route.Pattern), forms[route.Pattern]); got.status != want {
				t.Errorf("another tenant's id is %d:\n%s", got.status, got.body)
			}
		})
	}
	after, err := w.relay.ListAudit(t.Context(), "alice", client.PageOptions{})
	if err != nil || fmt.Sprint(after.Data) != fmt.Sprint(before.Data) {
		t.Errorf("something was changed: %v, %v", after.Data, err)
	}
	for _, filter := range []string{"endpoint=alice-1", "type=alice.made"} {
		if page := b.page("/portal/t/bob/deliveries?" + filter); strings.Contains(page, alice.ids["delivery"]) {
			t.Errorf("%s shows another tenant's delivery", filter)
		}
	}
}

func TestWithoutASessionEveryPageLeadsToTheEntrance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.party("acme")
	for _, route := range portal.Routes() {
		if route.Open {
			continue
		}
		b := w.browser()
		b.leads(b.do(route.Method, acme.at(route.Pattern), forms[route.Pattern]), "/portal")
	}
}

func TestAFormOfAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.party("acme")
	b := w.operator()
	for rule, header := range map[string]http.Header{
		"OfAnotherSite":            {"Sec-Fetch-Site": {"cross-site"}},
		"OfASiblingSite":           {"Sec-Fetch-Site": {"same-site"}},
		"OfAnotherOrigin":          {"Origin": {"https://evil.example"}},
		"OfAnOriginThatIsKept":     {"Origin": {"null"}},
		"ThatSaysNotWhereItIsFrom": {},
	} {
		b.as = header
		for _, route := range portal.Routes() {
			if route.Method != http.MethodPost {
				continue
			}
			if r := b.do(route.Method, acme.at(route.Pattern), forms[route.Pattern]); r.status != http.StatusForbidden || len(r.cookies) > 0 {
				t.Errorf("%s: %s is answered %d", rule, route.Pattern, r.status)
			}
		}
	}
	b.as = http.Header{"Origin": {"http://example.com"}} // httptest's own host
	b.leads(b.post(acme.at("/t/{tenant}/endpoints/{endpoint}/state"), "state", "paused"), ".*done=paused")
}

// The counts of a day are read once, for the endpoints and the chart.
func TestTheOverviewCountsADayOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.party("acme")
	b := w.receiver("acme")
	for query, want := range map[string]int{"": 1, "?range=7d": 2} {
		w.asked.Store(0)
		b.page(acme.at("/t/{tenant}") + query)
		if got := int(w.asked.Load()); got != want {
			t.Errorf("%q: statistics are asked for %d times, want %d", query, got, want)
		}
	}
}

// A store that is down for the counts takes nothing else away.
func TestTheOverviewIsThereWithoutItsCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.party("acme")
	b := w.receiver("acme")
	w.uncounted.Store(true)
	page := b.page(acme.at("/t/{tenant}"))
	w.shows(page, "The counts could not be had just now", "acme-1.example", "Add an endpoint", "Not counted")
	if strings.Contains(page, "All is quiet") || strings.Contains(page, "No traffic") {
		t.Error("it says what it cannot know")
	}
	w.shows(w.operator().page("/portal/operator"), "The counts could not be had just now", ">acme</a>")
}

func TestEventsAreFoundByTypeTagAndTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receiver("acme")
	w.event("acme", "order.placed", "1")
	tagged, err := w.relay.PostEvent(t.Context(), "acme", client.NewEvent{Type: "invoice.paid", Data: []byte("1"), Tags: []string{"vip"}})
	if err != nil {
		t.Fatal(err)
	}
	b := w.operator() // whose session is still good then
	w.now = time.Now().Add(2 * time.Hour)
	for query, want := range map[string]string{
		"type=invoice.*": tagged.ID, "tag=vip": tagged.ID, "time=24h": tagged.ID,
		"time=1h": "Nothing matches the filters", "tag=other": "Nothing matches the filters",
	} {
		page := b.page("/portal/t/acme/events?" + query)
		w.shows(page, want)
		if strings.Contains(page, "order.placed") != (query == "time=24h") {
			t.Errorf("%s does not narrow the list", query)
		}
	}
	w.shows(b.page("/portal/t/acme/events/"+tagged.ID), "events?tag=vip")
}

func TestAScheduledEventSaysWhenItIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	w.endpoint("acme", "shop")
	at := time.Now().Add(3 * time.Hour)
	made, err := w.relay.PostEvent(t.Context(), "acme", client.NewEvent{Type: "order.placed", Data: []byte("1"), DeliverAt: &at})
	if err != nil {
		t.Fatal(err)
	}
	event, err := w.relay.GetEvent(t.Context(), "acme", made.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.shows(b.page("/portal/t/acme/events/"+made.ID), "Scheduled for")
	w.shows(b.page("/portal/t/acme/deliveries/"+event.Deliveries[0].ID), "Sent in 3 h", "the sender chose this time", `hx-trigger="every 15s"`)
}

func TestTypesAreThoseOfTheCatalogueOrOfTheLatestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	w.shows(b.page("/portal/t/acme/types"), "None yet")
	w.event("acme", "seen.lately", "1")
	w.shows(b.page("/portal/t/acme/types"), "Nobody has described the types yet", "seen.lately")
	w.shows(b.page("/portal/t/acme/endpoints/new"), `id="type-seen.lately"`)
	for name, described := range map[string]client.NewEventType{
		"order.placed": {Description: "An order <b>", Example: []byte(`{"order":"1001"}`), Schema: []byte(`{"type":"object"}`)},
		"order.paid":   {Deprecated: true}, "invoice.paid": {},
	} {
		if _, err := w.relay.PutEventType(t.Context(), name, described); err != nil {
			t.Fatal(err)
		}
	}
	list := b.page("/portal/t/acme/types")
	w.shows(list, "An order &lt;b&gt;", "Deprecated", "invoice.paid")
	if strings.Contains(list, "seen.lately") {
		t.Error("the catalogue is not all there is")
	}
	w.shows(b.page("/portal/t/acme/types/order.placed"), "Example of its data", "1001", "JSON Schema", "object")
	form := b.page("/portal/t/acme/endpoints/new")
	w.shows(form, `value="order.*"`, `value="order.paid"`, `value="invoice.paid"`)
	if strings.Contains(form, `value="invoice.*"`) {
		t.Error("a group of one is offered")
	}
	w.endpoint("acme", "shop")
	w.shows(b.page("/portal/t/acme/endpoints/shop/test?type=order.placed"), "&#34;order&#34;: &#34;1001&#34;")
	if r := b.get("/portal/t/acme/types/nothing.here"); r.status != http.StatusNotFound {
		t.Errorf("an unknown type is %d", r.status)
	}
}

func TestAFilterIsTriedBeforeItIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	w.event("acme", "order.placed", `{"total":250}`)
	w.shows(b.page("/portal/t/acme/endpoints/new"), "&#34;total&#34;: 250") // the latest event is what it is tried on
	try := func(filter, data string) string {
		r := b.post("/portal/t/acme/endpoints", "url", "https://a.example/", "filter", filter, "preview_type", "order.placed", "preview_data", data, "preview", "yes")
		if r.status != http.StatusOK {
			t.Fatalf("%d\n%s", r.status, r.body)
		}
		w.shows(r.body, `value="https://a.example/"`)
		return r.body
	}
	w.shows(try("data.total > 100", `{"total":250}`), "This event would be delivered.")
	w.shows(try("data.total > 100", `{"total":50}`), "This event would not be delivered.", "data.total")
	w.shows(try("data.total > 100", `{}`), "The filter fails on this event")
	w.shows(try("dat.total", `{}`), "undeclared reference")
	w.shows(try("", `{}`), "Without a filter")
	w.shows(try("true", `{`), "The example is not JSON")
	if found, err := w.relay.ListEndpoints(t.Context(), "acme", client.PageOptions{}); err != nil || len(found.Data) > 0 {
		t.Errorf("trying it keeps it: %+v, %v", found.Data, err)
	}

	r := b.post("/portal/t/acme/endpoints", "url", "https://a.example/", "all", "yes", "filter", "nonsense(")
	if r.status != http.StatusUnprocessableEntity {
		t.Fatalf("%d", r.status)
	}
	w.shows(r.body, `href="#filter"`)
	b.leads(b.post("/portal/t/acme/endpoints", "url", "https://a.example/", "all", "yes", "filter", "data.total > 100"), ".*done=added")
	found, err := w.relay.ListEndpoints(t.Context(), "acme", client.PageOptions{})
	if err != nil || len(found.Data) != 1 || found.Data[0].Filter != "data.total > 100" {
		t.Fatalf("got %+v, %v", found.Data, err)
	}
	at := "/portal/t/acme/endpoints/" + found.Data[0].ID
	w.shows(b.page(at), "data.total &gt; 100")
	w.shows(b.page(at+"/edit"), "data.total &gt; 100")
	b.leads(b.post(at+"/edit", "url", "https://a.example/", "all", "yes", "filter", ""), ".*done=saved")
	if e, err := w.relay.GetEndpoint(t.Context(), "acme", found.Data[0].ID); err != nil || e.Filter != "" {
		t.Errorf("it is kept: %q, %v", e.Filter, err)
	}
}

func TestAnAddressThatIsEscapedOtherwiseIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.receiver("acme")
	r := b.at("/portal/t/%61cme?x", http.MethodGet, "/portal/t/acme")
	if strings.Contains(r.body, "%61") {
		t.Errorf("links begin with it:\n%s", r.body)
	}
}
