package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"webhookrelay/shared/api"
	"webhookrelay/shared/auth"
)

// These tests are made from openapi.yaml: each operation in it is called with
// another tenant's keys and with another tenant's ids. What they do not know, a
// new operation or parameter, fails them until they are taught.

// operation is one of openapi.yaml.
type operation struct {
	method, path string
	// params holds the parameters' names by where they are: path, query or header.
	params map[string][]string
	// body is the example of what is to be sent; empty when nothing has to be.
	body   string
	scopes []auth.Scope
}

func (o operation) String() string { return o.method + " " + o.path }

// ofTenant reports whether the operation concerns one tenant.
func (o operation) ofTenant() bool { return slices.Contains(o.params["path"], "tenant") }

// at returns the path with the ids in it, and the tenant's.
func (o operation) at(tenant string, ids map[string]string) string {
	path := strings.ReplaceAll(o.path, "{tenant}", tenant)
	for name, id := range ids {
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	return path
}

func operations(t *testing.T) (all []operation) {
	t.Helper()
	type parameter struct {
		Ref  string `yaml:"$ref"`
		Name string `yaml:"name"`
		In   string `yaml:"in"`
	}
	var doc struct {
		Paths      map[string]map[string]yaml.Node `yaml:"paths"`
		Components struct {
			Parameters map[string]parameter `yaml:"parameters"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(api.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	decode := func(node yaml.Node, into any) {
		if err := node.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	for path, item := range doc.Paths {
		var common []parameter
		if node, ok := item["parameters"]; ok {
			decode(node, &common)
		}
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var described struct {
				Parameters  []parameter               `yaml:"parameters"`
				Security    []map[string][]auth.Scope `yaml:"security"`
				RequestBody struct {
					Required bool `yaml:"required"`
					Content  map[string]struct {
						Example any `yaml:"example"`
					} `yaml:"content"`
				} `yaml:"requestBody"`
			}
			decode(node, &described)
			o := operation{method: strings.ToUpper(method), path: path, params: map[string][]string{}}
			for _, p := range append(slices.Clone(common), described.Parameters...) {
				if ref, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					p = doc.Components.Parameters[ref]
				}
				o.params[p.In] = append(o.params[p.In], p.Name)
			}
			for _, alternative := range described.Security {
				o.scopes = append(o.scopes, alternative["key"]...)
			}
			if described.RequestBody.Required {
				example := described.RequestBody.Content["application/json"].Example
				if example == nil {
					t.Fatalf("%s needs a body, but openapi.yaml has no example of one", o)
				}
				raw, err := json.Marshal(example)
				if err != nil {
					t.Fatal(err)
				}
				o.body = string(raw)
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// party is a tenant with something of everything, and all kinds of keys. Its id
// is in everything it has that somebody chose.
type party struct {
	id   string
	keys map[auth.Scope]string
	// ids are what may stand in a path, by parameter. Each set is complete.
	ids []map[string]string
}

// unknown are well-formed ids of nothing, like those of a party.
var unknown = []map[string]string{
	{"endpoint": "nothing", "event": "evt_01JGFJJZ00E1E1E1E1E1E1E1E1", "delivery": "dlv_01JGFJJZ00E1E1E1E1E1E1E1E1_nothing", "key": "key_01JGFJJZ00E1E1E1E1E1E1E1E1", "job": "job_01JGFJJZ00E1E1E1E1E1E1E1E1", "type": "nothing"},
	{"endpoint": "nothing", "event": "nothing-1", "delivery": "dlv_01JGFJJZ00E1E1E1E1E1E1E1E1_nothing", "key": "key_01JGFJJZ00E1E1E1E1E1E1E1E1", "job": "job_01JGFJJZ00E1E1E1E1E1E1E1E1", "type": "nothing"},
}

func (w *world) newParty(name string) party {
	w.t.Helper()
	p := party{id: name, keys: map[auth.Scope]string{auth.ScopeAdmin: w.root}}
	at := "/v1/tenants/" + name
	w.must(w.root, http.MethodPut, at, "")
	w.must(w.root, http.MethodPut, "/v1/event-types/"+name+".made", `{}`) // the installation's, not a tenant's
	for _, n := range []string{"1", "2"} {
		w.must(w.root, http.MethodPost, at+"/endpoints", fmt.Sprintf(`{"id":"%s-%s","url":"https://%s.example/","event_types":["%s.*"]}`, name, n, name, name))
	}
	made := w.must(w.root, http.MethodPost, at+"/events", fmt.Sprintf(`{"type":"%s.made","data":"%s"}`, name, name), "Idempotency-Key", "shared")
	own := w.must(w.root, http.MethodPost, at+"/events", fmt.Sprintf(`{"type":"%s.made","data":"%s","id":"%s-own"}`, name, name, name))
	var key any
	for _, scope := range []auth.Scope{auth.ScopeTenant, auth.ScopePublish, auth.ScopeRead} {
		created := w.must(w.root, http.MethodPost, at+"/keys", fmt.Sprintf(`{"scope":"%s","name":"%s"}`, scope, name))
		p.keys[scope] = created["key"].(string)
	}
	key = w.must(w.root, http.MethodPost, at+"/keys", fmt.Sprintf(`{"scope":"read","name":"%s"}`, name))["id"]
	p.keys[auth.ScopePortal] = w.must(w.root, http.MethodPost, at+"/portal-links", "")["token"].(string)
	var job any
	for _, kind := range []string{"recover", "replay"} {
		job = w.must(w.root, http.MethodPost, at+"/endpoints/"+name+"-1/"+kind, `{"since":"2026-01-31T12:00:00Z"}`)["id"]
	}
	for _, event := range []any{made["id"], own["id"]} {
		detail := w.must(w.root, http.MethodGet, fmt.Sprintf("%s/events/%s", at, event), "")
		delivery := detail["deliveries"].([]any)[0].(map[string]any)
		p.ids = append(p.ids, map[string]string{
			"endpoint": name + "-1", "event": event.(string), "delivery": delivery["id"].(string), "key": key.(string),
			"job": job.(string), "type": name + ".made",
		})
	}
	return p
}

// later posts an event that is scheduled, and returns its id.
func (w *world) later(tenant string) string {
	w.t.Helper()
	body := fmt.Sprintf(`{"type":"a","data":1,"deliver_at":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339))
	return w.must(w.root, http.MethodPost, "/v1/tenants/"+tenant+"/events", body)["id"].(string)
}

// tenantScopes are those of callers bound to a tenant.
var tenantScopes = []auth.Scope{auth.ScopeTenant, auth.ScopePublish, auth.ScopeRead, auth.ScopePortal}

// alike fails the test unless two answers differ in nothing but the request's id.
func alike(t *testing.T, what string, got, like reply) {
	t.Helper()
	got.header, like.header = got.header.Clone(), like.header.Clone()
	got.header.Del("X-Request-Id")
	like.header.Del("X-Request-Id")
	if diff := cmp.Diff(like, got, cmp.AllowUnexported(reply{})); diff != "" {
		t.Errorf("%s: the answer tells something (-of nothing +got):\n%s", what, diff)
	}
}

func TestNoOperationReachesIntoAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.newParty("alice"), w.newParty("bob")
	trail := w.call(w.root, http.MethodGet, "/v1/audit?limit=250", "")
	for _, o := range operations(t) {
		if !o.ofTenant() {
			continue
		}
		t.Run(o.String(), func(t *testing.T) {
			for _, scope := range tenantScopes {
				for i, ids := range alice.ids {
					got := w.call(bob.keys[scope], o.method, o.at(alice.id, ids), o.body)
					w.problem(got, http.StatusNotFound, "not-found")
					alike(t, string(scope)+" key, another tenant", got, w.call(bob.keys[scope], o.method, o.at("nobody", unknown[i]), o.body))
					if len(o.params["path"]) == 1 {
						continue
					}
					got = w.call(bob.keys[scope], o.method, o.at(bob.id, ids), o.body)
					if slices.Contains(o.scopes, scope) {
						w.problem(got, http.StatusNotFound, "not-found")
					} else {
						w.problem(got, http.StatusForbidden, "forbidden")
					}
					alike(t, string(scope)+" key, another tenant's id", got, w.call(bob.keys[scope], o.method, o.at(bob.id, unknown[i]), o.body))
				}
			}
			got := w.call("", o.method, o.at(alice.id, alice.ids[0]), o.body)
			w.problem(got, http.StatusUnauthorized, "unauthenticated")
			alike(t, "no key", got, w.call("", o.method, o.at("nobody", unknown[0]), o.body))
		})
	}
	if after := w.call(w.root, http.MethodGet, "/v1/audit?limit=250", ""); after.body != trail.body {
		t.Errorf("something was changed: %s", after.body)
	}
}

func TestNoTenantReachesTheInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.newParty("bob")
	for _, o := range operations(t) {
		if o.ofTenant() || len(o.scopes) == 0 {
			continue
		}
		t.Run(o.String(), func(t *testing.T) {
			for _, scope := range tenantScopes {
				if slices.Contains(o.scopes, scope) {
					continue // what everybody may know of the installation
				}
				for i, ids := range bob.ids {
					got := w.call(bob.keys[scope], o.method, o.at("", ids), o.body)
					w.problem(got, http.StatusForbidden, "forbidden")
					alike(t, string(scope)+" key", got, w.call(bob.keys[scope], o.method, o.at("", unknown[i]), o.body))
				}
			}
			w.problem(w.call("", o.method, o.at("", bob.ids[0]), o.body), http.StatusUnauthorized, "unauthenticated")
		})
	}
}

