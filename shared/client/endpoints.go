package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Endpoint is where a tenant's events are delivered.
type Endpoint struct {
	ID          string   `json:"id"`
	URL         string   `json:"url"`
	Description string   `json:"description"`
	EventTypes  []string `json:"event_types"`
	// Headers are sent with every delivery; their values are never shown.
	Headers map[string]string `json:"headers"`
	// Channels lets through only events with one of them; none means all.
	Channels []string `json:"channels"`
	// Filter is an expression in CEL that events have to fulfil; empty for none.
	Filter string `json:"filter"`
	// TimeoutSeconds bounds an attempt; nil for the relay's.
	TimeoutSeconds *int `json:"timeout_seconds"`
	// RetrySchedule is its own waits between attempts in seconds; nil for the relay's.
	RetrySchedule []int `json:"retry_schedule"`
	// RateLimit bounds attempts, MaxConcurrency those at once; nil for no bound of its own.
	RateLimit      *RateLimit        `json:"rate_limit"`
	MaxConcurrency *int              `json:"max_concurrency"`
	Tags           []string          `json:"tags"`
	Metadata       map[string]string `json:"metadata"`
	// State is enabled, paused or disabled.
	State          string    `json:"state"`
	DisabledReason string    `json:"disabled_reason,omitempty"`
	Signature      string    `json:"signature"`
	Health         Health    `json:"health"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// Health is how deliveries to an endpoint went of late: ok, failing, or open,
// which is left alone but for probes.
type Health struct {
	State        string     `json:"state"`
	Failures     int        `json:"failures,omitempty"`
	FailingSince *time.Time `json:"failing_since,omitempty"`
	NextProbeAt  *time.Time `json:"next_probe_at,omitempty"`
}

// RateLimit allows Count attempts in each window of Seconds.
type RateLimit struct {
	Count   int `json:"count"`
	Seconds int `json:"seconds"`
}

// NewEndpoint is an endpoint to register. URL alone is required.
type NewEndpoint struct {
	ID          string            `json:"id,omitempty"`
	URL         string            `json:"url"`
	Description string            `json:"description,omitempty"`
	EventTypes  []string          `json:"event_types,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	// The following are as Endpoint has them.
	Channels       []string          `json:"channels,omitempty"`
	Filter         string            `json:"filter,omitempty"`
	TimeoutSeconds *int              `json:"timeout_seconds,omitempty"`
	RetrySchedule  []int             `json:"retry_schedule,omitempty"`
	RateLimit      *RateLimit        `json:"rate_limit,omitempty"`
	MaxConcurrency *int              `json:"max_concurrency,omitempty"`
	Tags           []string          `json:"tags,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	Signature      string            `json:"signature,omitempty"`
	Secret         string            `json:"secret,omitempty"`
}

// EndpointChange holds the fields to change; nil leaves one as it is.
type EndpointChange struct {
	URL         *string            `json:"url,omitempty"`
	Description *string            `json:"description,omitempty"`
	EventTypes  *[]string          `json:"event_types,omitempty"`
	Headers     *map[string]string `json:"headers,omitempty"`
	Channels    *[]string          `json:"channels,omitempty"`
	Filter      *string            `json:"filter,omitempty"`
	// A pointer to nil sets the relay's own again.
	TimeoutSeconds **int              `json:"timeout_seconds,omitempty"`
	RetrySchedule  **[]int            `json:"retry_schedule,omitempty"`
	RateLimit      **RateLimit        `json:"rate_limit,omitempty"`
	MaxConcurrency **int              `json:"max_concurrency,omitempty"`
	Tags           *[]string          `json:"tags,omitempty"`
	Metadata       *map[string]string `json:"metadata,omitempty"`
	State          *string            `json:"state,omitempty"`
}

// Secret is what a receiver verifies with: Secret of a v1 endpoint, PublicKey
// of a v1a one.
type Secret struct {
	Secret    string `json:"secret,omitempty"`
	PublicKey string `json:"public_key,omitempty"`
	// PreviousExpiresAt is when the last of the older secrets stops signing.
	PreviousExpiresAt *time.Time `json:"previous_expires_at,omitempty"`
}

// Rotation says how to replace a secret.
type Rotation struct {
	// OverlapSeconds is how long the old secret goes on signing; nil for the deployment's setting.
	OverlapSeconds *int `json:"overlap_seconds,omitempty"`
	// Secret is the caller's own; a fresh one when empty.
	Secret string `json:"secret,omitempty"`
}

func endpointAt(tenant, endpoint string) string {
	return at("/v1/tenants/", tenant, "/endpoints/", endpoint)
}

// CreateEndpoint registers an endpoint.
func (c *Client) CreateEndpoint(ctx context.Context, tenant string, endpoint NewEndpoint) (Endpoint, error) {
	var answer Endpoint
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: at("/v1/tenants/", tenant, "/endpoints"), body: endpoint,
	}, &answer)
	return answer, err
}

// ListEndpoints returns one page of a tenant's endpoints, by id.
func (c *Client) ListEndpoints(ctx context.Context, tenant string, options PageOptions) (Page[Endpoint], error) {
	return get[Page[Endpoint]](ctx, c, at("/v1/tenants/", tenant, "/endpoints"), options.query())
}

// AllEndpoints walks a tenant's endpoints, by id.
func (c *Client) AllEndpoints(ctx context.Context, tenant string, options PageOptions) iter.Seq2[Endpoint, error] {
	return all(options, func(o PageOptions) (Page[Endpoint], error) { return c.ListEndpoints(ctx, tenant, o) })
}

// GetEndpoint shows an endpoint, without its secret.
func (c *Client) GetEndpoint(ctx context.Context, tenant, endpoint string) (Endpoint, error) {
	return get[Endpoint](ctx, c, endpointAt(tenant, endpoint), nil)
}

// ChangeEndpoint changes the fields given and returns the endpoint as it is now.
func (c *Client) ChangeEndpoint(ctx context.Context, tenant, endpoint string, change EndpointChange) (Endpoint, error) {
	var answer Endpoint
	_, err := c.do(ctx, call{
		method: http.MethodPatch, path: endpointAt(tenant, endpoint), body: change, repeatable: true,
	}, &answer)
	return answer, err
}

// DeleteEndpoint removes an endpoint. Deliveries under way to it are cancelled.
func (c *Client) DeleteEndpoint(ctx context.Context, tenant, endpoint string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: endpointAt(tenant, endpoint), repeatable: true}, nil)
	return err
}

// GetSecret shows what the receiver verifies with.
func (c *Client) GetSecret(ctx context.Context, tenant, endpoint string) (Secret, error) {
	return get[Secret](ctx, c, endpointAt(tenant, endpoint)+"/secret", nil)
}

// RotateSecret replaces the secret and returns the new one. Until the overlap
// ends, deliveries carry a signature of both.
func (c *Client) RotateSecret(ctx context.Context, tenant, endpoint string, rotation Rotation) (Secret, error) {
	var answer Secret
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: endpointAt(tenant, endpoint) + "/secret/rotate", body: rotation,
	}, &answer)
	return answer, err
}
