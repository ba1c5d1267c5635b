package main

import (
	"path"
	"path/filepath"
	"regexp"
	"testing"
)

var namedRun = regexp.MustCompile(`\]\(([^)]+\.json)\)`)

func TestTheDocumentsStateTheStoredRunsThatTheyName(t *testing.T) {
	const root = "../.."
	for _, b := range blocks {
		_, got, _, err := b.split(root)
		if err != nil {
			t.Fatal(err)
		}
		name := namedRun.FindStringSubmatch(got)
		if name == nil {
			t.Fatalf("%s: %s names no run", b.document, b.name)
		}
		file := path.Join(path.Dir(b.document), name[1])
		r, err := readRun(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		want, err := b.text(file, r)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s says\n%s\nstored is\n%s", b.document, got, want)
		}
	}
}
