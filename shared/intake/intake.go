// Package intake takes events that come from AWS itself, by way of a queue and
// without the relay's HTTP API: messages that a program sent there, and those that
// EventBridge did, which carry S3's notifications too.
package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"webhookrelay/shared/api"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

// Ingester accepts events; ingest.Ingester is one.
type Ingester interface {
	AcceptAll(ctx context.Context, tenant webhook.TenantID, requests []ingest.Request) ([]ingest.Outcome, error)
}

// Intake publishes what comes from AWS. Safe for concurrent use.
type Intake struct {
	Ingester Ingester
	// Tenant is whose events EventBridge's are; empty refuses them.
	Tenant webhook.TenantID
	// Types refuses events that are not as the catalogue says; nil refuses none.
	Types *catalogue.Enforcer
	Log   *slog.Logger
}

// Message is one of the queue.
type Message struct {
	// ID is SQS's, the same whenever the message is received again.
	ID   string
	Body []byte
}

// Handle accepts the events of a batch and returns the ids of the messages that
// the queue must keep: it shows them again, and moves them to its dead-letter queue when
// they have failed too often. A message that comes again makes no second event.
func (in Intake) Handle(ctx context.Context, batch []Message) (keep []string) {
	requests, messages := map[webhook.TenantID][]ingest.Request{}, map[webhook.TenantID][]Message{}
	for _, m := range batch {
		request, err := in.read(m)
		if err == nil {
			err = in.Types.Check(ctx, request.Type, request.Data)
		}
		if err != nil {
			keep = append(keep, m.ID)
			in.failed(m, err)
			continue
		}
		requests[request.Tenant] = append(requests[request.Tenant], request)
		messages[request.Tenant] = append(messages[request.Tenant], m)
	}
	for tenant, all := range requests {
		outcomes, err := in.Ingester.AcceptAll(ctx, tenant, all)
		for i, m := range messages[tenant] {
			own := err
			if own == nil {
				own = outcomes[i].Err
			}
			if own != nil {
				keep = append(keep, m.ID)
				in.failed(m, own)
			}
		}
	}
	return keep
}

// failed logs why a message stays in the queue: because its event will never be
// accepted, or because it could not be now.
func (in Intake) failed(m Message, err error) {
	if refused(err) {
		in.Log.Error("source message refused", "message_id", m.ID, "error", err.Error(), telemetry.Counted("SourceRefused", 1))
		return
	}
	in.Log.Warn("source message put back", "message_id", m.ID, "error", err.Error())
}

// refused reports whether trying again is of no use.
func refused(err error) bool {
	if _, ok := errors.AsType[*webhook.Invalid](err); ok {
		return true
	}
	if _, ok := errors.AsType[*catalogue.Violation](err); ok {
		return true
	}
	_, ok := errors.AsType[*api.Problem](err)
	return ok || errors.Is(err, webhook.ErrNotFound) || errors.Is(err, ingest.ErrKeyReused)
}

// sent is the form in which a program sends an event.
type sent struct {
	Tenant webhook.TenantID `json:"tenant"`
	// Event is what POST …/events takes, with an idempotency_key as in a batch.
	Event json.RawMessage `json:"event"`
}

// read makes a request of a message in either form.
func (in Intake) read(m Message) (ingest.Request, error) {
	var form struct {
		sent
		bridged
	}
	if err := json.Unmarshal(m.Body, &form); err != nil {
		return ingest.Request{}, &webhook.Invalid{Field: "message", Reason: "is not a JSON object of either form: " + err.Error()}
	}
	switch {
	case form.DetailType != "" && form.Source != "":
		return in.bridged(m, form.bridged)
	case form.Tenant == "" || form.Event == nil:
		return ingest.Request{}, &webhook.Invalid{Field: "message", Reason: "needs tenant and event, or to come from EventBridge"}
	}
	if err := webhook.CheckID("tenant", string(form.Tenant)); err != nil {
		return ingest.Request{}, err
	}
	request, err := api.ReadEvent(form.Tenant, form.Event)
	if request.ID == "" && request.IdempotencyKey == "" {
		request.IdempotencyKey = "sqs:" + m.ID
	}
	return request, err
}

// bridged is what the relay reads of an event that EventBridge delivers
// (EventBridge User Guide, "Events").
type bridged struct {
	ID         string `json:"id"`
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	Time       string `json:"time"`
}

// bridged makes an event of one that EventBridge delivered: under its id, of the
// type that its source and detail-type make, with the whole of it as data.
func (in Intake) bridged(m Message, b bridged) (ingest.Request, error) {
	if in.Tenant == "" {
		return ingest.Request{}, &webhook.Invalid{Field: "message", Reason: "is from EventBridge, and no tenant is set for such (SourceTenant)"}
	}
	head, err := json.Marshal(struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		Timestamp string `json:"timestamp,omitempty"`
	}{"eb_" + b.ID, TypeOf(b.Source, b.DetailType), b.Time})
	if err != nil {
		return ingest.Request{}, fmt.Errorf("event of EventBridge: %w", err)
	}
	// Put together by hand, so that the data stay the bytes they are.
	event := slices.Concat(head[:len(head)-1], []byte(`,"data":`), m.Body, []byte("}"))
	return api.ReadEvent(in.Tenant, event)
}

// TypeOf makes an event type of an EventBridge event's source and detail-type:
// joined by a dot, and what an event type cannot hold replaced by underscores. S3's
// "Object Created" is aws.s3.Object_Created.
func TypeOf(source, detailType string) string {
	text := []byte(source + ".")
	dots := len(text)
	text = append(text, detailType...)
	for i, c := range text {
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if dot := c == '.' && i < dots; !word && !dot {
			text[i] = '_'
		}
	}
	return string(text)
}
