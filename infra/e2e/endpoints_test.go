package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestADisabledEndpointGetsNothingUntilItIsEnabled(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h, witness := newHook(t), newHook(t)
	e := n.subscribe(t, h)
	n.subscribe(t, witness)
	if got := n.change(t, e.ID, map[string]any{"state": "disabled"}); got.State != "disabled" || got.DisabledReason != "manual" {
		t.Errorf("the endpoint is %s because of %q", got.State, got.DisabledReason)
	}
	missed := n.post(t, "order.placed", `{}`)
	if missed.Deliveries != 1 {
		t.Errorf("%d deliveries while disabled, want 1 to the other endpoint", missed.Deliveries)
	}
	if got := n.change(t, e.ID, map[string]any{"state": "enabled"}); got.State != "enabled" || got.DisabledReason != "" {
		t.Errorf("the endpoint is %s because of %q", got.State, got.DisabledReason)
	}
	after := n.post(t, "order.placed", `{}`)
	if after.Deliveries != 2 {
		t.Errorf("%d deliveries once enabled, want 2", after.Deliveries)
	}
	witness.awaitEvent(t, missed.ID)
	witness.awaitEvent(t, after.ID)
	h.awaitEvent(t, after.ID)
	if got := h.got(); len(got) != 1 {
		t.Errorf("the endpoint got %d events, want the last one only", len(got))
	}
}

// No cache may lag: the caller who changed a subscription and then posts knows
// what happens.
func TestAChangeOfASubscriptionAppliesToTheVeryNextEvent(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	e := n.subscribe(t, h)
	for i := range 6 {
		want := i % 2
		n.change(t, e.ID, map[string]any{"event_types": [][]string{{"invoice.*"}, {"order.*"}}[want]})
		if got := n.post(t, "order.placed", `{}`).Deliveries; got != want {
			t.Errorf("after change %d: %d deliveries, want %d", i+1, got, want)
		}
	}
	second := newHook(t)
	other := n.subscribe(t, second)
	if got := n.post(t, "order.placed", `{}`).Deliveries; got != 2 {
		t.Errorf("after an endpoint was registered: %d deliveries, want 2", got)
	}
	n.send(t, http.MethodDelete, n.at("/endpoints/%s", other.ID), nil).must(t, http.StatusNoContent)
	if got := n.post(t, "order.placed", `{}`).Deliveries; got != 1 {
		t.Errorf("after it was removed: %d deliveries, want 1", got)
	}
}

func TestOnlyTheFieldsGivenAreChanged(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	spec := newEndpoint{
		ID: "mine_1-A", URL: newHook(t).url + "?token=a%20b&x=1", Description: "Zwei\nZeilen 日本", EventTypes: []string{"order.*", "a.*.b"},
	}
	e := n.register(t, spec)
	want := endpoint{
		Health: health{State: "ok"},
		ID:     spec.ID, URL: spec.URL, Description: spec.Description, EventTypes: spec.EventTypes,
		Headers: map[string]string{}, State: "enabled", Signature: "v1", CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
	mustBe := func(got endpoint, step string) {
		t.Helper()
		want.UpdatedAt = got.UpdatedAt
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", step, diff)
		}
		if shown := as[endpoint](t, n.get(t, n.at("/endpoints/%s", spec.ID))); !cmp.Equal(got, shown) {
			t.Errorf("%s: shown as %+v", step, shown)
		}
	}
	mustBe(e, "registered")
	want.Description = ""
	mustBe(n.change(t, spec.ID, map[string]any{"description": ""}), "description emptied")
	want.EventTypes = []string{}
	mustBe(n.change(t, spec.ID, map[string]any{"event_types": []string{}}), "subscribed to everything")
	want.URL = newHook(t).url
	mustBe(n.change(t, spec.ID, map[string]any{"url": want.URL}), "moved")
	mustBe(n.change(t, spec.ID, map[string]any{}), "nothing changed")

	// The id is taken, in this tenant only.
	n.send(t, http.MethodPost, n.at("/endpoints"), spec).must(t, http.StatusConflict)
	newTenant(t).register(t, spec)

	n.send(t, http.MethodDelete, n.at("/endpoints/%s", spec.ID), nil).must(t, http.StatusNoContent)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		n.send(t, method, n.at("/endpoints/%s", spec.ID), nil).must(t, http.StatusNotFound)
	}
	// Its id is free again.
	n.register(t, spec)
}

func TestARequestGoesToTheURLAsRegisteredWithTheHeadersOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	query := "?token=a%20b%2Fc&x=%C3%A9&y"
	e := n.register(t, newEndpoint{URL: h.url + query, EventTypes: []string{"order.placed"}})
	h.trust(n.secret(t, e.ID))
	arrived := n.arrivalOfNext(t, h)
	if !strings.HasSuffix(arrived.target, query) {
		t.Errorf("%s was requested, want the query %s", arrived.target, query)
	}
	got := arrived.header
	for _, name := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "User-Agent", "Content-Length"} {
		if len(got[name]) != 1 || got.Get(name) == "" {
			t.Errorf("%s is %q", name, got[name])
		}
	}
	if got.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type is %q", got.Get("Content-Type"))
	}
	// Nothing else that a receiver might trip over, such as a key of the relay's caller.
	known := []string{
		"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "User-Agent", "Content-Length", "Content-Type", "Accept-Encoding",
	}
	for name := range got {
		if !slices.Contains(known, name) {
			t.Errorf("unexpected header %s: %q", name, got[name])
		}
	}
}

func TestPlainHTTPToThePublicIsForLaptopsOnly(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	status := http.StatusCreated
	if relay.deployed {
		status = http.StatusBadRequest
	}
	n.send(t, http.MethodPost, n.at("/endpoints"), newEndpoint{URL: "http://93.184.215.14:8080/hook"}).must(t, status)
	n.register(t, newEndpoint{URL: "https://example.com/hook"})
}
