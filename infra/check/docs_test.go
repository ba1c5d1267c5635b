package check_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"webhookrelay/shared/webhook"
)

// constants returns the string constants of one type in a package of shared/.
func constants(t *testing.T, pkg, typeName string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "shared", pkg, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			literal, isText := spec.Values[0].(*ast.BasicLit)
			if named, ok := spec.Type.(*ast.Ident); ok && named.Name == typeName && isText {
				value, _ := strconv.Unquote(literal.Value)
				values = append(values, value)
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("no constants of type %s", typeName)
	}
	return values
}

func TestStatesReasonsAndCausesAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "infra/docs/delivery-states.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, typeName := range []string{"State", "Reason", "NextCause"} {
		for _, value := range constants(t, "webhook", typeName) {
			if !strings.Contains(text, "`"+value+"`") {
				t.Errorf("delivery-states.md says nothing of the %s %q", typeName, value)
			}
		}
	}
	var states []string
	for _, s := range webhook.States {
		states = append(states, string(s))
	}
	if declared := constants(t, "webhook", "State"); !slices.Equal(states, declared) {
		t.Errorf("webhook.States is %v, declared are %v", states, declared)
	}
}

// reservedHeaders returns the names in the table of headers that may not be set.
func reservedHeaders(t *testing.T) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "shared/webhook/header.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	table := parsed.Scope.Lookup("reserved")
	if table == nil {
		t.Fatal("no table of reserved headers")
	}
	ast.Inspect(table.Decl.(ast.Node), func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && !strings.Contains(literal.Value, " ") {
			name, _ := strconv.Unquote(literal.Value)
			names = append(names, name)
		}
		return true
	})
	return names
}

func TestReservedHeadersAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "infra/docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(raw), "Refused are names that")
	list, _, _ = strings.Cut(list, ".\n")
	var documented []string
	for i, part := range strings.Split(strings.ToLower(list), "`") {
		if i%2 == 1 {
			documented = append(documented, part)
		}
	}
	reserved := reservedHeaders(t)
	slices.Sort(reserved)
	slices.Sort(documented)
	if !slices.Equal(reserved, documented) {
		t.Errorf("reserved are %v, documented are %v", reserved, documented)
	}
}

func TestAuditActionsAndScopesAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "infra/docs/keys.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range constants(t, "audit", "Action") {
		if !strings.Contains(string(raw), "`"+action+"`") {
			t.Errorf("keys.md says nothing of the action %q", action)
		}
	}
	for _, scope := range constants(t, "auth", "Scope") {
		if !strings.Contains(string(raw), " "+scope+" |") {
			t.Errorf("keys.md says nothing of the scope %q", scope)
		}
	}
}

// TestTestsNamedInTheThreatModelExist: a name may end in "…".
func TestTestsNamedInTheThreatModelExist(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "infra/docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && file != root {
			return cmp.Or(err, filepath.SkipDir)
		}
		if strings.HasSuffix(file, "_test.go") {
			text, err := os.ReadFile(file)
			sources.Write(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)(…?)`").FindAllStringSubmatch(string(raw), -1)
	if len(named) < 10 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, name := range named {
		want := "func " + name[1]
		if name[2] == "" {
			want += "("
		}
		if !strings.Contains(sources.String(), want) {
			t.Errorf("security.md names %s, which does not exist", name[1])
		}
	}
}
