package check_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// topLevel is all that may lie at the top besides dotfiles.
var topLevel = []string{"functions", "shared", "infra", "template.yaml", "samconfig.toml", "go.mod", "go.sum", "Makefile", "README.md"}

func TestTheTopLevelHoldsNothingElse(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			names = append(names, entry.Name())
		}
	}
	want := slices.Sorted(slices.Values(topLevel))
	if !slices.Equal(names, want) {
		t.Errorf("top level is %v, want %v", names, want)
	}
}

func TestSharedHoldsPackagesOnly(t *testing.T) {
	t.Parallel()
	loose, err := filepath.Glob(filepath.Join(root, "shared", "*.go"))
	if err != nil || len(loose) > 0 {
		t.Errorf("Go files directly in shared/: %v, %v", loose, err)
	}
	for _, banned := range []string{"utils", "util", "common", "models", "types", "helpers"} {
		if _, err := os.Stat(filepath.Join(root, "shared", banned)); err == nil {
			t.Errorf("shared/%s says nothing about what it holds", banned)
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	documented, files := map[string]bool{}, goFiles(t)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file.dir, file.name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		documented[file.dir] = documented[file.dir] || parsed.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

func TestLinksInTheDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob(filepath.Join(root, "infra/docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(root, "infra/docs/*/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob(filepath.Join(root, "infra/examples/*/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range slices.Concat(documents, more, examples, []string{filepath.Join(root, "README.md"), filepath.Join(root, "infra/examples/README.md")}) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), match[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", document, match[1])
			}
		}
	}
}
