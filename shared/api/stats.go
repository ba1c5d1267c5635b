package api

import (
	"net/http"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/webhook"
)

// defaultStatsWindow is what statistics are about when the caller does not say.
const defaultStatsWindow = 24 * time.Hour

type statsView struct {
	Since    timestamp  `json:"since"`
	Until    timestamp  `json:"until"`
	Complete bool       `json:"complete"`
	From     timestamp  `json:"from"`
	Total    tallyView  `json:"total"`
	Hours    []hourView `json:"hours"`
	// Endpoints are those that deliveries go to, by id.
	Endpoints []endpointTallyView `json:"endpoints"`
}

type endpointTallyView struct {
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	tallyView
}

type hourView struct {
	Start timestamp `json:"start"`
	tallyView
}

type tallyView struct {
	Deliveries  map[webhook.State]int  `json:"deliveries"`
	SuccessRate *float64               `json:"success_rate"`
	Attempts    int                    `json:"attempts"`
	Failures    map[webhook.Reason]int `json:"failures"`
	Latency     *latencyView           `json:"latency_ms"`
}

type latencyView struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
	P95 int64 `json:"p95"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

func viewTally(t history.Tally) tallyView {
	view := tallyView{Deliveries: make(map[webhook.State]int), Attempts: t.Attempts, Failures: t.Reasons}
	for _, state := range webhook.States {
		view.Deliveries[state] = t.States[state]
	}
	if rate, ok := t.SuccessRate(); ok {
		view.SuccessRate = &rate
	}
	if _, ok := t.Latency(1); ok {
		at := func(part float64) int64 {
			latency, _ := t.Latency(part)
			return latency.Milliseconds()
		}
		view.Latency = &latencyView{P50: at(.5), P90: at(.9), P95: at(.95), P99: at(.99), Max: at(1)}
	}
	return view
}

func (m Manage) getStats(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "endpoint", "event_type", "since", "until")
	if err != nil {
		return err
	}
	filter, err := deliveryFilter(values)
	if err != nil {
		return err
	}
	if filter.Until.IsZero() { // the hour that is not over counts as a whole one
		filter.Until = m.Jobs.Now().UTC().Truncate(time.Hour).Add(time.Hour)
	}
	if filter.Since.IsZero() {
		filter.Since = filter.Until.Add(-defaultStatsWindow)
	}
	if window := filter.Until.Sub(filter.Since); window <= 0 || window > history.MaxStatsWindow {
		return &webhook.Invalid{Field: "since", Reason: "must be before until, and at most 31 days"}
	}
	if err := m.tenantExists(r); err != nil {
		return err
	}
	stats, err := m.History.Stats(r.Context(), tenantOf(r), filter, m.Jobs.Now)
	if err != nil {
		return err
	}
	view := statsView{
		Since: timestamp(filter.Since), Until: timestamp(filter.Until), Complete: stats.Complete, From: timestamp(stats.From),
		Total: viewTally(stats.Total), Hours: make([]hourView, len(stats.Hours)),
		Endpoints: make([]endpointTallyView, len(stats.Endpoints)),
	}
	for i, hour := range stats.Hours {
		view.Hours[i] = hourView{timestamp(hour.Start), viewTally(hour.Tally)}
	}
	for i, endpoint := range stats.Endpoints {
		view.Endpoints[i] = endpointTallyView{endpoint.ID, viewTally(endpoint.Tally)}
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}
