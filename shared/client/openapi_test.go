package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"go.yaml.in/yaml/v3"

	"webhookrelay/shared/client"
)

const openAPIFile = "../api/openapi.yaml"

var (
	noPage = client.PageOptions{}
	moment = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

// operations calls every method once, with everything set that it takes. The
// names are the operationIds.
var operations = map[string]func(context.Context, *client.Client) error{
	"health":    func(ctx context.Context, c *client.Client) error { return second(c.Health(ctx)) },
	"reference": func(ctx context.Context, c *client.Client) error { return second(c.Reference(ctx)) },
	"openAPI":   func(ctx context.Context, c *client.Client) error { return second(c.OpenAPI(ctx)) },

	"listTenants": func(ctx context.Context, c *client.Client) error {
		return second(c.ListTenants(ctx, client.PageOptions{Limit: 10, Cursor: "next"}))
	},
	"putTenant": func(ctx context.Context, c *client.Client) error { return second(c.PutTenant(ctx, "acme", "Acme")) },
	"getTenant": func(ctx context.Context, c *client.Client) error { return second(c.GetTenant(ctx, "acme")) },

	"createEndpoint": func(ctx context.Context, c *client.Client) error {
		return second(c.CreateEndpoint(ctx, "acme", client.NewEndpoint{
			ID: "shop", URL: "https://example.com", Description: "shop", EventTypes: []string{"order.*"},
			Headers: map[string]string{"X-Key": "1"}, Signature: "v1", Secret: "whsec_" + strings.Repeat("A", 32),
		}))
	},
	"listEndpoints": func(ctx context.Context, c *client.Client) error { return second(c.ListEndpoints(ctx, "acme", noPage)) },
	"recoverEndpoint": func(ctx context.Context, c *client.Client) error {
		return second(c.RecoverEndpoint(ctx, "acme", "shop", client.NewJob{
			Since: time.Unix(0, 0).UTC(), Until: new(time.Unix(1, 0).UTC()), EventTypes: []string{"order.*"}, Rate: 5, DryRun: true,
		}))
	},
	"replayEvents": func(ctx context.Context, c *client.Client) error {
		return second(c.ReplayEvents(ctx, "acme", "shop", client.NewJob{Since: time.Unix(0, 0).UTC()}))
	},
	"cancelDeliveries": func(ctx context.Context, c *client.Client) error {
		return second(c.CancelDeliveries(ctx, "acme", "shop", client.NewCancellation{Since: time.Unix(0, 0).UTC(), DryRun: true}))
	},
	"cancelDelivery": func(ctx context.Context, c *client.Client) error {
		return second(c.CancelDelivery(ctx, "acme", "dlv_1"))
	},
	"listJobs":    func(ctx context.Context, c *client.Client) error { return second(c.ListJobs(ctx, "acme", noPage)) },
	"getJob":      func(ctx context.Context, c *client.Client) error { return second(c.GetJob(ctx, "acme", "job_1")) },
	"cancelJob":   func(ctx context.Context, c *client.Client) error { return second(c.CancelJob(ctx, "acme", "job_1")) },
	"getEndpoint": func(ctx context.Context, c *client.Client) error { return second(c.GetEndpoint(ctx, "acme", "shop")) },
	"changeEndpoint": func(ctx context.Context, c *client.Client) error {
		return second(c.ChangeEndpoint(ctx, "acme", "shop", client.EndpointChange{
			URL: new("https://example.com"), Description: new(""), EventTypes: &[]string{}, Headers: &map[string]string{}, State: new("enabled"),
		}))
	},
	"deleteEndpoint": func(ctx context.Context, c *client.Client) error { return c.DeleteEndpoint(ctx, "acme", "shop") },
	"getSecret":      func(ctx context.Context, c *client.Client) error { return second(c.GetSecret(ctx, "acme", "shop")) },
	"rotateSecret": func(ctx context.Context, c *client.Client) error {
		return second(c.RotateSecret(ctx, "acme", "shop", client.Rotation{
			OverlapSeconds: new(0), Secret: "whsec_" + strings.Repeat("A", 32),
		}))
	},

	"postEvent": func(ctx context.Context, c *client.Client) error {
		return second(c.PostEvent(ctx, "acme", client.NewEvent{
			Type: "order.placed", Data: json.RawMessage(`{"a":1}`), ID: "e1", Timestamp: &moment, IdempotencyKey: "k",
			DeliverAt: &moment, Tags: []string{"a"}, RetentionDays: 30,
		}))
	},
	"postEvents": func(ctx context.Context, c *client.Client) error {
		return second(c.PostEvents(ctx, "acme", []client.NewEvent{{Type: "order.placed", Data: json.RawMessage(`1`)}}))
	},
	"testFilter": func(ctx context.Context, c *client.Client) error {
		return second(c.TestFilter(ctx, "acme", client.NewFilterTest{
			Filter: "true", Event: client.ExampleEvent{Type: "order.placed", Data: json.RawMessage(`1`), ID: "e1", Channels: []string{"eu"}, Timestamp: &moment},
		}))
	},
	"listEvents": func(ctx context.Context, c *client.Client) error {
		return second(c.ListEvents(ctx, "acme", client.EventFilter{EventType: "a.*", Tag: "vip", Since: moment, Until: moment}, noPage))
	},
	"getEvent": func(ctx context.Context, c *client.Client) error { return second(c.GetEvent(ctx, "acme", "e1")) },

	"exportEvents": func(ctx context.Context, c *client.Client) error {
		return second(c.ExportEvents(ctx, "acme", client.EventFilter{Tag: "vip"}, client.PageOptions{Limit: 1, Cursor: "next"}))
	},
	"cancelEvent": func(ctx context.Context, c *client.Client) error {
		return second(c.CancelEvent(ctx, "acme", "e1"))
	},
	"expungeEvent": func(ctx context.Context, c *client.Client) error {
		return second(c.ExpungeEvent(ctx, "acme", "e1"))
	},

	"listDeliveries": func(ctx context.Context, c *client.Client) error {
		return second(c.ListDeliveries(ctx, "acme", client.DeliveryFilter{Endpoint: "shop", State: client.Dead}, noPage))
	},
	"getStats": func(ctx context.Context, c *client.Client) error {
		return second(c.GetStats(ctx, "acme", client.DeliveryFilter{Endpoint: "shop", EventType: "a.*", Since: moment, Until: moment}))
	},
	"getDelivery": func(ctx context.Context, c *client.Client) error {
		return second(c.GetDelivery(ctx, "acme", "e1.shop"))
	},
	"retryDelivery": func(ctx context.Context, c *client.Client) error {
		return second(c.RetryDelivery(ctx, "acme", "e1.shop"))
	},

	"createKey": func(ctx context.Context, c *client.Client) error {
		return second(c.CreateKey(ctx, "acme", client.NewKey{Scope: "publish", Name: "n", ExpiresAt: &moment}))
	},
	"listKeys":  func(ctx context.Context, c *client.Client) error { return second(c.ListKeys(ctx, "acme", noPage)) },
	"revokeKey": func(ctx context.Context, c *client.Client) error { return c.RevokeKey(ctx, "acme", "k1") },
	"createPortalLink": func(ctx context.Context, c *client.Client) error {
		return second(c.CreatePortalLink(ctx, "acme", client.NewPortalLink{ExpiresInSeconds: 60}))
	},
	"createOperatorLink": func(ctx context.Context, c *client.Client) error {
		return second(c.CreateOperatorLink(ctx, client.NewPortalLink{ExpiresInSeconds: 60}))
	},
	"testEndpoint": func(ctx context.Context, c *client.Client) error {
		return second(c.TestEndpoint(ctx, "acme", "shop", client.TestEvent{Type: "order.placed", Data: json.RawMessage(`1`)}))
	},
	"createAdminKey": func(ctx context.Context, c *client.Client) error {
		return second(c.CreateAdminKey(ctx, client.NewKey{Name: "n", ExpiresAt: &moment}))
	},
	"listAdminKeys":  func(ctx context.Context, c *client.Client) error { return second(c.ListAdminKeys(ctx, noPage)) },
	"revokeAdminKey": func(ctx context.Context, c *client.Client) error { return c.RevokeAdminKey(ctx, "k1") },

	"listEventTypes": func(ctx context.Context, c *client.Client) error {
		return second(c.ListEventTypes(ctx, "order", client.PageOptions{Limit: 10, Cursor: "next"}))
	},
	"getEventType": func(ctx context.Context, c *client.Client) error { return second(c.GetEventType(ctx, "order.placed")) },
	"putEventType": func(ctx context.Context, c *client.Client) error {
		return second(c.PutEventType(ctx, "order.placed", client.NewEventType{
			Description: "d", Schema: json.RawMessage(`{"type":"object"}`), Example: json.RawMessage(`{}`), Deprecated: true,
		}))
	},
	"deleteEventType": func(ctx context.Context, c *client.Client) error { return c.DeleteEventType(ctx, "order.placed") },
	"importEventTypes": func(ctx context.Context, c *client.Client) error {
		return second(c.ImportEventTypes(ctx, json.RawMessage(`{"openapi":"3.1.0"}`), true))
	},

	"listAudit":       func(ctx context.Context, c *client.Client) error { return second(c.ListAudit(ctx, "acme", noPage)) },
	"listAllAudit":    func(ctx context.Context, c *client.Client) error { return second(c.ListAllAudit(ctx, noPage)) },
	"listDeadLetters": func(ctx context.Context, c *client.Client) error { return second(c.ListDeadLetters(ctx, noPage)) },
	"redrive":         func(ctx context.Context, c *client.Client) error { return second(c.Redrive(ctx)) },
}

func second[T any](_ T, err error) error { return err }

type document struct {
	Paths      map[string]map[string]yaml.Node `yaml:"paths"`
	Components struct {
		Schemas map[string]schema `yaml:"schemas"`
	} `yaml:"components"`
}

type schema struct {
	Ref        string            `yaml:"$ref"`
	Enum       []string          `yaml:"enum"`
	AllOf      []schema          `yaml:"allOf"`
	Properties map[string]schema `yaml:"properties"`
}

func readDocument(t *testing.T) (d document) {
	t.Helper()
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// operationIDs maps each operationId to its method and path.
func operationIDs(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for path, operations := range readDocument(t).Paths {
		for method, node := range operations {
			if method == "parameters" {
				continue
			}
			var operation struct {
				ID string `yaml:"operationId"`
			}
			if err := node.Decode(&operation); err != nil {
				t.Fatal(err)
			}
			ids[operation.ID] = strings.ToUpper(method) + " " + path
		}
	}
	return ids
}

func methodOf(operationID string) string { return strings.ToUpper(operationID[:1]) + operationID[1:] }

func TestEveryOperationHasAMethodAndBack(t *testing.T) {
	t.Parallel()
	var documented, called, methods []string
	for id := range operationIDs(t) {
		documented = append(documented, methodOf(id))
	}
	for id := range operations {
		called = append(called, methodOf(id))
	}
	for method := range reflect.TypeFor[*client.Client]().Methods() {
		if !strings.HasPrefix(method.Name, "All") {
			methods = append(methods, method.Name)
		}
	}
	slices.Sort(documented)
	slices.Sort(called)
	slices.Sort(methods)
	if diff := cmp.Diff(documented, methods); diff != "" {
		t.Errorf("operations of openapi.yaml (-) and methods of the client (+): %s", diff)
	}
	if diff := cmp.Diff(documented, called); diff != "" {
		t.Errorf("operations of openapi.yaml (-) and those this test calls (+): %s", diff)
	}
}

// Each call makes the request that openapi.yaml describes under its name, and
// the address matches no other operation.
func TestRequestsAgreeWithOpenAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	valid, errs := validator.NewValidator(parsed)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for id, want := range operationIDs(t) {
		t.Run(id, func(t *testing.T) {
			var requests []*http.Request
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				requests = append(requests, r.Clone(context.Background()))
				fmt.Fprint(w, "{}")
			}))
			defer server.Close()
			c := newClient(t, client.Config{URL: server.URL + "/", Key: "relay_x"})
			call, known := operations[id]
			if !known {
				t.Fatal("not called")
			}
			if err := call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if len(requests) != 1 {
				t.Fatalf("%d requests", len(requests))
			}
			r := requests[0]
			if got := r.Method + " " + r.URL.Path; !matches(want, got) {
				t.Errorf("called %s, want %s", got, want)
			}
			r.URL.Scheme, r.URL.Host = "http", "127.0.0.1:8080"
			if ok, problems := valid.ValidateHttpRequest(r); !ok {
				for _, p := range problems {
					t.Errorf("%s: %s %v", p.Message, p.Reason, p.SchemaValidationErrors)
				}
			}
		})
	}
}

