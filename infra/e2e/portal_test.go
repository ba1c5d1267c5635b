package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// enter opens the portal by a link of the tenant's.
func (b *tab) enter(n tenant) {
	b.t.Helper()
	link := as[portalLink](b.t, n.send(b.t, http.MethodPost, n.at("/portal-links"), nil).must(b.t, http.StatusCreated))
	b.open("/portal#" + link.Token)
	b.await("Endpoints")
}

// history gives a tenant three endpoints, of which one answers, one fails and one
// has given up, and events to each.
func (n tenant) history(t *testing.T) (well, failing, dead endpoint) {
	t.Helper()
	good, bad, gone := newHook(t), newHook(t, later), newHook(t, answer{status: 500, body: "<script>alert(1)</script>\nout of stock\u202e"})
	well = n.register(t, newEndpoint{URL: good.url, EventTypes: []string{"order.*"}, Description: "Warehouse"})
	failing = n.register(t, newEndpoint{URL: bad.url, EventTypes: []string{"order.*", "invoice.*"}, Description: "Billing"})
	dead = n.register(t, newEndpoint{URL: gone.url, EventTypes: []string{"order.placed"}})
	for range 3 {
		n.post(t, "order.placed", `{"order":"1001","total":"19.90","lines":[{"sku":"A-1","count":2}]}`)
	}
	n.post(t, "invoice.paid", `{"invoice":"2026-17"}`)
	a := n.post(t, "order.placed", `{"order":"1002","note":"<script>alert(2)</script>"}`)
	n.awaitState(t, a.ID, well.ID, "delivered")
	n.awaitState(t, a.ID, failing.ID, "retrying")
	n.awaitState(t, a.ID, dead.ID, "dead")
	return well, failing, dead
}

func TestPortalShowsAReceiverWhatNeedsAttention(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	n := b.ownRelay()
	_, failing, dead := n.history(t)
	b.enter(n)
	if at := b.at(); at != "/portal/t/"+n.id {
		t.Errorf("the link leads to %s", at)
	}
	b.await("2 of 3 endpoints need attention", "What needs attention first", "Billing", "Degraded", "503 Service Unavailable", "Warehouse", "Healthy")
	b.look("overview")

	b.turn("Billing")
	b.await("Next try", "the endpoint asked for this wait (Retry-After)", "order.*")
	b.look("endpoint")

	b.open("/portal/t/" + n.id + "/deliveries")
	b.await("order.placed", "Delivered", "Retrying", "Failed")
	b.look("deliveries")

	b.open("/portal/t/" + n.id + "/deliveries?status=dead&endpoint=" + dead.ID)
	b.turn("order.placed")
	b.await("Given up after ", "the endpoint's server failed", "Look in its log", "500 Internal Server Error", `alert(1)</script>`, `out of stock\u202e`, `"order": "100`)
	b.look("delivery-dead")

	b.open("/portal/t/" + n.id + "/deliveries?status=retrying&endpoint=" + failing.ID)
	b.turn("order.placed")
	b.await("Try 2 in ", "Retry-After", "Nothing is lost")
	b.look("delivery-retrying")
	b.open("/portal/t/" + n.id + "/events")
	b.await("invoice.paid")
	b.look("events")
	b.turn("invoice.paid")
	b.await("Who got it", "Billing", "2 endpoints it did not go to")
	b.look("event")
	b.quiet()
}

