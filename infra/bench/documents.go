package main

import (
	"encoding/json"
	"errors"
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
	{"infra/docs/performance.md", "hot paths", results.hotPaths},
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
