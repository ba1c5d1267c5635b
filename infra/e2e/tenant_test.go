package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// tenant is a test's own tenant, and its way to use the relay.
type tenant struct {
	client
	id string
}

func randomName(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:13]) }

// newTenant makes a tenant on the relay under test.
func newTenant(t testing.TB) tenant {
	t.Helper()
	return relay.newTenant(t, randomName("e2e"))
}

func (c client) newTenant(t testing.TB, id string) tenant {
	t.Helper()
	c.send(t, http.MethodPut, "/v1/tenants/"+id, map[string]string{"name": t.Name()}).must(t, http.StatusCreated)
	return tenant{c, id}
}

// at returns a path below the tenant.
func (n tenant) at(format string, args ...any) string {
	return "/v1/tenants/" + n.id + fmt.Sprintf(format, args...)
}

// register registers an endpoint. It is removed when the test has passed, so
// that what is left of its deliveries burdens nobody.
func (n tenant) register(t testing.TB, spec newEndpoint) endpoint {
	t.Helper()
	e := as[endpoint](t, n.send(t, http.MethodPost, n.at("/endpoints"), spec).must(t, http.StatusCreated))
	t.Cleanup(func() {
		if !t.Failed() {
			_, _ = n.try(http.MethodDelete, n.at("/endpoints/%s", e.ID), nil)
		}
	})
	return e
}

// subscribe registers a hook for event types, and lets it verify what comes.
func (n tenant) subscribe(t testing.TB, h *hook, eventTypes ...string) endpoint {
	t.Helper()
	e := n.register(t, newEndpoint{URL: h.url, EventTypes: eventTypes})
	h.trust(n.secret(t, e.ID))
	return e
}

// secret returns what the endpoint's receiver verifies with.
func (n tenant) secret(t testing.TB, endpointID string) string {
	t.Helper()
	return as[secret](t, n.get(t, n.at("/endpoints/%s/secret", endpointID))).key()
}

// change patches an endpoint.
func (n tenant) change(t testing.TB, endpointID string, fields map[string]any) endpoint {
	t.Helper()
	return as[endpoint](t, n.send(t, http.MethodPatch, n.at("/endpoints/%s", endpointID), fields).must(t, http.StatusOK))
}

// post posts an event whose data is JSON text.
func (n tenant) post(t testing.TB, eventType, data string, options ...option) accepted {
	t.Helper()
	r := n.send(t, http.MethodPost, n.at("/events"), eventBody(eventType, data), options...)
	return as[accepted](t, r.must(t, http.StatusAccepted))
}

// eventBody is the request that posts an event. Nothing formats the data anew.
func eventBody(eventType, data string) string {
	return fmt.Sprintf(`{"type":%q,"data":%s}`, eventType, data)
}

// wireBody is what endpoints have to get.
func (a accepted) wireBody(data string) string {
	return fmt.Sprintf(`{"type":%q,"timestamp":%q,"data":%s}`, a.Type, a.Timestamp, data)
}

// event reads an event.
func (n tenant) event(t testing.TB, eventID string) eventDetail {
	t.Helper()
	return as[eventDetail](t, n.get(t, n.at("/events/%s", eventID)))
}

// deliveryTo finds the delivery of an event to an endpoint.
func (n tenant) deliveryTo(t testing.TB, eventID, endpointID string) delivery {
	t.Helper()
	for _, d := range n.event(t, eventID).Deliveries {
		if d.EndpointID == endpointID {
			return d
		}
	}
	t.Fatalf("event %s has no delivery to %s", eventID, endpointID)
	return delivery{}
}

// awaitDelivery waits until the delivery is as done wants it.
func (n tenant) awaitDelivery(t testing.TB, eventID, endpointID string, done func(delivery) bool) (d delivery) {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		d = n.deliveryTo(t, eventID, endpointID)
		return done(d), "the delivery is " + d.String()
	})
	return d
}

func (n tenant) awaitState(t testing.TB, eventID, endpointID, state string) delivery {
	t.Helper()
	return n.awaitDelivery(t, eventID, endpointID, func(d delivery) bool { return d.State == state })
}

