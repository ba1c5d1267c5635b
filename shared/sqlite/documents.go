package sqlite

import (
	"encoding/json"
	"fmt"
	"time"

	"webhookrelay/shared/webhook"
)

// The documents below are what rows hold as JSON: times in milliseconds since
// 1970, field names never reused with another meaning.

type endpointDoc struct {
	URL         string                `json:"url"`
	Description string                `json:"desc,omitempty"`
	EventTypes  []webhook.Pattern     `json:"types,omitempty"`
	State       webhook.EndpointState `json:"state"`
	Reason      webhook.Reason        `json:"reason,omitempty"`
	HeaderNames []string              `json:"header_names,omitempty"`
	Headers     []byte                `json:"headers,omitempty"` // sealed
	Channels    []webhook.Channel     `json:"channels,omitempty"`
	Filter      string                `json:"filter,omitempty"`
	Terms       termsDoc              `json:"terms,omitzero"`
	Tags        []webhook.Tag         `json:"tags,omitempty"`
	Metadata    map[string]string     `json:"metadata,omitempty"`
	Scheme      webhook.Scheme        `json:"scheme"`
	Secrets     []secretDoc           `json:"secrets,omitempty"`
	CreatedAt   int64                 `json:"created"`
	UpdatedAt   int64                 `json:"updated"`
}

// termsDoc holds times in milliseconds. A schedule that is missing is not the same
// as an empty one.
type termsDoc struct {
	Timeout     int64   `json:"timeout,omitempty"`
	Schedule    []int64 `json:"schedule,omitzero"`
	RateCount   int     `json:"rate,omitempty"`
	RateWindow  int64   `json:"window,omitempty"`
	Concurrency int     `json:"concurrency,omitempty"`
}

type healthDoc struct {
	Failures      int   `json:"n"`
	FailingSince  int64 `json:"since"`
	LastFailureAt int64 `json:"last"`
	OpenedAt      int64 `json:"opened"`
	OpenUntil     int64 `json:"until"`
	Warned        int   `json:"warned,omitempty"`
}

type secretDoc struct {
	Sealed    []byte `json:"sealed"`
	CreatedAt int64  `json:"created"`
	ExpiresAt int64  `json:"expires"`
}

type attemptDoc struct {
	Number     int             `json:"n"`
	At         int64           `json:"at"`
	Trigger    webhook.Trigger `json:"by"`
	Reason     webhook.Reason  `json:"why,omitempty"`
	StatusCode int             `json:"code,omitempty"`
	Detail     string          `json:"text,omitempty"`
	Response   []byte          `json:"body,omitempty"`
	Micros     int64           `json:"us"`
}

func encode(doc any) string {
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // strings, numbers and bytes always marshal
	}
	return string(text)
}

func encodeEndpoint(e webhook.Endpoint) string {
	secrets := make([]secretDoc, len(e.Secrets))
	for i, secret := range e.Secrets {
		secrets[i] = secretDoc{secret.Sealed, millis(secret.CreatedAt), millis(secret.ExpiresAt)}
	}
	return encode(endpointDoc{
		URL: e.URL, Description: e.Description, EventTypes: e.EventTypes, State: e.State, Reason: e.DisabledReason,
		HeaderNames: e.Headers.Names, Headers: e.Headers.Sealed,
		Channels: e.Channels, Filter: e.Filter, Terms: encodeTerms(e.Terms), Tags: e.Tags, Metadata: e.Metadata, Scheme: e.Scheme, Secrets: secrets, CreatedAt: millis(e.CreatedAt), UpdatedAt: millis(e.UpdatedAt),
	})
}

func encodeTerms(t webhook.Terms) termsDoc {
	doc := termsDoc{
		Timeout: t.Timeout.Milliseconds(), RateCount: t.Rate.Count, RateWindow: t.Rate.Window.Milliseconds(), Concurrency: t.Concurrency,
	}
	if t.Schedule != nil {
		doc.Schedule = []int64{}
	}
	for _, wait := range t.Schedule {
		doc.Schedule = append(doc.Schedule, wait.Milliseconds())
	}
	return doc
}

func (doc termsDoc) decode() webhook.Terms {
	t := webhook.Terms{
		Timeout: time.Duration(doc.Timeout) * time.Millisecond, Concurrency: doc.Concurrency,
		Rate: webhook.Rate{Count: doc.RateCount, Window: time.Duration(doc.RateWindow) * time.Millisecond},
	}
	if doc.Schedule != nil {
		t.Schedule = []time.Duration{}
	}
	for _, wait := range doc.Schedule {
		t.Schedule = append(t.Schedule, time.Duration(wait)*time.Millisecond)
	}
	return t
}

// decodeEndpoint adds what doc holds to e.
func decodeEndpoint(e webhook.Endpoint, text []byte) (webhook.Endpoint, error) {
	var doc endpointDoc
	if err := json.Unmarshal(text, &doc); err != nil {
		return webhook.Endpoint{}, fmt.Errorf("document of endpoint %s: %w: %w", e.ID, webhook.ErrUnreadable, err)
	}
	e.URL, e.Description, e.EventTypes = doc.URL, doc.Description, doc.EventTypes
	e.Channels, e.Terms, e.Tags, e.Metadata = doc.Channels, doc.Terms.decode(), doc.Tags, doc.Metadata
	e.Filter = doc.Filter
	e.State, e.DisabledReason, e.Scheme = doc.State, doc.Reason, doc.Scheme
	e.CreatedAt, e.UpdatedAt = instant(doc.CreatedAt), instant(doc.UpdatedAt)
	e.Headers = webhook.SealedHeaders{Names: doc.HeaderNames, Sealed: doc.Headers}
	for _, secret := range doc.Secrets {
		e.Secrets = append(e.Secrets, webhook.Secret{
			Sealed: secret.Sealed, CreatedAt: instant(secret.CreatedAt), ExpiresAt: instant(secret.ExpiresAt),
		})
	}
	return e, nil
}

func encodeHealth(h webhook.Health) string {
	return encode(healthDoc{h.Failures, millis(h.FailingSince), millis(h.LastFailureAt), millis(h.OpenedAt), millis(h.OpenUntil), h.Warned})
}

func decodeHealth(text []byte) (webhook.Health, error) {
	var doc healthDoc
	err := json.Unmarshal(text, &doc)
	return webhook.Health{
		Failures: doc.Failures, FailingSince: instant(doc.FailingSince), LastFailureAt: instant(doc.LastFailureAt),
		OpenedAt: instant(doc.OpenedAt), OpenUntil: instant(doc.OpenUntil), Warned: doc.Warned,
	}, err
}

func encodeAttempts(attempts []webhook.Attempt) string {
	docs := make([]attemptDoc, len(attempts))
	for i, a := range attempts {
		docs[i] = attemptDoc{
			a.Number, millis(a.At), a.Trigger, a.Reason, a.StatusCode, a.Detail, a.Response, a.Duration.Microseconds(),
		}
	}
	return encode(docs)
}

func decodeAttempts(text []byte) ([]webhook.Attempt, error) {
	var docs []attemptDoc
	if err := json.Unmarshal(text, &docs); err != nil {
		return nil, fmt.Errorf("attempts: %w", err)
	}
	attempts := make([]webhook.Attempt, len(docs))
	for i, doc := range docs {
		attempts[i] = webhook.Attempt{
			Number: doc.Number, At: instant(doc.At), Trigger: doc.Trigger, Reason: doc.Reason, StatusCode: doc.StatusCode,
			Detail: doc.Detail, Response: doc.Response, Duration: time.Duration(doc.Micros) * time.Microsecond,
		}
	}
	return attempts, nil
}
