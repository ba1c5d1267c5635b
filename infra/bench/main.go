// Command bench measures the relay on this machine, prints the results and
// stores them. It states numbers and sets no targets. Machines differ and are
// shared, so every speed stands beside a floor, taken in the same run in
// alternation with it, and is given as a ratio to it.
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

	"webhookrelay/infra/cost"
	"webhookrelay/infra/measure"
)

// settings are the sizes of a run.
type settings struct {
	Events         int `json:"events"`
	Rounds         int `json:"rounds"`
	Connections    int `json:"connections"`
	Starts         int `json:"starts"`
	FunctionStarts int `json:"function_starts"`
	PacedPerSecond int `json:"paced_events_per_second"`
	PacedEvents    int `json:"paced_events"`
	FanOut         int `json:"fan_out_endpoints"`
	AWSEvents      int `json:"aws_events"`
	// DataBytes is the size of an event's data, DeflatedBytes what deflate
	// leaves of its body, which decides what DynamoDB bills.
	DataBytes     int `json:"data_bytes"`
	DeflatedBytes int `json:"body_deflated_bytes"`
}

// results is the file that a run leaves.
type results struct {
	At        time.Time        `json:"at"`
	Commit    string           `json:"commit"`
	Machine   measure.Machine  `json:"machine"`
	Settings  settings         `json:"settings"`
	Dev       *devResults      `json:"relay_dev,omitempty"`
	Functions *functionResults `json:"functions,omitempty"`
	Growth    *growthResults   `json:"growth,omitempty"`
	CPU       *cpuResults      `json:"functions_cpu,omitempty"`
	Memory    *memoryResults   `json:"functions_memory,omitempty"`
	HotPaths  *hotPathResults  `json:"hot_paths,omitempty"`
	AWS       *awsResults      `json:"aws,omitempty"`
	Cost      *cost.Results    `json:"cost,omitempty"`
}

// history is where the results of past runs lie, from the root of the module.
const history = "infra/bench/results"

// parts are what -only may name.
var parts = []string{"dev", "growth", "functions", "cpu", "memory", "hotpaths", "lambda", "aws", "cost"}

func main() {
	only := flag.String("only", "", "measure one part: "+strings.Join(parts, ", ")+"; lambda is those from functions to hotpaths")
	events := flag.Int("events", 4000, "events per round of the throughput measurements")
	rounds := flag.Int("rounds", 3, "alternating rounds per measurement, at least 3")
	stored := flag.Int("stored", 200_000, "events that the file of the growth measurements holds")
	dir := flag.String("dir", "", "directory for that file; .cache when left out")
	out := flag.String("out", history, "directory for the results, from the root of the module")
	state := flag.String("write", "", "measure nothing: have the documents state the run stored in this file")
	flag.Parse()
	do := func() error { return run(*only, *dir, *events, *rounds, *stored, *out) }
	if *state != "" {
		do = func() error { return write(*state) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(only, dir string, events, rounds, stored int, out string) (err error) {
	switch {
	case only != "" && !slices.Contains(parts, only):
		return fmt.Errorf("-only %s: there are %s", only, strings.Join(parts, ", "))
	case rounds < 3:
		return errors.New("-rounds: at least 3, or there is no median")
	case events < 100:
		return errors.New("-events: at least 100")
	case stored < 2*fewStored:
		return fmt.Errorf("-stored: at least %d", 2*fewStored)
	}
	if err := measure.EnterModule(); err != nil {
		return err
	}
	work, err := measure.Workspace("bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	r := results{At: time.Now().UTC().Truncate(time.Second), Commit: measure.Commit(), Machine: measure.ThisMachine(work)}
	r.Settings = settings{
		Events: events, Rounds: rounds, Connections: 64, Starts: 10, FunctionStarts: 25,
		PacedPerSecond: 50, PacedEvents: 400, FanOut: 10, AWSEvents: 50,
		DataBytes: len(measure.EventData(0)), DeflatedBytes: measure.DeflatedBody(),
	}
	fmt.Printf("load on this machine before the run: %s\n\n", r.Machine.Load)
	wanted := func(part string) bool { return only == "" || only == part || only == "lambda" }
	if only == "" || only == "dev" {
		if r.Dev, err = measureDev(work, r.Settings); err != nil {
			return fmt.Errorf("relay dev: %w", err)
		}
		r.Dev.print(r.Settings)
	}
	if only == "" || only == "growth" {
		if r.Growth, err = measureGrowth(work, dir, stored, r.Settings); err != nil {
			return fmt.Errorf("growth: %w", err)
		}
		r.Growth.print(r.Settings)
	}
	if wanted("functions") {
		if r.Functions, err = measureFunctions(work, r.Settings); err != nil {
			return fmt.Errorf("functions: %w", err)
		}
		r.Functions.print()
	}
	if wanted("cpu") {
		if r.CPU, err = measureCPU(work, r.Settings); err != nil {
			return fmt.Errorf("cpu: %w", err)
		}
		r.CPU.print()
	}
	if wanted("memory") {
		if r.Memory, err = measureMemory(work); err != nil {
			return fmt.Errorf("memory: %w", err)
		}
		r.Memory.print()
	}
	if wanted("hotpaths") {
		if r.HotPaths, err = measureHotPaths(history); err != nil {
			return fmt.Errorf("hot paths: %w", err)
		}
		r.HotPaths.print()
	}
	if only == "" || only == "aws" {
		if r.AWS, err = measureAWS(work, r.Settings); err != nil {
			return fmt.Errorf("aws: %w", err)
		}
		r.AWS.print()
	}
	if only == "cost" {
		if r.Cost, err = measureCost(work, events); err != nil {
			return fmt.Errorf("cost: %w", err)
		}
		printCost(r.Cost)
	}
	name := r.At.Format(time.DateOnly) + "-" + r.Commit
	if only != "" {
		name += "-" + only // not in the place of a whole run
	}
	if only == "growth" {
		name += fmt.Sprintf("-%d", stored)
	}
	return measure.Store(r, filepath.Join(out, name+".json"))
}
