// Command faults runs the relay into the faults that webhook relays meet,
// measures what becomes of the deliveries, prints one table and stores it. The
// relay is the real `relay dev` as a process, with the loader and the receivers
// beside it on the same machine; nothing leaves it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"webhookrelay/infra/measure"
)

// results is the file that a run leaves.
type results struct {
	At       time.Time       `json:"at"`
	Commit   string          `json:"commit"`
	Machine  measure.Machine `json:"machine"`
	Settings settings        `json:"settings"`
	Findings []finding       `json:"findings"`
	// Rounds holds what each scenario measured, by its name.
	Rounds map[string]any `json:"rounds"`
}

// scenarios are run in this order. Each returns its rows of the table and all
// that they rest on.
var scenarios = []struct {
	name string
	run  func(*lab) ([]finding, any, error)
}{
	{"hanging", hanging},
	{"failing", failing},
	{"outage", outage},
	{"kill", kill},
	{"locked", locked},
	{"disk", disk},
	{"answers", answers},
}

func names() (all []string) {
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return all
}

func main() {
	only := flag.String("only", "", "scenarios to run, separated by commas: "+strings.Join(names(), ", ")+" (default: all)")
	quick := flag.Bool("quick", false, "short durations and small numbers, to see that everything runs; stores nothing")
	rounds := flag.Int("rounds", 3, "alternating rounds of what is compared")
	out := flag.String("out", "infra/faults/results", "directory for the results, from the root of the module")
	flag.Parse()
	if err := run(*only, *quick, *rounds, *out); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(only string, brief bool, rounds int, out string) (err error) {
	chosen := names()
	if only != "" {
		chosen = strings.Split(only, ",")
	}
	for _, name := range chosen {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("-only %s: there are %s", name, strings.Join(names(), ", "))
		}
	}
	if rounds < 1 {
		return errors.New("-rounds: at least 1")
	}
	if err := measure.EnterModule(); err != nil {
		return err
	}
	work, err := measure.Workspace("faults")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	l := &lab{work: work, settings: full}
	if l.Rounds = rounds; brief {
		l.settings = quick
	}
	if l.binary, err = measure.BuildRelay(work); err != nil {
		return err
	}
	r := results{
		At: time.Now().UTC().Truncate(time.Second), Commit: measure.Commit(), Machine: measure.ThisMachine(work),
		Settings: l.settings, Rounds: map[string]any{},
	}
	fmt.Printf("load on this machine before the run: %s\n", r.Machine.Load)
	for _, s := range scenarios {
		if !slices.Contains(chosen, s.name) {
			continue
		}
		began := time.Now()
		found, rounds, err := s.run(l)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("%s: %s\n", s.name, time.Since(began).Round(time.Second))
		r.Findings, r.Rounds[s.name] = append(r.Findings, found...), rounds
	}
	fmt.Println()
	printFindings(r.Findings)
	if brief {
		return nil
	}
	name := r.At.Format(time.DateOnly) + "-" + r.Commit
	if only != "" {
		name += "-" + strings.ReplaceAll(only, ",", "-") // not in the place of a whole run
	}
	return measure.Store(r, filepath.Join(out, name+".json"))
}
