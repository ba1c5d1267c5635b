// Package ingest accepts an event once: it stores it, finds the endpoints that
// want it and hands a delivery for each to the queue. An accepted event is
// durable in both before the caller hears of it.
package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"webhookrelay/shared/filter"
	"webhookrelay/shared/id"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const (
	// idempotencyWindow is how long a repeat under the same Idempotency-Key
	// finds its event.
	idempotencyWindow = 24 * time.Hour

	// Lease is how long an unfinished claim belongs to the request that made
	// it. It must outlast any request: the ingest function's timeout is below it.
	Lease = 20 * time.Second

	// patience is how long a repeat waits for the first request to finish.
	patience = 2 * time.Second
	// step is how often it looks.
	step = 50 * time.Millisecond
)

// Errors of Accept, besides webhook's.
var (
	// ErrKeyReused: the idempotency key, or the event id, belongs to another event.
	ErrKeyReused = errors.New("used before with a different request")
	// ErrInProgress: a request with the same key is being handled; ask again.
	ErrInProgress = errors.New("a request with the same key is in progress")
	// ErrUnavailable: the event was not accepted; send it again.
	ErrUnavailable = errors.New("the event could not be stored and queued")
)

// Config holds what an Ingester works with. Every field but Handover is required.
type Config struct {
	Store Store
	Queue Queue
	// Handover is for a store and a queue that are one; nil: they are not.
	Handover  Handover
	IDs       *id.Source
	Retention time.Duration
	Now       func() time.Time
	// Sleep waits for d or until ctx ends.
	Sleep func(ctx context.Context, d time.Duration) error
	Log   *slog.Logger
}

// Ingester accepts events. Safe for concurrent use.
type Ingester struct {
	Config
	endpoints *endpointCache
	matcher   *filter.Matcher
	tally     tally
}

// New returns an Ingester over c.
func New(c Config) *Ingester {
	return &Ingester{Config: c, endpoints: newEndpointCache(c.Store), matcher: filter.NewMatcher()}
}

// Request is one event to accept, already checked by Request.Check.
type Request struct {
	Tenant webhook.TenantID
	// ID is the caller's own id for the event; empty lets the relay make one.
	ID   webhook.EventID
	Type webhook.EventType
	// Channels are the event's labels.
	Channels []webhook.Channel
	// Tags are the sender's labels.
	Tags []webhook.Tag
	// Timestamp is when the event happened; zero means now.
	Timestamp time.Time
	// Trace is where the request was in a distributed trace; a repeat may be elsewhere.
	Trace webhook.Trace
	// DeliverAt is when its first attempts are due; zero, and what has passed,
	// stands for at once.
	DeliverAt time.Time
	// Retention is how long the event is kept from then on; 0 means Config's.
	Retention time.Duration
	// Data is the event's JSON value, passed on byte for byte.
	Data []byte
	// Reworded: a repeat under the same ID may say the same in other words. What
	// was stored first counts.
	Reworded bool
	// IdempotencyKey makes repeats of this request find the same event.
	IdempotencyKey string
	// Only is the one endpoint that gets the event, whatever it wants; empty for
	// all that want it.
	Only webhook.EndpointID
}

// MaxKeyLength bounds an Idempotency-Key, in bytes.
const MaxKeyLength = 256

// Accepted is the answer to an accepted event; a repeat gets the same.
type Accepted struct {
	ID         webhook.EventID
	Type       webhook.EventType
	Timestamp  time.Time
	DeliverAt  time.Time
	Deliveries int
}

// Accept takes r. When it returns without error the event is stored and a
// message for every matching endpoint is in the queue; those of a scheduled event
// are in the store's keeping until its time. Which endpoints match is decided now.
//
// ErrNotFound: unknown tenant. *webhook.Invalid: DeliverAt is too far ahead. ErrKeyReused, ErrInProgress, ErrUnavailable: see
// there. Anything else is the relay's own failure, and the event was not accepted.
func (in *Ingester) Accept(ctx context.Context, r Request) (Accepted, error) {
	endpoints, err := in.endpoints.of(ctx, r.Tenant)
	if err != nil {
		return Accepted{}, err
	}
	p, err := in.prepare(ctx, r, in.newPlace(), endpoints)
	if err != nil || p.settled {
		return p.accepted, err
	}
	return in.conclude(ctx, p, in.commit(ctx, p))
}

