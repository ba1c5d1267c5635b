package e2e

import (
	"net/http"
	"testing"
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
	n := newTenant(t)
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
	b.await("Given up after 4 tries", "the endpoint's server failed", "Look in its log", "500 Internal Server Error", `alert(1)</script>`, `out of stock\u202e`, `"order": "100`)
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