// The counterpart of the refusals: with the right key and its own ids, each
// operation does what it is for, so it was not something else that was refused.
func TestEveryOperationServesTheScopesThatItNames(t *testing.T) {
	t.Parallel()
	for _, o := range operations(t) {
		for _, scope := range auth.Scopes {
			t.Run(o.String()+"/"+string(scope), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				alice := w.newParty("alice")
				ids := alice.ids[0]
				if o.path == "/v1/keys/{key}" {
					ids = map[string]string{"key": w.must(w.root, http.MethodPost, "/v1/keys", "")["id"].(string)}
				}
				if strings.HasSuffix(o.path, "/events/{event}/cancel") {
					ids = map[string]string{"event": w.later("alice")}
				}
				got := w.call(alice.keys[scope], o.method, o.at(alice.id, ids), o.body)
				if len(o.scopes) > 0 && !slices.Contains(o.scopes, scope) {
					w.problem(got, http.StatusForbidden, "forbidden")
				} else if got.status >= 300 {
					t.Errorf("got %d %s", got.status, got.body)
				}
			})
		}
	}
}

// What a caller says beside the path opens nothing either.
func TestNoParameterReachesIntoAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.newParty("alice"), w.newParty("bob")
	key := bob.keys[auth.ScopeTenant]
	for _, o := range operations(t) {
		if !o.ofTenant() {
			continue
		}
		for where, names := range o.params {
			for _, name := range names {
				t.Run(o.String()+"/"+name, func(t *testing.T) {
					at := o.at(bob.id, bob.ids[0])
					switch where + " " + name {
					case "path tenant", "path endpoint", "path event", "path delivery", "path key", "path job": // see above
					case "query limit", "query status", "query event_type", "query tag", "query since", "query until": // name nothing of anybody
					case "query cursor":
						if strings.HasSuffix(o.path, "/export") {
							page := w.call(alice.keys[auth.ScopeTenant], o.method, o.at(alice.id, nil)+"?limit=1", "")
							cursor := page.header.Get("Next-Cursor")
							got := w.call(key, o.method, at+"?cursor="+cursor, "")
							if cursor == "" || got.status != http.StatusOK || strings.Contains(got.body, alice.id) {
								t.Errorf("cursor %q: got %d %s", cursor, got.status, got.body)
							}
							return
						}
						page := w.must(alice.keys[auth.ScopeTenant], o.method, o.at(alice.id, alice.ids[0])+"?limit=1", "")
						cursor, ok := page["next_cursor"].(string)
						if !ok {
							t.Fatal("the test's tenant has too few of these for a second page")
						}
						got := w.call(key, o.method, at+"?cursor="+cursor, "")
						if got.status != http.StatusOK || strings.Contains(got.body, alice.id) {
							t.Errorf("got %d %s", got.status, got.body)
						}
					case "query endpoint":
						got := w.call(key, o.method, at+"?endpoint="+alice.ids[0][name], "")
						alike(t, "another tenant's endpoint", got, w.call(key, o.method, at+"?endpoint="+unknown[0][name], ""))
					case "header Idempotency-Key":
						posted := w.must(key, o.method, at, `{"type":"a","data":1}`, name, "not shared")
						again := w.must(key, o.method, at, `{"type":"a","data":1}`, name, "not shared")
						if posted["id"] != again["id"] {
							t.Error("the key does nothing")
						}
						// Alice has used this one, for an event of hers.
						w.must(alice.keys[auth.ScopeTenant], o.method, o.at(alice.id, nil), `{"type":"a","data":2}`, name, "hers")
						if got := w.must(key, o.method, at, `{"type":"a","data":1}`, name, "hers"); got["deliveries"] != 0.0 {
							t.Errorf("got %v", got)
						}
						if got := w.call(key, o.method, at, `{"type":"a","data":1,"id":"alice-own"}`); got.status != http.StatusAccepted {
							t.Errorf("with an id of an event of hers: %d %s", got.status, got.body)
						}
					default:
						t.Errorf("the test does not know the %s parameter %s: teach it what another tenant's value is", where, name)
					}
				})
			}
		}
	}
}
