package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

type eventType struct {
	Name, Group, Description string
	Deprecated               bool
	Schema, Example          any
}

type imported struct {
	DryRun  bool `json:"dry_run"`
	Refused int
	Data    []struct{ Name, Change, Detail string }
}

func TestTheCatalogueOfEventTypes(t *testing.T) {
	t.Parallel()
	group := strings.ReplaceAll(randomName("t"), "-", "_") // the catalogue is everybody's
	at := "/v1/event-types/" + group
	put := func(name, body string, status int) response {
		return relay.send(t, http.MethodPut, at+name, body).must(t, status)
	}
	described := `{"description":"Paid.","schema":{"type":"object","required":["id"]},"example":{"id":1},"deprecated":true}`
	put(".paid", described, http.StatusCreated)
	put(".paid", described, http.StatusOK)
	put(".sent", `{}`, http.StatusCreated)

	got := as[eventType](t, relay.get(t, at+".paid"))
	if example, _ := got.Example.(map[string]any); got.Group != group || got.Description != "Paid." || !got.Deprecated || example["id"] != 1.0 || got.Schema == nil {
		t.Errorf("%+v", got)
	}
	listed := as[page[eventType]](t, relay.get(t, "/v1/event-types?prefix="+group))
	if len(listed.Data) != 2 || listed.Data[0].Name != group+".paid" || listed.Data[1].Name != group+".sent" || listed.Data[0].Schema != nil {
		t.Errorf("%+v", listed)
	}
	if p := as[problem](t, put(".paid", `{"schema":{"type":"object"},"example":[]}`, http.StatusBadRequest)); p.Field != "example" {
		t.Errorf("%+v", p)
	}
	if p := as[problem](t, put(".paid", `{"schema":{"$ref":"http://127.0.0.1:9/"}}`, http.StatusBadRequest)); p.Field != "schema" {
		t.Errorf("%+v", p)
	}

	document := `{"openapi":"3.1.0","webhooks":{"` + group + `.lost":{"post":{"summary":"Lost."}},"` + group + `-bad":{"post":{}}}}`
	for _, dryRun := range []string{"true", "false"} {
		body := `{"openapi":` + document + `,"dry_run":` + dryRun + `}`
		got := as[imported](t, relay.send(t, http.MethodPost, "/v1/event-type-imports", body).must(t, http.StatusOK))
		if got.Refused != 1 || len(got.Data) != 2 || got.Data[1].Change != "created" || got.Data[0].Detail == "" {
			t.Errorf("dry run %s: %+v", dryRun, got)
		}
		want := map[string]int{"true": http.StatusNotFound, "false": http.StatusOK}[dryRun]
		relay.send(t, http.MethodGet, at+".lost", nil).must(t, want)
	}
	for _, name := range []string{".paid", ".sent", ".lost"} {
		relay.send(t, http.MethodDelete, at+name, nil).must(t, http.StatusNoContent)
	}
	relay.send(t, http.MethodDelete, at+".paid", nil).must(t, http.StatusNotFound)
}

func TestEventsAreHeldToTheirSchemas(t *testing.T) {
	t.Parallel()
	p := ownRelay(t, filepath.Join(t.TempDir(), "relay.db"), "--event-types", "schema")
	n := p.newTenant(t, randomName("e2e"))
	h := newHook(t)
	n.subscribe(t, h)
	schema := `{"schema":{"type":"object","properties":{"lines":{"type":"array","items":{"type":"object","properties":{"price":{"minimum":0}}}}}}}`
	n.send(t, http.MethodPut, "/v1/event-types/order.placed", schema).must(t, http.StatusCreated)

	taken := n.post(t, "order.placed", `{"lines":[{"price":1}]}`)
	refused := n.send(t, http.MethodPost, n.at("/events"), eventBody("order.placed", `{"lines":[{"price":1},{"price":-1}]}`)).must(t, http.StatusBadRequest)
	if got := as[problem](t, refused); got.Pointer != "/data/lines/1/price" || got.Field != "data" || !strings.HasSuffix(got.Type, ":schema-violated") {
		t.Errorf("%+v", got)
	}
	unknown := n.send(t, http.MethodPost, n.at("/events"), eventBody("order.unheard", `1`)).must(t, http.StatusBadRequest)
	if got := as[problem](t, unknown); got.Field != "type" {
		t.Errorf("%+v", got)
	}
	many := n.postBatch(t, http.StatusMultiStatus, eventBody("order.placed", `{}`), eventBody("order.placed", `[]`), eventBody("order.unheard", `{}`))
	if many.Data[0].Status != http.StatusAccepted || many.Data[1].Problem.Pointer != "/data" || many.Data[2].Problem.Field != "type" {
		t.Errorf("%+v", many)
	}
	h.awaitEvent(t, taken.ID)
	h.awaitEvent(t, many.Data[0].Event.ID)
	if arrivals := h.got(); len(arrivals) != 2 {
		t.Errorf("%d arrivals", len(arrivals))
	}
}
