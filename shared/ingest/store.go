package ingest

import (
	"context"
	"time"

	"webhookrelay/shared/webhook"
)

// Store is what ingest needs to remember.
type Store interface {
	// ConfigVersion returns a number that rises with every change to the
	// tenant's endpoints. It sees every change that finished before the call.
	// ErrNotFound: there is no such tenant.
	ConfigVersion(ctx context.Context, tenant webhook.TenantID) (int64, error)

	// AllEndpoints returns the tenant's endpoints as they are at some moment
	// not before the call.
	AllEndpoints(ctx context.Context, tenant webhook.TenantID) ([]webhook.Endpoint, error)

	// Claim stores c and returns it, unless an unexpired claim on the same
	// tenant and key exists: then that one is returned and nothing is stored.
	// The decision is atomic: of concurrent callers exactly one stores.
	Claim(ctx context.Context, c Claim) (Claim, error)

	// UpdateClaim replaces old, as last returned by this store, with the values
	// of c. ErrConflict: the stored claim is no longer old.
	UpdateClaim(ctx context.Context, old, c Claim) error

	// PutEvents stores the events durably before it returns, each in place of
	// what is stored under the same ref. On an error some may have been stored.
	PutEvents(ctx context.Context, events []webhook.Event) error

	// MarkUnsent records that the event's messages may not have been sent, so
	// that lists do not show its deliveries as queued for ever. ErrNotFound:
	// there is no such event.
	MarkUnsent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error

	// EventByRef returns one event with its body, seeing every finished write.
	// ErrNotFound: no such event, or it has expired.
	EventByRef(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (webhook.Event, error)
}

// Queue is where ingest hands deliveries over.
type Queue interface {
	// Send enqueues a message for each key, durably, before it returns. On an
	// error some may have been enqueued: sending a key again is harmless, since
	// the dispatcher drops what is delivered.
	Send(ctx context.Context, keys []webhook.DeliveryKey) error
}

// Handover is a store and a queue that can be written to in one step.
type Handover interface {
	// PutAndSend is PutEvents and then Send for all deliveries of the events that
	// are not held, durably, and each event all or nothing.
	PutAndSend(ctx context.Context, events []webhook.Event) error
}

// Claim ties a caller's key to one event, so that a repeated request finds it.
type Claim struct {
	Tenant webhook.TenantID
	// Key is ClaimByKey or ClaimByID and the caller's text.
	Key string
	Ref webhook.EventRef
	// Fingerprint is a digest of the request body; another body under the same
	// key is refused.
	Fingerprint string
	// At is when the current holder began; see lease.
	At time.Time
	// Done: the event was accepted and a repeat has nothing left to do.
	Done      bool
	ExpiresAt time.Time
}

// Prefixes of Claim.Key.
const (
	// ClaimByKey precedes an Idempotency-Key.
	ClaimByKey = "key:"
	// ClaimByID precedes a caller's own event id; the claim is also how the
	// event is found by that id.
	ClaimByID = "id:"
)
