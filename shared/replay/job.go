package replay

import (
	"context"
	"errors"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/history"
	"webhookrelay/shared/webhook"
)

// JobID is JobIDPrefix and a ULID.
type JobID string

// JobIDPrefix begins the id of every job.
const JobIDPrefix = "job_"

// Kind says what a job does.
type Kind string

// Kinds.
const (
	// Recover: the endpoint's dead deliveries get a fresh schedule.
	Recover Kind = "recover"
	// Replay: events that have no delivery to the endpoint get one.
	Replay Kind = "replay"
	// Cancel: the endpoint's pending deliveries are cancelled.
	Cancel Kind = "cancel"
)

// JobState says where a job stands.
type JobState string

// Job states.
const (
	JobRunning JobState = "running"
	// JobDone: everything was looked at, and put back or cancelled. Attempts of
	// what was put back may still be to come.
	JobDone      JobState = "done"
	JobCancelled JobState = "cancelled"
	// JobFailed: the endpoint was disabled or deleted meanwhile.
	JobFailed JobState = "failed"
)

// JobRetention is how long a job is kept after it was last at work.
const JobRetention = 30 * 24 * time.Hour

// Bounds of a job's rate, in deliveries a second.
const (
	DefaultJobRate = 10
	// MaxJobRate is what the sweeper sends to one endpoint at most.
	MaxJobRate = 50
)

// Job is work on the deliveries of one endpoint that goes on after the request
// that began it. It looks at events from the newest to the oldest.
type Job struct {
	Tenant   webhook.TenantID
	ID       JobID
	Kind     Kind
	Endpoint webhook.EndpointID
	// Since and Until bound the times at which the events were accepted.
	Since, Until time.Time
	// EventTypes narrows the events; empty means all.
	EventTypes []webhook.Pattern
	// Channels and Filter narrow the events of a replay to those that the endpoint
	// selects; empty means all.
	Channels []webhook.Channel
	Filter   string
	// Rate is how many deliveries a second are put back to work.
	Rate  int
	State JobState
	// Reason says why a job failed.
	Reason webhook.Reason
	// Matched is how many deliveries or events were found that the job concerns,
	// and Changed how many of them it put back, made or cancelled: the others
	// changed while it looked.
	Matched, Changed int
	// After is how far it got, in the store's words.
	After string
	// Reached is when the event was accepted that it got to.
	Reached time.Time
	// PacedUntil is the first moment at which the next delivery may be due.
	PacedUntil time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	// Rev counts the row's writes.
	Rev int64
}

// ExpiresAt is when the job is forgotten.
func (j Job) ExpiresAt() time.Time { return j.UpdatedAt.Add(JobRetention) }

// end is the job as it ends at now.
func (j Job) end(state JobState, reason webhook.Reason, now time.Time) Job {
	j.State, j.Reason, j.UpdatedAt = state, reason, now
	return j
}

// JobStore keeps jobs. Expired ones are never returned.
type JobStore interface {
	// SaveJob stores j as revision j.Rev+1, with the audit lines, if the stored
	// revision is j.Rev (0: there is none), and returns ErrConflict otherwise.
	SaveJob(ctx context.Context, j Job, lines ...audit.Line) error
	// Job returns one job, or ErrNotFound.
	Job(ctx context.Context, tenant webhook.TenantID, id JobID) (Job, error)
	// Jobs lists a tenant's jobs, newest first.
	Jobs(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]Job, string, error)
	// RunningJobs returns those of all tenants that are running. It may lag.
	RunningJobs(ctx context.Context) ([]Job, error)
}

// Past is where jobs find what they concern.
type Past interface {
	// Deliveries lists as history.Store does.
	Deliveries(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Delivery, string, error)
	// EventsWithoutDelivery lists events, newest first, that f covers, that were
	// accepted and not refused, and that have no delivery to f's endpoint.
	EventsWithoutDelivery(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Event, string, error)
	// EventByRef returns one event with its body, or ErrNotFound.
	EventByRef(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (webhook.Event, error)
}

// find returns the next deliveries that the job is to change, at most limit,
// and where it goes on; "" at the end.
func (j Job) find(ctx context.Context, past Past, matcher *filter.Matcher, limit int, now time.Time) ([]webhook.Delivery, string, error) {
	f := history.Filter{Endpoint: j.Endpoint, Since: j.Since, Until: j.Until, Types: j.EventTypes}
	p := webhook.Page{Limit: limit, After: j.After}
	switch j.Kind {
	case Replay:
		events, next, err := past.EventsWithoutDelivery(ctx, j.Tenant, f, p)
		if err != nil {
			return nil, "", err
		}
		found, err := j.wanted(ctx, past, matcher, events, now)
		return found, next, err
	case Cancel:
		all, next, err := past.Deliveries(ctx, j.Tenant, f, p)
		var found []webhook.Delivery
		for _, d := range all {
			if d.Pending() {
				found = append(found, d)
			}
		}
		return found, next, err
	default:
		f.State = webhook.Dead
		return past.Deliveries(ctx, j.Tenant, f, p)
	}
}

// wanted returns the deliveries to make of events that have none. One on which the
// filter fails gets one that says so: the dispatcher asks again.
func (j Job) wanted(ctx context.Context, past Past, matcher *filter.Matcher, events []webhook.Event, now time.Time) (found []webhook.Delivery, err error) {
	by := filter.Selection{EventTypes: j.EventTypes, Channels: j.Channels, Filter: j.Filter}
	for _, e := range events {
		if j.Filter != "" && webhook.OnOneOf(j.Channels, e.Channels) {
			if e, err = past.EventByRef(ctx, j.Tenant, e.Ref); errors.Is(err, webhook.ErrNotFound) {
				continue // it has expired meanwhile
			} else if err != nil {
				return nil, err
			}
		}
		d := webhook.NewDelivery(e, j.Endpoint)
		selected, fault := matcher.Selects(by, filter.NewSubject(e))
		if fault != nil {
			d = d.Fail(webhook.Attempt{At: now, Trigger: webhook.TriggerReplay, Reason: webhook.ReasonFilterFailed, Detail: filter.Detail(fault)})
		}
		if selected || fault != nil {
			found = append(found, d)
		}
	}
	return found, nil
}

// change is what the job makes of a delivery at now, due then.
func (j Job) change(d webhook.Delivery, due, now time.Time) webhook.Delivery {
	switch j.Kind {
	case Replay:
		return d.Replay(due, now)
	case Cancel:
		return d.Cancel(webhook.ReasonUnwanted, now)
	default:
		return d.Recover(due, now)
	}
}
