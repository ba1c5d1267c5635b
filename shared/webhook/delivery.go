package webhook

import (
	"slices"
	"strings"
	"time"
)

// DeliveryID is "dlv_", the event's Ref, "_" and the endpoint's id.
type DeliveryID string

// DeliveryKey names the obligation to bring one event to one endpoint.
type DeliveryKey struct {
	Tenant   TenantID
	Event    EventRef
	Endpoint EndpointID
}

// ID returns the delivery's public id.
func (k DeliveryKey) ID() DeliveryID {
	return DeliveryID("dlv_" + string(k.Event) + "_" + string(k.Endpoint))
}

// ParseDeliveryID returns the key that id names within tenant, and false when
// id does not have the form of a delivery id.
func ParseDeliveryID(tenant TenantID, id string) (DeliveryKey, bool) {
	rest, ok := strings.CutPrefix(id, "dlv_")
	if !ok || len(rest) < RefLength+2 || rest[RefLength] != '_' {
		return DeliveryKey{}, false
	}
	ref, endpoint := rest[:RefLength], rest[RefLength+1:]
	if CheckID("event", ref) != nil || CheckID("endpoint", endpoint) != nil {
		return DeliveryKey{}, false
	}
	return DeliveryKey{Tenant: tenant, Event: EventRef(ref), Endpoint: EndpointID(endpoint)}, true
}

// State is where a delivery stands. delivery-states.md draws the same graph.
type State string

// Delivery states.
const (
	// Queued: accepted, the first attempt is still to come. Not stored, unless a
	// replay made the delivery: an event's target without a row is queued.
	Queued State = "queued"
	// Retrying: an attempt failed and another is scheduled.
	Retrying State = "retrying"
	// Parked: on hold, for a reason that NextCause names: the endpoint keeps failing,
	// is paused, or takes no more at the moment. It uses up no attempts.
	Parked State = "parked"
	// Delivered: the endpoint answered 2xx. A later manual attempt does not change it.
	Delivered State = "delivered"
	// Dead: given up. Its message lies in the dead-letter queue; a redrive or a
	// manual retry makes it retrying or delivered again.
	Dead State = "dead"
	// Cancelled: the endpoint was deleted before the event arrived, or someone
	// wanted it delivered no more.
	Cancelled State = "cancelled"
)

// States lists every delivery state.
var States = []State{Queued, Retrying, Parked, Delivered, Dead, Cancelled}

// NextCause says which rule set the time of the next attempt.
type NextCause string

// Causes.
const (
	// NextSchedule: the retry schedule's step, with jitter.
	NextSchedule NextCause = "schedule"
	// NextRetryAfter: the endpoint asked for a longer wait by Retry-After.
	NextRetryAfter NextCause = "retry_after"
	// NextSlowDown: 429, 502 or 504 doubled the schedule's step.
	NextSlowDown NextCause = "slow_down"
	// NextBreaker: the endpoint's breaker is open, and is probed from time to time.
	NextBreaker NextCause = "breaker"
	// NextRecover: a job gave the dead delivery a fresh schedule.
	NextRecover NextCause = "recover"
	// NextScheduled: the sender said when the event is to be delivered.
	NextScheduled NextCause = "scheduled"
	// NextReplay: a job made the delivery.
	NextReplay NextCause = "replay"
	// NextPaused: the endpoint is paused; it is looked at again then.
	NextPaused NextCause = "paused"
	// NextTurn: the delivery's turn by the endpoint's rate limit, which is its own.
	NextTurn NextCause = "turn"
	// NextRateLimit: so many wait for their turns that it has none yet; it asks again then.
	NextRateLimit NextCause = "rate_limit"
	// NextConcurrency: as many attempts are under way as the endpoint takes at once.
	NextConcurrency NextCause = "concurrency"
)

