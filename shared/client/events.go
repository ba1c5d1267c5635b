package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"net/http"
	"slices"
	"time"
)

// NewEvent is an event to accept. Type and Data are required.
type NewEvent struct {
	Type string `json:"type"`
	// Data is any JSON value of at most 256 KiB. It is delivered as it is, but
	// for white space between its parts.
	Data json.RawMessage `json:"data"`
	// ID is the caller's own; receivers see it as webhook-id. The relay makes one when it is empty.
	ID string `json:"id,omitempty"`
	// Timestamp is when it happened; nil for now.
	Timestamp *time.Time `json:"timestamp,omitempty"`
	// Channels are labels that endpoints may choose by.
	Channels []string `json:"channels,omitempty"`
	// Tags are labels by which events are found again.
	Tags []string `json:"tags,omitempty"`
	// DeliverAt is when the first attempts are due, at most 30 days ahead; nil for at once.
	DeliverAt *time.Time `json:"deliver_at,omitempty"`
	// RetentionDays is for how long the event is kept, 25 to 365; 0 for as long as the
	// deployment says.
	RetentionDays int `json:"retention_days,omitempty"`
	// IdempotencyKey makes the event one, however often it is posted within 24
	// hours. NewIdempotencyKey draws one.
	IdempotencyKey string `json:"-"`
}

// NewIdempotencyKey draws a random key for one event. Keep it with the event
// where the event must be posted again after a crash.
func NewIdempotencyKey() string { return rand.Text() }

// keyed returns the event with something to know it by, so that a repeat makes
// no second one.
func (e NewEvent) keyed() NewEvent {
	if e.ID == "" && e.IdempotencyKey == "" {
		e.IdempotencyKey = NewIdempotencyKey()
	}
	return e
}

// Accepted is what became of a posted event.
type Accepted struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	// DeliverAt is when a scheduled event is due; nil for another.
	DeliverAt *time.Time `json:"deliver_at,omitempty"`
	// Deliveries is how many endpoints matched.
	Deliveries int `json:"deliveries"`
}

// Batch is what became of events posted together.
type Batch struct {
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`
	// Data holds the outcomes, in the order of the events.
	Data []Outcome `json:"data"`
}

// Outcome is what became of one event of a batch: Event when Status is 202,
// Problem otherwise.
type Outcome struct {
	Status  int       `json:"status"`
	Event   *Accepted `json:"event,omitempty"`
	Problem *Problem  `json:"problem,omitempty"`
}

// EventFields are what a list and a single event have in common.
type EventFields struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Timestamp  time.Time `json:"timestamp"`
	AcceptedAt time.Time `json:"accepted_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	// Channels are the labels that endpoints choose by, Tags those to find it by.
	Channels []string `json:"channels,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	// DeliverAt is when a scheduled event is due.
	DeliverAt *time.Time `json:"deliver_at,omitempty"`
	// CancelledAt is when it was taken back, ExpungedAt when its payload was removed.
	CancelledAt *time.Time `json:"cancelled_at,omitempty"`
	ExpungedAt  *time.Time `json:"expunged_at,omitempty"`
	// Unsent: the request was answered 503 after the event was stored.
	Unsent bool `json:"unsent,omitempty"`
}

// Event is an event in a list.
type Event struct {
	EventFields
	// Deliveries is how many endpoints matched.
	Deliveries int `json:"deliveries"`
}

// EventDetail is an event with its payload, which is what endpoints are
// posted, or null once it was expunged, and its deliveries.
type EventDetail struct {
	EventFields
	Payload    json.RawMessage `json:"payload"`
	Deliveries []Delivery      `json:"deliveries"`
}

// PostEvent hands an event to the relay. Without an id and an Idempotency-Key
// it draws a key, so that its own retries make no second event.
func (c *Client) PostEvent(ctx context.Context, tenant string, event NewEvent) (Accepted, error) {
	event = event.keyed()
	var answer Accepted
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: at("/v1/tenants/", tenant, "/events"), body: event,
		idempotencyKey: event.IdempotencyKey, repeatable: true,
	}, &answer)
	return answer, err
}

// batchEvent is an event as a batch holds it, with its key in the body.
type batchEvent struct {
	NewEvent
	Key string `json:"idempotency_key,omitempty"`
}

// PostEvents hands up to 100 events to the relay. Each has its own outcome, in
// order; a refused one is no error. Give each an id or an Idempotency-Key to
// be able to repeat those refused with 503 without risk.
func (c *Client) PostEvents(ctx context.Context, tenant string, events []NewEvent) (Batch, error) {
	body := struct {
		Events []batchEvent `json:"events"`
	}{slices.Grow([]batchEvent{}, len(events))}
	for _, event := range events {
		event = event.keyed()
		body.Events = append(body.Events, batchEvent{event, event.IdempotencyKey})
	}
	var answer Batch
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: at("/v1/tenants/", tenant, "/events/batch"), body: body, repeatable: true,
	}, &answer)
	return answer, err
}

// EventFilter chooses events; empty fields choose all.
type EventFilter struct {
	// EventType is a pattern such as "invoice.*".
	EventType string
	// Tag is one of the event's.
	Tag string
	// Since and Until bound when the event was accepted; zero for no bound.
	Since, Until time.Time
}

// deliveries is the filter that chooses the events' deliveries.
func (filter EventFilter) deliveries() DeliveryFilter {
	return DeliveryFilter{EventType: filter.EventType, Tag: filter.Tag, Since: filter.Since, Until: filter.Until}
}

// ListEvents returns one page of a tenant's events, newest first.
func (c *Client) ListEvents(ctx context.Context, tenant string, filter EventFilter, options PageOptions) (Page[Event], error) {
	query := options.query()
	filter.deliveries().narrow(query)
	return get[Page[Event]](ctx, c, at("/v1/tenants/", tenant, "/events"), query)
}

// AllEvents walks a tenant's events, newest first.
func (c *Client) AllEvents(ctx context.Context, tenant string, filter EventFilter, options PageOptions) iter.Seq2[Event, error] {
	return all(options, func(o PageOptions) (Page[Event], error) { return c.ListEvents(ctx, tenant, filter, o) })
}

// GetEvent shows an event with its payload and deliveries.
func (c *Client) GetEvent(ctx context.Context, tenant, event string) (EventDetail, error) {
	return get[EventDetail](ctx, c, at("/v1/tenants/", tenant, "/events/", event), nil)
}

// CancelEvent takes back a scheduled event before its time. It fails with code
// "not-scheduled" when the event is on its way already.
func (c *Client) CancelEvent(ctx context.Context, tenant, event string) (Event, error) {
	var answer Event
	_, err := c.do(ctx, call{method: http.MethodPost, path: at("/v1/tenants/", tenant, "/events/", event) + "/cancel", repeatable: true}, &answer)
	return answer, err
}

// ExpungeEvent removes an event's payload and what endpoints answered to it, for
// good, and cancels what is pending of it.
func (c *Client) ExpungeEvent(ctx context.Context, tenant, event string) (EventDetail, error) {
	var answer EventDetail
	_, err := c.do(ctx, call{method: http.MethodPost, path: at("/v1/tenants/", tenant, "/events/", event) + "/expunge", repeatable: true}, &answer)
	return answer, err
}
