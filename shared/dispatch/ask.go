package dispatch

import (
	"context"
	"time"

	"webhookrelay/shared/filter"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

// ask puts the endpoint's filter, as it is now, to an event on which it failed
// before. It settles the message unless the event is wanted: one that is not needs
// no attempt, and where the filter fails again that is an attempt that failed, at
// which nothing was sent and which says nothing of the endpoint's health.
func (d *Dispatcher) ask(ctx context.Context, j *job, delivery webhook.Delivery, trigger webhook.Trigger, now time.Time) (f fate, settled bool) {
	event, endpoint := *j.loaded.Event, *j.loaded.Endpoint
	if !delivery.Undecided(event) {
		return fate{}, false
	}
	// Type and channels were looked at when the delivery was made, and stay as they
	// were then.
	wanted, fault := d.matcher.Selects(filter.Selection{Filter: endpoint.Filter}, filter.NewSubject(event))
	switch {
	case fault == nil && wanted:
		return fate{}, false
	case fault == nil && j.Once && !delivery.Pending():
		return done, true
	case fault == nil:
		return d.settle(ctx, j, delivery.Cancel(webhook.ReasonFiltered, now), done), true
	}
	attempt := webhook.Attempt{At: now, Trigger: trigger, Reason: webhook.ReasonFilterFailed, Detail: filter.Detail(fault)}
	result := webhook.Result{Reason: attempt.Reason, Detail: attempt.Detail}
	recorded, f, err := d.record(ctx, j, delivery, attempt, result, time.Time{})
	d.logAttempt(recorded, attempt, event, "", err)
	d.Log.Warn("filter failed", "tenant_id", delivery.Tenant, "endpoint_id", delivery.Endpoint, "delivery_id", delivery.ID(),
		telemetry.Counted("FiltersFailed", 1))
	if err != nil {
		return d.putBack(j.message), true
	}
	return f, true
}
