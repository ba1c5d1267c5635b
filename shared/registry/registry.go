// Package registry keeps tenants and their endpoints: who receives what, where,
// and signed with which secrets.
package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/id"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

// updateTries bounds how often a change is applied anew to an endpoint that
// someone else keeps changing.
const updateTries = 5

// Config holds what a Registry works with. Every field is required.
type Config struct {
	Store  Store
	Sealer *seal.Sealer
	IDs    *id.Source
	// CheckURL refuses an endpoint's URL; its error completes "url …".
	CheckURL func(url string) error
	// Overlap is how long the old secret signs beside the new after a rotation,
	// when the caller does not say.
	Overlap time.Duration
	Now     func() time.Time
}

// Registry manages tenants and endpoints, on behalf of whoever ctx names (see
// package audit). Safe for concurrent use.
type Registry struct{ Config }

// New returns a Registry over c.
func New(c Config) *Registry { return &Registry{c} }

// PutTenant creates the tenant, or renames it, and says whether it is new.
func (r *Registry) PutTenant(ctx context.Context, tenant webhook.TenantID, name string) (webhook.Tenant, bool, error) {
	if err := webhook.CheckID("tenant", string(tenant)); err != nil {
		return webhook.Tenant{}, false, err
	}
	if err := webhook.CheckText("name", name, webhook.MaxNameLength); err != nil {
		return webhook.Tenant{}, false, err
	}
	line := r.line(ctx, audit.Entry{Tenant: tenant, Action: audit.TenantPut, Target: string(tenant), Detail: map[string]string{"name": name}})
	return r.Store.PutTenant(ctx, webhook.Tenant{ID: tenant, Name: name, CreatedAt: r.now()}, line)
}

// NewEndpoint is what a caller says of an endpoint to create.
type NewEndpoint struct {
	ID          webhook.EndpointID
	URL         string
	Description string
	EventTypes  []webhook.Pattern
	Channels    []webhook.Channel
	Filter      string
	Headers     []webhook.Header
	Terms       webhook.Terms
	Tags        []webhook.Tag
	Metadata    map[string]string
	Scheme      webhook.Scheme
	// Secret is the caller's own; empty means a fresh one.
	Secret signature.Secret
}

// CreateEndpoint checks and stores a new endpoint. *webhook.Invalid, ErrExists,
// ErrFull, ErrNotFound (tenant) or seal.ErrUnavailable when it cannot.
func (r *Registry) CreateEndpoint(ctx context.Context, tenant webhook.TenantID, n NewEndpoint) (webhook.Endpoint, error) {
	now := r.now()
	e := webhook.Endpoint{
		Tenant: tenant, ID: n.ID, Description: n.Description, EventTypes: n.EventTypes,
		Channels: n.Channels, Filter: n.Filter, Terms: n.Terms, Tags: n.Tags, Metadata: n.Metadata,
		Scheme: n.Scheme, State: webhook.EndpointEnabled, CreatedAt: now, UpdatedAt: now,
	}
	if e.ID == "" {
		e.ID = r.IDs.EndpointID(now)
	}
	if e.Scheme == "" {
		e.Scheme = webhook.SchemeHMAC
	}
	if err := check(e); err != nil {
		return webhook.Endpoint{}, err
	}
	if err := filter.Check("filter", e.Filter); err != nil {
		return webhook.Endpoint{}, err
	}
	if err := r.setReceiver(ctx, &e, &n.URL, n.Headers); err != nil {
		return webhook.Endpoint{}, err
	}
	if err := r.hasRoom(ctx, tenant, e.ID); err != nil {
		return webhook.Endpoint{}, err
	}
	secret, err := r.secretFor(ctx, e, n.Secret, now)
	if err != nil {
		return webhook.Endpoint{}, err
	}
	e.Secrets = []webhook.Secret{secret}
	line := r.line(ctx, audit.Entry{Tenant: tenant, Action: audit.EndpointCreated, Target: string(e.ID)})
	if err := r.Store.CreateEndpoint(ctx, e, line); err != nil {
		return webhook.Endpoint{}, err
	}
	e.Rev = 1
	return e, nil
}