// matches says whether an address is one of a template such as "GET /v1/tenants/{tenant}".
func matches(template, address string) bool {
	want, got := strings.Split(template, "/"), strings.Split(address, "/")
	if len(want) != len(got) {
		return false
	}
	for i, part := range want {
		if !strings.HasPrefix(part, "{") && part != got[i] {
			return false
		}
	}
	return true
}

// fields returns the properties of a schema, those of its parts included.
func (d document) fields(s schema) []string {
	var names []string
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		names = d.fields(d.Components.Schemas[name])
	}
	for _, part := range s.AllOf {
		names = append(names, d.fields(part)...)
	}
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// jsonFields returns the names under which a struct is marshalled.
func jsonFields(of reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.Anonymous && name != "-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestAnswersHoldWhatOpenAPIDescribes(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	for name, of := range map[string]reflect.Type{
		"KeyPage":          reflect.TypeFor[client.Page[int]](),
		"Tenant":           reflect.TypeFor[client.Tenant](),
		"Endpoint":         reflect.TypeFor[client.Endpoint](),
		"Health":           reflect.TypeFor[client.Health](),
		"Secret":           reflect.TypeFor[client.Secret](),
		"Batch":            reflect.TypeFor[client.Batch](),
		"Accepted":         reflect.TypeFor[client.Accepted](),
		"Event":            reflect.TypeFor[client.Event](),
		"ExportLine":       reflect.TypeFor[client.ExportLine](),
		"EventDetail":      reflect.TypeFor[client.EventDetail](),
		"Delivery":         reflect.TypeFor[client.Delivery](),
		"Attempt":          reflect.TypeFor[client.Attempt](),
		"EventTypeSummary": reflect.TypeFor[client.EventType](),
		"EventTypeDetail":  reflect.TypeFor[client.EventTypeDetail](),
		"FilterTest":       reflect.TypeFor[client.FilterTest](),
		"FilterPart":       reflect.TypeFor[client.FilterPart](),
		"ExampleEvent":     reflect.TypeFor[client.ExampleEvent](),
		"Import":           reflect.TypeFor[client.Import](),
		"ImportedType":     reflect.TypeFor[client.ImportedType](),
		"DeadLetter":       reflect.TypeFor[client.DeadLetter](),
		"Job":              reflect.TypeFor[client.Job](),
		"DryRun":           reflect.TypeFor[client.DryRun](),
		"Redrive":          reflect.TypeFor[client.Redrive](),
		"Key":              reflect.TypeFor[client.Key](),
		"CreatedKey":       reflect.TypeFor[client.CreatedKey](),
		"PortalLink":       reflect.TypeFor[client.PortalLink](),
		"AuditLine":        reflect.TypeFor[client.AuditLine](),
		"Problem":          reflect.TypeFor[client.Problem](),
	} {
		want := d.fields(d.Components.Schemas[name])
		if len(want) == 0 {
			t.Errorf("openapi.yaml has no schema %s", name)
		}
		if diff := cmp.Diff(want, jsonFields(of)); diff != "" {
			t.Errorf("%s in openapi.yaml (-) and in the client (+): %s", name, diff)
		}
	}
	var states []string
	for _, state := range client.States {
		states = append(states, string(state))
	}
	if diff := cmp.Diff(d.Components.Schemas["State"].Enum, states); diff != "" {
		t.Errorf("states in openapi.yaml (-) and in the client (+): %s", diff)
	}
}

