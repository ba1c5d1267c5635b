package history

import (
	"cmp"
	"context"
	"slices"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

const (
	// MaxStatsWindow bounds the time that statistics are about.
	MaxStatsWindow = 31 * 24 * time.Hour
	// statsTime bounds how long one call reads: a request lasts 29 s at most.
	statsTime = 5 * time.Second
	// statsPage is how many deliveries are read at once.
	statsPage = 1000
)

// Stats says what became of the deliveries of the events accepted in a time.
type Stats struct {
	// Complete: all deliveries were counted. Otherwise only those of events
	// accepted at From or later.
	Complete bool
	From     time.Time
	Total    Tally
	// Hours are those in which events were accepted, newest first.
	Hours []Hour
	// Endpoints are those that deliveries go to, by id.
	Endpoints []EndpointTally
}

// EndpointTally is what became of the deliveries to one endpoint.
type EndpointTally struct {
	ID webhook.EndpointID
	Tally
}

// Hour is what became of the events accepted in one hour.
type Hour struct {
	// Start is in UTC.
	Start time.Time
	Tally
}

// Tally counts deliveries and the attempts of them that are on record: the
// latest webhook.MaxAttemptsKept of each delivery.
type Tally struct {
	States map[webhook.State]int
	// Reasons counts the failed attempts.
	Reasons map[webhook.Reason]int
	// Attempts counts all attempts.
	Attempts int
	// latencies are how long the attempts took; sorted once all are counted.
	latencies []time.Duration
}

// SuccessRate is the part of the deliveries that were delivered among those that
// were delivered or are dead, and false when there are none of either.
func (t Tally) SuccessRate() (float64, bool) {
	delivered, dead := t.States[webhook.Delivered], t.States[webhook.Dead]
	if delivered+dead == 0 {
		return 0, false
	}
	return float64(delivered) / float64(delivered+dead), true
}

// Latency returns the time within which the given part of the attempts, from 0
// to 1, ended (the nearest rank), and false when there were none.
func (t Tally) Latency(part float64) (time.Duration, bool) {
	n := len(t.latencies)
	if n == 0 {
		return 0, false
	}
	rank := int(part * float64(n))
	if float64(rank) < part*float64(n) {
		rank++
	}
	return t.latencies[min(max(rank, 1), n)-1], true
}

func newTally() Tally {
	return Tally{States: make(map[webhook.State]int), Reasons: make(map[webhook.Reason]int)}
}

func (t *Tally) add(d webhook.Delivery) {
	t.States[d.State]++
	for _, a := range d.Attempts {
		t.Attempts++
		if a.Reason != "" {
			t.Reasons[a.Reason]++
		}
		t.latencies = append(t.latencies, a.Duration)
	}
}

// Stats counts the deliveries that f lets through, from the newest event back to
// f.Since, as far as it gets in 5 seconds of now's. It reads what Deliveries
// reads, and writes nothing.
func (h History) Stats(ctx context.Context, tenant webhook.TenantID, f Filter, now func() time.Time) (Stats, error) {
	total, hours, endpoints := newTally(), make(map[time.Time]*Tally), make(map[webhook.EndpointID]*Tally)
	stats := Stats{From: f.Until}
	p := webhook.Page{Limit: statsPage}
	for begun := now(); now().Sub(begun) < statsTime; {
		found, next, err := h.Deliveries(ctx, tenant, f, p)
		if err != nil {
			return Stats{}, err
		}
		for _, d := range found {
			accepted, ok := id.Time(d.Event)
			if !ok {
				continue
			}
			stats.From = accepted
			tallyOf(hours, accepted.Truncate(time.Hour)).add(d)
			tallyOf(endpoints, d.Endpoint).add(d)
			total.add(d)
		}
		if p.After = next; next == "" {
			stats.Complete, stats.From = true, f.Since
			break
		}
	}
	slices.Sort(total.latencies)
	stats.Total = total
	for start, tally := range hours {
		slices.Sort(tally.latencies)
		stats.Hours = append(stats.Hours, Hour{Start: start, Tally: *tally})
	}
	slices.SortFunc(stats.Hours, func(a, b Hour) int { return b.Start.Compare(a.Start) })
	for endpoint, tally := range endpoints {
		slices.Sort(tally.latencies)
		stats.Endpoints = append(stats.Endpoints, EndpointTally{ID: endpoint, Tally: *tally})
	}
	slices.SortFunc(stats.Endpoints, func(a, b EndpointTally) int { return cmp.Compare(a.ID, b.ID) })
	return stats, nil
}

// tallyOf returns the tally of a key, made when there is none yet.
func tallyOf[K comparable](tallies map[K]*Tally, key K) *Tally {
	if tallies[key] == nil {
		tally := newTally()
		tallies[key] = &tally
	}
	return tallies[key]
}
