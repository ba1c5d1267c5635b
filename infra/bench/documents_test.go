package main

import (
	"path/filepath"
	"regexp"
	"testing"
)

var namedRun = regexp.MustCompile(`\]\([^)]*(results/[^)]+\.json)\)`)

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
		r, err := readRun(name[1])
		if err != nil {
			t.Fatal(err)
		}
		want, err := b.text(filepath.Join("infra/bench", name[1]), r)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s says\n%s\nstored is\n%s", b.document, got, want)
		}
	}
}
