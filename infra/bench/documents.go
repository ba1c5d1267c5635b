package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"webhookrelay/infra/measure"
)

// A block is a part of a document that states a stored run. Between its marks stands
// nothing else.
type block struct {
	document, name string
	render         func(r results) (string, error)
}

// blocks are all of them. A run that lacks what one states leaves it alone.
var blocks = []block{
	{"README.md", "relay dev beside its peers", results.peers},
	{"infra/docs/performance.md", "relay dev", results.dev},
	{"infra/docs/performance.md", "relay dev beside its peers", results.peers},
	{"infra/docs/performance.md", "growth", results.growth},
	{"infra/docs/performance.md", "functions", results.functions},
	{"infra/docs/performance.md", "processor time of the functions", results.functionsCPU},
	{"infra/docs/performance.md", "memory of the functions", results.functionsMemory},
	{"infra/docs/performance.md", "requests to AWS", results.requests},
	{"infra/docs/performance.md", "hot paths", results.hotPaths},
	{"infra/docs/costs.md", "a million events", results.million},
	{"infra/docs/costs.md", "an idle month", results.idleMonth},
	{"infra/docs/capacity.md", "what three rates need", results.capacity},
	{"infra/docs/capacity.md", "what moves that", results.capacityMoves},
}

func readRun(file string) (r results, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

func (b block) mark(which string) string {
	return fmt.Sprintf("<!-- %s of %s: written by `go run ./infra/bench -write FILE` -->\n", which, b.name)
}

// split returns what the document below root has before, between and after the marks.
func (b block) split(root string) (before, between, after string, err error) {
	raw, err := os.ReadFile(filepath.Join(root, b.document))
	if err != nil {
		return "", "", "", err
	}
	before, rest, ok := strings.Cut(string(raw), b.mark("Begin"))
	between, after, ok2 := strings.Cut(rest, b.mark("End"))
	if !ok || !ok2 {
		return "", "", "", fmt.Errorf("%s has no place for %s", b.document, b.name)
	}
	return before, between, after, nil
}

// text is what stands between the marks: where the run is stored, and what it says.
func (b block) text(file string, r results) (string, error) {
	said, err := b.render(r)
	if err != nil || said == "" {
		return "", err
	}
	target, err := filepath.Rel(filepath.Dir(b.document), file)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("\n[Run of commit %s](%s), %d cores of an %s:\n\n%s\n",
		r.Commit, filepath.ToSlash(target), r.Machine.Cores, r.Machine.CPU, said), nil
}

// write has the documents state the run stored in file, a path from the root of the module.
func write(file string) error {
	if err := measure.EnterModule(); err != nil {
		return err
	}
	r, err := readRun(file)
	if err != nil {
		return err
	}
	for _, b := range blocks {
		text, err := b.text(file, r)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		before, _, after, err := b.split(".")
		if err != nil {
			return err
		}
		if err := os.WriteFile(b.document, []byte(before+b.mark("Begin")+text+b.mark("End")+after), 0o644); err != nil {
			return err
		}
		fmt.Printf("%s states %s by %s\n", b.document, b.name, path.Base(filepath.ToSlash(file)))
	}
	return nil
}