func TestPortalTakesAReceiverFromAnEndpointToADeliveredTest(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	n := newTenant(t)
	n.register(t, newEndpoint{URL: newHook(t).url, Description: "Archive"})
	n.post(t, "order.placed", `{"order":"1"}`)
	n.post(t, "invoice.paid", `{"invoice":"1"}`)
	h := newHook(t, status(500), status(200))
	b.enter(n)
	b.turn("Add an endpoint")
	b.turn("Add the endpoint")
	b.await("Enter the URL that will receive events.", "Choose all events, or only some.")
	if focused := ask[string](b, `document.activeElement.id`); focused != "faults" {
		t.Errorf("the focus is on %q, not on what is wrong", focused)
	}
	b.look("form-faults")
	b.fill("url", h.url)
	b.fill("description", "Checkout")
	b.tick("all-no")
	b.run(chromedp.Click(chromedp.CSS(`[id="type-order.placed"]`)))
	b.fill("types", "refund.*")
	b.look("form")
	b.turn("Add the endpoint")
	b.await("The endpoint is added", "Signing secret", "whsec_••••")
	b.look("secret")
	b.turn("Ruby")
	b.await("OpenSSL::HMAC")
	b.turn("Show it")
	b.await("This look is on record")
	secret := ask[string](b, `document.getElementById("value").textContent`)
	endpoints := as[struct{ Data []endpoint }](t, n.get(t, n.at("/endpoints")).must(t, http.StatusOK)).Data
	var id string
	for _, e := range endpoints {
		if e.Description == "Checkout" {
			id = e.ID
			if !slices.Equal(e.EventTypes, []string{"refund.*", "order.placed"}) {
				t.Errorf("it wants %v", e.EventTypes)
			}
		}
	}
	if id == "" || secret != n.secret(t, id) {
		t.Errorf("the portal shows %q as the secret of %s", secret, id)
	}
	b.accessible()
	h.trust(secret)

	b.turn("Send a test")
	b.await("goes to Checkout alone")
	b.look("test")
	b.fill("data", `{"order": }`)
	b.turn("Send the test")
	b.await("The data is not JSON")
	b.fill("data", `{"order":"7"}`)
	b.turn("Send the test")
	// The first try fails, and the page shows the second one arrive without being loaded again.
	b.await("Arrived", "on try 2", "500 Internal Server Error", "200 OK")
	b.look("delivery-delivered")
	if failure := h.await(t, 2)[1].failure; failure != nil {
		t.Errorf("the test does not verify: %v", failure)
	}

	b.open("/portal/t/" + n.id + "/endpoints/" + id + "/secret")
	b.press("Rotate it")
	b.turn("Rotate the secret")
	b.await("This is the new one", "signed with both")
	if fresh := ask[string](b, `document.getElementById("value").textContent`); fresh == secret || fresh != n.secret(t, id) {
		t.Errorf("the portal shows %q as the new secret", fresh)
	}
	b.open("/portal/t/" + n.id + "/endpoints/" + id)
	b.turn("Pause")
	b.await("Paused", "Events are kept")
	b.turn("Resume")
	b.await("Enabled")
	b.turn("Edit")
	b.fill("description", "Checkout two")
	b.turn("Save")
	b.await("Saved", "Checkout two")
	b.turn("Delete")
	b.await("This cannot be undone")
	b.look("delete")
	b.turn("Delete the endpoint")
	b.await("The endpoint is deleted")
	b.quiet()
}

