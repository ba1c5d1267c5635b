package e2e

import (
	"net/http"
	"testing"
)

// The test event's type is one that no endpoint subscribed to.
func TestATestEventIsSentToItsEndpointAlone(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	tested, other := newHook(t), newHook(t)
	e := n.subscribe(t, tested, "invoice.*")
	n.subscribe(t, other, "invoice.*")
	body := map[string]any{"type": "order.placed", "data": map[string]string{"order": "1001"}}
	d := as[delivery](t, n.send(t, http.MethodPost, n.at("/endpoints/%s/test", e.ID), body).must(t, http.StatusAccepted))
	d = n.awaitState(t, d.EventID, e.ID, "delivered")
	if arrivals := tested.await(t, 1); arrivals[0].failure != nil || arrivals[0].id != d.EventID {
		t.Errorf("arrived as %s: %v", arrivals[0].id, arrivals[0].failure)
	}
	if got := len(n.event(t, d.EventID).Deliveries); got != 1 {
		t.Errorf("it has %d deliveries", got)
	}
}
