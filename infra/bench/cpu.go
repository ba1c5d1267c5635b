package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"webhookrelay/infra/measure"
)

// cpuResults are the processor time that the functions take for an event, beside
// that of a program which makes the same calls and nothing else.
type cpuResults struct {
	// Cases are in microseconds per event.
	Cases []measure.Comparison `json:"cases,omitempty"`
	// NotMeasured says why there are none.
	NotMeasured string `json:"not_measured,omitempty"`
}

func (c *cpuResults) print() {
	fmt.Print("processor time of the Lambda functions; AWS is a stub that answers at once\n\n")
	if c.NotMeasured != "" {
		fmt.Printf("not measured: %s\n\n", c.NotMeasured)
		return
	}
	measure.Table(c.table())
}

func (c *cpuResults) table() (header []string, rows [][]string) {
	for _, s := range c.Cases {
		rows = append(rows, s.Row())
	}
	return []string{"per event", "unit", "function", "the same calls alone", "function ÷ floor"}, rows
}

// cpuCase is one kind of invocation, and how often a round has it.
type cpuCase struct {
	name, function string
	events         int
	times          int
}

var cpuCases = []cpuCase{
	{"ingest, an event a request", "ingest", 1, 1000},
	{"ingest, 100 events a request", "ingest", 100, 30},
	{"dispatcher, a message a batch", "dispatcher", 1, 1000},
	{"dispatcher, 10 messages a batch", "dispatcher", 10, 200},
}

// warmUp is how many invocations are made before the first that counts.
const warmUp = 20

func measureCPU(work string, s settings) (*cpuResults, error) {
	if runtime.GOOS != "linux" {
		return &cpuResults{NotMeasured: "the binaries run on Linux, this is " + runtime.GOOS}, nil
	}
	r, err := newRig(work)
	if err != nil {
		return nil, err
	}
	defer r.close()
	results := &cpuResults{}
	for _, c := range cpuCases {
		compared, err := r.compareCPU(c, s.Rounds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		results.Cases = append(results.Cases, compared)
	}
	return results, nil
}

func (r *rig) compareCPU(c cpuCase, rounds int) (measure.Comparison, error) {
	var function *function
	early, err := r.stub.record(func() (err error) {
		function, _, err = r.start(c.function, nil)
		return err
	})
	if err != nil {
		return measure.Comparison{}, err
	}
	defer function.stop()
	if len(early) > 0 {
		return measure.Comparison{}, fmt.Errorf("%d calls before the first invocation, the first of them %s", len(early), early[0].Target)
	}
	if c.function == "dispatcher" {
		if err := r.fill(2 * (rounds*c.times + warmUp + 1) * c.events); err != nil {
			return measure.Comparison{}, err
		}
	}
	run := func() error { return r.once(c, function) }
	if err := repeat(warmUp, run); err != nil {
		return measure.Comparison{}, err
	}
	floor, err := r.floorOf(run)
	if err != nil {
		return measure.Comparison{}, err
	}
	defer floor.stop()
	same := func() error { return r.once(c, floor) }
	if err := repeat(warmUp, same); err != nil {
		return measure.Comparison{}, err
	}
	var relays, floors []float64
	for range rounds {
		relay, err := cpuOf(function, c, run)
		if err != nil {
			return measure.Comparison{}, err
		}
		alone, err := cpuOf(floor, c, same)
		if err != nil {
			return measure.Comparison{}, fmt.Errorf("floor: %w", err)
		}
		relays, floors = append(relays, relay), append(floors, alone)
	}
	return measure.Compare(c.name, "µs", relays, floors), nil
}

func repeat(times int, do func() error) error {
	for range times {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// cpuOf returns the processor time that a process takes for an event, in µs.
func cpuOf(f *function, c cpuCase, do func() error) (float64, error) {
	pid := f.command.Process.Pid
	before := measure.SettledCPU(pid)
	if err := repeat(c.times, do); err != nil {
		return 0, err
	}
	return (measure.SettledCPU(pid) - before) * 1e6 / float64(c.times*c.events), nil
}

// once makes one invocation: of the relay's function, or of the floor, which looks
// at nothing of it.
func (r *rig) once(c cpuCase, f *function) error {
	if c.function == "ingest" {
		return r.post(f, c.events, measure.EventRequest)
	}
	return r.deliver(f, c.events)
}

// fill has so many messages wait, each of a delivery of its own.
func (r *rig) fill(messages int) error {
	r.stub.forget()
	ingest, _, err := r.start("ingest", nil)
	if err != nil {
		return err
	}
	defer ingest.stop()
	for r.stub.waiting() < messages {
		if err := r.post(ingest, 100, measure.EventRequest); err != nil {
			return err
		}
	}
	return nil
}

// floorOf starts the program that does what one invocation does.
func (r *rig) floorOf(run func() error) (*function, error) {
	var calls []recordedCall
	posts, err := r.sink.record(func() (err error) {
		calls, err = r.stub.record(run)
		return err
	})
	if err != nil {
		return nil, err
	}
	plan, err := json.Marshal(map[string]any{"calls": calls, "posts": posts})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(r.work, "floor-plan.json")
	if err := os.WriteFile(path, plan, 0o600); err != nil {
		return nil, err
	}
	f, _, err := r.start(floorName, nil, planVariable+"="+path)
	return f, err
}
