package check_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"webhookrelay/shared/awskms"
	"webhookrelay/shared/breaker"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/seal"
)

// template is what these tests read of template.yaml. CloudFormation's short
// functions (!Ref …) are YAML tags, which the types below pass over.
type template struct {
	Parameters map[string]struct {
		Default  string `yaml:"Default"`
		MinValue int    `yaml:"MinValue"`
	} `yaml:"Parameters"`
	// Mappings holds numbers that several properties share, and what the build fills in.
	Mappings  map[string]map[string]map[string]string `yaml:"Mappings"`
	Resources map[string]struct {
		Type                string    `yaml:"Type"`
		Condition           string    `yaml:"Condition"`
		DeletionPolicy      string    `yaml:"DeletionPolicy"`
		UpdateReplacePolicy string    `yaml:"UpdateReplacePolicy"`
		Properties          yaml.Node `yaml:"Properties"`
	} `yaml:"Resources"`
}

func readTemplate(t *testing.T) template {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed template
	if err := yaml.Unmarshal(raw, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// properties decodes a resource's properties into target.
func (tmpl template) properties(t *testing.T, name string, target any) {
	t.Helper()
	resource, ok := tmpl.Resources[name]
	if !ok {
		t.Fatalf("template.yaml has no %s", name)
	}
	if err := resource.Properties.Decode(target); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// number is a property that is a number, or is found in a mapping.
func (tmpl template) number(t *testing.T, property yaml.Node) int {
	t.Helper()
	var n int
	if property.Tag != "!FindInMap" {
		if err := property.Decode(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var path []string
	if err := property.Decode(&path); err != nil || len(path) != 3 {
		t.Fatalf("!FindInMap %v, %v", path, err)
	}
	n, err := strconv.Atoi(tmpl.Mappings[path[0]][path[1]][path[2]])
	if err != nil {
		t.Fatalf("template.yaml maps %v to no number: %v", path, err)
	}
	return n
}

// `sam deploy --guided` asks for each parameter in turn, and offers its default.
func TestAGuidedDeploymentNeedsTheAdminKeyAlone(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var asked struct {
		Parameters yaml.Node `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal(raw, &asked); err != nil {
		t.Fatal(err)
	}
	var needed []string
	for i := 0; i+1 < len(asked.Parameters.Content); i += 2 {
		name := asked.Parameters.Content[i].Value
		var p struct {
			Description    string   `yaml:"Description"`
			Default        *string  `yaml:"Default"`
			AllowedPattern string   `yaml:"AllowedPattern"`
			AllowedValues  []string `yaml:"AllowedValues"`
		}
		if err := asked.Parameters.Content[i+1].Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Description == "" {
			t.Errorf("%s is not described", name)
		}
		if p.Default == nil {
			needed = append(needed, name)
			if i != 0 {
				t.Errorf("%s has no default, and is asked for after %d that have one", name, i/2)
			}
			continue
		}
		if p.AllowedPattern != "" && !regexp.MustCompile(p.AllowedPattern).MatchString(*p.Default) {
			t.Errorf("%s: its own default %q is refused", name, *p.Default)
		}
		if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, *p.Default) {
			t.Errorf("%s: its own default %q is none of %v", name, *p.Default, p.AllowedValues)
		}
	}
	if !slices.Equal(needed, []string{"AdminKeySha256"}) {
		t.Errorf("a user has to answer for %v", needed)
	}
}

// What describes a parameter to people has to name all of them.
func TestEveryParameterIsInAGroupAndHasALabel(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Parameters map[string]yaml.Node `yaml:"Parameters"`
		Metadata   struct {
			Interface struct {
				ParameterGroups []struct {
					Parameters []string `yaml:"Parameters"`
				} `yaml:"ParameterGroups"`
				ParameterLabels map[string]yaml.Node `yaml:"ParameterLabels"`
			} `yaml:"AWS::CloudFormation::Interface"`
		} `yaml:"Metadata"`
	}
	if err := yaml.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	all := slices.Sorted(maps.Keys(read.Parameters))
	var grouped []string
	for _, group := range read.Metadata.Interface.ParameterGroups {
		grouped = append(grouped, group.Parameters...)
	}
	slices.Sort(grouped)
	if diff := cmp.Diff(all, grouped); diff != "" {
		t.Errorf("parameters (-) and those in groups (+): %s", diff)
	}
	if diff := cmp.Diff(all, slices.Sorted(maps.Keys(read.Metadata.Interface.ParameterLabels))); diff != "" {
		t.Errorf("parameters (-) and labels (+): %s", diff)
	}
}

type function struct {
	CodeURI     string    `yaml:"CodeUri"`
	Timeout     yaml.Node `yaml:"Timeout"`
	Environment struct {
		Variables map[string]yaml.Node `yaml:"Variables"`
	} `yaml:"Environment"`
}

func (tmpl template) functions(t *testing.T) map[string]function {
	t.Helper()
	found := map[string]function{}
	for name, resource := range tmpl.Resources {
		if resource.Type == "AWS::Serverless::Function" {
			var f function
			tmpl.properties(t, name, &f)
			found[strings.Trim(strings.TrimPrefix(f.CodeURI, "functions/"), "/")] = f
		}
	}
	return found
}

func functionNames(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestEveryFunctionIsInTheTemplateAndBack(t *testing.T) {
	t.Parallel()
	var deployed []string
	for name := range readTemplate(t).functions(t) {
		deployed = append(deployed, name)
	}
	slices.Sort(deployed)
	if diff := cmp.Diff(functionNames(t), deployed); diff != "" {
		t.Error(diff)
	}
}

func TestTheTableIsTheOneTheCodeExpects(t *testing.T) {
	t.Parallel()
	type key struct {
		Name string `yaml:"AttributeName"`
		Type string `yaml:"KeyType"`
	}
	var table struct {
		KeySchema              []key `yaml:"KeySchema"`
		GlobalSecondaryIndexes []struct {
			IndexName  string `yaml:"IndexName"`
			KeySchema  []key  `yaml:"KeySchema"`
			Projection struct {
				ProjectionType string `yaml:"ProjectionType"`
			} `yaml:"Projection"`
		} `yaml:"GlobalSecondaryIndexes"`
		TimeToLiveSpecification struct {
			AttributeName string `yaml:"AttributeName"`
			Enabled       bool   `yaml:"Enabled"`
		} `yaml:"TimeToLiveSpecification"`
	}
	readTemplate(t).properties(t, "Table", &table)
	if len(table.KeySchema) != 2 || !table.TimeToLiveSpecification.Enabled {
		t.Fatalf("table %+v", table)
	}
	got := dynamo.Schema{
		PartitionKey: table.KeySchema[0].Name, SortKey: table.KeySchema[1].Name,
		TTLAttribute: table.TimeToLiveSpecification.AttributeName,
	}
	for _, index := range table.GlobalSecondaryIndexes {
		got.Indexes = append(got.Indexes, dynamo.IndexSchema{
			Name: index.IndexName, PartitionKey: index.KeySchema[0].Name, SortKey: index.KeySchema[1].Name,
			Projection: index.Projection.ProjectionType,
		})
	}
	if diff := cmp.Diff(dynamo.TableSchema, got); diff != "" {
		t.Error(diff)
	}
}

type queue struct {
	VisibilityTimeout      yaml.Node `yaml:"VisibilityTimeout"`
	MessageRetentionPeriod int       `yaml:"MessageRetentionPeriod"`
}

func TestTimesThatMustAgree(t *testing.T) {
	t.Parallel()
	tmpl := readTemplate(t)
	functions := tmpl.functions(t)
	var deliveries, dead queue
	tmpl.properties(t, "DeliveryQueue", &deliveries)
	tmpl.properties(t, "DeadLetterQueue", &dead)

	// AWS Lambda Developer Guide, "Using Lambda with Amazon SQS".
	timeout, visibility := tmpl.number(t, functions["dispatcher"].Timeout), tmpl.number(t, deliveries.VisibilityTimeout)
	if timeout <= 0 || visibility < 6*timeout {
		t.Errorf("visibility %d s is below six times the dispatcher's timeout of %d s", visibility, timeout)
	}
	if timeout != int(config.DefaultTimeout.Seconds()) || visibility != int(config.DefaultVisibility.Seconds()) ||
		tmpl.Parameters["MaxReceiveCount"].Default != strconv.Itoa(config.DefaultMaxReceives) {
		t.Error("config takes other times or receives for usual than template.yaml sets")
	}
	// What a dispatcher is told of itself and its queue is what they have.
	told := functions["dispatcher"].Environment.Variables
	if tmpl.number(t, told["RELAY_TIMEOUT_SECONDS"]) != timeout || tmpl.number(t, told["RELAY_VISIBILITY_SECONDS"]) != visibility {
		t.Error("the dispatcher is told another timeout or visibility than there is")
	}
	// A repeat must not take an idempotency key over from a request that still runs.
	if timeout := time.Duration(tmpl.number(t, functions["ingest"].Timeout)) * time.Second; timeout <= 0 || timeout >= ingest.Lease {
		t.Errorf("ingest may run for %s, its lease is %s", timeout, ingest.Lease)
	}
	if dead.MessageRetentionPeriod != 14*86_400 || deliveries.MessageRetentionPeriod >= dead.MessageRetentionPeriod {
		t.Errorf("messages are kept %d s, dead letters %d s", deliveries.MessageRetentionPeriod, dead.MessageRetentionPeriod)
	}
	schedule, err := retry.ParseSchedule(tmpl.Parameters["RetrySchedule"].Default)
	if err != nil || tmpl.Parameters["RetrySchedule"].Default != retry.DefaultSchedule {
		t.Errorf("default schedule %v, %v", schedule, err)
	}
	total := retry.MaxTotal * 6 / 5 // with all its jitter
	kept := time.Duration(deliveries.MessageRetentionPeriod) * time.Second
	if got := tmpl.Parameters["Breaker"].Default; got != breaker.Default {
		t.Errorf("default breaker %s", got)
	}
	if got := tmpl.Parameters["KeyRate"].Default; got != config.DefaultKeyRate {
		t.Errorf("default rate of a key %s", got)
	}
	// An event must outlive a hold, its message in both queues, and the retries after a redrive.
	needed := breaker.MaxLifetime + kept + 14*24*time.Hour + total
	for what, days := range map[string]int{"EventRetentionDays": tmpl.Parameters["EventRetentionDays"].MinValue, "config": config.MinRetentionDays} {
		if time.Duration(days)*24*time.Hour < needed {
			t.Errorf("%s allows %d days, a redrive may need %s", what, days, needed)
		}
	}
	fuse, err := strconv.Atoi(tmpl.Parameters["MaxReceiveCount"].Default)
	if err != nil || fuse < 2*(len(schedule)+1) {
		t.Errorf("%d receives leave no slack for %d attempts", fuse, len(schedule)+1)
	}
}

func TestTheEventSourceMappingReportsEachMessage(t *testing.T) {
	t.Parallel()
	var mapping struct {
		BatchSize             int      `yaml:"BatchSize"`
		FunctionResponseTypes []string `yaml:"FunctionResponseTypes"`
		ScalingConfig         struct {
			MaximumConcurrency yaml.Node `yaml:"MaximumConcurrency"`
		} `yaml:"ScalingConfig"`
		FilterCriteria yaml.Node `yaml:"FilterCriteria"`
	}
	readTemplate(t).properties(t, "DispatcherFunctionDeliveries", &mapping)
	if !slices.Equal(mapping.FunctionResponseTypes, []string{"ReportBatchItemFailures"}) || mapping.BatchSize != 10 {
		t.Errorf("mapping %+v", mapping)
	}
	if mapping.ScalingConfig.MaximumConcurrency.IsZero() {
		t.Error("without MaximumConcurrency throttled batches spend receives")
	}
	if !mapping.FilterCriteria.IsZero() {
		t.Error("a filter deletes what it does not match")
	}
}

// role is one whose first policy every stack has; others may depend on parameters.
type role struct {
	Policies []yaml.Node `yaml:"Policies"`
}

type policy struct {
	PolicyDocument struct {
		Statement []struct {
			Action    []string                        `yaml:"Action"`
			Condition map[string]map[string]yaml.Node `yaml:"Condition"`
		} `yaml:"Statement"`
	} `yaml:"PolicyDocument"`
}

// values returns all scalars in a node.
func values(node yaml.Node) (all []string) {
	if node.Value != "" {
		all = append(all, node.Value)
	}
	for _, child := range node.Content {
		all = append(all, values(*child)...)
	}
	return all
}

// Nobody else may use the key, and those who may only for what the code seals.
// LocalStack enforces none of this.
func TestRolesMayUseTheSecretsKeyAsTheirFunctionsDo(t *testing.T) {
	t.Parallel()
	tmpl := readTemplate(t)
	context := slices.Sorted(maps.Keys(awskms.EncryptionContext(seal.Place{})))
	for name, allowed := range map[string][]string{
		"IngestRole": nil, "SweeperRole": nil, "DispatcherRole": {"kms:Decrypt"}, "ApiRole": {"kms:GenerateDataKey", "kms:Decrypt"},
	} {
		var r role
		tmpl.properties(t, name, &r)
		var first policy
		if err := r.Policies[0].Decode(&first); err != nil {
			t.Fatal(err)
		}
		for _, other := range r.Policies[1:] {
			if strings.Contains(fmt.Sprint(values(other)), "kms:") {
				t.Errorf("%s may use keys by a second policy", name)
			}
		}
		var got []string
		for _, statement := range first.PolicyDocument.Statement {
			if !strings.HasPrefix(statement.Action[0], "kms:") {
				continue
			}
			got = append(got, statement.Action...)
			var keys []string
			node := statement.Condition["ForAllValues:StringEquals"]["kms:EncryptionContextKeys"]
			if err := node.Decode(&keys); err != nil {
				t.Fatal(err)
			}
			slices.Sort(keys)
			if diff := cmp.Diff(context, keys); diff != "" {
				t.Errorf("%s: the code's encryption context (-) and the condition's (+): %s", name, diff)
			}
			for _, key := range context {
				if node := statement.Condition["Null"]["kms:EncryptionContext:"+key]; node.Value != "false" {
					t.Errorf("%s: a call without %s is allowed", name, key)
				}
			}
		}
		if diff := cmp.Diff(allowed, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTheSecretsKeyOutlivesTheStack(t *testing.T) {
	t.Parallel()
	tmpl := readTemplate(t)
	// A table that is protected from deletion would hold up the undoing of its creation.
	for name, kept := range map[string]string{
		"Table": "Retain", "SecretsKey": "RetainExceptOnCreate", "DeliveryQueue": "RetainExceptOnCreate", "DeadLetterQueue": "RetainExceptOnCreate",
	} {
		if r := tmpl.Resources[name]; r.DeletionPolicy != kept || r.UpdateReplacePolicy != "Retain" {
			t.Errorf("%s is deleted with the stack", name)
		}
	}
	var key struct {
		EnableKeyRotation bool `yaml:"EnableKeyRotation"`
	}
	if tmpl.properties(t, "SecretsKey", &key); !key.EnableKeyRotation {
		t.Error("the key is not rotated")
	}
}

// Each function gets exactly the variables its main reads.
func TestEnvironmentsHoldWhatTheFunctionsRead(t *testing.T) {
	t.Parallel()
	variables := variablesByReader(t)
	for name, f := range readTemplate(t).functions(t) {
		var given []string
		for variable := range f.Environment.Variables {
			given = append(given, variable)
		}
		slices.Sort(given)
		var read []string
		for _, method := range configCalls(t, name) {
			read = append(read, variables[method]...)
		}
		slices.Sort(read)
		if diff := cmp.Diff(slices.Compact(read), given); diff != "" {
			t.Errorf("functions/%s reads (-) and template.yaml gives (+): %s", name, diff)
		}
	}
}

// variablesByReader maps each method of config.Source to the RELAY_ variables
// its body names.
func variablesByReader(t *testing.T) map[string][]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "shared/config/config.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string][]string{}
	for _, declaration := range parsed.Decls {
		method, ok := declaration.(*ast.FuncDecl)
		if !ok || method.Recv == nil {
			continue
		}
		ast.Inspect(method, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && strings.HasPrefix(literal.Value, `"RELAY_`) {
				name, _ := strconv.Unquote(literal.Value)
				variables[method.Name.Name] = append(variables[method.Name.Name], name)
			}
			return true
		})
	}
	return variables
}

// configCalls lists the methods that a function's main calls on env.
func configCalls(t *testing.T, name string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "functions", name, "main.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	ast.Inspect(parsed, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if receiver, ok := selector.X.(*ast.Ident); ok && receiver.Name == "env" {
				calls = append(calls, selector.Sel.Name)
			}
		}
		return true
	})
	return calls
}
