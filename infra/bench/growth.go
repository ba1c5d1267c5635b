package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"webhookrelay/infra/measure"
	"webhookrelay/shared/sqlite"
)

const (
	// fewStored is what the file holds beside which the large one is measured.
	fewStored = 10_000
	// bytesOfStored is about what an event with its deliveries takes in the file.
	bytesOfStored = 2 << 10
	// expiredStored is how many more events either file holds that have expired when it
	// is first opened. What is removed of them leaves room for the events of the rounds.
	expiredStored = 50_000
	// firstSeconds is for how long events are paced then.
	firstSeconds = 20
)

// growthResults is what the number of stored events makes of a relay's speed.
type growthResults struct {
	Stored     int `json:"stored_events"`
	Deliveries int `json:"stored_deliveries"`
	Few        int `json:"stored_events_few"`
	// FileMiB is the large file's size, FillPerSecond how many events a second filled it.
	FileMiB       float64 `json:"file_mib"`
	FillPerSecond float64 `json:"fill_events_per_second"`
	// Rows are the same measurements over both files.
	Rows []growthRow `json:"rows"`
	// FewFirst and ManyFirst are the first runs over them.
	FewFirst  growthFirstRun `json:"few_first_run"`
	ManyFirst growthFirstRun `json:"many_first_run"`
}

// growthRow is one quantity over both files, round by round.
type growthRow struct {
	Name       string         `json:"name"`
	Unit       string         `json:"unit"`
	Few        measure.Spread `json:"few"`
	Many       measure.Spread `json:"many"`
	Ratio      measure.Spread `json:"many_to_few"`
	FewRounds  []float64      `json:"few_rounds"`
	ManyRounds []float64      `json:"many_rounds"`
}

// growthFirstRun is the first run over a file, with the day's walk through recent
// events and with expired rows to remove.
type growthFirstRun struct {
	Stored      int     `json:"stored_events"`
	ExpiredRows int     `json:"expired_rows"`
	Removed     int     `json:"removed_rows"`
	Seconds     float64 `json:"seconds"`
	Ack50       float64 `json:"ack_p50_ms"`
	Ack99       float64 `json:"ack_p99_ms"`
	AckMost     float64 `json:"ack_most_ms"`
}

func (g *growthResults) print(s settings) {
	fmt.Printf("growth: %d stored events with %d deliveries (%.0f MiB, filled at %.0f/s) beside %d; %d rounds of %d events, and of %d at %d/s\n\n",
		g.Stored, g.Deliveries, g.FileMiB, g.FillPerSecond, g.Few, s.Rounds, s.Events, s.PacedEvents, s.PacedPerSecond)
	var rows [][]string
	for _, r := range g.Rows {
		rows = append(rows, []string{r.Name, r.Unit, r.Many.String(), r.Few.String(), r.Ratio.String()})
	}
	measure.Table([]string{"median (min–max)", "unit", fmt.Sprint(g.Stored, " stored"), fmt.Sprint(g.Few, " stored"), "many ÷ few"}, rows)
	rows = nil
	for _, f := range []growthFirstRun{g.ManyFirst, g.FewFirst} {
		rows = append(rows, []string{
			fmt.Sprint(f.Stored, " stored"), fmt.Sprintf("%d of %d", f.Removed, f.ExpiredRows), measure.Show(f.Seconds),
			measure.Show(f.Ack50), measure.Show(f.Ack99), measure.Show(f.AckMost),
		})
	}
	measure.Table([]string{"first run", "expired rows removed", "in s", "post to 202, p50, ms", "p99", "most"}, rows)
}

// growthFile is one of the two files, with what was measured over it.
type growthFile struct {
	dir    string
	filled filled
	// mebibytes is the file's size, perSecond how many events a second filled it.
	mebibytes, perSecond float64
	first                growthFirstRun
	// values are those of each round, by the quantity's place in growthNames.
	values [][]float64
}

// growthNames are the quantities and their units.
var growthNames = [][2]string{
	{"events, post to arrival", "1/s"}, {"processor time per delivery", "ms"},
	{"post to 202, p50", "ms"}, {"post to 202, p99", "ms"}, {"post to arrival, p50", "ms"}, {"post to arrival, p99", "ms"},
	{"exec to first line", "ms"}, {"memory at rest after the start", "MiB"}, {"most memory by the end of the round", "MiB"},
}

// measureGrowth runs the relay in turn over a file of few events and over one with
// as many as stored, below dir.
func measureGrowth(work, dir string, stored int, s settings) (_ *growthResults, err error) {
	if dir == "" {
		dir = work // the system's temporary directory may lie in memory
	}
	if dir, err = os.MkdirTemp(dir, "growth-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := enoughSpace(dir, stored+2*expiredStored); err != nil {
		return nil, err
	}
	b, err := newDevBench(work, s)
	if err != nil {
		return nil, err
	}
	defer b.receiver.Close()
	g := &growthResults{Stored: stored, Few: fewStored}
	few, err := b.growthFile(filepath.Join(dir, "few"), fewStored)
	if err != nil {
		return nil, err
	}
	many, err := b.growthFile(filepath.Join(dir, "many"), stored)
	if err != nil {
		return nil, err
	}
	g.Deliveries, g.FileMiB, g.FillPerSecond = many.filled.deliveries, many.mebibytes, many.perSecond
	g.FewFirst, g.ManyFirst = few.first, many.first
	for i := range s.Rounds {
		order := []*growthFile{few, many}
		if i%2 == 1 {
			order = []*growthFile{many, few}
		}
		for _, f := range order {
			if err := b.growthRound(f); err != nil {
				return nil, err
			}
		}
	}
	g.compare(few, many)
	return g, nil
}

