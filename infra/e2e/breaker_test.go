package e2e

import (
	"fmt"
	"testing"
)

// An endpoint that fails over and over is left alone but for probes; what is
// on hold meanwhile arrives once it is back.
func TestADeadEndpointIsLeftAloneAndAllArrivesOnceItIsBack(t *testing.T) {
	t.Parallel()
	const before, during = 60, 40
	n := newTenant(t)
	h := newHook(t, status(503))
	e := n.subscribe(t, h)
	ids := make(map[string]bool)
	for i := range before {
		ids[n.post(t, "order.placed", fmt.Sprint(i)).ID] = true
	}
	eventually(t, patience, func() (bool, string) {
		health := as[endpoint](t, n.get(t, n.at("/endpoints/%s", e.ID))).Health
		return health.State == "open" && health.NextProbeAt != nil, fmt.Sprintf("health %+v", health)
	})
	n.awaitOnHold(t, e.ID, before)
	posts := len(h.got())
	for i := range during {
		ids[n.post(t, "order.placed", fmt.Sprint(before+i)).ID] = true
	}
	n.awaitOnHold(t, e.ID, before+during)
	if more := len(h.got()) - posts; more > during/2 {
		t.Errorf("%d events were posted %d times while the endpoint was to be left alone", during, more)
	}

	h.answers(status(200))
	// Where the sweeper comes once a minute, it takes a probe and a release or two.
	eventually(t, 2*patience, func() (bool, string) {
		delivered := as[page[delivery]](t, n.get(t, n.at("/deliveries?endpoint=%s&status=delivered&limit=250", e.ID))).Data
		return len(delivered) == before+during, fmt.Sprintf("%d of %d delivered", len(delivered), before+during)
	})
	for _, a := range h.got() {
		delete(ids, a.id)
	}
	if len(ids) > 0 {
		t.Errorf("%d events did not arrive", len(ids))
	}
	if health := as[endpoint](t, n.get(t, n.at("/endpoints/%s", e.ID))).Health; health.State != "ok" {
		t.Errorf("health %+v", health)
	}
}

// awaitOnHold returns once all deliveries to the endpoint are on hold, but for
// one that may be probing.
func (n tenant) awaitOnHold(t *testing.T, endpointID string, all int) {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		parked := as[page[delivery]](t, n.get(t, n.at("/deliveries?endpoint=%s&status=parked&limit=250", endpointID))).Data
		return len(parked) >= all-1, fmt.Sprintf("%d of %d on hold", len(parked), all)
	})
}

// The retry of one delivery is not put off by another that hangs beside it.
func TestARetryDoesNotWaitForASlowEndpoint(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	slow, failing := newHook(t, answer{hold: make(chan struct{})}), newHook(t, status(500), status(200))
	hanging, recovering := n.subscribe(t, slow), n.subscribe(t, failing)
	a := n.post(t, "order.placed", `1`)
	n.awaitState(t, a.ID, recovering.ID, "delivered")
	if d := n.deliveryTo(t, a.ID, hanging.ID); d.State != "queued" {
		t.Errorf("the other is %s: it had its timeout before the retry was made", d)
	}
}
