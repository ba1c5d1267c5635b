package client

import (
	"context"
	"net/url"
	"time"
)

// Stats says what became of deliveries, counted when asked for.
type Stats struct {
	// Since and Until bound when their events were accepted.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Complete: all were counted. Otherwise those of events accepted at From or later.
	Complete bool      `json:"complete"`
	From     time.Time `json:"from"`
	Total    Tally     `json:"total"`
	// Hours are those in which events were accepted, newest first.
	Hours []HourTally `json:"hours"`
	// Endpoints are those that deliveries go to, by id.
	Endpoints []EndpointTally `json:"endpoints"`
}

// EndpointTally is a Tally of the deliveries to one endpoint.
type EndpointTally struct {
	EndpointID string `json:"endpoint_id"`
	Tally
}

// HourTally is a Tally of the events accepted in one hour.
type HourTally struct {
	Start time.Time `json:"start"`
	Tally
}

// Tally counts deliveries and their attempts.
type Tally struct {
	Deliveries map[State]int `json:"deliveries"`
	// SuccessRate is the part delivered of those delivered or dead; nil when there are none.
	SuccessRate *float64 `json:"success_rate"`
	Attempts    int      `json:"attempts"`
	// Failures counts the failed attempts by reason.
	Failures map[string]int `json:"failures"`
	// Latency is nil when there were no attempts.
	Latency *Latency `json:"latency_ms"`
}

// Latency says within how many milliseconds half, 90 %, 95 %, 99 % and all of
// the attempts ended.
type Latency struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
	P95 int64 `json:"p95"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// GetStats counts what became of a tenant's deliveries, by hour; the filter's
// State must be empty. Without Since it is about the last 24 hours, and about 31
// days at most.
func (c *Client) GetStats(ctx context.Context, tenant string, filter DeliveryFilter) (Stats, error) {
	query := url.Values{}
	filter.narrow(query)
	return get[Stats](ctx, c, at("/v1/tenants/", tenant, "/stats"), query)
}