// enoughSpace refuses to fill the disk.
func enoughSpace(dir string, stored int) error {
	free, err := measure.FreeSpace(dir)
	if err != nil {
		return err
	}
	need := float64(stored) * bytesOfStored / (1 << 30)
	fmt.Printf("%.1f GiB are free below %s, and about %.1f will be taken\n", free, dir, need)
	if free < 1.5*need {
		return fmt.Errorf("too little space below %s: name another place with -dir, or fewer events with -stored", dir)
	}
	return nil
}

var growthPaths = []string{"/hook/0"}

// growthFile has a relay make a file in dir, with the tenant and its endpoint,
// fills it, and runs the relay over it for the first time.
func (b *devBench) growthFile(dir string, stored int) (*growthFile, error) {
	r, err := measure.StartRelay(b.binary, dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(r.Subscribe(tenantID, b.receiver.URL+growthPaths[0]), r.StopQuiet()); err != nil {
		return nil, err
	}
	f := &growthFile{dir: dir}
	began := time.Now()
	if f.filled, err = fill(context.Background(), dir, stored+expiredStored, expiredStored); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	f.perSecond = math.Round(float64(stored+expiredStored) / time.Since(began).Seconds())
	if info, err := os.Stat(filepath.Join(dir, "relay.db")); err == nil {
		f.mebibytes = math.Round(float64(info.Size()) / (1 << 20))
	}
	if f.first, err = b.firstRun(f); err != nil {
		return nil, fmt.Errorf("first run: %w", err)
	}
	f.first.Stored = stored
	return f, nil
}

// growthRound is one round over one file.
func (b *devBench) growthRound(f *growthFile) (err error) {
	r, err := measure.StartRelay(b.binary, f.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.StopQuiet()) }()
	rest, _ := settledMemory(r.PID())
	if _, err := b.round(b.loader(r), growthPaths, b.bodies[:100], b.flooding); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	before := measure.SettledCPU(r.PID())
	flood, err := b.round(b.loader(r), growthPaths, b.bodies[:b.Events], b.flooding)
	if err != nil {
		return fmt.Errorf("throughput: %w", err)
	}
	spent := 1000 * (measure.SettledCPU(r.PID()) - before) / float64(len(flood.First))
	paced, err := b.round(b.loader(r), growthPaths, b.bodies[:b.PacedEvents], b.pacing)
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	most, _ := measure.Memory(r.PID(), "VmHWM")
	ack, arrive := paced.delays(growthPaths[0])
	f.values = append(f.values, []float64{
		flood.perSecond, spent, measure.Percentile(ack, 0.5), measure.Percentile(ack, 0.99), measure.Percentile(arrive, 0.5),
		measure.Percentile(arrive, 0.99), measure.Milliseconds(r.Started), rest, most,
	})
	return nil
}

// compare sets the rounds beside each other, leaving out what the system does not tell.
func (g *growthResults) compare(few, many *growthFile) {
	for q, name := range growthNames {
		row := growthRow{Name: name[0], Unit: name[1]}
		var ratios []float64
		for i := range few.values {
			a, b := few.values[i][q], many.values[i][q]
			ratios = append(ratios, b/a)
			row.FewRounds, row.ManyRounds = append(row.FewRounds, measure.Round4(a)), append(row.ManyRounds, measure.Round4(b))
		}
		row.Few, row.Many, row.Ratio = measure.SpreadOf(row.FewRounds), measure.SpreadOf(row.ManyRounds), measure.SpreadOf(ratios)
		if row.Few.Min > 0 {
			g.Rows = append(g.Rows, row)
		}
	}
}

// firstRun paces events while the relay does what it does once a day, and removes
// what has expired. What it leaves is removed afterwards.
func (b *devBench) firstRun(f *growthFile) (growthFirstRun, error) {
	first := growthFirstRun{ExpiredRows: f.filled.expiredRows}
	r, err := measure.StartRelay(b.binary, f.dir)
	if err != nil {
		return first, err
	}
	began := time.Now()
	got, err := b.round(b.loader(r), growthPaths, b.bodies[:min(len(b.bodies), firstSeconds*b.PacedPerSecond)], b.pacing)
	first.Seconds = measure.Round4(time.Since(began).Seconds())
	if err = errors.Join(err, r.StopQuiet()); err != nil {
		return first, err
	}
	ack, _ := got.delays(growthPaths[0])
	first.Ack50, first.Ack99 = measure.Round4(measure.Percentile(ack, 0.5)), measure.Round4(measure.Percentile(ack, 0.99))
	first.AckMost = measure.Round4(measure.Percentile(ack, 1))
	left, err := sweepRest(f)
	first.Removed = first.ExpiredRows - left
	return first, err
}

// sweepRest removes the expired rows that the relay has not, and counts them.
func sweepRest(f *growthFile) (removed int, err error) {
	store, err := sqlite.Open(sqlite.Config{Path: filepath.Join(f.dir, "relay.db")})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return store.Sweep(context.Background(), math.MaxInt32)
}