// retry asks for an attempt now.
func (n tenant) retry(t testing.TB, d delivery) {
	t.Helper()
	n.send(t, http.MethodPost, n.at("/deliveries/%s/retry", d.ID), nil).must(t, http.StatusAccepted)
}

// What the API takes and answers.
type (
	newEndpoint struct {
		ID          string            `json:"id,omitempty"`
		URL         string            `json:"url"`
		Description string            `json:"description,omitempty"`
		EventTypes  []string          `json:"event_types,omitempty"`
		Headers     map[string]string `json:"headers,omitempty"`
		Channels    []string          `json:"channels,omitempty"`
		Filter      string            `json:"filter,omitempty"`
		Timeout     int               `json:"timeout_seconds,omitempty"`
		Schedule    []int             `json:"retry_schedule,omitempty"`
		Rate        *rate             `json:"rate_limit,omitempty"`
		Concurrency int               `json:"max_concurrency,omitempty"`
		Tags        []string          `json:"tags,omitempty"`
		Metadata    map[string]string `json:"metadata,omitempty"`
		Signature   string            `json:"signature,omitempty"`
		Secret      string            `json:"secret,omitempty"`
	}
	tenantView struct {
		ID, Name  string
		CreatedAt time.Time `json:"created_at"`
	}
	endpoint struct {
		ID, URL, Description, State, Signature string
		EventTypes                             []string `json:"event_types"`
		Headers                                map[string]string
		DisabledReason                         string    `json:"disabled_reason"`
		CreatedAt                              time.Time `json:"created_at"`
		UpdatedAt                              time.Time `json:"updated_at"`
		Health                                 health
	}
	rate struct {
		Count   int `json:"count"`
		Seconds int `json:"seconds"`
	}
	health struct {
		State       string
		NextProbeAt *time.Time `json:"next_probe_at"`
	}
	secret struct {
		Secret            string
		PublicKey         string     `json:"public_key"`
		PreviousExpiresAt *time.Time `json:"previous_expires_at"`
	}
	accepted struct {
		ID, Type, Timestamp string
		Deliveries          int
	}
	event struct {
		ID, Type, Timestamp string
		AcceptedAt          time.Time `json:"accepted_at"`
		Deliveries          int
	}
	eventDetail struct {
		ID, Type, Timestamp string
		Payload             json.RawMessage
		Deliveries          []delivery
	}
	delivery struct {
		ID            string
		EventID       string `json:"event_id"`
		EventType     string `json:"event_type"`
		EndpointID    string `json:"endpoint_id"`
		State, Reason string
		AttemptCount  int        `json:"attempt_count"`
		NextAttemptAt *time.Time `json:"next_attempt_at"`
		NextCause     string     `json:"next_cause"`
		Attempts      []attempt
	}
	attempt struct {
		Number                   int
		At                       time.Time
		Trigger, Outcome, Reason string
		StatusCode               int   `json:"status_code"`
		DurationMS               int64 `json:"duration_ms"`
		Error, Response          string
	}
	deadLetter struct {
		delivery
		TenantID string `json:"tenant_id"`
		Event    *struct {
			event
			Payload json.RawMessage
		}
	}
	deadLetters struct {
		page[deadLetter]
		Depth   int
		Redrive *struct{ Status string }
	}
	page[T any] struct {
		Data       []T
		NextCursor *string `json:"next_cursor"`
	}
	problem struct {
		Type, Title, Detail, Field, Pointer string
		Status                              int
	}
)

func (s secret) key() string { return s.Secret + s.PublicKey }

func (d delivery) String() string {
	text := fmt.Sprintf("%s %s after %d attempts:", d.State, d.Reason, d.AttemptCount)
	for _, a := range d.Attempts {
		text += fmt.Sprintf(" [%d %s %s %s %d %s]", a.Number, a.Trigger, a.Outcome, a.Reason, a.StatusCode, a.Error)
	}
	return text
}

// isDelivered and the like are for awaitDelivery.
func isDelivered(d delivery) bool { return d.State == "delivered" }