// ownRelay starts a relay for this test alone, which no other test's redrive
// disturbs, and points the window at it.
func (b *tab) ownRelay(flags ...string) tenant {
	b.t.Helper()
	if relay.deployed {
		b.t.Skip("needs a relay of its own")
	}
	p, err := launch(filepath.Join(b.t.TempDir(), "relay.db"), flags...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(p.kill)
	eventually(b.t, patience, func() (bool, string) {
		p.client = client{base: p.stdout.wordAfter("webhook relay"), key: localKey}
		return p.base != "", p.stderr.String()
	})
	b.base = p.base
	return p.newTenant(b.t, "acme")
}

func TestPortalShowsWhatAFilterLetsThroughAsItIsTyped(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	n := b.ownRelay()
	for name, described := range map[string]string{
		"order.placed": `{"description":"Somebody has bought something","example":{"order":"1001","total":250},"schema":{"type":"object"}}`,
		"order.paid":   `{"description":"The money is here"}`,
		"invoice.paid": `{"deprecated":true}`,
	} {
		n.send(t, http.MethodPut, "/v1/event-types/"+name, json.RawMessage(described)).must(t, http.StatusCreated)
	}
	b.enter(n)
	b.open("/portal/t/acme/types")
	b.await("Somebody has bought something", "Deprecated")
	b.look("types")
	b.turn("order.placed")
	b.await("Example of its data", "1001", "JSON Schema of its data")
	b.look("type")

	b.open("/portal/t/acme/endpoints/new")
	b.fill("url", newHook(t).url)
	b.tick("all-no")
	b.tick("type-order-all")
	b.press("More settings")
	b.press("Try it on an event")
	b.fill("preview_type", "order.placed")
	b.fill("preview_data", `{"total":250}`)
	for typed, want := range map[string]string{
		"data.total > 100": "This event would be delivered.",
		"data.total > 300": "This event would not be delivered.",
		"data.totl > 100":  "The filter fails on this event",
		"dat":              "undeclared reference",
	} {
		b.typeIn("filter", typed)
		b.await(want)
	}
	b.typeIn("filter", "data.total > 100")
	b.await("This event would be delivered.")
	b.look("form-filter")
	b.turn("Add the endpoint")
	b.await("The endpoint is added")
	b.turn("Send a test")
	b.turn("Take it")
	b.await("Send a test")
	b.look("test-example")
	b.quiet()
}

func TestPortalSendsAgainWhatFailed(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	n := b.ownRelay()
	h := newHook(t, status(500))
	e := n.subscribe(t, h)
	var events []accepted
	for range 4 { // few enough to leave the breaker closed
		events = append(events, n.post(t, "order.placed", `{}`))
	}
	for _, a := range events {
		n.awaitState(t, a.ID, e.ID, "dead")
	}
	h.answers(status(200))
	b.enter(n)
	b.await("4 deliveries failed; the events are kept and can be resent.")

	b.open("/portal/t/" + n.id + "/deliveries?status=dead")
	b.turn("order.placed")
	b.turn("Resend now")
	b.await("Delivered", "on try 5", "sent again after it had failed")

	b.open("/portal/t/" + n.id)
	b.turn("Recover")
	b.await("nothing is sent yet")
	b.look("recover")
	b.turn("Count them")
	b.await("3 deliveries", "They failed, and get a fresh schedule of tries.")
	b.look("recover-count")
	b.turn("Send 3 deliveries")
	b.await("Done: 3 deliveries put to work.")
	b.look("job")
	for _, a := range events {
		n.awaitState(t, a.ID, e.ID, "delivered")
	}
	b.open("/portal/t/" + n.id + "/jobs")
	b.await("Recovery", "done")
	b.look("jobs")
	b.open("/portal/t/" + n.id + "/endpoints/" + e.ID + "/recover")
	b.turn("Count them")
	b.await("Nothing to send")
	b.quiet()
}

func TestPortalNarrowsAListWithoutLoadingThePage(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	n := b.ownRelay()
	well, _, _ := n.history(t)
	b.enter(n)
	b.open("/portal/t/" + n.id + "/deliveries")
	b.await("Retrying")
	ask[bool](b, `window.unchanged = true`)
	b.fill("status", "delivered")
	ask[bool](b, `document.getElementById("status").dispatchEvent(new Event("change", {bubbles: true}))`)
	eventually(t, patience, func() (bool, string) {
		shown := ask[string](b, `document.getElementById("results").innerText`)
		return !strings.Contains(shown, "Retrying") && strings.Contains(shown, "Warehouse"), shown
	})
	if !strings.Contains(b.at(), "status=delivered") || !ask[bool](b, `window.unchanged === true`) {
		t.Errorf("the address is %s", b.at())
	}
	b.open("/portal/t/" + n.id + "/deliveries?status=dead&endpoint=" + well.ID)
	b.await("Nothing matches the filters")
	b.look("deliveries-none")
	b.quiet()
}

func TestPortalWorksWithoutScript(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	n := newTenant(t)
	h := newHook(t, status(500), status(200))
	e := n.subscribe(t, h)
	link := as[portalLink](t, n.send(t, http.MethodPost, n.at("/portal-links"), nil).must(t, http.StatusCreated))
	command(b, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: "*://*:*/*.js", Block: true}}})
	b.open("/portal#" + link.Token)
	b.await("Without JavaScript, paste the link here.")
	b.look("entrance")
	b.fill("token", link.URL)
	b.turn("Enter")
	b.await("is quiet")
	if ask[bool](b, `"htmx" in window`) {
		t.Fatal("scripts are loaded all the same")
	}
	b.open("/portal/t/" + n.id + "/endpoints/" + e.ID)
	b.turn("Send a test")
	b.turn("Send the test")
	d := n.awaitDelivered(t, e.ID)
	b.turn("Refresh")
	b.await("Arrived")
	b.open("/portal/t/" + n.id + "/deliveries/" + d.ID)
	b.turn("Resend now")
	b.await("Accepted: one try is made now")
}

// awaitDelivered waits for the endpoint's only delivery to arrive.
func (n tenant) awaitDelivered(t *testing.T, endpointID string) (d delivery) {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		list := as[struct{ Data []delivery }](t, n.get(t, n.at("/deliveries?endpoint=%s", endpointID)).must(t, http.StatusOK)).Data
		if len(list) != 1 || list[0].State != "delivered" {
			return false, fmt.Sprint(list)
		}
		d = list[0]
		return true, ""
	})
	return d
}

