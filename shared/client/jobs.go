package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// NewJob says which deliveries to an endpoint a job is to change, by when their
// events were accepted.
type NewJob struct {
	Since time.Time `json:"since"`
	// Until is the end of that time; nil means now.
	Until *time.Time `json:"until,omitempty"`
	// EventTypes are patterns; none means all, and for a replay those that the endpoint wants.
	EventTypes []string `json:"event_types,omitempty"`
	// Rate is how many deliveries a second are put to work; 0 for the relay's default.
	Rate int `json:"rate,omitempty"`
	// DryRun only counts.
	DryRun bool `json:"dry_run,omitempty"`
}

// NewCancellation is NewJob for one that sends nothing.
type NewCancellation struct {
	Since      time.Time  `json:"since"`
	Until      *time.Time `json:"until,omitempty"`
	EventTypes []string   `json:"event_types,omitempty"`
	DryRun     bool       `json:"dry_run,omitempty"`
}

// Job is work on many deliveries that the relay does by and by.
type Job struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	EndpointID string    `json:"endpoint_id"`
	Since      time.Time `json:"since"`
	Until      time.Time `json:"until"`
	EventTypes []string  `json:"event_types"`
	Rate       int       `json:"rate,omitempty"`
	// State is running, done, cancelled or failed; Reason says why it failed.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Matched is what was found so far, Changed what of it was changed.
	Matched int `json:"matched"`
	Changed int `json:"changed"`
	// ReachedAt is when the event was accepted that the job has got to, on its way
	// from Until to Since; nil before the first.
	ReachedAt *time.Time `json:"reached_at"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
}

// DryRun is what a job would change.
type DryRun struct {
	DryRun  bool `json:"dry_run"`
	Matched int  `json:"matched"`
	// Complete: all were counted. Otherwise there are at least so many.
	Complete bool `json:"complete"`
}

// Begun is the answer to a new job: Job, or Count where only that was asked for.
type Begun struct {
	Job   *Job
	Count *DryRun
}

func (c *Client) begin(ctx context.Context, tenant, endpoint, what string, body any, dryRun bool) (b Begun, err error) {
	var target any
	if dryRun {
		b.Count = new(DryRun)
		target = b.Count
	} else {
		b.Job = new(Job)
		target = b.Job
	}
	path := at("/v1/tenants/", tenant, "/endpoints/", endpoint) + what
	if _, err := c.do(ctx, call{method: http.MethodPost, path: path, body: body}, target); err != nil {
		return Begun{}, err
	}
	return b, nil
}

// RecoverEndpoint puts the endpoint's dead deliveries of a time back to work,
// each with a fresh schedule.
func (c *Client) RecoverEndpoint(ctx context.Context, tenant, endpoint string, n NewJob) (Begun, error) {
	return c.begin(ctx, tenant, endpoint, "/recover", n, n.DryRun)
}

// ReplayEvents delivers events of a time that the endpoint has not had.
func (c *Client) ReplayEvents(ctx context.Context, tenant, endpoint string, n NewJob) (Begun, error) {
	return c.begin(ctx, tenant, endpoint, "/replay", n, n.DryRun)
}

// CancelDeliveries gives up the endpoint's pending deliveries of a time.
func (c *Client) CancelDeliveries(ctx context.Context, tenant, endpoint string, n NewCancellation) (Begun, error) {
	return c.begin(ctx, tenant, endpoint, "/cancel", n, n.DryRun)
}

// CancelDelivery gives one pending delivery up, and returns it as it is now.
func (c *Client) CancelDelivery(ctx context.Context, tenant, delivery string) (Delivery, error) {
	var answer Delivery
	_, err := c.do(ctx, call{method: http.MethodPost, path: deliveryAt(tenant, delivery) + "/cancel"}, &answer)
	return answer, err
}

func jobAt(tenant, job string) string { return at("/v1/tenants/", tenant, "/jobs/", job) }

// ListJobs returns one page of a tenant's jobs, newest first.
func (c *Client) ListJobs(ctx context.Context, tenant string, options PageOptions) (Page[Job], error) {
	return get[Page[Job]](ctx, c, at("/v1/tenants/", tenant, "/jobs"), options.query())
}

// AllJobs walks a tenant's jobs, newest first.
func (c *Client) AllJobs(ctx context.Context, tenant string, options PageOptions) iter.Seq2[Job, error] {
	return all(options, func(o PageOptions) (Page[Job], error) { return c.ListJobs(ctx, tenant, o) })
}

// GetJob shows a job and how far it is.
func (c *Client) GetJob(ctx context.Context, tenant, job string) (Job, error) {
	return get[Job](ctx, c, jobAt(tenant, job), nil)
}

// CancelJob stops a job. What it changed stays changed.
func (c *Client) CancelJob(ctx context.Context, tenant, job string) (Job, error) {
	var answer Job
	_, err := c.do(ctx, call{method: http.MethodDelete, path: jobAt(tenant, job)}, &answer)
	return answer, err
}
