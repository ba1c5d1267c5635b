package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"webhookrelay/shared/history"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

type eventView struct {
	ID          webhook.EventID   `json:"id"`
	Type        webhook.EventType `json:"type"`
	Channels    []webhook.Channel `json:"channels,omitempty"`
	Tags        []webhook.Tag     `json:"tags,omitempty"`
	Timestamp   timestamp         `json:"timestamp"`
	AcceptedAt  timestamp         `json:"accepted_at"`
	ExpiresAt   timestamp         `json:"expires_at"`
	DeliverAt   *timestamp        `json:"deliver_at,omitempty"`
	CancelledAt *timestamp        `json:"cancelled_at,omitempty"`
	ExpungedAt  *timestamp        `json:"expunged_at,omitempty"`
	// Unsent: the event was refused with 503 after it was stored.
	Unsent bool `json:"unsent,omitempty"`
	// Deliveries is how many endpoints matched.
	Deliveries int `json:"deliveries"`
}

func viewEvent(e webhook.Event) eventView {
	return eventView{
		ID: e.ID, Type: e.Type, Channels: e.Channels, Tags: e.Tags, Timestamp: timestamp(e.Timestamp), AcceptedAt: timestamp(e.AcceptedAt),
		ExpiresAt: timestamp(e.ExpiresAt), DeliverAt: unlessZero(e.DeliverAt), CancelledAt: unlessZero(e.CancelledAt),
		ExpungedAt: unlessZero(e.ExpungedAt), Unsent: e.Unsent, Deliveries: len(e.Targets),
	}
}

// payloadOf is what is posted, and null once it was expunged.
func payloadOf(e webhook.Event) json.RawMessage {
	if len(e.Body) == 0 {
		return nil
	}
	return e.Body
}

// eventDetail is one event with its payload and deliveries.
type eventDetail struct {
	eventView
	Payload    json.RawMessage `json:"payload"`
	Deliveries []deliveryView  `json:"deliveries"`
}

func (m Manage) listEvents(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "limit", "cursor", "event_type", "tag", "since", "until")
	if err != nil {
		return err
	}
	p, err := page(values, "events")
	if err != nil {
		return err
	}
	filter, err := deliveryFilter(values)
	if err != nil {
		return err
	}
	if err := m.tenantExists(r); err != nil {
		return err
	}
	events, next, err := m.History.Events(r.Context(), tenantOf(r), filter, p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("events", next, events, viewEvent))
	return nil
}

func (m Manage) getEvent(w http.ResponseWriter, r *http.Request) error {
	event, deliveries, err := m.History.Event(r.Context(), tenantOf(r), webhook.EventID(r.PathValue("event")))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewDetail(event, deliveries))
	return nil
}

func viewDetail(event webhook.Event, deliveries []webhook.Delivery) eventDetail {
	detail := eventDetail{eventView: viewEvent(event), Payload: payloadOf(event), Deliveries: make([]deliveryView, len(deliveries))}
	for i, d := range deliveries {
		detail.Deliveries[i] = viewDelivery(d)
	}
	return detail
}

// cancelEvent shows the event without its payload, which its sender need not be
// allowed to read.
func (m Manage) cancelEvent(w http.ResponseWriter, r *http.Request) error {
	event, _, err := m.Withdrawer.Cancel(r.Context(), tenantOf(r), webhook.EventID(r.PathValue("event")))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewEvent(event))
	return nil
}

func (m Manage) expungeEvent(w http.ResponseWriter, r *http.Request) error {
	event, deliveries, err := m.Withdrawer.Expunge(r.Context(), tenantOf(r), webhook.EventID(r.PathValue("event")))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewDetail(event, deliveries))
	return nil
}

