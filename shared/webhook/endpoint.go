package webhook

import "time"

// EndpointID names an endpoint within its tenant; chosen by the caller or
// "ep_" and a ULID.
type EndpointID string

// EndpointState says whether an endpoint takes events.
type EndpointState string

// Endpoint states.
const (
	// EndpointEnabled: matching events are delivered.
	EndpointEnabled EndpointState = "enabled"
	// EndpointDisabled: no event matches, and deliveries under way end dead,
	// with reason endpoint_disabled, to be redriven once it is enabled again.
	EndpointDisabled EndpointState = "disabled"
)

// Signature schemes of Standard Webhooks 1.0.0.
const (
	// SchemeHMAC is v1: HMAC-SHA256 under a secret both sides know.
	SchemeHMAC Scheme = "v1"
	// SchemeEd25519 is v1a: the relay signs, the receiver holds the public key only.
	SchemeEd25519 Scheme = "v1a"
)

// Scheme selects how an endpoint's deliveries are signed.
type Scheme string

// Endpoint is a receiver's HTTPS address with its subscription and secrets.
type Endpoint struct {
	Tenant      TenantID
	ID          EndpointID
	URL         string
	Description string
	// EventTypes selects the events it receives; empty means all.
	EventTypes []Pattern
	State      EndpointState
	// DisabledReason says why State is disabled: ReasonManual or the reason
	// code of the answer that disabled it.
	DisabledReason Reason
	Scheme         Scheme
	// Headers are sent with each delivery.
	Headers SealedHeaders
	// Secrets sign each delivery, newest first; all that have not expired are used.
	Secrets   []Secret
	CreatedAt time.Time
	UpdatedAt time.Time
	// Rev counts the row's writes; stores use it to refuse a lost update.
	Rev int64
	// Health is written apart from the rest, by the dispatcher only.
	Health Health
}

// Wants reports whether an event of type t goes to the endpoint.
func (e Endpoint) Wants(t EventType) bool {
	return e.State == EndpointEnabled && Selects(e.EventTypes, t)
}

// MaxEndpoints bounds a tenant's endpoints. An event's row names those it goes
// to: a thousand ids of 64 bytes beside 256 KiB of data stay below the 400 KB
// that DynamoDB takes.
const MaxEndpoints = 1000

// MaxSecrets bounds how many secrets sign at once, so that a header stays small.
const MaxSecrets = 10

// Secret is one signing key as it is stored: sealed, so that who reads the store
// cannot sign (package seal).
type Secret struct {
	Sealed    []byte
	CreatedAt time.Time
	// ExpiresAt is when an older secret stops signing; zero for the current one.
	ExpiresAt time.Time
}

// ActiveSecrets returns the secrets that sign at now, newest first.
func (e Endpoint) ActiveSecrets(now time.Time) []Secret {
	active := make([]Secret, 0, len(e.Secrets))
	for _, s := range e.Secrets {
		if s.ExpiresAt.IsZero() || now.Before(s.ExpiresAt) {
			active = append(active, s)
		}
	}
	return active
}
