// Package envelope is the queue message: versioned JSON that names a delivery
// and holds nothing else. Messages wait up to weeks in a queue, so a message
// of an older version must meet newer code and the reverse: fields are added,
// never renamed, and testdata holds one golden file per version.
package envelope

import (
	"encoding/json"
	"errors"
	"fmt"

	"webhookrelay/shared/webhook"
)

// Version is the version this code writes.
const Version = 1

// ErrMalformed marks a message that no version of the relay wrote.
var ErrMalformed = errors.New("malformed queue message")

// ErrVersion marks a message of a version this code does not read, such as one
// written before a rollback.
var ErrVersion = errors.New("unknown queue message version")

// Envelope names the delivery that a message carries forward.
type Envelope struct {
	webhook.DeliveryKey
	// Once asks for a single attempt now, whatever the delivery's state: another
	// message goes on carrying the delivery.
	Once bool
}

type wire struct {
	Version  int                `json:"v"`
	Tenant   webhook.TenantID   `json:"tenant"`
	Event    webhook.EventRef   `json:"event"`
	Endpoint webhook.EndpointID `json:"endpoint"`
	Once     bool               `json:"once,omitempty"`
}

// Encode returns the message body for e: ASCII JSON, under 300 bytes.
func Encode(e Envelope) string {
	body, err := json.Marshal(wire{Version, e.Tenant, e.Event, e.Endpoint, e.Once})
	if err != nil {
		panic(err) // strings and a bool always marshal
	}
	return string(body)
}

// Decode returns what body carries. It returns ErrMalformed or ErrVersion, wrapped.
// Unknown fields are ignored: a later release may have added them.
func Decode(body []byte) (Envelope, error) {
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if w.Version != Version {
		if w.Version > 0 {
			return Envelope{}, fmt.Errorf("%w %d", ErrVersion, w.Version)
		}
		return Envelope{}, fmt.Errorf("%w: no version", ErrMalformed)
	}
	key := webhook.DeliveryKey{Tenant: w.Tenant, Event: w.Event, Endpoint: w.Endpoint}
	if webhook.CheckID("tenant", string(w.Tenant)) != nil || len(w.Event) != webhook.RefLength ||
		webhook.CheckID("event", string(w.Event)) != nil || webhook.CheckID("endpoint", string(w.Endpoint)) != nil {
		return Envelope{}, fmt.Errorf("%w: tenant, event or endpoint is not an id", ErrMalformed)
	}
	return Envelope{DeliveryKey: key, Once: w.Once}, nil
}