// hasRoom returns ErrFull when the tenant has as many endpoints as it may. Those created at the same time do not see each other; the few too many
// do no harm. An id that is taken is left to the store to refuse.
func (r *Registry) hasRoom(ctx context.Context, tenant webhook.TenantID, endpoint webhook.EndpointID) error {
	for p, count := (webhook.Page{Limit: webhook.MaxEndpoints}), 0; ; {
		endpoints, next, err := r.Store.Endpoints(ctx, tenant, p)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(endpoints, func(e webhook.Endpoint) bool { return e.ID == endpoint }) {
			return nil
		}
		if count += len(endpoints); count >= webhook.MaxEndpoints {
			return fmt.Errorf("tenant %s: %w", tenant, webhook.ErrFull)
		}
		if p.After = next; next == "" {
			return nil
		}
	}
}

// EndpointChange names the fields to change; nil leaves a field as it is.
type EndpointChange struct {
	URL         *string
	Description *string
	EventTypes  *[]webhook.Pattern
	Channels    *[]webhook.Channel
	Filter      *string
	// Timeout, Schedule, Rate and Concurrency change one of the terms each; what
	// they point to may be zero, or nil, which goes back to the relay's own.
	Timeout     *time.Duration
	Schedule    *[]time.Duration
	Rate        *webhook.Rate
	Concurrency *int
	Tags        *[]webhook.Tag
	Metadata    *map[string]string
	// Headers replaces all headers: empty but not nil removes them.
	Headers []webhook.Header
	State   *webhook.EndpointState
}

// ChangeEndpoint applies c and returns the endpoint as stored. One that is
// enabled again starts with a clean health: it is tried at once.
func (r *Registry) ChangeEndpoint(ctx context.Context, tenant webhook.TenantID, endpoint webhook.EndpointID, c EndpointChange) (webhook.Endpoint, error) {
	if c.State != nil && *c.State != webhook.EndpointDisabled {
		if err := r.forgive(ctx, tenant, endpoint); err != nil {
			return webhook.Endpoint{}, err
		}
	}
	// A filter that is left as it is is not held against what is refused today.
	if c.Filter != nil {
		if err := filter.Check("filter", *c.Filter); err != nil {
			return webhook.Endpoint{}, err
		}
	}
	entry := audit.Entry{Detail: c.detail()}
	return r.update(ctx, tenant, endpoint, &entry, func(e *webhook.Endpoint) error {
		entry.Action = audit.EndpointChanged
		if err := r.setReceiver(ctx, e, c.URL, c.Headers); err != nil {
			return err
		}
		c.apply(e)
		if c.State != nil && *c.State != e.State {
			entry.Action = become(e, *c.State)
		}
		return check(*e)
	})
}

// apply sets the fields given that need no more than to be set.
func (c EndpointChange) apply(e *webhook.Endpoint) {
	set(&e.Description, c.Description)
	set(&e.EventTypes, c.EventTypes)
	set(&e.Channels, c.Channels)
	set(&e.Filter, c.Filter)
	set(&e.Terms.Timeout, c.Timeout)
	set(&e.Terms.Schedule, c.Schedule)
	set(&e.Terms.Rate, c.Rate)
	set(&e.Terms.Concurrency, c.Concurrency)
	set(&e.Tags, c.Tags)
	set(&e.Metadata, c.Metadata)
}

func set[T any](field, given *T) {
	if given != nil {
		*field = *given
	}
}

// become changes the endpoint's state and returns what the audit trail calls that.
func become(e *webhook.Endpoint, state webhook.EndpointState) audit.Action {
	e.State, e.DisabledReason = state, ""
	switch state {
	case webhook.EndpointDisabled:
		e.DisabledReason = webhook.ReasonManual
		return audit.EndpointDisabled
	case webhook.EndpointPaused:
		return audit.EndpointPaused
	default:
		return audit.EndpointEnabled
	}
}