// prepared is a request whose event is ready to be committed, or which found
// that it was accepted before.
type prepared struct {
	event  webhook.Event
	claims []Claim
	// stored: the event is stored as it is. Storing it again might undo what was
	// done to it meanwhile.
	stored   bool
	settled  bool
	accepted Accepted
}

// place is where an event is kept if it is new, and since when.
type place struct {
	ref webhook.EventRef
	at  time.Time
}

func (in *Ingester) newPlace() place {
	now := in.Now().Truncate(time.Millisecond)
	return place{in.IDs.EventRef(now), now}
}

// prepare claims the request's names and builds its event, as new at fresh or as
// an earlier request with the same names left it.
func (in *Ingester) prepare(ctx context.Context, r Request, fresh place, endpoints []webhook.Endpoint) (prepared, error) {
	if r.DeliverAt.After(fresh.at.Add(webhook.MaxAhead)) {
		return prepared{}, &webhook.Invalid{
			Field: "deliver_at", Reason: fmt.Sprintf("must be at most %d days ahead", webhook.MaxAhead/(24*time.Hour)),
		}
	}
	claims, winner, err := in.claim(ctx, r, fresh.ref, fresh.at)
	if err != nil {
		return prepared{}, err
	}
	if winner.Done {
		in.finish(ctx, claims, winner.Ref)
		before, err := in.repeat(ctx, r.Tenant, winner.Ref)
		return prepared{settled: true, accepted: before}, err
	}
	p := prepared{event: in.event(r, winner.Ref, endpoints, fresh.at), claims: claims}
	if winner.Ref != fresh.ref {
		p.event, p.stored, err = in.resume(ctx, p.event)
	}
	return p, err
}

