package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"webhookrelay/infra/capacity"
	"webhookrelay/infra/cost"
	"webhookrelay/infra/measure"
)

// What the documents say of a run. Each returns "" for a run that lacks it.

// peerRows are others on a machine of two cores that held all of it too, with a heavier loader
// and receiver: measured by hand, not by this program.
var peerRows = []string{
	"| Outpost, with 100 workers | 941 | 0.056 | 1.79 | 3.9 | 30 / 61 | 1,153 | 6 | 199 |",
	"| Svix server | 453 | 0.027 | 3.30 | 3.6 | 4.3 / 17 | 1,720 | 3 | 84 |",
	"| Convoy 26.3 | 107 | 0.006 | 14.67 | 10 | 1,033 / 2,419 | 222 | 4 | 126 |",
	"| their floor | 16,870 | 1 | – | – | 0.4 / 1.4 | – | – | – |",
}

// peers is the relay beside them; "" if it was not measured.
func (r results) peers() (string, error) {
	if r.Dev == nil {
		return "", nil
	}
	values := map[string]measure.Comparison{}
	for _, name := range []string{
		"events, post to arrival", "processor time per delivery, 1 endpoint", "post to 202, p50", "post to arrival, p50", "post to arrival, p99", "deliveries to",
	} {
		for _, c := range r.Dev.Comparisons {
			if strings.HasPrefix(c.Name, name) {
				values[name] = c
			}
		}
		if values[name].Unit == "" {
			return "", fmt.Errorf("the run says nothing of %q", name)
		}
	}
	if r.Dev.IdleMemory == nil {
		return "", errors.New("the run says nothing of memory at rest")
	}
	of := func(name string) string { return measure.Show(values[name].Relay.Median) }
	floor := func(name string) string { return measure.Show(values[name].Floor.Median) }
	var b strings.Builder
	b.WriteString("| | events/s, post to arrival | ÷ floor | processor ms per delivery | post to 202, p50, ms | post to arrival, p50 / p99, ms | 10 endpoints: deliveries/s | services to run | MiB at rest |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	fmt.Fprintf(&b, "| `relay dev` | %s | %s | %s | %s | %s / %s | %s | 1 | %s |\n",
		thousands(values["events, post to arrival"].Relay.Median), measure.Show(values["events, post to arrival"].Ratio.Median),
		of("processor time per delivery, 1 endpoint"), of("post to 202, p50"), of("post to arrival, p50"), of("post to arrival, p99"),
		thousands(values["deliveries to"].Relay.Median), measure.Show(r.Dev.IdleMemory.Median))
	fmt.Fprintf(&b, "| its floor | %s | 1 | %s | %s | %s / %s | – | – | – |\n",
		thousands(values["events, post to arrival"].Floor.Median), floor("processor time per delivery, 1 endpoint"),
		floor("post to 202, p50"), floor("post to arrival, p50"), floor("post to arrival, p99"))
	b.WriteString(strings.Join(peerRows, "\n") + "\n")
	return b.String(), nil
}

// dev is the relay beside its floor; "" if it was not measured.
func (r results) dev() (string, error) {
	if r.Dev == nil {
		return "", nil
	}
	var rows [][]string
	for _, c := range r.Dev.Comparisons {
		rows = append(rows, c.Row())
	}
	return fmt.Sprintf("%d rounds of %s events; load average of the machine before the run %s; %s deliveries, %d of them again.\n\n",
		r.Settings.Rounds, thousands(float64(r.Settings.Events)), r.Machine.Load, thousands(float64(r.Dev.Delivered)), r.Dev.Duplicates) +
		measure.Markdown([]string{"median (least–most)", "unit", "relay", "its floor", "÷ floor"}, rows) + "\n" +
		measure.Markdown([]string{"", "MiB"}, [][]string{
			{"memory at rest after the start", optional(r.Dev.IdleMemory)},
			{"most memory by the end of a round", optional(r.Dev.PeakMemory)},
		}), nil
}