func TestPortalIsUsedByKeyboard(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	n := newTenant(t)
	n.subscribe(t, newHook(t))
	b.enter(n)
	press := func(keys string) string {
		b.run(chromedp.KeyEvent(keys))
		return ask[string](b, `document.activeElement.innerText || document.activeElement.tagName`)
	}
	if first := press(kb.Tab); first != "Skip to the content" {
		t.Errorf("Tab leads to %q first", first)
	}
	press(kb.Enter)
	if at := ask[string](b, `location.hash`); at != "#main" {
		t.Errorf("the skip link leads to %q", at)
	}
	eventually(t, patience, func() (bool, string) {
		at := ask[string](b, `document.activeElement.id`)
		return at == "main", "the focus is at " + at
	})
	if next := press(kb.Tab); next != "Add an endpoint" {
		t.Errorf("and the next Tab to %q", next)
	}
	ring := ask[string](b, `getComputedStyle(document.activeElement).outlineWidth`)
	if ring != "3px" {
		t.Errorf("the focus is shown by a ring of %s", ring)
	}
	b.quiet()
}

func TestPortalShowsTheOperatorAllTenants(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	n := b.ownRelay()
	_, _, dead := n.history(t)
	b.open("/portal")
	b.fill("key", n.key)
	b.turn("Sign in")
	b.await("Tenants", "In the dead-letter queue", "Make a tenant")
	b.look("tenants")

	made := randomName("portal")
	b.fill("id", made)
	b.fill("name", "Made in the portal")
	b.turn("Make it")
	b.await("No endpoint yet")
	if got := as[struct{ Name string }](t, n.get(t, "/v1/tenants/"+made).must(t, http.StatusOK)).Name; got != "Made in the portal" {
		t.Errorf("it is called %q", got)
	}

	b.open("/portal/t/" + n.id)
	b.await("need attention")
	b.look("operator-overview")
	b.open("/portal/t/" + n.id + "/keys")
	b.fill("name", "checkout service")
	b.turn("Make it")
	b.await("copy it now", "relay_"+n.id)
	b.look("keys")
	b.press("Revoke")
	b.turn("Revoke it")
	b.await("Revoked", "This tenant has no keys")
	b.open("/portal/t/" + n.id + "/audit")
	b.await("key.revoked", "endpoint.created", dead.ID)
	b.look("audit")

	b.open("/portal/operator/dead-letters")
	b.await("Dead letters", "the retry schedule is over")
	b.look("dead-letters")
	b.turn("Redrive them all")
	b.await("fresh schedule of tries")
	b.look("dead-letters-asked")
	b.turn("Redrive about")
	// Another test's redrive may be under way.
	b.await("redrive")
	b.open("/portal/operator/keys")
	b.await("Admin keys")
	b.look("admin-keys")
	b.open("/portal/operator/audit")
	b.await("dead_letters.redriven")
	b.open("/portal/t/operator/events")
	b.accessible()
}

// In a frame of another site a browser keeps cookies only when they are made for it.
func TestPortalIsShownInAFrameOfAChosenSite(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	var address string
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>A product</title><iframe title="Webhooks" src=%q width="1200" height="800"></iframe>`, address)
	}))
	defer product.Close()
	site := strings.Replace(product.URL, "127.0.0.1", "localhost", 1) // another site than the relay's
	n := b.ownRelay("--portal-embedder", site)
	link := as[portalLink](t, n.send(t, http.MethodPost, n.at("/portal-links"), nil).must(t, http.StatusCreated))
	address = link.URL
	b.run(chromedp.Navigate(site))
	eventually(t, patience, func() (bool, string) {
		found, err := chromedp.CallBrowser(b.ctx, target.GetTargets, target.GetTargetsParams{})
		if err != nil {
			return false, err.Error()
		}
		var frames []string
		for _, info := range found.TargetInfos {
			if info.Type == "iframe" && strings.HasPrefix(info.URL, b.base) {
				frames = append(frames, info.URL)
			}
		}
		// It leads there only when the browser sent the cookie back.
		return slices.Contains(frames, b.base+"/portal/t/acme"), fmt.Sprint(frames)
	})
	b.shoot("frame")
}
