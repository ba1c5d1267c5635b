package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"webhookrelay/shared/ingest"
	"webhookrelay/shared/trace"
	"webhookrelay/shared/webhook"
)

// maxBatchBytes bounds a batch's body: API Gateway hands it to Lambda in
// base64, and Lambda takes 6 MB.
const maxBatchBytes = 4 << 20

// batchDepth is how deep the events lie in a batch.
const batchDepth = 2

// postBatch accepts up to ingest.MaxBatch events. It answers 202 when all were
// accepted, and otherwise 207 with each one's own status.
func (a Accept) postBatch(w http.ResponseWriter, r *http.Request) error {
	var items []json.RawMessage
	err := decodeWithin(r, maxBatchBytes, maxDepth+batchDepth, fields{"events": into("events", "a list of events", &items)})
	if err != nil {
		return err
	}
	if len(items) == 0 || len(items) > ingest.MaxBatch {
		return &webhook.Invalid{Field: "events", Reason: fmt.Sprintf("must hold 1 to %d events", ingest.MaxBatch)}
	}
	if err := a.room(r, len(items)); err != nil {
		return err
	}
	outcomes, err := a.acceptAll(r, items)
	if err != nil {
		return err
	}
	view := batchView{Data: make([]batchItem, len(outcomes))}
	for i, outcome := range outcomes {
		if outcome.Err != nil {
			a.logRefused(w, r, outcome.Err)
			p := problemOf(outcome.Err)
			view.Data[i] = batchItem{Status: p.Status, Problem: p}
			view.Refused++
			continue
		}
		taken := viewAccepted(outcome.Accepted)
		view.Data[i] = batchItem{Status: http.StatusAccepted, Event: &taken}
		view.Accepted++
	}
	status := http.StatusAccepted
	if view.Refused > 0 {
		status = http.StatusMultiStatus
	}
	writeJSON(w, status, view)
	return nil
}

type batchView struct {
	Accepted int         `json:"accepted"`
	Refused  int         `json:"refused"`
	Data     []batchItem `json:"data"`
}

// batchItem is one event's outcome: Event or Problem.
type batchItem struct {
	Status  int           `json:"status"`
	Event   *acceptedView `json:"event,omitempty"`
	Problem *Problem      `json:"problem,omitempty"`
}

// acceptAll reads the items and accepts those that are well formed, in order.
func (a Accept) acceptAll(r *http.Request, items []json.RawMessage) ([]ingest.Outcome, error) {
	outcomes := make([]ingest.Outcome, len(items))
	from := trace.Of(r.Header)
	var requests []ingest.Request
	var places []int
	for i, item := range items {
		request, err := ReadEvent(tenantOf(r), item)
		if err == nil {
			err = a.Types.Check(r.Context(), request.Type, request.Data)
		}
		if err != nil {
			outcomes[i].Err = err
			continue
		}
		request.Trace = from
		requests, places = append(requests, request), append(places, i)
	}
	// Also without any, for an unknown tenant is to be named.
	made, err := a.Ingester.AcceptAll(r.Context(), tenantOf(r), requests)
	if err != nil {
		return nil, err
	}
	for n, outcome := range made {
		outcomes[places[n]] = outcome
	}
	return outcomes, nil
}

// ReadEvent reads and checks one event in the form that a batch holds it. An error
// is a *webhook.Invalid or a *Problem.
func ReadEvent(tenant webhook.TenantID, item json.RawMessage) (ingest.Request, error) {
	request := ingest.Request{Tenant: tenant}
	if len(item) > webhook.MaxDataBytes+envelopeAllowance {
		return request, tooLarge(fmt.Sprintf("The event is larger than %d bytes.", webhook.MaxDataBytes+envelopeAllowance))
	}
	members := eventFields(&request)
	members["idempotency_key"] = into("idempotency_key", "a string", &request.IdempotencyKey)
	if err := decodeObject(item, maxDepth, members); err != nil {
		return request, err
	}
	err := checkEvent(request)
	if bad, ok := errors.AsType[*webhook.Invalid](err); ok && bad.Field == "Idempotency-Key" {
		err = &webhook.Invalid{Field: "idempotency_key", Reason: bad.Reason}
	}
	return request, err
}

// logRefused logs what the caller may not see of an item's failure.
func (a Accept) logRefused(w http.ResponseWriter, r *http.Request, err error) {
	if problemOf(err).Status < http.StatusInternalServerError {
		return
	}
	a.Ingester.Log.ErrorContext(r.Context(), "event of a batch not accepted", "path", r.URL.Path,
		"request_id", w.Header().Get(headerRequestID), "error", err.Error())
}
