package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

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

func TestEveryRouteIsDocumentedAndBack(t *testing.T) {
	t.Parallel()
	var served, documented []string
	for _, group := range []Group{Accept{}, Manage{}} {
		for _, r := range group.routes() {
			served = append(served, r.method+" "+r.pattern)
		}
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

func TestPublicRoutesAreDocumentedAsPublic(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	for _, r := range (Manage{}).routes() {
		var operation struct {
			Security *[]any `yaml:"security"`
		}
		node := d.Paths[r.pattern][strings.ToLower(r.method)]
		if err := node.Decode(&operation); err != nil {
			t.Fatal(err)
		}
		if documented := operation.Security != nil && len(*operation.Security) == 0; documented != r.public {
			t.Errorf("%s %s: public %t, documented %t", r.method, r.pattern, r.public, documented)
		}
	}
}

func TestLimitsAreDocumentedAsEnforced(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	schemas := d.Components.Schemas
	for name, pair := range map[string][2]int{
		"URL":           {schemas["URL"].MaxLength, webhook.MaxURLLength},
		"Description":   {schemas["Description"].MaxLength, webhook.MaxDescriptionLength},
		"EventType":     {schemas["EventType"].MaxLength, webhook.MaxEventTypeLength},
		"Patterns":      {schemas["Patterns"].MaxItems, webhook.MaxPatterns},
		"Headers":       {schemas["Headers"].MaxProps, webhook.MaxHeaders},
		"Limit.maximum": {d.Components.Parameters["Limit"].Schema.Maximum, maxLimit},
		"Limit.default": {d.Components.Parameters["Limit"].Schema.Default, defaultLimit},
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
}
