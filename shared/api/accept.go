package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/throttle"
	"webhookrelay/shared/trace"
	"webhookrelay/shared/webhook"
)

// Accept holds the routes that take events.
type Accept struct {
	Ingester *ingest.Ingester
	// Rate bounds the events that are posted to a tenant; nil for no bound.
	Rate *throttle.Buckets
	// Types refuses events that are not as the catalogue says; nil refuses none.
	Types *catalogue.Enforcer
}

func (a Accept) routes() []route {
	return []route{
		{method: http.MethodPost, pattern: "/v1/tenants/{tenant}/events", needs: auth.Publish, handle: a.postEvent},
		{method: http.MethodPost, pattern: "/v1/tenants/{tenant}/events/batch", needs: auth.Publish, handle: a.postBatch},
	}
}

// envelopeAllowance is what a request may hold besides its data, in bytes.
const envelopeAllowance = 16 << 10

// room refuses n events that are more than the tenant may be sent now.
func (a Accept) room(r *http.Request, n int) error {
	if wait := a.Rate.Take(string(tenantOf(r)), n); wait > 0 {
		return tooMany(wait)
	}
	return nil
}

func (a Accept) postEvent(w http.ResponseWriter, r *http.Request) error {
	if err := a.room(r, 1); err != nil {
		return err
	}
	request, err := readEvent(r)
	if err != nil {
		return err
	}
	if err := a.Types.Check(r.Context(), request.Type, request.Data); err != nil {
		return err
	}
	accepted, err := a.Ingester.Accept(r.Context(), request)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, viewAccepted(accepted))
	return nil
}

// readEvent reads and checks one event to accept.
func readEvent(r *http.Request) (ingest.Request, error) {
	request := ingest.Request{Tenant: tenantOf(r), IdempotencyKey: r.Header.Get("Idempotency-Key"), Trace: trace.Of(r.Header)}
	if err := decode(r, webhook.MaxDataBytes+envelopeAllowance, eventFields(&request)); err != nil {
		return request, err
	}
	return request, checkEvent(request)
}

func eventFields(request *ingest.Request) fields {
	return fields{
		"tags":           into("tags", "a list of strings", &request.Tags),
		"deliver_at":     intoTime("deliver_at", &request.DeliverAt),
		"retention_days": intoDays("retention_days", &request.Retention),
		"type":           into("type", "a string", &request.Type),
		"id":             intoID("id", &request.ID),
		"channels":       into("channels", "a list of strings", &request.Channels),
		"timestamp":      intoTime("timestamp", &request.Timestamp),
		"data":           func(raw json.RawMessage) error { request.Data = raw; return nil },
	}
}

// intoDays reads a whole number of days from 1 on.
func intoDays(field string, target *time.Duration) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var days int
		if err := into(field, "a whole number of days", &days)(raw); err != nil {
			return err
		}
		*target = time.Duration(max(-1, min(days, maxDays))) * day
		if *target == 0 {
			*target = -day // given, and too small
		}
		return nil
	}
}

const (
	day = 24 * time.Hour
	// maxDays is more than any time in days may be, and fits into a Duration.
	maxDays = 100_000
)

func checkEvent(request ingest.Request) error {
	if request.Type == "" {
		return &webhook.Invalid{Field: "type", Reason: "is required"}
	}
	if err := webhook.CheckEventType("type", string(request.Type)); err != nil {
		return err
	}
	if err := webhook.CheckLabels("channels", request.Channels, webhook.MaxEventChannels); err != nil {
		return err
	}
	if err := webhook.CheckLabels("tags", request.Tags, webhook.MaxEventTags); err != nil {
		return err
	}
	if keep := request.Retention; keep != 0 && (keep < webhook.MinRetention || keep > webhook.MaxRetention) {
		return &webhook.Invalid{Field: "retention_days", Reason: fmt.Sprintf(
			"must be %d to %d: a delivery may take nearly as long as the least", webhook.MinRetention/day, webhook.MaxRetention/day)}
	}
	if request.Data == nil {
		return &webhook.Invalid{Field: "data", Reason: "is required: the event's JSON value"}
	}
	if len(request.Data) > webhook.MaxDataBytes {
		return tooLarge(fmt.Sprintf("data is %d bytes; at most %d are taken. Send a link to what is larger.", len(request.Data), webhook.MaxDataBytes))
	}
	if _, made := id.RefOf(request.ID); made {
		return &webhook.Invalid{Field: "id", Reason: "has the form of ids that the relay makes; choose another form"}
	}
	if len(request.IdempotencyKey) > ingest.MaxKeyLength {
		return &webhook.Invalid{Field: "Idempotency-Key", Reason: fmt.Sprintf("must be at most %d bytes", ingest.MaxKeyLength)}
	}
	return webhook.CheckText("Idempotency-Key", request.IdempotencyKey, ingest.MaxKeyLength)
}

type acceptedView struct {
	ID         webhook.EventID   `json:"id"`
	Type       webhook.EventType `json:"type"`
	Timestamp  timestamp         `json:"timestamp"`
	DeliverAt  *timestamp        `json:"deliver_at,omitempty"`
	Deliveries int               `json:"deliveries"`
}

func viewAccepted(a ingest.Accepted) acceptedView {
	return acceptedView{ID: a.ID, Type: a.Type, Timestamp: timestamp(a.Timestamp), DeliverAt: unlessZero(a.DeliverAt), Deliveries: a.Deliveries}
}

// unlessZero leaves a time out that is not set.
func unlessZero(t time.Time) *timestamp {
	if t.IsZero() {
		return nil
	}
	return new(timestamp(t))
}

func tenantOf(r *http.Request) webhook.TenantID { return webhook.TenantID(r.PathValue("tenant")) }

// timestamp is written as RFC 3339 in UTC with milliseconds, and as null when zero.
type timestamp time.Time

func (t timestamp) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + time.Time(t).UTC().Format(ingest.TimestampFormat) + `"`), nil
}