// thousands writes a number of four or more digits with commas.
func thousands(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// manyStored is how many stored events a run has to have for its growth to be
// stated: that of a run of all parts has fewer.
const manyStored = 1_000_000

// growth is what the stored events make of it; "" if that was not measured.
func (r results) growth() (string, error) {
	g := r.Growth
	if g == nil || g.Stored < manyStored {
		return "", nil
	}
	var rows, first [][]string
	for _, row := range g.Rows {
		rows = append(rows, []string{row.Name, row.Unit, row.Many.String(), row.Few.String(), row.Ratio.String()})
	}
	for _, f := range []growthFirstRun{g.ManyFirst, g.FewFirst} {
		first = append(first, []string{
			thousands(float64(f.Stored)) + " events stored", thousands(float64(f.Removed)), thousands(float64(f.ExpiredRows)),
			measure.Show(f.Seconds), measure.Show(f.Ack50), measure.Show(f.Ack99), measure.Show(f.AckMost),
		})
	}
	return measure.Markdown([]string{
		fmt.Sprintf("%d rounds, median (least–most)", r.Settings.Rounds), "unit",
		thousands(float64(g.Stored)) + " events stored", thousands(float64(g.Few)), "many ÷ few",
	}, rows) + "\n" + measure.Markdown([]string{
		"first run, with events at 50/s", "expired rows removed", "of", "in s", "post to 202, p50, ms", "p99", "most",
	}, first), nil
}

// functions is what the deployed binaries weigh and how fast they start; "" if not all
// of that was measured.
func (r results) functions() (string, error) {
	if r.Functions == nil || r.Functions.NotMeasured != "" {
		return "", nil
	}
	sizes := map[string]functionSize{}
	for _, s := range r.Functions.Sizes {
		if s.Architecture == "arm64" {
			sizes[s.Name] = s
		}
	}
	row := func(name string) []string {
		return []string{name, measure.Show(sizes[name].BinaryMiB), measure.Show(sizes[name].ZippedMiB)}
	}
	var rows [][]string
	for _, s := range r.Functions.Starts {
		rows = append(rows, append(row(s.Name), s.Relay.String(), s.Ratio.String()))
	}
	if len(rows) > 0 {
		rows = append(rows, append(row(bare), r.Functions.Starts[0].Floor.String(), "1"))
	}
	return measure.Markdown([]string{"", "binary for arm64, MiB", "zipped", "start here, ms", "÷ bare"}, rows), nil
}

// functionsCPU is the processor time of an event; "" if it was not measured.
func (r results) functionsCPU() (string, error) {
	if r.CPU == nil || r.CPU.NotMeasured != "" {
		return "", nil
	}
	return measure.Markdown(r.CPU.table()), nil
}

// functionsMemory compares settings; "" if they were not measured.
func (r results) functionsMemory() (string, error) {
	if r.Memory == nil || r.Memory.NotMeasured != "" {
		return "", nil
	}
	return measure.Markdown(r.Memory.table()) + "\n" + r.Memory.verdict() + "\n", nil
}

// requests is what an event asks of AWS; "" if that was not counted.
func (r results) requests() (string, error) {
	if r.AWS == nil || r.AWS.NotMeasured != "" {
		return "", nil
	}
	return measure.Markdown(r.AWS.table()), nil
}

// hotPaths is what each takes; "" if that was not measured.
func (r results) hotPaths() (string, error) {
	if r.HotPaths == nil {
		return "", nil
	}
	var rows [][]string
	for _, p := range r.HotPaths.Paths {
		rows = append(rows, []string{p.Name, measure.Show(p.Nanoseconds / 1000), thousands(p.Bytes), thousands(p.Allocations)})
	}
	return measure.Markdown([]string{"", "µs", "bytes", "allocations"}, rows), nil
}

// million is the bill of a million events; "" if that was not measured.
func (r results) million() (string, error) {
	if r.Cost == nil {
		return "", nil
	}
	var rows [][]string
	for _, c := range r.Cost.Cases {
		per := float64(c.Work.Events)
		rows = append(rows, []string{
			c.Name, fmt.Sprintf("**%.2f**", c.Dollars), fmt.Sprintf("%.2f", c.Dollars/float64(c.Endpoints)),
			measure.Show(c.Work.WriteUnits / per), measure.Show(c.Work.ReadUnits / per), measure.Show(float64(c.Work.SQS()) / per),
			measure.Show(float64(c.Work.Ingest.Invocations) / per), measure.Show(float64(c.Work.Dispatcher.Invocations) / per),
		})
	}
	all := measure.Markdown([]string{
		"", "$ a million events", "$ a million deliveries", "write units", "read units", "SQS requests", "ingest λ", "dispatcher λ",
	}, rows)

	header := []string{"$ a million events"}
	var parts [][]string
	for _, of := range []struct {
		name          string
		ingest, batch int
	}{{"single", 1, batch}, {"batches of 100", 100, batch}, {"single, one message an invocation", 1, 1}} {
		c, ok := r.Cost.Find(of.ingest, 1, of.batch, 0)
		if !ok {
			return "", fmt.Errorf("the run lacks the case %q", of.name)
		}
		header = append(header, of.name)
		if parts == nil {
			for _, line := range c.PerMillion {
				parts = append(parts, []string{line.Name})
			}
			parts = append(parts, []string{"**total**"})
		}
		for i, part := range parts[:len(parts)-1] {
			at := slices.IndexFunc(c.PerMillion, func(l cost.Line) bool { return l.Name == part[0] })
			if at < 0 {
				return "", fmt.Errorf("%s: the bill lacks %q", of.name, part[0])
			}
			parts[i] = append(part, fmt.Sprintf("%.3f", c.PerMillion[at].Dollars))
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], fmt.Sprintf("**%.2f**", c.Dollars))
	}
	return fmt.Sprintf("%s\nUnits, requests and invocations are per event. Where the dollars go, for one endpoint without failures:\n\n%s",
		all, measure.Markdown(header, parts)), nil
}

