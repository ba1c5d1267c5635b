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
	// EndpointPaused: matching events are accepted, and their deliveries wait in
	// the store until it is enabled again.
	EndpointPaused EndpointState = "paused"
)

// EndpointStates lists every state of an endpoint.
var EndpointStates = []EndpointState{EndpointEnabled, EndpointDisabled, EndpointPaused}

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
	// Channels: only events with one of them match; empty means all events.
	Channels []Channel
	// Filter is an expression over the event that has to be true (package filter);
	// empty matches all.
	Filter string
	State  EndpointState
	// DisabledReason says why State is disabled: ReasonManual or the reason
	// code of the answer that disabled it.
	DisabledReason Reason
	Scheme         Scheme
	// Headers are sent with each delivery.
	Headers SealedHeaders
	// Terms are how it wants to be delivered to.
	Terms Terms
	// Tags and Metadata are the owner's own notes; they mean nothing to the relay.
	Tags     []Tag
	Metadata map[string]string
	// Secrets sign each delivery, newest first; all that have not expired are used.
	Secrets   []Secret
	CreatedAt time.Time
	UpdatedAt time.Time
	// Rev counts the row's writes; stores use it to refuse a lost update.
	Rev int64
	// Health is written apart from the rest, by the dispatcher only.
	Health Health
}

// MaxFilterLength bounds a filter, in bytes.
const MaxFilterLength = 2 << 10

// Wants reports whether an event of type t, labelled with channels, goes to the
// endpoint unless its filter says otherwise.
func (e Endpoint) Wants(t EventType, channels []Channel) bool {
	if e.State != EndpointEnabled && e.State != EndpointPaused {
		return false
	}
	return Selects(e.EventTypes, t) && OnOneOf(e.Channels, channels)
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
