package catalogue_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/id"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

func newCatalogue(t *testing.T) catalogue.Catalogue {
	t.Helper()
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return catalogue.Catalogue{Store: store, IDs: id.NewSource(), Now: time.Now}
}

func TestAnEventTypeIsRefused(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	for name, bad := range map[string]struct {
		described catalogue.Type
		field     string
	}{
		"WithoutName":                 {catalogue.Type{}, "name"},
		"ByAName":                     {catalogue.Type{Name: "a b"}, "name"},
		"WithALongDescription":        {catalogue.Type{Name: "a", Description: strings.Repeat("x", catalogue.MaxDescription+1)}, "description"},
		"WithALargeSchema":            {catalogue.Type{Name: "a", Schema: []byte(`{"title":"` + strings.Repeat("x", catalogue.MaxSchema) + `"}`)}, "schema"},
		"WithALargeExample":           {catalogue.Type{Name: "a", Example: []byte(`"` + strings.Repeat("x", catalogue.MaxExample) + `"`)}, "example"},
		"WithASchemaThatIsNone":       {catalogue.Type{Name: "a", Schema: []byte(`{"type":1}`)}, "schema"},
		"WithAnExampleThatDoesNotFit": {catalogue.Type{Name: "a", Schema: []byte(`{"type":"object"}`), Example: []byte(`[]`)}, "example"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := c.Put(t.Context(), bad.described)
			if invalid, ok := errors.AsType[*webhook.Invalid](err); !ok || invalid.Field != bad.field {
				t.Errorf("got %v, want an Invalid %s", err, bad.field)
			}
		})
	}
	if all, _, err := c.List(t.Context(), "", webhook.Page{Limit: 10}); err != nil || len(all) != 0 {
		t.Errorf("stored: %v, %v", all, err)
	}
}

func TestPuttingSaysWhatItChanged(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	first := catalogue.Type{Name: "a.b", Schema: []byte(`{ "type" : "object" }`), Example: []byte("{\n}")}
	var changes []catalogue.Change
	for _, described := range []catalogue.Type{first, first, {Name: "a.b", Deprecated: true}} {
		_, change, err := c.Put(t.Context(), described)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, change)
	}
	if diff := cmp.Diff([]catalogue.Change{catalogue.Created, catalogue.Unchanged, catalogue.Updated}, changes); diff != "" {
		t.Error(diff)
	}
}

const shop = `{
	"openapi":"3.1.0",
	"webhooks":{
		"order.placed":{"post":{"description":"Placed.","requestBody":{"$ref":"#/components/requestBodies/Placed"}}},
		"order.lost":{"post":{"summary":"Lost.","deprecated":true}},
		"tree.grown":{"post":{"requestBody":{"content":{"application/json":{
			"schema":{"$ref":"#/components/schemas/Tree"},"examples":{"b":{"value":1},"a":{"$ref":"#/components/examples/Tree"}}}}}}},
		"item.sold":{"$ref":"#/components/pathItems/Sold"},
		"no-type":{"post":{}},
		"only.read":{"get":{}},
		"as.xml":{"post":{"requestBody":{"content":{"application/xml":{}}}}},
		"from.outside":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"https://example.com/s.json"}}}}}},
		"from.nowhere":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/None"}}}}}},
		"in.circles":{"$ref":"#/webhooks/in.circles"},
		"bad.example":{"post":{"requestBody":{"content":{"application/json":{"schema":{"type":"string"},"example":1}}}}}
	},
	"components":{
		"schemas":{
			"Envelope":{"type":"object","properties":{"type":{"type":"string"},"timestamp":{"type":"string"}}},
			"Order":{"type":"object","properties":{"id":{"const":9007199254740993},"lines":{"type":"array","items":{"$ref":"#/components/schemas/Line"}}}},
			"Line":{"type":"object"},
			"Tree":{"type":"object","properties":{"branches":{"type":"array","items":{"$ref":"#/components/schemas/Tree"}}}}
		},
		"requestBodies":{"Placed":{"content":{"application/json":{
			"schema":{"allOf":[{"$ref":"#/components/schemas/Envelope"},{"properties":{"data":{"$ref":"#/components/schemas/Order"}}}]},
			"example":{"type":"order.placed","timestamp":"now","data":{"lines":[{}]}}}}}},
		"examples":{"Tree":{"value":{"branches":[{"branches":[]}]}}},
		"pathItems":{"Sold":{"post":{"requestBody":{"content":{"application/json":{"schema":{"type":"object"}}}}}}}
	}
}`

