// Package history looks back: which events were accepted, and what became of
// their deliveries.
package history

import (
	"context"
	"errors"
	"slices"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// Filter narrows a list of deliveries, or of events, to which Endpoint and State do
// not apply; zero fields match everything.
type Filter struct {
	Endpoint webhook.EndpointID
	State    webhook.State
	// Types leaves out events whose type none of the patterns selects.
	Types []webhook.Pattern
	// Tag leaves out events that do not have it.
	Tag webhook.Tag
	// Since leaves out events accepted before it, and ends the list there.
	Since time.Time
	// Until leaves out events accepted at it or later, and begins the list there.
	Until time.Time
}

// Match reports whether the filter lets d through.
func (f Filter) Match(d webhook.Delivery) bool {
	return (f.Endpoint == "" || f.Endpoint == d.Endpoint) && (f.State == "" || f.State == d.State) &&
		f.selects(d.EventType, d.Tags) && f.Covers(d.Event)
}

// MatchEvent reports whether the filter lets e through.
func (f Filter) MatchEvent(e webhook.Event) bool { return f.selects(e.Type, e.Tags) && f.Covers(e.Ref) }

func (f Filter) selects(t webhook.EventType, tags []webhook.Tag) bool {
	return webhook.Selects(f.Types, t) && (f.Tag == "" || slices.Contains(tags, f.Tag))
}

// Covers reports whether the event was accepted between Since and Until, to the millisecond.
func (f Filter) Covers(ref webhook.EventRef) bool {
	if f.Since.IsZero() && f.Until.IsZero() {
		return true
	}
	accepted, ok := id.Time(ref)
	return ok && !accepted.Before(f.Since.Truncate(time.Millisecond)) &&
		(f.Until.IsZero() || accepted.Before(f.Until.Truncate(time.Millisecond)))
}

// Store reads what was recorded. Expired rows are never returned, and every
// read but DeadLetters and lists by a failed state sees all finished writes.
type Store interface {
	// EventRef returns where the event with a caller's own id is kept, or ErrNotFound.
	EventRef(ctx context.Context, tenant webhook.TenantID, id webhook.EventID) (webhook.EventRef, error)
	// EventByRef returns one event with its body, or ErrNotFound.
	EventByRef(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (webhook.Event, error)
	// Events lists a tenant's events that f lets through, newest first, possibly
	// without their bodies.
	Events(ctx context.Context, tenant webhook.TenantID, f Filter, p webhook.Page) ([]webhook.Event, string, error)
	// Records lists a tenant's events that f lets through, newest first, with all
	// that belongs to them. A page ends early at MaxRecordBytes.
	Records(ctx context.Context, tenant webhook.TenantID, f Filter, p webhook.Page) ([]Record, string, error)
	// EventDeliveries returns the stored delivery rows of one event.
	EventDeliveries(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) ([]webhook.Delivery, error)
	// Deliveries lists a tenant's deliveries by event, newest first, those
	// without an attempt included, and stored ones as they are stored.
	Deliveries(ctx context.Context, tenant webhook.TenantID, f Filter, p webhook.Page) ([]webhook.Delivery, string, error)
	// Delivery returns one delivery row; ErrNotFound when no attempt has been recorded.
	Delivery(ctx context.Context, key webhook.DeliveryKey) (webhook.Delivery, error)
	// DeadLetters lists the dead deliveries of all tenants, by tenant, oldest event first.
	DeadLetters(ctx context.Context, p webhook.Page) ([]webhook.Delivery, string, error)
}

// History answers questions about the past. Safe for concurrent use.
type History struct{ Store }

// Event returns the event a caller names, with every delivery of it. ErrNotFound.
func (h History) Event(ctx context.Context, tenant webhook.TenantID, eventID webhook.EventID) (webhook.Event, []webhook.Delivery, error) {
	ref, made := id.RefOf(eventID)
	if !made {
		var err error
		if ref, err = h.EventRef(ctx, tenant, eventID); err != nil {
			return webhook.Event{}, nil, err
		}
	}
	event, err := h.EventByRef(ctx, tenant, ref)
	if err != nil {
		return webhook.Event{}, nil, err
	}
	rows, err := h.EventDeliveries(ctx, tenant, ref)
	if err != nil {
		return webhook.Event{}, nil, err
	}
	return event, event.Expand(rows), nil
}

// Delivery returns one delivery, also while it is queued. ErrNotFound.
func (h History) Delivery(ctx context.Context, key webhook.DeliveryKey) (webhook.Delivery, error) {
	row, err := h.Store.Delivery(ctx, key)
	if !errors.Is(err, webhook.ErrNotFound) {
		return row, err
	}
	event, err := h.EventByRef(ctx, key.Tenant, key.Event)
	if err != nil {
		return webhook.Delivery{}, err
	}
	if !slices.Contains(event.Targets, key.Endpoint) {
		return webhook.Delivery{}, webhook.ErrNotFound
	}
	return webhook.NewDelivery(event, key.Endpoint), nil
}
