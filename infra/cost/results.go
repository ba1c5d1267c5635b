package cost

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Results are what a million events cost, by how they come and how their
// deliveries go, and what a stack costs that has none.
type Results struct {
	PricesOf    string      `json:"prices_of"`
	PricesIn    string      `json:"prices_in"`
	Assumptions Assumptions `json:"assumptions"`
	Cases       []Case      `json:"cases"`
	Idle        Idle        `json:"idle"`
	IdleMonth   Bill        `json:"idle_month"`
}

// Case is one way of events, what it took, and its bill for a million.
type Case struct {
	Name string `json:"name"`
	// Ingest is how many events a request holds, Endpoints how many each goes to,
	// Batch how many messages a dispatcher gets at most, and FailingPercent how many
	// first attempts fail.
	Ingest         int     `json:"events_per_request"`
	Endpoints      int     `json:"endpoints"`
	Batch          int     `json:"dispatcher_batch"`
	FailingPercent int     `json:"failing_percent"`
	Work           Work    `json:"work"`
	PerMillion     Bill    `json:"per_million"`
	Dollars        float64 `json:"dollars_per_million"`
	// Stored is what keeping them for 30 days costs besides.
	Stored float64 `json:"stored_30_days"`
}

// Run is the file that a run of infra/bench leaves.
type Run struct {
	At     time.Time `json:"at"`
	Commit string    `json:"commit"`
	Cost   Results   `json:"cost"`
}

//go:embed results/*.json
var stored embed.FS

// Latest returns the newest run that is stored beside this package.
func Latest() (Run, error) {
	names, err := fs.Glob(stored, "results/*.json")
	if err != nil {
		return Run{}, err
	}
	var runs []Run
	for _, name := range names {
		text, err := stored.ReadFile(name)
		if err != nil {
			return Run{}, err
		}
		var run Run
		if err := json.Unmarshal(text, &run); err != nil {
			return Run{}, fmt.Errorf("%s: %w", name, err)
		}
		runs = append(runs, run)
	}
	if len(runs) == 0 {
		return Run{}, fs.ErrNotExist
	}
	return slices.MaxFunc(runs, func(a, b Run) int { return a.At.Compare(b.At) }), nil
}

// Find returns the case of those numbers, and false if it was not measured.
func (r Results) Find(ingest, endpoints, batch, failing int) (Case, bool) {
	i := slices.IndexFunc(r.Cases, func(c Case) bool {
		return c.Ingest == ingest && c.Endpoints == endpoints && c.Batch == batch && c.FailingPercent == failing
	})
	if i < 0 {
		return Case{}, false
	}
	return r.Cases[i], true
}
