package check_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// expressions is what these tests follow through template.yaml: names to parameters.
type expressions struct {
	Parameters map[string]struct {
		Default string `yaml:"Default"`
	} `yaml:"Parameters"`
	Conditions map[string]yaml.Node `yaml:"Conditions"`
	Globals    struct {
		Function yaml.Node `yaml:"Function"`
	} `yaml:"Globals"`
}

func readExpressions(t *testing.T) expressions {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed expressions
	if err := yaml.Unmarshal(raw, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

var placeholder = regexp.MustCompile(`\$\{([A-Za-z0-9]+)\}`)

// parameters adds to found all parameters that what a node becomes depends on.
func (e expressions) parameters(node *yaml.Node, found map[string]bool) {
	named := func(name string) {
		if _, ok := e.Parameters[name]; ok {
			found[name] = true
		}
	}
	children := node.Content
	switch node.Tag {
	case "!Ref":
		named(node.Value)
	case "!Condition":
		e.condition(node.Value, found)
	case "!If":
		e.condition(children[0].Value, found)
		children = children[1:]
	case "!Sub":
		text, given := node.Value, map[string]bool{}
		if len(children) == 2 {
			text = children[0].Value
			for i := 0; i < len(children[1].Content); i += 2 {
				given[children[1].Content[i].Value] = true
			}
		}
		for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
			if !given[match[1]] {
				named(match[1])
			}
		}
	}
	for _, child := range children {
		e.parameters(child, found)
	}
}

func (e expressions) condition(name string, found map[string]bool) {
	node := e.Conditions[name]
	e.parameters(&node, found)
}

type version struct {
	FunctionName yaml.Node `yaml:"FunctionName"`
	Description  yaml.Node `yaml:"Description"`
}

// versions returns the template's versions by the function they are of.
func (tmpl template) versions(t *testing.T) map[string]version {
	t.Helper()
	found := map[string]version{}
	for name, resource := range tmpl.Resources {
		if resource.Type == "AWS::Lambda::Version" {
			var v version
			tmpl.properties(t, name, &v)
			found[v.FunctionName.Value] = v
		}
	}
	return found
}

// A version is frozen with its function's settings. A parameter that they depend on
// and that its description leaves out would, once changed, change nothing that runs. One
// that the description has beyond that would fail a deployment: Lambda publishes no
// version of a function that did not change.
func TestAVersionIsReplacedWhenAParameterOfItsFunctionChanges(t *testing.T) {
	t.Parallel()
	tmpl, e := readTemplate(t), readExpressions(t)
	versions, stamped := tmpl.versions(t), slices.Sorted(maps.Keys(tmpl.Mappings["Stamps"]))
	var functions []string
	for name, resource := range tmpl.Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		functions = append(functions, name)
		described, ok := versions[name]
		if !ok {
			t.Errorf("%s has no version", name)
			continue
		}
		needed, told := map[string]bool{}, map[string]bool{}
		e.parameters(&resource.Properties, needed)
		e.parameters(&e.Globals.Function, needed)
		e.parameters(&described.Description, told)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(needed)), slices.Sorted(maps.Keys(told))); diff != "" {
			t.Errorf("%s depends on (-), its version's description names (+): %s", name, diff)
		}
		if tmpl.Mappings["Stamps"][name]["Built"] != "none" || !slices.Contains(values(described.Description), name) {
			t.Errorf("%s: the stamp of its build is not in the description, or not left to the build", name)
		}
	}
	slices.Sort(functions)
	if diff := cmp.Diff(functions, stamped); diff != "" {
		t.Errorf("functions (-) and stamps (+): %s", diff)
	}
}

// Lambda takes descriptions of up to 256 characters.
func TestAVersionsDescriptionHasRoomForWhatIsUsual(t *testing.T) {
	t.Parallel()
	const most = 256
	tmpl, e := readTemplate(t), readExpressions(t)
	usual := map[string]string{
		"Stamp": "0123456789ab", "Trace": "traced", "LogLevel": "WARN", "AdminKeySha256": strings.Repeat("0", 64), "Architecture": "x86_64",
		"Key":     "mrk-0123456789abcdef0123456789abcdef",
		"Network": "subnet-0123456789abcdef0,subnet-0123456789abcdef1 sg-0123456789abcdef0", "ParkLifetime": "72h", "TenantRate": "500/1000",
		"PortalEmbedders": "https://app.example.com,https://admin.example.com", "SourceTenant": "aws",
	}
	for name, v := range tmpl.versions(t) {
		if v.Description.Tag != "!Sub" {
			t.Errorf("%s is described by %s", name, v.Description.Tag)
			continue
		}
		text := placeholder.ReplaceAllStringFunc(v.Description.Content[0].Value, func(match string) string {
			variable := placeholder.FindStringSubmatch(match)[1]
			if value, ok := usual[variable]; ok {
				return value
			}
			if _, ok := e.Parameters[variable]; !ok {
				t.Errorf("%s: this test does not know how long %s is", name, variable)
			}
			return e.Parameters[variable].Default
		})
		if len(text) > most-16 {
			t.Errorf("%s: %d characters of usual values: %s", name, len(text), text)
		}
		t.Logf("%s: %d characters", name, len(text))
	}
}

// With a Rollout, what invokes a function invokes the alias of its version.
func TestWhatInvokesAFunctionInvokesItsAliasInARollout(t *testing.T) {
	t.Parallel()
	tmpl := readTemplate(t)
	for name, invoked := range map[string][]string{
		"DispatcherFunctionDeliveries": {"Dispatcher"}, "SourceFunctionMessages": {"Source"}, "SweeperFunctionEveryMinute": {"Sweeper"},
		"HttpApi": {"Ingest", "Api"}, "RestApi": {"Ingest", "Api"},
	} {
		all := strings.Join(values(tmpl.Resources[name].Properties), "\n")
		for _, function := range invoked {
			if !strings.Contains(all, "ByVersion") || !strings.Contains(all, function+"Alias") {
				t.Errorf("%s does not invoke the alias of %sFunction", name, function)
			}
		}
	}
	for name, resource := range tmpl.Resources {
		if resource.Type == "AWS::Serverless::Function" && strings.Contains(strings.Join(values(resource.Properties), "\n"), "\nEvents\n") {
			t.Errorf("%s has events, which SAM leads to the function itself", name)
		}
	}
}