type deliveryView struct {
	ID            webhook.DeliveryID `json:"id"`
	EventID       webhook.EventID    `json:"event_id"`
	EventType     webhook.EventType  `json:"event_type"`
	Tags          []webhook.Tag      `json:"tags,omitempty"`
	EndpointID    webhook.EndpointID `json:"endpoint_id"`
	State         webhook.State      `json:"state"`
	Reason        webhook.Reason     `json:"reason,omitempty"`
	AttemptCount  int                `json:"attempt_count"`
	NextAttemptAt *timestamp         `json:"next_attempt_at"`
	NextCause     webhook.NextCause  `json:"next_cause,omitempty"`
	UpdatedAt     timestamp          `json:"updated_at"`
	Attempts      []attemptView      `json:"attempts"`
}

type attemptView struct {
	Number     int             `json:"number"`
	At         timestamp       `json:"at"`
	Trigger    webhook.Trigger `json:"trigger"`
	Outcome    string          `json:"outcome"`
	Reason     webhook.Reason  `json:"reason,omitempty"`
	StatusCode int             `json:"status_code,omitempty"`
	DurationMS int64           `json:"duration_ms"`
	Error      string          `json:"error,omitempty"`
	Response   string          `json:"response,omitempty"`
}

func viewDelivery(d webhook.Delivery) deliveryView {
	view := deliveryView{
		ID: d.ID(), EventID: d.EventID, EventType: d.EventType, Tags: d.Tags, EndpointID: d.Endpoint, State: d.State,
		Reason: d.Reason, AttemptCount: d.AttemptCount, NextCause: d.NextCause,
		UpdatedAt: timestamp(d.UpdatedAt), Attempts: make([]attemptView, len(d.Attempts)),
	}
	if !d.NextAttemptAt.IsZero() {
		next := timestamp(d.NextAttemptAt)
		view.NextAttemptAt = &next
	}
	for i, a := range d.Attempts {
		view.Attempts[i] = viewAttempt(a)
	}
	return view
}

func viewAttempt(a webhook.Attempt) attemptView {
	outcome := "failed"
	if a.Reason == "" {
		outcome = "delivered"
	}
	return attemptView{
		Number: a.Number, At: timestamp(a.At), Trigger: a.Trigger, Outcome: outcome, Reason: a.Reason,
		StatusCode: a.StatusCode, DurationMS: a.Duration.Milliseconds(), Error: a.Detail,
		Response: strings.ToValidUTF8(string(a.Response), "\uFFFD"),
	}
}

func (m Manage) listDeliveries(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "limit", "cursor", "endpoint", "status", "event_type", "tag", "since", "until")
	if err != nil {
		return err
	}
	p, err := page(values, "deliveries")
	if err != nil {
		return err
	}
	filter, err := deliveryFilter(values)
	if err != nil {
		return err
	}
	if err := m.tenantExists(r); err != nil {
		return err
	}
	deliveries, next, err := m.History.Deliveries(r.Context(), tenantOf(r), filter, p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("deliveries", next, deliveries, viewDelivery))
	return nil
}

// deliveryFilter reads what narrows a list of deliveries or events.
func deliveryFilter(values url.Values) (history.Filter, error) {
	filter := history.Filter{Endpoint: webhook.EndpointID(values.Get("endpoint")), State: webhook.State(values.Get("status"))}
	if filter.State != "" && !slices.Contains(webhook.States, filter.State) {
		return filter, &webhook.Invalid{Field: "status", Reason: fmt.Sprintf("must be one of %v", webhook.States)}
	}
	if filter.Endpoint != "" {
		if err := webhook.CheckID("endpoint", string(filter.Endpoint)); err != nil {
			return filter, err
		}
	}
	if pattern := values.Get("event_type"); pattern != "" {
		filter.Types = []webhook.Pattern{webhook.Pattern(pattern)}
		if err := webhook.CheckPatterns("event_type", filter.Types); err != nil {
			return filter, err
		}
	}
	if tag := values.Get("tag"); tag != "" {
		filter.Tag = webhook.Tag(tag)
		if err := webhook.CheckID("tag", tag); err != nil {
			return filter, err
		}
	}
	return filter, errors.Join(
		queryTime("since", values.Get("since"), &filter.Since), queryTime("until", values.Get("until"), &filter.Until))
}

