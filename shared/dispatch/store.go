package dispatch

import (
	"context"
	"time"

	"webhookrelay/shared/webhook"
)

// Lookup asks for everything one delivery needs.
type Lookup struct {
	webhook.DeliveryKey
	// Fresh asks for a read that sees every write that finished before the call.
	// Without it the delivery row and the endpoint may lag by moments.
	Fresh bool
}

// Loaded is what a store knows of a delivery. A nil field is absent for
// certain, even without Lookup.Fresh: a store confirms absence by a fresh read
// of event and endpoint. An expired event is absent.
type Loaded struct {
	Event    *webhook.Event
	Endpoint *webhook.Endpoint
	// Delivery is nil while no attempt has been recorded.
	Delivery *webhook.Delivery
	// Err says that one of them is there and cannot be read (ErrUnreadable). The
	// other answers are no worse for it.
	Err error
}

// Store is what the dispatcher reads and records.
type Store interface {
	// Load answers each lookup, in order.
	Load(ctx context.Context, lookups []Lookup) ([]Loaded, error)

	// SaveDelivery stores d as revision d.Rev+1, durably, if the stored row's
	// revision is d.Rev (0: there is none), and returns ErrConflict otherwise.
	SaveDelivery(ctx context.Context, d webhook.Delivery) error

	// DisableEndpoint sets the endpoint disabled for reason, raises the tenant's
	// config version with it, and writes audit.Disabled to the audit trail. One that is disabled already keeps its
	// reason and gets no line; neither that nor an endpoint that is gone is an error.
	DisableEndpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, reason webhook.Reason, now time.Time) error

	Breakers
	Turns
}

// Turns gives out turns to endpoints with a rate limit.
type Turns interface {
	// TakeTurn takes the endpoint's next turn at rate and returns when it begins,
	// which may be in the past by less than the rate's window. No two calls get
	// the same turn; one that has passed untaken is not given any more. given is
	// false when those to come are taken up to rate.Beyond(now): then at is when
	// that window begins, and nothing is taken.
	TakeTurn(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, rate webhook.Rate, now time.Time) (at time.Time, given bool, err error)
}

// Breakers keeps the health of endpoints.
type Breakers interface {
	// SaveHealth stores h as revision h.Rev+1 of the endpoint's health if the
	// stored revision is h.Rev, and returns ErrConflict otherwise, also when the
	// endpoint is gone. It touches nothing else of the endpoint.
	SaveHealth(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, h webhook.Health) error
}

// Queue hides messages that are not to be seen again for a while.
type Queue interface {
	// Hide makes each message invisible for its wait, counted from the call. It
	// returns the ids of those it could not hide: they come back after the
	// queue's own visibility timeout.
	Hide(ctx context.Context, hidings []Hiding) (failed []string)
}

// Hiding is one message to hide.
type Hiding struct {
	MessageID string
	Receipt   string
	Wait      time.Duration
}

// Sender makes one POST.
type Sender interface {
	// Send signs e for the endpoint and posts it once, within ctx. Whatever comes
	// of it is a Result; an error says that the relay itself failed, before
	// anything was sent.
	Send(ctx context.Context, endpoint webhook.Endpoint, e webhook.Event) (webhook.Result, error)
}

// Announcer tells the operator what happens. Each call may be repeated, and has
// its effect once. An error means that it may have had none.
type Announcer interface {
	// HearsOfDeath reports whether the operator wants to hear that d
	// died.
	HearsOfDeath(ctx context.Context, d webhook.Delivery) (bool, error)
	// DeliveryDied: d was given up.
	DeliveryDied(ctx context.Context, d webhook.Delivery) error
	// EndpointFailing: e has done nothing but fail since h.FailingSince. This is
	// the n-th warning; at disabledAt e is disabled.
	EndpointFailing(ctx context.Context, e webhook.Endpoint, h webhook.Health, n int, disabledAt time.Time) error
	// EndpointRecovered: e, of whose health h the operator was warned, answered.
	EndpointRecovered(ctx context.Context, e webhook.Endpoint, h webhook.Health) error
	// EndpointDisabled: e, which is not disabled yet, is about to be disabled for reason.
	EndpointDisabled(ctx context.Context, e webhook.Endpoint, reason webhook.Reason) error
}

// Message is one received queue message.
type Message struct {
	ID      string
	Receipt string
	Body    []byte
	// SentAt is when the message entered the queue, by the queue's clock; a
	// redriven message has entered anew.
	SentAt time.Time
	// FirstReceivedAt is when it was first received since it last entered the
	// queue; zero where the queue does not say.
	FirstReceivedAt time.Time
	// Receives counts how often it was received, this time included; throttles,
	// crashes and redrives make it say nothing about attempts.
	Receives int
}

// enteredAfter reports whether the message came to the queue after the delivery
// died, which makes it a redrive. SQS gives a redriven message a new time of
// sending (AWS: "Configure a dead-letter queue redrive"); emulators may keep the
// old one, but the first receive is counted anew everywhere. A duplicate sent
// before and first received after the death counts as a redrive too: it costs
// attempts, never the event.
func (m Message) enteredAfter(died time.Time) bool {
	return m.SentAt.After(died) || m.FirstReceivedAt.After(died)
}
