package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"webhookrelay/infra/measure"
)

// hotPath is what every event passes through, by one of the benchmarks in
// hotpath_test.go. Allocations hardly vary between runs; the time does.
type hotPath struct {
	Name        string  `json:"name"`
	Nanoseconds float64 `json:"ns"`
	Bytes       float64 `json:"bytes"`
	Allocations float64 `json:"allocations"`
}

type hotPathResults struct {
	Paths []hotPath `json:"paths"`
	// Before names the commit of the newest stored run that has them, which these
	// are compared with.
	Before string `json:"compared_with,omitempty"`
	// Regressions are those that take over a tenth more of memory than there.
	Regressions []string `json:"regressions,omitempty"`
	before      map[string]hotPath
}

func (h *hotPathResults) print() {
	fmt.Print("hot paths, per operation\n\n")
	var rows [][]string
	for _, p := range h.Paths {
		row := []string{p.Name, measure.Show(p.Nanoseconds / 1000), measure.Show(p.Bytes), measure.Show(p.Allocations), "", ""}
		if was, ok := h.before[p.Name]; ok {
			row[4] = measure.Show(was.Bytes) + " bytes, " + measure.Show(was.Allocations) + " allocations"
			if p.worse(was) {
				row[5] = "MORE"
			}
		}
		rows = append(rows, row)
	}
	before := "stored before: none"
	if h.Before != "" {
		before = "at " + h.Before
	}
	measure.Table([]string{"", "µs", "bytes", "allocations", before, ""}, rows)
}

// tolerance is by how much memory may grow without being marked.
const tolerance = 1.1

// worse reports whether p takes clearly more memory than was.
func (p hotPath) worse(was hotPath) bool {
	return p.Allocations > was.Allocations*tolerance || p.Bytes > was.Bytes*tolerance
}

// benchmarkLine is one result of `go test -bench -benchmem`.
var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s+([\d.]+) B/op\s+([\d.]+) allocs/op`)

func parseBenchmarks(out []byte) (paths []hotPath, err error) {
	for _, match := range benchmarkLine.FindAllSubmatch(out, -1) {
		p := hotPath{Name: string(match[1])}
		for i, into := range []*float64{&p.Nanoseconds, &p.Bytes, &p.Allocations} {
			if *into, err = strconv.ParseFloat(string(match[i+2]), 64); err != nil {
				return nil, err
			}
		}
		paths = append(paths, p)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no benchmark in the output: %s", out)
	}
	return paths, nil
}

// measureHotPaths runs the benchmarks, and compares them with the newest run
// stored in history.
func measureHotPaths(history string) (*hotPathResults, error) {
	command := exec.Command("go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", "300ms", "./infra/bench")
	out, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	h := &hotPathResults{}
	if h.Paths, err = parseBenchmarks(out); err != nil {
		return nil, err
	}
	if err := h.compare(history); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *hotPathResults) compare(history string) error {
	files, err := filepath.Glob(filepath.Join(history, "*.json"))
	if err != nil {
		return err
	}
	var newest time.Time
	var failed []error
	for _, file := range files {
		raw, err := os.ReadFile(file)
		var stored struct {
			At       time.Time       `json:"at"`
			Commit   string          `json:"commit"`
			HotPaths *hotPathResults `json:"hot_paths"`
		}
		if err = errors.Join(err, json.Unmarshal(raw, &stored)); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", file, err))
		}
		if stored.HotPaths == nil || stored.At.Before(newest) {
			continue
		}
		newest, h.Before, h.before = stored.At, stored.Commit, map[string]hotPath{}
		for _, p := range stored.HotPaths.Paths {
			h.before[p.Name] = p
		}
	}
	for _, p := range h.Paths {
		if was, ok := h.before[p.Name]; ok && p.worse(was) {
			h.Regressions = append(h.Regressions, p.Name)
		}
	}
	return errors.Join(failed...)
}
