package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/webhook"
)

type document struct {
	Paths      map[string]map[string]yaml.Node `yaml:"paths"`
	Components struct {
		Schemas map[string]struct {
			Enum      []string `yaml:"enum"`
			MaxLength int      `yaml:"maxLength"`
			MaxItems  int      `yaml:"maxItems"`
			MaxProps  int      `yaml:"maxProperties"`
			Pattern   string   `yaml:"pattern"`
			Default   int      `yaml:"default"`
			Maximum   int      `yaml:"maximum"`
			Items     struct {
				Maximum int `yaml:"maximum"`
			} `yaml:"items"`
			Properties map[string]struct {
				Maximum int `yaml:"maximum"`
			} `yaml:"properties"`
		} `yaml:"schemas"`
		Parameters map[string]struct {
			Schema struct {
				Maximum int `yaml:"maximum"`
				Default int `yaml:"default"`
			} `yaml:"schema"`
		} `yaml:"parameters"`
	} `yaml:"components"`
}

func readDocument(t *testing.T) document {
	t.Helper()
	var d document
	if err := yaml.Unmarshal(OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// routes returns those of all functions.
func routes() (all []route) {
	for _, group := range []Group{Accept{}, Manage{}} {
		all = append(all, group.routes()...)
	}
	return all
}

func TestEveryRouteIsDocumentedAndBack(t *testing.T) {
	t.Parallel()
	var served, documented []string
	for _, r := range routes() {
		served = append(served, r.method+" "+r.pattern)
	}
	for path, operations := range readDocument(t).Paths {
		for method := range operations {
			if method != "parameters" {
				documented = append(documented, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(served)
	slices.Sort(documented)
	if diff := cmp.Diff(documented, served); diff != "" {
		t.Errorf("documented (-) and served (+): %s", diff)
	}
	known := slices.Sorted(slices.Values(addresses))
	if diff := cmp.Diff(known, served); diff != "" {
		t.Errorf("known addresses (-) and served (+): %s", diff)
	}
}

// scopes returns the scopes that an operation is documented to take,
// and false when the document says nothing.
func (d document) scopes(t *testing.T, r route) (scopes []auth.Scope, said bool) {
	t.Helper()
	var operation struct {
		Security *[]map[string][]auth.Scope `yaml:"security"`
	}
	node := d.Paths[r.pattern][strings.ToLower(r.method)]
	if err := node.Decode(&operation); err != nil {
		t.Fatal(err)
	}
	if operation.Security == nil {
		return nil, false
	}
	for _, alternative := range *operation.Security {
		scopes = append(scopes, alternative["key"]...)
	}
	return scopes, true
}

// What each operation needs, and who may therefore call it, in one place to
// read. A new route belongs into this list, after a thought.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	want := []string{
		"GET /docs: public",
		"GET /healthz: public",
		"GET /openapi.yaml: public",
		"GET /v1/audit: admin",
		"GET /v1/dead-letters: admin",
		"POST /v1/dead-letters/redrive: admin",
		"GET /v1/event-types: admin tenant read portal",
		"POST /v1/event-type-imports: admin",
		"DELETE /v1/event-types/{type}: admin",
		"GET /v1/event-types/{type}: admin tenant read portal",
		"PUT /v1/event-types/{type}: admin",
		"GET /v1/keys: admin",
		"POST /v1/keys: admin",
		"DELETE /v1/keys/{key}: admin",
		"POST /v1/portal-links: admin",
		"GET /v1/tenants: admin",
		"GET /v1/tenants/{tenant}: admin tenant read portal",
		"PUT /v1/tenants/{tenant}: admin",
		"GET /v1/tenants/{tenant}/audit: admin tenant read",
		"GET /v1/tenants/{tenant}/deliveries: admin tenant read portal",
		"GET /v1/tenants/{tenant}/deliveries/{delivery}: admin tenant read portal",
		"POST /v1/tenants/{tenant}/deliveries/{delivery}/cancel: admin tenant portal",
		"POST /v1/tenants/{tenant}/deliveries/{delivery}/retry: admin tenant portal",
		"POST /v1/tenants/{tenant}/endpoints/{endpoint}/cancel: admin tenant portal",
		"POST /v1/tenants/{tenant}/endpoints/{endpoint}/recover: admin tenant portal",
		"POST /v1/tenants/{tenant}/endpoints/{endpoint}/replay: admin tenant portal",
		"GET /v1/tenants/{tenant}/jobs: admin tenant read portal",
		"DELETE /v1/tenants/{tenant}/jobs/{job}: admin tenant portal",
		"GET /v1/tenants/{tenant}/jobs/{job}: admin tenant read portal",
		"GET /v1/tenants/{tenant}/endpoints: admin tenant read portal",
		"POST /v1/tenants/{tenant}/endpoints: admin tenant portal",
		"DELETE /v1/tenants/{tenant}/endpoints/{endpoint}: admin tenant portal",
		"GET /v1/tenants/{tenant}/endpoints/{endpoint}: admin tenant read portal",
		"PATCH /v1/tenants/{tenant}/endpoints/{endpoint}: admin tenant portal",
		"GET /v1/tenants/{tenant}/endpoints/{endpoint}/secret: admin tenant portal",
		"POST /v1/tenants/{tenant}/endpoints/{endpoint}/secret/rotate: admin tenant portal",
		"POST /v1/tenants/{tenant}/endpoints/{endpoint}/test: admin tenant portal",
		"GET /v1/tenants/{tenant}/events: admin tenant read portal",
		"POST /v1/tenants/{tenant}/events: admin tenant publish",
		"POST /v1/tenants/{tenant}/events/batch: admin tenant publish",
		"GET /v1/tenants/{tenant}/events/{event}: admin tenant read portal",
		"POST /v1/tenants/{tenant}/events/{event}/cancel: admin tenant publish",
		"POST /v1/tenants/{tenant}/events/{event}/expunge: admin tenant",
		"GET /v1/tenants/{tenant}/export: admin tenant read portal",
		"POST /v1/tenants/{tenant}/filters/test: admin tenant read portal",
		"GET /v1/tenants/{tenant}/keys: admin tenant",
		"POST /v1/tenants/{tenant}/keys: admin tenant",
		"DELETE /v1/tenants/{tenant}/keys/{key}: admin tenant",
		"POST /v1/tenants/{tenant}/portal-links: admin tenant",
		"GET /v1/tenants/{tenant}/stats: admin tenant read portal",
	}
	d := readDocument(t)
	var got []string
	for _, r := range routes() {
		callers := []string{}
		for _, scope := range auth.Scopes {
			if scope.Has(r.needs) {
				callers = append(callers, string(scope))
			}
		}
		documented, said := d.scopes(t, r)
		switch {
		case r.needs == auth.Public:
			callers = []string{"public"}
			if !said || len(documented) > 0 {
				t.Errorf("%s %s is public, but not documented so", r.method, r.pattern)
			}
		case len(callers) == 0:
			t.Errorf("%s %s needs %q, which nobody has", r.method, r.pattern, r.needs)
		default:
			names := []string{}
			for _, scope := range documented {
				names = append(names, string(scope))
			}
			if diff := cmp.Diff(callers, names); diff != "" {
				t.Errorf("%s %s: allowed (-) and documented (+) scopes: %s", r.method, r.pattern, diff)
			}
		}
		got = append(got, r.method+" "+r.pattern+": "+strings.Join(callers, " "))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-) and got (+): %s", diff)
	}
}

func TestARouteThatNamesNoPermissionIsForNobody(t *testing.T) {
	t.Parallel()
	for _, scope := range auth.Scopes {
		if scope.Has(route{}.needs) {
			t.Errorf("%s may call it", scope)
		}
	}
}

func TestLimitsAreDocumentedAsEnforced(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	schemas := d.Components.Schemas
	for name, pair := range map[string][2]int{
		"URL":              {schemas["URL"].MaxLength, webhook.MaxURLLength},
		"Description":      {schemas["Description"].MaxLength, webhook.MaxDescriptionLength},
		"EventType":        {schemas["EventType"].MaxLength, webhook.MaxEventTypeLength},
		"Patterns":         {schemas["Patterns"].MaxItems, webhook.MaxPatterns},
		"Headers":          {schemas["Headers"].MaxProps, webhook.MaxHeaders},
		"EventTags":        {schemas["EventTags"].MaxItems, webhook.MaxEventTags},
		"Retention.max":    {schemas["RetentionDays"].Maximum, int(webhook.MaxRetention / (24 * time.Hour))},
		"EventChannels":    {schemas["EventChannels"].MaxItems, webhook.MaxEventChannels},
		"Channels":         {schemas["EndpointChannels"].MaxItems, webhook.MaxEndpointChannels},
		"Filter":           {schemas["Filter"].MaxLength, webhook.MaxFilterLength},
		"Tags":             {schemas["Tags"].MaxItems, webhook.MaxTags},
		"Metadata":         {schemas["Metadata"].MaxProps, webhook.MaxMetadata},
		"Timeout":          {schemas["TimeoutSeconds"].Maximum, int(webhook.MaxTimeout / time.Second)},
		"Schedule":         {schemas["OwnSchedule"].MaxItems, retry.MaxSteps},
		"Schedule.wait":    {schemas["OwnSchedule"].Items.Maximum, int(retry.MaxTotal / time.Second)},
		"Rate.count":       {schemas["RateLimit"].Properties["count"].Maximum, webhook.MaxRateCount},
		"Rate.seconds":     {schemas["RateLimit"].Properties["seconds"].Maximum, int(webhook.MaxRateWindow / time.Second)},
		"Concurrency":      {schemas["MaxConcurrency"].Maximum, webhook.MaxConcurrency},
		"Type.description": {schemas["TypeDescription"].MaxLength, catalogue.MaxDescription},
		"KeyName":          {schemas["KeyName"].MaxLength, webhook.MaxNameLength},
		"Rate.maximum":     {schemas["Rate"].Maximum, replay.MaxJobRate},
		"Rate.default":     {schemas["Rate"].Default, replay.DefaultJobRate},
		"Limit.maximum":    {d.Components.Parameters["Limit"].Schema.Maximum, maxLimit},
		"Limit.default":    {d.Components.Parameters["Limit"].Schema.Default, defaultLimit},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is documented as %d, enforced as %d", name, pair[0], pair[1])
		}
	}
	var states []string
	for _, state := range webhook.States {
		states = append(states, string(state))
	}
	if diff := cmp.Diff(schemas["State"].Enum, states); diff != "" {
		t.Errorf("states documented (-) and known (+): %s", diff)
	}
	var endpointStates []string
	for _, state := range webhook.EndpointStates {
		endpointStates = append(endpointStates, string(state))
	}
	if diff := cmp.Diff(schemas["EndpointState"].Enum, endpointStates); diff != "" {
		t.Errorf("states of endpoints documented (-) and known (+): %s", diff)
	}
	var scopes []string
	for _, scope := range keyring.TenantScopes {
		scopes = append(scopes, string(scope))
	}
	if diff := cmp.Diff(schemas["TenantScope"].Enum, scopes); diff != "" {
		t.Errorf("scopes documented (-) and known (+): %s", diff)
	}
}