// Delivery is the obligation to bring one event to one endpoint.
type Delivery struct {
	DeliveryKey
	EventID   EventID
	EventType EventType
	// Tags are the event's.
	Tags  []Tag
	State State
	// Reason says why a dead or cancelled delivery ended.
	Reason Reason
	// Attempts holds the latest attempts, oldest first, at most MaxAttemptsKept.
	Attempts []Attempt
	// AttemptCount counts all attempts ever made.
	AttemptCount int
	// BudgetStart is the AttemptCount at which the current retry budget opened:
	// 0 at first, later after a redrive.
	BudgetStart int
	// NextAttemptAt is when a retrying delivery is due, with the rule that set it.
	NextAttemptAt time.Time
	NextCause     NextCause
	// HeldUntil is when the sweeper sends a message for the delivery. Until then
	// none carries it: the store does. Zero while a message carries it.
	HeldUntil time.Time
	// ParkedAt is when the delivery was first parked since it was accepted,
	// redriven or delivered, or since it was last parked for another reason than a
	// failing endpoint.
	ParkedAt time.Time
	// DiedAt is when the delivery was last given up. A message sent to the queue
	// after it is a redrive.
	DiedAt time.Time
	// Untold: the operator is still to be told that the delivery died.
	Untold bool
	// Expunged: nothing is kept of what the endpoint answers.
	Expunged  bool
	UpdatedAt time.Time
	ExpiresAt time.Time
	// Rev counts the row's writes; 0 means there is no row yet.
	Rev int64
	// Writer is a random mark of whoever wrote the row last, so that a writer
	// whose answer was lost recognises its own write.
	Writer string
}

// ResendAfter is after how long the store sends another message for a delivery
// it carries, should the one before be lost with everything that knew of it.
const ResendAfter = 15 * time.Minute

// KeptAfterHold is how long before its event expires a delivery is given up at the
// latest that waits for another reason than a failing endpoint: 4 days in the
// delivery queue, 14 in the dead-letter queue, and a schedule after a redrive.
const KeptAfterHold = 22 * 24 * time.Hour

// HoldEnds is when a parked delivery is given up: lifetime after it was parked.
// One that the endpoint's owner keeps waiting may wait for longer, as long as its
// event is kept for what may follow.
func (d Delivery) HoldEnds(lifetime time.Duration) time.Time {
	ends := d.ParkedAt.Add(lifetime)
	if last := d.ExpiresAt.Add(-KeptAfterHold); d.NextCause != NextBreaker && last.After(ends) {
		return last
	}
	return ends
}

// NewDelivery returns the delivery of e to one of its targets as it stands before
// anything is recorded of it: queued, or cancelled with an event that has ended.
func NewDelivery(e Event, target EndpointID) Delivery {
	d := Delivery{
		DeliveryKey: DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: target},
		EventID:     e.ID,
		EventType:   e.Type,
		Tags:        e.Tags,
		State:       Queued,
		Expunged:    !e.ExpungedAt.IsZero(),
		UpdatedAt:   e.AcceptedAt,
		ExpiresAt:   e.ExpiresAt,
	}
	if !e.DeliverAt.IsZero() {
		d.NextAttemptAt, d.NextCause = e.DeliverAt, NextScheduled
	}
	if reason, at := e.Ended(); reason != "" {
		d = d.Cancel(reason, at)
	}
	return d
}

// Undecided reports whether it is still to be told if the endpoint wants the event
// at all: its filter failed when it was last asked. It is asked again before each attempt.
func (d Delivery) Undecided(e Event) bool {
	if n := len(d.Attempts); n > 0 {
		return d.Attempts[n-1].Reason == ReasonFilterFailed
	}
	return slices.Contains(e.Undecided, d.Endpoint)
}

// Pending reports whether the delivery still goes on by itself.
func (d Delivery) Pending() bool {
	return d.State == Queued || d.State == Retrying || d.State == Parked
}

// Spent returns how many attempts of the current budget were made.
func (d Delivery) Spent() int { return d.AttemptCount - d.BudgetStart }
