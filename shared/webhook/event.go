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
	Tenant    TenantID
	Ref       EventRef
	ID        EventID
	Type      EventType
	Channels  []Channel
	Timestamp time.Time
	// Trace is where the event's producer was in a distributed trace, if it said.
	Trace Trace
	// Body is what is posted to every endpoint: built once, identical on each attempt.
	Body []byte
	// Targets are the endpoints that matched when the event was accepted.
	Targets    []EndpointID
	AcceptedAt time.Time
	ExpiresAt  time.Time
	// Unsent marks an event whose queue messages could not be sent: the caller
	// was answered 503, so it was never accepted. Targets may still be delivered.
	Unsent bool
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
