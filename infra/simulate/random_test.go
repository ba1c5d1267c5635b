package simulate_test

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"webhookrelay/infra/simulate"
)

var (
	seeds = flag.Int("seeds", 1500, "how many random runs TestRandom makes")
	pairs = flag.Bool("pairs", false, "TestEveryFault tries every pair of faults in all small scenarios")
	seed  = flag.Int64("seed", -1, "the one run to repeat, with its trace")
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // many small worlds, none of which lives long
	m.Run()
}

// TestRandom makes runs by seed. `-seed S` repeats one with its trace.
func TestRandom(t *testing.T) {
	if *seed >= 0 {
		if r := randomRun(t, uint64(*seed), simulate.Seams{}, true); len(r.Violations) > 0 {
			t.Errorf("seed %d: %+v", *seed, r.Violations)
		}
		return
	}
	const workers = 4
	totals := make(chan simulate.Report, workers)
	t.Run("runs", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				var total simulate.Report
				for s := worker; s < *seeds; s += workers {
					r := randomRun(t, uint64(s), simulate.Seams{}, false)
					if len(r.Violations) > 0 {
						randomRun(t, uint64(s), simulate.Seams{}, true)
						t.Fatalf("seed %d: %+v\nrepeat it with: go test ./infra/simulate -run TestRandom -seed %d", s, r.Violations, s)
					}
					total = total.Plus(r)
				}
				totals <- total
			})
		}
	})
	close(totals)
	var total simulate.Report
	for r := range totals {
		total = total.Plus(r)
	}
	t.Logf("%d runs: %s", *seeds, total)
}

func randomRun(t *testing.T, seed uint64, seams simulate.Seams, trace bool) simulate.Report {
	t.Helper()
	c, build := simulate.Random(seed)
	c.Seams = seams
	var lines []string
	if trace {
		c.Trace = func(line string) { lines = append(lines, line) }
	}
	r, _ := run(t, c, build)
	if trace {
		t.Logf("seed %d: %+v\n%s", seed, c, strings.Join(lines, "\n"))
	}
	return r
}

// TestTheSameSeedIsTheSameRun compares traces, which name everything that happens.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	for seed := range uint64(40) {
		var traces [2]strings.Builder
		for i := range traces {
			c, build := simulate.Random(seed)
			c.Trace = func(line string) { fmt.Fprintln(&traces[i], line) }
			run(t, c, build)
		}
		first, second := strings.Split(traces[0].String(), "\n"), strings.Split(traces[1].String(), "\n")
		for i := range min(len(first), len(second)) {
			if first[i] != second[i] {
				t.Fatalf("seed %d, line %d:\n%s\n%s", seed, i, first[i], second[i])
			}
		}
		if len(first) != len(second) {
			t.Fatalf("seed %d: %d lines, then %d", seed, len(first), len(second))
		}
	}
}

// TestABatchIsOneMessageWithoutSettled: outside a bubble of testing/synctest the
// world hands over one message at a time, and runs are as repeatable.
func TestABatchIsOneMessageWithoutSettled(t *testing.T) {
	for seed := range uint64(60) {
		c, build := simulate.Random(seed)
		w := simulate.New(c)
		build(w)
		if r := w.Run(); len(r.Violations) > 0 {
			t.Fatalf("seed %d: %+v", seed, r.Violations)
		}
	}
}