// conclude turns the outcome of a commit into the answer.
func (in *Ingester) conclude(ctx context.Context, p prepared, err error) (Accepted, error) {
	if err != nil {
		in.release(ctx, p.claims)
		return Accepted{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	in.finish(ctx, p.claims, p.event.Ref)
	queued := len(p.event.Targets)
	if p.event.Held {
		queued = 0 // until it is due, there is nothing in the queue that an attempt could be missing for
	}
	in.tally.add(in.Log, in.Now(), queued)
	return accepted(p.event), nil
}

// Wants reports whether an event of type t would go to any endpoint of the tenant,
// whatever their filters make of it. Of an unknown tenant it would not.
func (in *Ingester) Wants(ctx context.Context, tenant webhook.TenantID, t webhook.EventType) (bool, error) {
	endpoints, err := in.endpoints.of(ctx, tenant)
	if errors.Is(err, webhook.ErrNotFound) {
		return false, nil
	}
	return slices.ContainsFunc(endpoints, func(e webhook.Endpoint) bool { return e.Wants(t, nil) }), err
}

// resume returns the event as an earlier request with the same key stored it,
// so that its body stays the same, or fresh if that one did not get so far.
func (in *Ingester) resume(ctx context.Context, fresh webhook.Event) (e webhook.Event, stored bool, err error) {
	before, err := in.Store.EventByRef(ctx, fresh.Tenant, fresh.Ref)
	if errors.Is(err, webhook.ErrNotFound) {
		return fresh, false, nil
	}
	stored = !before.Unsent
	before.Unsent = false
	return before, stored, err
}

// event builds what is stored under ref.
func (in *Ingester) event(r Request, ref webhook.EventRef, endpoints []webhook.Endpoint, now time.Time) webhook.Event {
	e := webhook.Event{
		Tenant: r.Tenant, Ref: ref, ID: r.ID, Type: r.Type, Channels: r.Channels, Tags: r.Tags, Timestamp: r.Timestamp, Trace: r.Trace,
		AcceptedAt: now, ExpiresAt: now.Add(in.kept(r, now)),
	}
	if r.DeliverAt.After(now) {
		e.DeliverAt = r.DeliverAt.UTC().Truncate(time.Millisecond)
	}
	if e.ID == "" {
		e.ID = id.EventID(e.Ref)
	}
	if e.Timestamp.IsZero() {
		e.Timestamp = now
	}
	e.Timestamp = e.Timestamp.UTC().Truncate(time.Millisecond)
	e.Body = Body(e.Type, e.Timestamp, r.Data)
	in.address(&e, r.Only, endpoints)
	return e
}

// address names the endpoints that e goes to: only, if that is set, whatever it
// wants. Where a filter fails, nobody knows
// whether it does: its delivery is made, so that the event is not lost unseen, and
// the dispatcher asks again.
func (in *Ingester) address(e *webhook.Event, only webhook.EndpointID, endpoints []webhook.Endpoint) {
	subject := filter.NewSubject(*e)
	for _, endpoint := range endpoints {
		if only != "" {
			if endpoint.ID == only {
				e.Targets = append(e.Targets, endpoint.ID)
			}
			continue
		}
		wants, err := in.matcher.Wants(endpoint, subject)
		if err != nil {
			e.Undecided = append(e.Undecided, endpoint.ID)
			in.Log.Warn("filter failed", "tenant_id", e.Tenant, "endpoint_id", endpoint.ID, "event_ref", e.Ref, "error", err.Error(),
				telemetry.Counted("FiltersFailed", 1))
		}
		if wants || err != nil {
			e.Targets = append(e.Targets, endpoint.ID)
		}
	}
	e.Held = !e.DeliverAt.IsZero() && len(e.Targets) > 0
}

// kept is for how long the event is kept, counted from now: its retention begins
// when it is to be delivered.
func (in *Ingester) kept(r Request, now time.Time) time.Duration {
	keep := in.Retention
	if r.Retention > 0 {
		keep = r.Retention
	}
	return keep + max(0, r.DeliverAt.Sub(now))
}

// commit stores the event and then enqueues every delivery, unless the store
// carries them. When the second fails the row is marked, so that no list shows
// its deliveries as queued; if marking fails too, the sweeper finds the row.
func (in *Ingester) commit(ctx context.Context, p prepared) error {
	e := p.event
	if in.Handover != nil && !p.stored {
		return in.Handover.PutAndSend(ctx, []webhook.Event{e})
	}
	if !p.stored {
		if err := in.Store.PutEvents(ctx, []webhook.Event{e}); err != nil {
			return err
		}
	}
	if len(e.Targets) == 0 || e.Held {
		return nil
	}
	err := in.Queue.Send(ctx, e.Deliveries())
	if err == nil {
		return nil
	}
	if markErr := in.Store.MarkUnsent(context.WithoutCancel(ctx), e.Tenant, e.Ref); markErr != nil {
		return errors.Join(err, markErr)
	}
	return err
}

// repeat answers a request whose event was accepted before.
func (in *Ingester) repeat(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (Accepted, error) {
	e, err := in.Store.EventByRef(ctx, tenant, ref)
	if err != nil {
		return Accepted{}, fmt.Errorf("event of a repeated request: %w", err)
	}
	return accepted(e), nil
}

func accepted(e webhook.Event) Accepted {
	return Accepted{ID: e.ID, Type: e.Type, Timestamp: e.Timestamp, DeliverAt: e.DeliverAt, Deliveries: len(e.Targets)}
}

// Body builds what is posted to endpoints: type, timestamp and the data's own
// bytes. typ needs no escaping (see webhook.CheckEventType).
func Body(typ webhook.EventType, timestamp time.Time, data []byte) []byte {
	body := make([]byte, 0, len(data)+len(typ)+64)
	body = append(body, `{"type":"`...)
	body = append(body, typ...)
	body = append(body, `","timestamp":"`...)
	body = timestamp.UTC().AppendFormat(body, TimestampFormat)
	body = append(body, `","data":`...)
	body = append(body, data...)
	return append(body, '}')
}

// Sleep waits by the real clock.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// TimestampFormat is RFC 3339 in UTC with milliseconds.
const TimestampFormat = "2006-01-02T15:04:05.000Z07:00"

func (r Request) fingerprint() string {
	digest := sha256.New()
	_, _ = fmt.Fprintf(digest, "%q %q %d ", r.ID, r.Type, r.Timestamp.UnixNano()) // a digest takes every write
	if len(r.Channels) > 0 {
		_, _ = fmt.Fprintf(digest, "%q ", r.Channels)
	}
	if len(r.Tags) > 0 || !r.DeliverAt.IsZero() || r.Retention != 0 {
		_, _ = fmt.Fprintf(digest, "%q %d %d ", r.Tags, r.DeliverAt.UnixNano(), r.Retention)
	}
	if !r.Reworded {
		digest.Write(r.Data)
	}
	return hex.EncodeToString(digest.Sum(nil)[:16])
}
