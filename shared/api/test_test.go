package api_test

import (
	"net/http"
	"testing"

	"webhookrelay/shared/auth"
)

func TestATestEventGoesToItsEndpointAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.newParty("alice") // whose endpoints want alice.* only
	at := "/v1/tenants/alice/endpoints/alice-2"
	got := w.must(alice.keys[auth.ScopePortal], http.MethodPost, at+"/test", `{"type":"order.placed","data":{"a":1}}`)
	if got["endpoint_id"] != "alice-2" || got["state"] != "queued" || got["event_type"] != "order.placed" {
		t.Fatalf("got %v", got)
	}
	event := w.must(alice.keys[auth.ScopePortal], http.MethodGet, "/v1/tenants/alice/events/"+got["event_id"].(string), "")
	if deliveries := event["deliveries"].([]any); len(deliveries) != 1 || deliveries[0].(map[string]any)["id"] != got["id"] {
		t.Errorf("its deliveries are %v", deliveries)
	}

	for rule, tc := range map[string]struct {
		at, body string
		status   int
		code     string
	}{
		"AnUnknownEndpoint": {"/v1/tenants/alice/endpoints/nothing", `{"type":"a","data":1}`, http.StatusNotFound, "not-found"},
		"NoData":            {at, `{"type":"a"}`, http.StatusBadRequest, "invalid-field"},
		"NoType":            {at, `{"data":1}`, http.StatusBadRequest, "invalid-field"},
		"AnIDOfItsOwn":      {at, `{"type":"a","data":1,"id":"x"}`, http.StatusBadRequest, "invalid-field"},
	} {
		t.Run(rule, func(t *testing.T) {
			w.problem(w.call(w.root, http.MethodPost, tc.at+"/test", tc.body), tc.status, tc.code)
		})
	}
	w.must(w.root, http.MethodPatch, at, `{"state":"disabled"}`)
	w.problem(w.call(w.root, http.MethodPost, at+"/test", `{"type":"a","data":1}`), http.StatusConflict, "endpoint-disabled")
}

func TestAnOperatorsLinkOpensAllButMoreLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newParty("alice")
	link := w.must(w.root, http.MethodPost, "/v1/portal-links", "")
	token := link["token"].(string)
	w.must(token, http.MethodGet, "/v1/tenants", "")
	w.must(token, http.MethodGet, "/v1/tenants/alice/endpoints", "")
	for _, at := range []string{"/v1/portal-links", "/v1/tenants/alice/portal-links"} {
		w.problem(w.call(token, http.MethodPost, at, ""), http.StatusForbidden, "forbidden")
	}
}
