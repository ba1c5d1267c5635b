package e2e

import (
	"net/http"
	"testing"
)

func TestATenantIsMadeOnceAndThenRenamed(t *testing.T) {
	t.Parallel()
	path := "/v1/tenants/" + randomName("e2e")
	put := func(body any, status int) tenantView {
		t.Helper()
		return as[tenantView](t, relay.send(t, http.MethodPut, path, body).must(t, status))
	}
	relay.send(t, http.MethodGet, path, nil).must(t, http.StatusNotFound)
	made := put(nil, http.StatusCreated)
	renamed := put(map[string]string{"name": "Käse & Söhne"}, http.StatusOK)
	if renamed.ID != made.ID || renamed.Name != "Käse & Söhne" || !renamed.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("made as %+v, renamed to %+v", made, renamed)
	}
	if shown := as[tenantView](t, relay.get(t, path)); shown != renamed {
		t.Errorf("shown as %+v", shown)
	}
}

func TestTenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	alice, bob := newTenant(t), newTenant(t)
	h := newHook(t)
	bobs := newHook(t)
	e := alice.subscribe(t, h)
	bob.subscribe(t, bobs)
	a := alice.post(t, "order.placed", `{}`)
	d := alice.awaitState(t, a.ID, e.ID, "delivered")
	own := as[accepted](t, alice.send(t, http.MethodPost, alice.at("/events"), ownBody("order-1001", `{}`)).must(t, http.StatusAccepted))

	for _, r := range []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, bob.at("/events/%s", a.ID), nil},
		{http.MethodGet, bob.at("/events/%s", own.ID), nil},
		{http.MethodGet, bob.at("/deliveries/%s", d.ID), nil},
		{http.MethodPost, bob.at("/deliveries/%s/retry", d.ID), nil},
		{http.MethodGet, bob.at("/endpoints/%s", e.ID), nil},
		{http.MethodPatch, bob.at("/endpoints/%s", e.ID), map[string]string{"state": "disabled"}},
		{http.MethodDelete, bob.at("/endpoints/%s", e.ID), nil},
		{http.MethodGet, bob.at("/endpoints/%s/secret", e.ID), nil},
		{http.MethodPost, bob.at("/endpoints/%s/secret/rotate", e.ID), nil},
	} {
		bob.send(t, r.method, r.path, r.body).must(t, http.StatusNotFound)
	}
	if got := as[page[event]](t, bob.get(t, bob.at("/events"))).Data; len(got) != 0 {
		t.Errorf("another tenant lists %d events", len(got))
	}
	if got := as[page[delivery]](t, bob.get(t, bob.at("/deliveries"))).Data; len(got) != 0 {
		t.Errorf("another tenant lists %d deliveries", len(got))
	}
	if got := as[page[delivery]](t, bob.get(t, bob.at("/deliveries?endpoint=%s", e.ID))).Data; len(got) != 0 {
		t.Errorf("another tenant lists %d deliveries to the endpoint", len(got))
	}
	if got := as[page[endpoint]](t, bob.get(t, bob.at("/endpoints"))).Data; len(got) != 1 {
		t.Errorf("another tenant lists %d endpoints, want its own", len(got))
	}
	marker := bob.post(t, "order.placed", `{}`)
	bobs.awaitEvent(t, marker.ID)
	h.awaitEvent(t, own.ID)
	if got := len(bobs.got()); got != 1 {
		t.Errorf("another tenant's endpoint got %d events, want its own", got)
	}
	if got := len(h.got()); got != 2 {
		t.Errorf("the endpoint got %d events, want 2", got)
	}
	// A page position opens nothing either: it holds no tenant.
	alice.post(t, "order.placed", `{}`)
	cursor := as[page[event]](t, alice.get(t, alice.at("/events?limit=1"))).NextCursor
	if cursor == nil {
		t.Fatal("no cursor after one of three events")
	}
	r := bob.send(t, http.MethodGet, bob.at("/events?cursor=%s", *cursor), nil)
	if r.status == http.StatusOK {
		for _, got := range as[page[event]](t, r).Data {
			if got.ID != marker.ID {
				t.Errorf("with another tenant's cursor: %s", got.ID)
			}
		}
	} else if r.status != http.StatusBadRequest {
		t.Errorf("with another tenant's cursor: %s", r)
	}
}