// forgive forgets the failures of an endpoint that is disabled.
func (r *Registry) forgive(ctx context.Context, tenant webhook.TenantID, endpoint webhook.EndpointID) error {
	for range updateTries {
		e, err := r.Store.Endpoint(ctx, tenant, endpoint)
		if err != nil {
			return err
		}
		if e.State != webhook.EndpointDisabled || e.Health.Well() {
			return nil
		}
		err = r.Store.SaveHealth(ctx, tenant, endpoint, e.Health.Recovered())
		if !errors.Is(err, webhook.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("endpoint %s: %w", endpoint, webhook.ErrConflict)
}

// detail names the fields to change, and not their values: a URL may hold a
// credential.
func (c EndpointChange) detail() map[string]string {
	var fields []string
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"url", c.URL != nil}, {"description", c.Description != nil}, {"event_types", c.EventTypes != nil}, {"channels", c.Channels != nil},
		{"filter", c.Filter != nil},
		{"headers", c.Headers != nil}, {"timeout_seconds", c.Timeout != nil}, {"retry_schedule", c.Schedule != nil}, {"rate_limit", c.Rate != nil},
		{"max_concurrency", c.Concurrency != nil}, {"tags", c.Tags != nil}, {"metadata", c.Metadata != nil}, {"state", c.State != nil},
	} {
		if field.given {
			fields = append(fields, field.name)
		}
	}
	return map[string]string{"fields": strings.Join(fields, ",")}
}

// DeleteEndpoint removes an endpoint. ErrNotFound.
func (r *Registry) DeleteEndpoint(ctx context.Context, tenant webhook.TenantID, endpoint webhook.EndpointID) error {
	line := r.line(ctx, audit.Entry{Tenant: tenant, Action: audit.EndpointDeleted, Target: string(endpoint)})
	return r.Store.DeleteEndpoint(ctx, tenant, endpoint, line)
}

// update reads, changes and stores an endpoint with the entry for the audit
// trail, which the change may complete; again if it changed meanwhile.
func (r *Registry) update(ctx context.Context, tenant webhook.TenantID, endpoint webhook.EndpointID, entry *audit.Entry, change func(*webhook.Endpoint) error) (webhook.Endpoint, error) {
	entry.Tenant, entry.Target = tenant, string(endpoint)
	for range updateTries {
		e, err := r.Store.Endpoint(ctx, tenant, endpoint)
		if err != nil {
			return webhook.Endpoint{}, err
		}
		if err := change(&e); err != nil {
			return webhook.Endpoint{}, err
		}
		e.UpdatedAt = r.now()
		err = r.Store.UpdateEndpoint(ctx, e, r.line(ctx, *entry))
		if err == nil {
			e.Rev++
			return e, nil
		}
		if !errors.Is(err, webhook.ErrConflict) {
			return webhook.Endpoint{}, err
		}
	}
	return webhook.Endpoint{}, fmt.Errorf("endpoint %s: %w", endpoint, webhook.ErrConflict)
}

func check(e webhook.Endpoint) error {
	if err := webhook.CheckID("id", string(e.ID)); err != nil {
		return err
	}
	if err := webhook.CheckText("description", e.Description, webhook.MaxDescriptionLength); err != nil {
		return err
	}
	if err := webhook.CheckPatterns("event_types", e.EventTypes); err != nil {
		return err
	}
	if !slices.Contains(webhook.EndpointStates, e.State) {
		return &webhook.Invalid{Field: "state", Reason: `must be "enabled", "paused" or "disabled"`}
	}
	if err := checkLabels(e); err != nil {
		return err
	}
	if err := e.Terms.Check(); err != nil {
		return err
	}
	if err := retry.Check(e.Terms.Schedule); err != nil {
		return &webhook.Invalid{Field: "retry_schedule", Reason: "is wrong: " + err.Error()}
	}
	if e.Scheme != webhook.SchemeHMAC && e.Scheme != webhook.SchemeEd25519 {
		return &webhook.Invalid{Field: "signature", Reason: `must be "v1" (HMAC) or "v1a" (ed25519)`}
	}
	return nil
}

func checkLabels(e webhook.Endpoint) error {
	if err := webhook.CheckLabels("channels", e.Channels, webhook.MaxEndpointChannels); err != nil {
		return err
	}
	if err := webhook.CheckLabels("tags", e.Tags, webhook.MaxTags); err != nil {
		return err
	}
	return webhook.CheckMetadata(e.Metadata)
}

func (r *Registry) line(ctx context.Context, entry audit.Entry) audit.Line {
	return entry.Line(ctx, r.IDs, r.now())
}

func (r *Registry) now() time.Time { return r.Now().UTC().Truncate(time.Millisecond) }