func deliveryOf(r *http.Request) (webhook.DeliveryKey, error) {
	key, ok := webhook.ParseDeliveryID(tenantOf(r), r.PathValue("delivery"))
	if !ok {
		return key, webhook.ErrNotFound
	}
	return key, nil
}

func (m Manage) getDelivery(w http.ResponseWriter, r *http.Request) error {
	key, err := deliveryOf(r)
	if err != nil {
		return err
	}
	delivery, err := m.History.Delivery(r.Context(), key)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewDelivery(delivery))
	return nil
}

func (m Manage) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	key, err := deliveryOf(r)
	if err != nil {
		return err
	}
	delivery, err := m.Replayer.Retry(r.Context(), key)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, viewDelivery(delivery))
	return nil
}

func (m Manage) cancelDelivery(w http.ResponseWriter, r *http.Request) error {
	key, err := deliveryOf(r)
	if err != nil {
		return err
	}
	delivery, err := m.Replayer.Cancel(r.Context(), key)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewDelivery(delivery))
	return nil
}

type deadLetterView struct {
	TenantID webhook.TenantID `json:"tenant_id"`
	deliveryView
	// Event is null when the event has expired meanwhile.
	Event *deadEventView `json:"event"`
}

type deadEventView struct {
	eventView
	Payload json.RawMessage `json:"payload"`
}

type deadLetterList struct {
	list[deadLetterView]
	// Depth is about how many messages lie in the dead-letter queue, those that
	// no delivery could be read from included.
	Depth   int       `json:"depth"`
	Redrive *moveView `json:"redrive"`
}

type moveView struct {
	Status    string    `json:"status"`
	Moved     int       `json:"moved"`
	ToMove    int       `json:"to_move"`
	StartedAt timestamp `json:"started_at"`
	Failure   string    `json:"failure,omitempty"`
}

func (m Manage) listDeadLetters(w http.ResponseWriter, r *http.Request) error {
	const kind = "dead-letters"
	p, err := listPage(r, kind)
	if err != nil {
		return err
	}
	dead, next, err := m.History.DeadLetters(r.Context(), p)
	if err != nil {
		return err
	}
	events := m.eventsOf(r, dead)
	answer := deadLetterList{list: newList(kind, next, dead, func(d webhook.Delivery) deadLetterView {
		return deadLetterView{TenantID: d.Tenant, deliveryView: viewDelivery(d)}
	})}
	for i, event := range events {
		if event != nil {
			answer.Data[i].Event = &deadEventView{viewEvent(*event), payloadOf(*event)}
		}
	}
	if answer.Depth, err = m.Replayer.DeadLetters.Depth(r.Context()); err != nil {
		return err
	}
	if answer.Redrive, err = m.latestMove(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// eventsOf fetches the deliveries' events side by side; one that cannot be read is nil.
func (m Manage) eventsOf(r *http.Request, deliveries []webhook.Delivery) []*webhook.Event {
	events := make([]*webhook.Event, len(deliveries))
	slots := make(chan struct{}, 16)
	var wait sync.WaitGroup
	for i, d := range deliveries {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if event, err := m.History.EventByRef(r.Context(), d.Tenant, d.Event); err == nil {
				events[i] = &event
			}
		})
	}
	wait.Wait()
	return events
}

func (m Manage) latestMove(r *http.Request) (*moveView, error) {
	move, found, err := m.Replayer.DeadLetters.LatestMove(r.Context())
	if err != nil || !found {
		return nil, err
	}
	return viewMove(move), nil
}

func viewMove(move replay.Move) *moveView {
	return &moveView{move.Status, move.Moved, move.ToMove, timestamp(move.StartedAt), move.Failure}
}

func (m Manage) redrive(w http.ResponseWriter, r *http.Request) error {
	if err := m.Replayer.Redrive(r.Context()); err != nil {
		return err
	}
	move, err := m.latestMove(r)
	if err != nil {
		return err
	}
	if move == nil {
		move = &moveView{Status: "RUNNING"}
	}
	writeJSON(w, http.StatusAccepted, move)
	return nil
}
