package check_test

import (
	"encoding/json"
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

	"go.yaml.in/yaml/v3"

	"webhookrelay/shared/telemetry"
)

type metric struct {
	Namespace  yaml.Node `yaml:"Namespace"`
	MetricName yaml.Node `yaml:"MetricName"`
	Dimensions []struct {
		Name yaml.Node `yaml:"Name"`
	} `yaml:"Dimensions"`
}

type alarm struct {
	AlarmDescription string    `yaml:"AlarmDescription"`
	AlarmName        yaml.Node `yaml:"AlarmName"`
	AlarmActions     yaml.Node `yaml:"AlarmActions"`
	OKActions        yaml.Node `yaml:"OKActions"`
	metric           `yaml:",inline"`
	Metrics          []struct {
		MetricStat struct {
			Metric metric `yaml:"Metric"`
		} `yaml:"MetricStat"`
	} `yaml:"Metrics"`
}

func (tmpl template) alarms(t *testing.T) map[string]alarm {
	t.Helper()
	found := map[string]alarm{}
	for name, resource := range tmpl.Resources {
		if resource.Type == "AWS::CloudWatch::Alarm" || resource.Type == "AWS::CloudWatch::CompositeAlarm" {
			var a alarm
			tmpl.properties(t, name, &a)
			found[name] = a
		}
	}
	if len(found) == 0 {
		t.Fatal("template.yaml has no alarms")
	}
	return found
}

// literals returns the string constants in the code that is deployed, of those
// files only that use the named package if one is named.
func literals(t *testing.T, using string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, file := range goFiles(t) {
		if strings.HasPrefix(file.dir, "infra") || using != "" && !slices.Contains(file.imports, using) {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file.dir, file.name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				value, _ := strconv.Unquote(literal.Value)
				found[value] = true
			}
			return true
		})
	}
	return found
}

// An alarm on a metric that nobody sends says nothing for ever.
func TestAlarmsOnMetricsOfTheRelayNameThoseItsCodeLogs(t *testing.T) {
	t.Parallel()
	logged, own := literals(t, "webhookrelay/shared/telemetry"), 0
	for name, a := range readTemplate(t).alarms(t) {
		metrics := []metric{a.metric}
		for _, m := range a.Metrics {
			metrics = append(metrics, m.MetricStat.Metric)
		}
		for _, m := range metrics {
			if m.Namespace.Value != telemetry.Namespace {
				continue
			}
			own++
			if !logged[m.MetricName.Value] {
				t.Errorf("%s: no line of the log holds %q", name, m.MetricName.Value)
			}
			if len(m.Dimensions) != 1 || m.Dimensions[0].Name.Value != "Stack" {
				t.Errorf("%s: %s has the one dimension Stack", name, m.MetricName.Value)
			}
		}
	}
	if own == 0 {
		t.Errorf("no alarm is on the namespace %s", telemetry.Namespace)
	}
}

// Whoever chooses `none` gets none, and `essential` ten: the account's first ten
// are free.
func TestAlarmsDependOnTheParameter(t *testing.T) {
	t.Parallel()
	tmpl, count := readTemplate(t), map[string]int{}
	for name, a := range tmpl.alarms(t) {
		kind, ofSources := strings.CutSuffix(strings.TrimSuffix(tmpl.Resources[name].Condition, "OfDeliveries"), "OfSources")
		kind, ofVersions := strings.CutSuffix(kind, "OfVersions")
		if kind != "EssentialAlarms" && kind != "AllAlarms" {
			t.Errorf("%s has the condition %q", name, tmpl.Resources[name].Condition)
		}
		if !ofSources && !ofVersions { // which few have
			count[kind]++
		}
		if !a.AlarmName.IsZero() {
			t.Errorf("%s has a name of its own, which a second stack could not have", name)
		}
		if a.AlarmActions.IsZero() || a.OKActions.IsZero() {
			t.Errorf("%s does not tell the topic of both its beginning and its end", name)
		}
	}
	if count["EssentialAlarms"] != 10 {
		t.Errorf("%d alarms are essential, the parameter's description says 10", count["EssentialAlarms"])
	}
}

var notInAnchors = regexp.MustCompile(`[^a-z0-9 -]`)

// runbookSections returns the anchors of the headings below "## Alarms".
func runbookSections(t *testing.T) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "infra/docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(raw), "\n## Alarms\n")
	if !ok {
		t.Fatal("operations.md has no section Alarms")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	anchors := map[string]bool{}
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			anchors[strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")] = true
		}
	}
	return anchors
}

func TestEveryAlarmIsInTheRunbookAndBack(t *testing.T) {
	t.Parallel()
	sections, named := runbookSections(t), map[string]bool{}
	for name, a := range readTemplate(t).alarms(t) {
		_, anchor, ok := strings.Cut(a.AlarmDescription, " infra/docs/operations.md#")
		if !ok || !sections[anchor] {
			t.Errorf("%s leads to %q, which is no section", name, anchor)
		}
		named[anchor] = true
	}
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		if !named[section] {
			t.Errorf("no alarm leads to the section %s", section)
		}
	}
}

var (
	substitution = regexp.MustCompile(`\$\{[^}]*\}`)
	logMessage   = regexp.MustCompile(`msg = "([^"]*)"`)
)

// CloudWatch's first three dashboards are free, of up to 50 metrics each.
func TestTheDashboardIsJSONAndFree(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		DashboardBody []yaml.Node `yaml:"DashboardBody"`
	}
	readTemplate(t).properties(t, "OperatorDashboard", &dashboard)
	body := strings.Replace(dashboard.DashboardBody[0].Value, "${MaximumConcurrency}", "100", 1)
	var parsed struct {
		Widgets []struct {
			X, Y, Width, Height int
			Properties          struct {
				Title   string
				Metrics [][]any
			}
		}
	}
	if err := json.Unmarshal([]byte(substitution.ReplaceAllString(body, "x")), &parsed); err != nil {
		t.Fatal(err)
	}
	logged, count, taken := literals(t, "webhookrelay/shared/telemetry"), 0, map[string]string{}
	for _, widget := range parsed.Widgets {
		count += len(widget.Properties.Metrics)
		for _, m := range widget.Properties.Metrics {
			if name := fmt.Sprint(m[1]); m[0] == telemetry.Namespace && !logged[name] {
				t.Errorf("%s: no line of the log holds %q", widget.Properties.Title, name)
			}
		}
		if widget.X+widget.Width > 24 {
			t.Errorf("%s is beyond the right edge", widget.Properties.Title)
		}
		place := fmt.Sprint(widget.X, ",", widget.Y)
		if other, ok := taken[place]; ok {
			t.Errorf("%q lies on %q", widget.Properties.Title, other)
		}
		taken[place] = widget.Properties.Title
	}
	if count == 0 || count > 50 {
		t.Errorf("%d metrics", count)
	}
}

func TestSavedQueriesAskForMessagesThatAreLogged(t *testing.T) {
	t.Parallel()
	logged, asked := literals(t, ""), 0
	tmpl := readTemplate(t)
	for name, resource := range tmpl.Resources {
		if resource.Type != "AWS::Logs::QueryDefinition" {
			continue
		}
		var query struct {
			QueryString string `yaml:"QueryString"`
		}
		tmpl.properties(t, name, &query)
		for _, match := range logMessage.FindAllStringSubmatch(query.QueryString, -1) {
			if asked++; !logged[match[1]] {
				t.Errorf("%s asks for lines %q, which nobody writes", name, match[1])
			}
		}
	}
	if asked == 0 {
		t.Error("no query asks for a message")
	}
}