func TestRequestsHoldWhatOpenAPIDescribes(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	types := map[string]reflect.Type{
		"putTenant":          nil, // one argument
		"postEvents":         nil, // a list of what postEvent takes
		"createEndpoint":     reflect.TypeFor[client.NewEndpoint](),
		"changeEndpoint":     reflect.TypeFor[client.EndpointChange](),
		"recoverEndpoint":    reflect.TypeFor[client.NewJob](),
		"replayEvents":       reflect.TypeFor[client.NewJob](),
		"cancelDeliveries":   reflect.TypeFor[client.NewCancellation](),
		"rotateSecret":       reflect.TypeFor[client.Rotation](),
		"postEvent":          reflect.TypeFor[client.NewEvent](),
		"createKey":          reflect.TypeFor[client.NewKey](),
		"createAdminKey":     nil, // as createKey, without scope
		"createOperatorLink": reflect.TypeFor[client.NewPortalLink](),
		"testEndpoint":       reflect.TypeFor[client.TestEvent](),
		"createPortalLink":   reflect.TypeFor[client.NewPortalLink](),
		"putEventType":       reflect.TypeFor[client.NewEventType](),
		"testFilter":         reflect.TypeFor[client.NewFilterTest](),
		"importEventTypes":   nil, // two arguments
	}
	for path, operations := range d.Paths {
		for method, node := range operations {
			if method == "parameters" {
				continue
			}
			var operation struct {
				ID   string `yaml:"operationId"`
				Body struct {
					Content map[string]struct{ Schema schema }
				} `yaml:"requestBody"`
			}
			if err := node.Decode(&operation); err != nil {
				t.Fatal(err)
			}
			fields := d.fields(operation.Body.Content["application/json"].Schema)
			of, known := types[operation.ID]
			if known != (len(fields) > 0) {
				t.Errorf("%s %s takes %v: say in this test which type holds that", method, path, fields)
			}
			if of == nil {
				continue
			}
			if diff := cmp.Diff(fields, jsonFields(of)); diff != "" {
				t.Errorf("%s in openapi.yaml (-) and in the client (+): %s", operation.ID, diff)
			}
		}
	}
}