func TestImportingTakesWhatTheWebhooksDescribe(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	for _, dryRun := range []bool{true, false} {
		imported, err := c.Import(t.Context(), []byte(shop), dryRun)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, i := range imported {
			got[i.Name] = string(i.Change)
			if i.Refused != "" {
				got[i.Name] = "refused"
			}
		}
		want := map[string]string{
			"order.placed": "created", "order.lost": "created", "tree.grown": "created", "item.sold": "created",
			"no-type": "refused", "only.read": "refused", "as.xml": "refused", "from.outside": "refused", "from.nowhere": "refused",
			"in.circles": "refused", "bad.example": "refused",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dry run %v: %s", dryRun, diff)
		}
		stored, _, err := c.List(t.Context(), "", webhook.Page{Limit: 50})
		if wantStored := map[bool]int{true: 0, false: 4}[dryRun]; err != nil || len(stored) != wantStored {
			t.Errorf("dry run %v: stored %v, %v", dryRun, stored, err)
		}
	}
	for name, want := range map[webhook.EventType]catalogue.Type{
		"order.placed": {
			Description: "Placed.", Example: []byte(`{"lines":[{}]}`),
			Schema: []byte(`{"$defs":{"Line":{"type":"object"},"Order":{"properties":{"id":{"const":9007199254740993},` +
				`"lines":{"items":{"$ref":"#/$defs/Line"},"type":"array"}},"type":"object"}},"$ref":"#/$defs/Order"}`),
		},
		"order.lost": {Description: "Lost.", Deprecated: true},
		"tree.grown": {
			Example: []byte(`{"branches":[{"branches":[]}]}`),
			Schema:  []byte(`{"$defs":{"Tree":{"properties":{"branches":{"items":{"$ref":"#/$defs/Tree"},"type":"array"}},"type":"object"}},"$ref":"#/$defs/Tree"}`),
		},
	} {
		got, err := c.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		want.Name, want.CreatedAt, want.UpdatedAt = name, got.CreatedAt, got.UpdatedAt
		if diff := cmp.Diff(want, got, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
			t.Error(diff)
		}
	}
	again, err := c.Import(t.Context(), []byte(shop), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range again {
		if i.Refused == "" && i.Change != catalogue.Unchanged {
			t.Errorf("the second time %s is %s", i.Name, i.Change)
		}
	}
}

func TestADocumentIsRefused(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	many := map[string]any{}
	for i := range catalogue.MaxImport + 1 {
		many["a.b"+strings.Repeat("x", i)] = map[string]any{}
	}
	large, err := json.Marshal(map[string]any{"openapi": "3.1.0", "webhooks": many})
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range []string{`1`, `[]`, `{}`, `{"openapi":"3.0.3","webhooks":{"a":{}}}`, `{"openapi":"3.1.0"}`, `{"openapi":"3.1.0","webhooks":1}`, string(large)} {
		if _, err := c.Import(t.Context(), []byte(document), false); err == nil {
			t.Errorf("%.80s was taken", document)
		} else if bad, ok := errors.AsType[*webhook.Invalid](err); !ok || bad.Field != "openapi" {
			t.Errorf("%.80s: %v", document, err)
		}
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(shop))
	f.Add([]byte(`{"openapi":"3.1.0","webhooks":{"a":{"post":{"requestBody":{"content":{"application/json":{"schema":{"allOf":[{"$ref":"#/webhooks/a"}]}}}}}}}}`))
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory})
	if err != nil {
		f.Fatal(err)
	}
	c := catalogue.Catalogue{Store: store, IDs: id.NewSource(), Now: time.Now}
	f.Fuzz(func(t *testing.T, document []byte) {
		imported, err := c.Import(t.Context(), document, true)
		if _, ok := errors.AsType[*webhook.Invalid](err); err != nil && !ok {
			t.Fatal(err)
		}
		for _, i := range imported {
			if i.Refused == "" && webhook.CheckEventType("name", i.Name) != nil {
				t.Errorf("took %q", i.Name)
			}
		}
	})
}
