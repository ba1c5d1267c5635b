// Package audit is the record of who changed what, and when. It is only ever
// added to, and never holds a secret or a payload.
//
// A change to the relay's own tables and its line are written in one
// transaction: either both are there or neither. What happens elsewhere, such as
// a message sent or a secret shown, is recorded before it happens; such a line
// may stand for something that then failed.
package audit

import (
	"context"
	"fmt"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// Retention is how long a line is kept: a year and a month, so that a yearly
// review finds all of its year.
const Retention = 400 * 24 * time.Hour

// Action says what was done.
type Action string

// Actions.
const (
	TenantPut         Action = "tenant.put"
	EndpointCreated   Action = "endpoint.created"
	EndpointChanged   Action = "endpoint.changed"
	EndpointEnabled   Action = "endpoint.enabled"
	EndpointDisabled  Action = "endpoint.disabled"
	EndpointPaused    Action = "endpoint.paused"
	EndpointDeleted   Action = "endpoint.deleted"
	SecretRead        Action = "secret.read"
	SecretRotated     Action = "secret.rotated"
	KeyCreated        Action = "key.created"
	KeyRevoked        Action = "key.revoked"
	LinkIssued        Action = "portal_link.issued"
	DeliveryRetried   Action = "delivery.retried"
	DeliveryCancelled Action = "delivery.cancelled"
	EventCancelled    Action = "event.cancelled"
	EventExpunged     Action = "event.expunged"
	JobStarted        Action = "job.started"
	JobCancelled      Action = "job.cancelled"
	Redriven          Action = "dead_letters.redriven"
	EventTypePut      Action = "event_type.put"
	EventTypeDeleted  Action = "event_type.deleted"
)

// Actor is who did it; the zero Actor is the relay itself.
type Actor struct {
	// Scope and Key are the caller's: see auth.Principal.
	Scope     auth.Scope
	Key       auth.KeyID
	RequestID string
	// Address is the caller's IP address, empty where it is not known.
	Address string
}

// Line is one entry.
type Line struct {
	// ID is a ULID; lines are listed by it.
	ID string
	At time.Time
	// Tenant is whose it is; empty when it concerns the whole installation.
	Tenant webhook.TenantID
	Action Action
	// Target is the id of what was changed.
	Target string
	// Detail names what else is worth knowing.
	Detail map[string]string
	Actor  Actor
}

// ExpiresAt is when the line is no longer kept.
func (l Line) ExpiresAt() time.Time { return l.At.Add(Retention) }

// Store keeps the lines. Expired ones are never returned.
type Store interface {
	// Append stores a line, durably, before it returns.
	Append(ctx context.Context, l Line) error
	// Lines lists a tenant's lines, newest first, seeing every finished write.
	Lines(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]Line, string, error)
	// AllLines lists those of all tenants and of the installation, newest first,
	// seeing every finished write.
	AllLines(ctx context.Context, p webhook.Page) ([]Line, string, error)
}

type actorKey struct{}

// By returns a context in which a is the one who acts.
func By(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, actorKey{}, a) }

// Of returns who acts in ctx: by default, the relay itself.
func Of(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// Entry is what a use case says of a line.
type Entry struct {
	Tenant webhook.TenantID
	Action Action
	Target string
	Detail map[string]string
}

// Line returns e as a line of whoever acts in ctx.
func (e Entry) Line(ctx context.Context, ids *id.Source, now time.Time) Line {
	return Line{
		ID: ids.ULID(now), At: now.UTC().Truncate(time.Millisecond), Tenant: e.Tenant, Action: e.Action, Target: e.Target,
		Detail: e.Detail, Actor: Of(ctx),
	}
}

// Disabled is the entry for an endpoint that the relay itself disabled.
func Disabled(tenant webhook.TenantID, endpoint webhook.EndpointID, reason webhook.Reason) Entry {
	return Entry{
		Tenant: tenant, Action: EndpointDisabled, Target: string(endpoint), Detail: map[string]string{"reason": string(reason)},
	}
}

// Trail records what happens outside the tables.
type Trail struct {
	Store Store
	IDs   *id.Source
	Now   func() time.Time
}

// Record stores e as a line of whoever acts in ctx. What it stands for must not
// happen before it returns, and not at all when it fails.
func (t Trail) Record(ctx context.Context, e Entry) error {
	if err := t.Store.Append(ctx, e.Line(ctx, t.IDs, t.Now())); err != nil {
		return fmt.Errorf("record %s: %w", e.Action, err)
	}
	return nil
}
