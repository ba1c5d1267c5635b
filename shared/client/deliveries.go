package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// State says how far a delivery is.
type State string

// States of a delivery.
const (
	Queued    State = "queued"
	Retrying  State = "retrying"
	Parked    State = "parked"
	Delivered State = "delivered"
	Dead      State = "dead"
	Cancelled State = "cancelled"
)

// States lists every state.
var States = []State{Queued, Retrying, Parked, Delivered, Dead, Cancelled}

// Final says whether no attempt follows by itself.
func (s State) Final() bool { return s == Delivered || s == Dead || s == Cancelled }

// Delivery is what became of one event at one endpoint.
type Delivery struct {
	ID        string `json:"id"`
	EventID   string `json:"event_id"`
	EventType string `json:"event_type"`
	// Tags are the event's.
	Tags       []string `json:"tags,omitempty"`
	EndpointID string   `json:"endpoint_id"`
	State      State    `json:"state"`
	// Reason says why a dead or cancelled delivery ended.
	Reason        string     `json:"reason,omitempty"`
	AttemptCount  int        `json:"attempt_count"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	// NextCause is the rule that set NextAttemptAt.
	NextCause string    `json:"next_cause,omitempty"`
	UpdatedAt time.Time `json:"updated_at"`
	// Attempts are the latest 50, oldest first.
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one request to an endpoint.
type Attempt struct {
	Number  int       `json:"number"`
	At      time.Time `json:"at"`
	Trigger string    `json:"trigger"`
	Outcome string    `json:"outcome"`
	// Reason is a stable code for why it failed.
	Reason     string `json:"reason,omitempty"`
	StatusCode int    `json:"status_code,omitempty"`
	DurationMS int64  `json:"duration_ms"`
	// Error is the reason in words.
	Error string `json:"error,omitempty"`
	// Response is the beginning of what the endpoint answered.
	Response string `json:"response,omitempty"`
}

// DeliveryFilter chooses deliveries; empty fields choose all.
type DeliveryFilter struct {
	Endpoint string
	State    State
	// EventType is a pattern such as "invoice.*".
	EventType string
	// Tag is one of the event's.
	Tag string
	// Since and Until bound when the event was accepted; zero for no bound.
	Since, Until time.Time
}

// narrow adds the filter to a request's query.
func (filter DeliveryFilter) narrow(query url.Values) {
	if filter.Endpoint != "" {
		query.Set("endpoint", filter.Endpoint)
	}
	if filter.State != "" {
		query.Set("status", string(filter.State))
	}
	if filter.EventType != "" {
		query.Set("event_type", filter.EventType)
	}
	if filter.Tag != "" {
		query.Set("tag", filter.Tag)
	}
	if !filter.Since.IsZero() {
		query.Set("since", filter.Since.Format(time.RFC3339Nano))
	}
	if !filter.Until.IsZero() {
		query.Set("until", filter.Until.Format(time.RFC3339Nano))
	}
}

func deliveryAt(tenant, delivery string) string {
	return at("/v1/tenants/", tenant, "/deliveries/", delivery)
}

// ListDeliveries returns one page of a tenant's deliveries, newest event first.
func (c *Client) ListDeliveries(ctx context.Context, tenant string, filter DeliveryFilter, options PageOptions) (Page[Delivery], error) {
	query := options.query()
	filter.narrow(query)
	return get[Page[Delivery]](ctx, c, at("/v1/tenants/", tenant, "/deliveries"), query)
}

// AllDeliveries walks a tenant's deliveries, newest event first.
func (c *Client) AllDeliveries(ctx context.Context, tenant string, filter DeliveryFilter, options PageOptions) iter.Seq2[Delivery, error] {
	return all(options, func(o PageOptions) (Page[Delivery], error) { return c.ListDeliveries(ctx, tenant, filter, o) })
}

// GetDelivery shows a delivery, why and when it is tried next.
func (c *Client) GetDelivery(ctx context.Context, tenant, delivery string) (Delivery, error) {
	return get[Delivery](ctx, c, deliveryAt(tenant, delivery), nil)
}

// RetryDelivery sends a delivery now, and returns it as it was before. A dead
// one gets a fresh retry schedule, any other one attempt beside its schedule.
func (c *Client) RetryDelivery(ctx context.Context, tenant, delivery string) (Delivery, error) {
	var answer Delivery
	_, err := c.do(ctx, call{method: http.MethodPost, path: deliveryAt(tenant, delivery) + "/retry"}, &answer)
	return answer, err
}

// TestEvent is an event for one endpoint alone.
type TestEvent struct {
	Type string `json:"type"`
	// Data is any JSON value of at most 256 KiB.
	Data json.RawMessage `json:"data"`
}

// TestEndpoint sends an event to one endpoint, whatever it subscribed to, and
// returns its delivery.
func (c *Client) TestEndpoint(ctx context.Context, tenant, endpoint string, event TestEvent) (Delivery, error) {
	var answer Delivery
	_, err := c.do(ctx, call{method: http.MethodPost, path: endpointAt(tenant, endpoint) + "/test", body: event}, &answer)
	return answer, err
}

// DeadLetter is a delivery that was given up.
type DeadLetter struct {
	TenantID string `json:"tenant_id"`
	Delivery
	// Event is nil when it has expired meanwhile.
	Event *DeadEvent `json:"event"`
}

// DeadEvent is the event of a dead letter.
type DeadEvent struct {
	Event
	Payload json.RawMessage `json:"payload"`
}

// Redrive is a move of the whole dead-letter queue, as SQS reports it. The
// numbers are approximate.
type Redrive struct {
	Status    string     `json:"status"`
	Moved     int        `json:"moved"`
	ToMove    int        `json:"to_move"`
	StartedAt *time.Time `json:"started_at"`
	Failure   string     `json:"failure,omitempty"`
}

// DeadLetters is one page of dead letters, and the state of their queue.
type DeadLetters struct {
	Page[DeadLetter]
	// Depth is about how many messages lie in the queue, those that name no
	// delivery included.
	Depth int `json:"depth"`
	// Redrive is the latest move; nil when there was none.
	Redrive *Redrive `json:"redrive"`
}

// ListDeadLetters returns one page of the dead deliveries of all tenants: by
// tenant, oldest event first.
func (c *Client) ListDeadLetters(ctx context.Context, options PageOptions) (DeadLetters, error) {
	return get[DeadLetters](ctx, c, "/v1/dead-letters", options.query())
}

// AllDeadLetters walks the dead deliveries of all tenants.
func (c *Client) AllDeadLetters(ctx context.Context, options PageOptions) iter.Seq2[DeadLetter, error] {
	return all(options, func(o PageOptions) (Page[DeadLetter], error) {
		answer, err := c.ListDeadLetters(ctx, o)
		return answer.Page, err
	})
}

// Redrive starts to put every dead letter back to work. It fails with code
// "redrive-running" while one is under way.
func (c *Client) Redrive(ctx context.Context) (Redrive, error) {
	var answer Redrive
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/dead-letters/redrive"}, &answer)
	return answer, err
}
