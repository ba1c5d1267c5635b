package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

const (
	// pageSize is how many deliveries a job looks at between two looks at the clock.
	pageSize = 250
	// MaxRunning bounds the jobs of a tenant that run at once.
	MaxRunning = 5
	// countTime bounds how long a dry run counts: a request lasts 29 s at most.
	countTime = 10 * time.Second
)

// Endpoints finds the endpoint of a job.
type Endpoints interface {
	// Endpoint returns one endpoint, or ErrNotFound.
	Endpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID) (webhook.Endpoint, error)
}

// Jobs begins jobs and looks after them, on behalf of whoever ctx names.
type Jobs struct {
	Store     JobStore
	Past      Past
	Endpoints Endpoints
	IDs       *id.Source
	// Matcher asks filters.
	Matcher *filter.Matcher
	Now     func() time.Time
}

// ErrDisabled says that the job's endpoint is disabled, so its deliveries would
// only die.
var ErrDisabled = errors.New("the endpoint is disabled")

// NewJob is what a caller says of a job.
type NewJob struct {
	Tenant   webhook.TenantID
	Kind     Kind
	Endpoint webhook.EndpointID
	// Since is required; a zero Until means now.
	Since, Until time.Time
	// EventTypes narrows the events. Nil means all, but for a replay those that
	// the endpoint wants.
	EventTypes []webhook.Pattern
	// Rate is in deliveries a second; 0 means DefaultJobRate.
	Rate int
}

// Start stores a job, which a Worker then does. *webhook.Invalid, ErrNotFound
// (endpoint), ErrDisabled, or ErrFull when too many are running.
func (m Jobs) Start(ctx context.Context, n NewJob) (Job, error) {
	j, err := m.prepare(ctx, n)
	if err != nil {
		return Job{}, err
	}
	newest, _, err := m.Store.Jobs(ctx, n.Tenant, webhook.Page{Limit: pageSize})
	if err != nil {
		return Job{}, err
	}
	running := 0
	for _, other := range newest {
		if other.State == JobRunning {
			running++
		}
	}
	if running >= MaxRunning {
		return Job{}, fmt.Errorf("%d running jobs: %w", running, webhook.ErrFull)
	}
	if err := m.Store.SaveJob(ctx, j, m.line(ctx, audit.JobStarted, j)); err != nil {
		return Job{}, err
	}
	j.Rev++
	return j, nil
}

// Count is what a dry run found.
type Count struct {
	Matched int
	// Complete: everything was counted. Otherwise there are at least so many.
	Complete bool
}

// DryRun counts what the job would change, for some seconds at most, and changes
// nothing. Errors are those of Start, but for ErrFull.
func (m Jobs) DryRun(ctx context.Context, n NewJob) (Count, error) {
	j, err := m.prepare(ctx, n)
	if err != nil {
		return Count{}, err
	}
	var count Count
	for begun := m.Now(); m.Now().Sub(begun) < countTime; {
		found, next, err := j.find(ctx, m.Past, m.Matcher, pageSize, m.Now())
		if err != nil {
			return Count{}, err
		}
		count.Matched += len(found)
		if j.After = next; next == "" {
			count.Complete = true
			break
		}
	}
	return count, nil
}

// prepare checks what the caller said and completes it.
func (m Jobs) prepare(ctx context.Context, n NewJob) (Job, error) {
	now := m.Now().UTC().Truncate(time.Millisecond)
	j := Job{
		Tenant: n.Tenant, ID: JobID(JobIDPrefix + m.IDs.ULID(now)), Kind: n.Kind, Endpoint: n.Endpoint, EventTypes: n.EventTypes,
		Since: n.Since.UTC().Truncate(time.Millisecond), Until: n.Until.UTC().Truncate(time.Millisecond),
		Rate: n.Rate, State: JobRunning, CreatedAt: now, UpdatedAt: now,
	}
	if n.Until.IsZero() || n.Until.After(now) {
		j.Until = now
	}
	if j.Rate == 0 {
		j.Rate = DefaultJobRate
	}
	switch {
	case n.Since.IsZero():
		return Job{}, &webhook.Invalid{Field: "since", Reason: "must say from when on events are concerned, such as 2026-01-31T12:00:00Z"}
	case !j.Since.Before(j.Until):
		return Job{}, &webhook.Invalid{Field: "since", Reason: "must be before until, and before now"}
	case j.Rate < 1 || j.Rate > MaxJobRate:
		return Job{}, &webhook.Invalid{Field: "rate", Reason: fmt.Sprintf("must be 1 to %d deliveries a second", MaxJobRate)}
	}
	if err := webhook.CheckPatterns("event_types", n.EventTypes); err != nil {
		return Job{}, err
	}
	endpoint, err := m.Endpoints.Endpoint(ctx, n.Tenant, n.Endpoint)
	if err != nil {
		return Job{}, err
	}
	if j.Kind != Cancel && endpoint.State == webhook.EndpointDisabled {
		return Job{}, ErrDisabled
	}
	if j.Kind == Replay {
		j.Channels, j.Filter = endpoint.Channels, endpoint.Filter
	}
	if j.Kind == Replay && n.EventTypes == nil {
		j.EventTypes = endpoint.EventTypes
	}
	return j, nil
}

// Job returns one job, or ErrNotFound.
func (m Jobs) Job(ctx context.Context, tenant webhook.TenantID, id JobID) (Job, error) {
	return m.Store.Job(ctx, tenant, id)
}

// List lists a tenant's jobs, newest first.
func (m Jobs) List(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]Job, string, error) {
	return m.Store.Jobs(ctx, tenant, p)
}

// Cancel ends a running job: what it has changed stays so. One that has ended
// stays as it is. ErrNotFound.
func (m Jobs) Cancel(ctx context.Context, tenant webhook.TenantID, id JobID) (Job, error) {
	for range cancelTries {
		j, err := m.Store.Job(ctx, tenant, id)
		if err != nil || j.State != JobRunning {
			return j, err
		}
		j = j.end(JobCancelled, "", m.Now().UTC().Truncate(time.Millisecond))
		err = m.Store.SaveJob(ctx, j, m.line(ctx, audit.JobCancelled, j))
		if !errors.Is(err, webhook.ErrConflict) {
			return j, err
		}
	}
	return Job{}, fmt.Errorf("cancel job %s: %w", id, webhook.ErrConflict)
}

func (m Jobs) line(ctx context.Context, action audit.Action, j Job) audit.Line {
	detail := map[string]string{"kind": string(j.Kind), "endpoint": string(j.Endpoint)}
	return audit.Entry{Tenant: j.Tenant, Action: action, Target: string(j.ID), Detail: detail}.Line(ctx, m.IDs, m.Now())
}
