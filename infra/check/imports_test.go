package check_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "webhookrelay/"
)

// ranks says how far out a package of shared/ lies. A package may import those
// of a lower rank only, so imports point inward and no cycle of concepts forms.
var ranks = map[string]int{
	"webhook": 0,
	"auth":    1, "awsenv": 1, "breaker": 1, "client": 1, "envelope": 1, "gateway": 1, "id": 1, "retry": 1, "safedial": 1, "signature": 1, "telemetry": 1, "throttle": 1, "trace": 1,
	"audit": 2, "config": 2, "filter": 2, "history": 2, "seal": 2,
	"announce": 4, "catalogue": 3, "dispatch": 3, "ingest": 3, "keyring": 3, "registry": 3, "replay": 3, "sender": 3, "sweep": 3,
	"api": 4, "portal": 4, "intake": 5, "awskms": 4, "dynamo": 4, "sqlite": 4, "sqsqueue": 4, "storetest": 4,
}

// owners says who alone may import a module from outside, by its path's
// prefix; "main" stands for the programs under functions/ and infra/cmd/. What
// is not listed is refused: an owner is a decision (infra/docs/decisions).
var owners = map[string][]string{
	"github.com/aws/aws-sdk-go-v2/service/dynamodb": {"dynamo", "main"},
	"github.com/aws/aws-sdk-go-v2/service/kms":      {"awskms", "main"},
	"github.com/aws/aws-sdk-go-v2/service/sqs":      {"sqsqueue", "main"},
	"github.com/aws/aws-sdk-go-v2":                  {"awsenv", "awskms", "dynamo", "sqsqueue"},
	"github.com/aws/smithy-go":                      {"awsenv", "dynamo", "sqsqueue"},
	"github.com/aws/aws-lambda-go":                  {"gateway", "sqsqueue", "main"},
	"golang.org/x/sync/errgroup":                    {"dynamo", "sqsqueue"},
	"golang.org/x/sync/singleflight":                {"seal"},
	"golang.org/x/time/rate":                        {"throttle"},
	"github.com/oklog/ulid/v2":                      {"id"},
	"modernc.org/sqlite":                            {"sqlite"},
	"zombiezen.com/go/sqlite":                       {"sqlite"},
	"github.com/alecthomas/kong":                    {"main"},
	"github.com/mattn/go-isatty":                    {"main"},
	"cel.dev/cel-go":                                {"filter"},
	"github.com/santhosh-tekuri/jsonschema/v6":      {"catalogue"},
	"golang.org/x/text":                             {"catalogue"},
	"go.yaml.in/yaml/v3":                            {"main"},
	"github.com/yuin/goldmark":                      {"main"},
	"github.com/google/go-cmp":                      {"storetest"},
	"pgregory.net/rapid":                            {"storetest"},
}

// forbidden lists what no Lambda function may contain, even indirectly.
var forbidden = []string{"modernc.org/sqlite", "zombiezen.com/go/sqlite", "github.com/alecthomas/kong", "github.com/mattn/go-isatty", "go.yaml.in/yaml/v3", "github.com/yuin/goldmark", "testing", "net/http/httptest"}

// schemas takes time at each start, so only the functions that read schemas hold it.
const schemas = "github.com/santhosh-tekuri/jsonschema/v6"

var readsSchemas = []string{"api", "ingest", "source"}

// keyService is what only the functions that open secrets hold.
const keyService = "github.com/aws/aws-sdk-go-v2/service/kms"

var opensSecrets = []string{"api", "dispatcher"}

type goFile struct {
	dir, name string
	imports   []string
}

// goFiles lists the Go files below the root that are not tests.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && file != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		found := goFile{dir: path.Dir(filepath.ToSlash(rel)), name: name}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found.imports = append(found.imports, imported)
		}
		files = append(files, found)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestImportsPointInward(t *testing.T) {
	t.Parallel()
	for _, file := range goFiles(t) {
		name, shared := strings.CutPrefix(file.dir, "shared/")
		rank, known := ranks[name]
		if shared && !known {
			t.Errorf("%s has no rank in this test: decide where it lies", file.dir)
			continue
		}
		for _, imported := range file.imports {
			target, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			inner, inShared := strings.CutPrefix(target, "shared/")
			switch {
			case !shared && !inShared && !strings.HasPrefix(file.dir, "infra/"):
				t.Errorf("%s/%s imports %s, which is not in shared/", file.dir, file.name, imported)
			case shared && (!inShared || ranks[inner] >= rank):
				t.Errorf("%s/%s imports %s, which does not lie further in", file.dir, file.name, imported)
			}
		}
	}
}

func TestModulesFromOutsideHaveAnOwner(t *testing.T) {
	t.Parallel()
	for _, file := range goFiles(t) {
		who := strings.TrimPrefix(file.dir, "shared/")
		if strings.HasPrefix(file.dir, "functions/") || strings.HasPrefix(file.dir, "infra/cmd/") {
			who = "main"
		}
		for _, imported := range file.imports {
			host, _, _ := strings.Cut(imported, "/")
			if strings.HasPrefix(imported, module) || !strings.Contains(host, ".") {
				continue
			}
			if strings.HasPrefix(file.dir, "infra/") && who != "main" {
				continue // tests and benchmarks reach no deployment
			}
			if !slices.Contains(ownersOf(imported), who) {
				t.Errorf("%s/%s imports %s, which only %v may", file.dir, file.name, imported, ownersOf(imported))
			}
		}
	}
}

// ownersOf returns the owners of the longest prefix that covers a module path.
func ownersOf(imported string) []string {
	var longest string
	for prefix := range owners {
		if (imported == prefix || strings.HasPrefix(imported, prefix+"/")) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	return owners[longest]
}

func TestLambdaFunctionsHoldNothingTheyDoNotNeed(t *testing.T) {
	t.Parallel()
	byDir := map[string][]string{}
	for _, file := range goFiles(t) {
		byDir[file.dir] = append(byDir[file.dir], file.imports...)
	}
	for _, function := range functionNames(t) {
		seen := map[string]bool{}
		var visit func(dir string, trail []string)
		visit = func(dir string, trail []string) {
			if seen[dir] {
				return
			}
			seen[dir] = true
			for _, imported := range byDir[dir] {
				if slices.Contains(forbidden, imported) || imported == keyService && !slices.Contains(opensSecrets, function) ||
					imported == schemas && !slices.Contains(readsSchemas, function) {
					t.Errorf("functions/%s holds %s by way of %v", function, imported, append(trail, dir))
				}
				if inner, ours := strings.CutPrefix(imported, module); ours {
					visit(inner, append(slices.Clone(trail), dir))
				}
			}
		}
		visit("functions/"+function, nil)
	}
}
