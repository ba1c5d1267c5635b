package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

type filterTest struct {
	Result, Detail string
	DecidedBy      []struct {
		Expression string
		Value      any
		Of         []struct {
			Expression string
			Value      any
		}
	} `json:"decided_by"`
}

func TestAFilterLetsThroughWhatMatches(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	all, big := newHook(t), newHook(t)
	n.subscribe(t, all)
	e := n.register(t, newEndpoint{URL: big.url, EventTypes: []string{"order.*"}, Filter: `data.total > 100 && type != "order.lost"`})
	big.trust(n.secret(t, e.ID))

	large, small := n.post(t, "order.placed", `{"total":250}`), n.post(t, "order.placed", `{"total":50}`)
	if large.Deliveries != 2 || small.Deliveries != 1 {
		t.Errorf("%d and %d deliveries", large.Deliveries, small.Deliveries)
	}
	batch := n.postBatch(t, http.StatusAccepted, eventBody("order.placed", `{"total":251}`), eventBody("order.lost", `{"total":252}`))
	if batch.Data[0].Event.Deliveries != 2 || batch.Data[1].Event.Deliveries != 1 {
		t.Errorf("%+v", batch)
	}
	big.awaitEvent(t, large.ID)
	big.awaitEvent(t, batch.Data[0].Event.ID)
	all.await(t, 4)
	if arrivals := big.got(); len(arrivals) != 2 {
		t.Errorf("%d arrivals", len(arrivals))
	}

	// A wider filter counts with the next event, and a replay brings what it would have let through.
	n.change(t, e.ID, map[string]any{"filter": `data.total >= 50 && type != "order.lost"`})
	if next := n.post(t, "order.placed", `{"total":60}`); next.Deliveries != 2 {
		t.Errorf("%d deliveries after the change", next.Deliveries)
	}
	n.awaitJob(t, n.start(t, e.ID, "replay", nil), "done")
	big.awaitEvent(t, small.ID)
	if arrivals := big.got(); len(arrivals) != 4 {
		t.Errorf("%d arrivals after the replay", len(arrivals))
	}
}

func TestAFilterIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for filter, says := range map[string]string{
		"data.total >": "line 1, column 13",
		"data.total":   "true or false",
		"data.a.all(x, data.b.all(y, data.c.all(z, x == y && y == z)))": "cost too much",
		"type.matches(data.pattern)":                                    "literal",
		strings.Repeat(" ", 2100) + "true":                              "2048 bytes",
	} {
		r := n.send(t, http.MethodPost, n.at("/endpoints"), newEndpoint{URL: "https://example.com/", Filter: filter}).must(t, http.StatusBadRequest)
		if p := as[problem](t, r); p.Field != "filter" || !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %+v", clip(filter, 80), p)
		}
	}
}

// A filter that fails on an event neither lets it through nor loses it.
func TestAFilterThatFailsIsSeenAndCanBeCorrected(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	spec := newEndpoint{URL: h.url, Filter: `data.total > 100`, Schedule: []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}
	e := n.register(t, spec)
	h.trust(n.secret(t, e.ID))
	event := n.post(t, "order.placed", `{"amount":250}`)
	d := n.awaitDelivery(t, event.ID, e.ID, func(d delivery) bool { return d.AttemptCount > 0 })
	if a := d.Attempts[0]; a.Reason != "filter_failed" || a.Outcome != "failed" || !strings.Contains(a.Error, "no such key: total (line 1, column") {
		t.Errorf("%+v", a)
	}
	n.change(t, e.ID, map[string]any{"filter": `data.amount > 100`})
	n.awaitState(t, event.ID, e.ID, "delivered")
	h.awaitEvent(t, event.ID)

	n.change(t, e.ID, map[string]any{"filter": `data.total > 100`})
	other := n.post(t, "order.placed", `{"amount":1}`)
	n.awaitDelivery(t, other.ID, e.ID, func(d delivery) bool { return d.AttemptCount > 0 })
	n.change(t, e.ID, map[string]any{"filter": `data.amount > 100`})
	if d := n.awaitState(t, other.ID, e.ID, "cancelled"); d.Reason != "filtered" {
		t.Errorf("%s", d)
	}
	if arrivals := h.got(); len(arrivals) != 1 {
		t.Errorf("%d arrivals", len(arrivals))
	}
}

func TestAFilterIsTriedOnAnExample(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for data, want := range map[string]string{`{"total":250}`: "match", `{"total":50}`: "no_match", `{}`: "failed"} {
		body := fmt.Sprintf(`{"filter":"type == \"order.placed\" && data.total > 100","event":%s}`, eventBody("order.placed", data))
		got := as[filterTest](t, n.send(t, http.MethodPost, n.at("/filters/test"), body).must(t, http.StatusOK))
		if got.Result != want || (got.Detail == "") != (want != "failed") || len(got.DecidedBy) == 0 {
			t.Errorf("%s: %+v", data, got)
		}
		if want == "no_match" {
			part := got.DecidedBy[0]
			if part.Expression != "data.total > 100" || part.Value != false || part.Of[0].Expression != "data.total" || part.Of[0].Value != 50.0 {
				t.Errorf("%+v", part)
			}
		}
	}
	r := n.send(t, http.MethodPost, n.at("/filters/test"), `{"filter":"nonsense(","event":{"type":"a","data":1}}`).must(t, http.StatusBadRequest)
	if p := as[problem](t, r); p.Field != "filter" {
		t.Errorf("%+v", p)
	}
}
