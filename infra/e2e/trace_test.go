package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
)

var childOfTrace = regexp.MustCompile(`^00-` + traceID + `-([0-9a-f]{16})-01$`)

// An event's trace goes on at its endpoints: each attempt is a child of the
// span that posted it.
func TestATraceGoesOnAtTheEndpoints(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(http.StatusInternalServerError), status(http.StatusOK))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `1`, header("traceparent", "00-"+traceID+"-"+spanID+"-01"), header("tracestate", "congo=t61rcWkgMzE"))
	n.awaitState(t, a.ID, e.ID, "delivered")
	spans := map[string]bool{spanID: true}
	attempts := h.awaitEvent(t, a.ID)
	for _, got := range attempts {
		parent := got.header.Values("Traceparent")
		if len(parent) != 1 || !childOfTrace.MatchString(parent[0]) || got.header.Get("Tracestate") != "congo=t61rcWkgMzE" {
			t.Fatalf("traceparent %q, tracestate %q", parent, got.header.Get("Tracestate"))
		}
		span := childOfTrace.FindStringSubmatch(parent[0])[1]
		if spans[span] {
			t.Errorf("the span %s again", span)
		}
		spans[span] = true
	}
	if len(attempts) != 2 {
		t.Errorf("%d attempts, want 2", len(attempts))
	}
}

func TestEventsOfABatchShareItsTrace(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	n.subscribe(t, h)
	body := fmt.Sprintf(`{"events":[%s,%s]}`, eventBody("order.placed", `1`), eventBody("order.placed", `2`))
	n.send(t, http.MethodPost, n.at("/events/batch"), body, header("traceparent", "00-"+traceID+"-"+spanID+"-01")).must(t, http.StatusAccepted)
	for _, got := range h.await(t, 2) {
		if !childOfTrace.MatchString(got.header.Get("Traceparent")) {
			t.Errorf("traceparent %q", got.header.Get("Traceparent"))
		}
	}
}

func TestAMalformedTraceIsAsThoughThereWereNone(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	n.subscribe(t, h)
	a := n.post(t, "order.placed", `1`, header("traceparent", "00-"+traceID+"-0000000000000000-01"), header("tracestate", "a=1"))
	for _, got := range h.awaitEvent(t, a.ID) {
		if got.header.Get("Traceparent") != "" || got.header.Get("Tracestate") != "" {
			t.Errorf("sent %q, %q", got.header.Get("Traceparent"), got.header.Get("Tracestate"))
		}
	}
}
