package webhook

import (
	"maps"
	"slices"
	"time"
)

// EventID is what the receiver sees as webhook-id, the same on every retry:
// the caller's own id, or "evt_" and the event's Ref.
type EventID string

// EventRef is the ULID under which the relay keeps an event: 26 characters,
// sortable by the time of acceptance. A store derives the event's place from it.
type EventRef string

// RefLength is the length of an EventRef.
const RefLength = 26

// MaxDataBytes bounds an event's data: 256 KiB, below DynamoDB's 400 KB item.
const MaxDataBytes = 256 << 10

// Event is one accepted fact. It never changes after acceptance.
type Event struct {
	Tenant   TenantID
	Ref      EventRef
	ID       EventID
	Type     EventType
	Channels []Channel
	// Tags are the sender's labels, by which events are found again.
	Tags      []Tag
	Timestamp time.Time
	// Trace is where the event's producer was in a distributed trace, if it said.
	Trace Trace
	// Body is what is posted to every endpoint: built once, identical on each attempt.
	Body []byte
	// Targets are the endpoints that matched when the event was accepted.
	Targets []EndpointID
	// Undecided are those of the targets whose filter failed on the event; see
	// Delivery.Undecided.
	Undecided  []EndpointID
	AcceptedAt time.Time
	ExpiresAt  time.Time
	// DeliverAt is when the first attempts are due; zero stands for at once.
	DeliverAt time.Time
	// Held: no message carries the event's deliveries yet. The store does, until
	// the sweeper sends their messages for DeliverAt.
	Held bool
	// CancelledAt is when a scheduled event was taken back, and ExpungedAt when its
	// payload was removed; zero: it was not. Nothing is delivered of either.
	CancelledAt time.Time
	ExpungedAt  time.Time
	// Unsent marks an event whose queue messages could not be sent: the caller
	// was answered 503, so it was never accepted. Targets may still be delivered.
	Unsent bool
}

// MaxAhead is how far ahead an event may be scheduled.
const MaxAhead = 30 * 24 * time.Hour

// Bounds of an event's own retention. The least is longer than a delivery of it
// can take (see config.MinRetentionDays), the most what lists reach back to with MaxAhead before it.
const (
	MinRetention = 25 * 24 * time.Hour
	MaxRetention = 365 * 24 * time.Hour
)

// Due is when the event's first attempts are due.
func (e Event) Due() time.Time {
	if e.DeliverAt.IsZero() {
		return e.AcceptedAt
	}
	return e.DeliverAt
}

// Ended is why nothing is delivered of the event any more, and since when; empty
// while it is.
func (e Event) Ended() (Reason, time.Time) {
	switch {
	case !e.ExpungedAt.IsZero():
		return ReasonExpunged, e.ExpungedAt
	case !e.CancelledAt.IsZero():
		return ReasonEventCancelled, e.CancelledAt
	}
	return "", time.Time{}
}

// Replayable reports whether the event may be sent to other endpoints at now: it
// was accepted, has not ended, and its time has come.
func (e Event) Replayable(now time.Time) bool {
	ended, _ := e.Ended()
	return !e.Unsent && ended == "" && !e.DeliverAt.After(now)
}

// Deliveries names the event's deliveries, in target order.
func (e Event) Deliveries() []DeliveryKey {
	keys := make([]DeliveryKey, len(e.Targets))
	for i, target := range e.Targets {
		keys[i] = DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: target}
	}
	return keys
}

// Expand lists the event's deliveries: in target order, the stored row where
// there is one, otherwise a queued delivery that no attempt has touched; then
// those that a replay made, by endpoint.
func (e Event) Expand(rows []Delivery) []Delivery {
	stored := make(map[EndpointID]Delivery, len(rows))
	for _, row := range rows {
		stored[row.Endpoint] = row
	}
	out := make([]Delivery, 0, len(e.Targets))
	for _, target := range e.Targets {
		if row, ok := stored[target]; ok {
			out = append(out, row)
		} else if !e.Unsent {
			out = append(out, NewDelivery(e, target))
		}
		delete(stored, target)
	}
	replayed := slices.Sorted(maps.Keys(stored))
	for _, endpoint := range replayed {
		out = append(out, stored[endpoint])
	}
	return out
}