// idleMonth is the bill of a month without events; "" if that was not measured.
func (r results) idleMonth() (string, error) {
	if r.Cost == nil {
		return "", nil
	}
	var rows [][]string
	for _, l := range r.Cost.IdleMonth {
		rows = append(rows, []string{l.Name, thousands(l.Quantity), l.Unit, fmt.Sprintf("%.2f", l.Dollars)})
	}
	rows = append(rows, []string{"**total**", "", "", fmt.Sprintf("**%.2f**", r.Cost.IdleMonth.Dollars())})
	return measure.Markdown([]string{"", "quantity", "of", "$"}, rows), nil
}

// capacity is what three rates need, reckoned from the counted requests; "" if none were.
func (r results) capacity() (string, error) {
	if r.Cost == nil {
		return "", nil
	}
	rates := []float64{10, 1_000, 20_000}
	header, rows := []string{"", ""}, [][]string(nil)
	dollars, batched := []string{"dollars in 30 days, without storage", ""}, []string{"the same in batches of 100", ""}
	for i, rate := range rates {
		header = append(header, thousands(rate)+"/s")
		load := capacity.Default
		load.Rate = rate
		plan, err := capacity.Of(load, *r.Cost)
		if err != nil {
			return "", err
		}
		for n, need := range plan.Needs {
			if i == 0 {
				rows = append(rows, []string{need.Name, need.Unit})
			}
			amount := few(need.Amount)
			if need.Share() > 1 {
				amount = "**" + amount + "**"
			}
			rows[n] = append(rows[n], amount)
			if i == len(rates)-1 {
				rows[n] = append(rows[n], few(need.Limit), few(need.Bites(rate)), need.Raise)
			}
		}
		load.PerRequest = 100
		inBatches, err := capacity.Of(load, *r.Cost)
		if err != nil {
			return "", err
		}
		dollars, batched = append(dollars, few(plan.Month)), append(batched, few(inBatches.Month))
	}
	rows = append(rows, append(dollars, "", "", ""), append(batched, "", "", "batches"))
	return measure.Markdown(append(header, "limit at first", "bites at", "to raise it"), rows), nil
}

// capacityMoves is what changes with the endpoints; "" like capacity.
func (r results) capacityMoves() (string, error) {
	if r.Cost == nil {
		return "", nil
	}
	var rows [][]string
	for _, of := range []struct {
		name   string
		change func(l *capacity.Load)
	}{
		{"as above", func(*capacity.Load) {}},
		{"endpoints answer in 2 s", func(l *capacity.Load) { l.Answer = 2 * time.Second }},
		{"5 % of first attempts fail, and go on failing", func(l *capacity.Load) { l.Failing = 0.05 }},
		{"1 % of attempts hang for 15 s", func(l *capacity.Load) { l.Hanging = 0.01 }},
	} {
		load := capacity.Default
		load.Rate = 1_000
		of.change(&load)
		plan, err := capacity.Of(load, *r.Cost)
		if err != nil {
			return "", err
		}
		amount := func(name string) string {
			at := slices.IndexFunc(plan.Needs, func(n capacity.Need) bool { return strings.HasPrefix(n.Name, name) })
			if at < 0 {
				return measure.Unknown
			}
			return few(plan.Needs[at].Amount)
		}
		rows = append(rows, []string{of.name, amount("dispatchers, full"), amount("SQS, in flight"), fmt.Sprintf("%.2f", plan.PerMillion)})
	}
	return measure.Markdown([]string{"", "dispatchers at a time", "messages in flight", "$ a million"}, rows), nil
}

// few writes a number with the digits that count.
func few(v float64) string {
	if v >= 1000 {
		return thousands(v)
	}
	return measure.Show(v)
}
