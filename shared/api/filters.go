package api

import (
	"encoding/json"
	"net/http"
	"time"

	"webhookrelay/shared/filter"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

type filterTestView struct {
	// Result is match, no_match, or failed with Detail.
	Result    string     `json:"result"`
	Detail    string     `json:"detail,omitempty"`
	DecidedBy []partView `json:"decided_by"`
}

type partView struct {
	Expression string `json:"expression"`
	Line       int    `json:"line"`
	Column     int    `json:"column"`
	// Value is left out where there is none, or one that is long.
	Value  json.RawMessage `json:"value,omitempty"`
	Detail string          `json:"detail,omitempty"`
	Of     []partView      `json:"of,omitempty"`
}

func viewPart(p filter.Part) partView {
	view := partView{Expression: p.Expression, Line: p.Line, Column: p.Column, Value: p.Value, Detail: p.Fault}
	for _, of := range p.Of {
		view.Of = append(view.Of, viewPart(of))
	}
	return view
}

// testFilter says what a filter makes of an example, and why. Nothing is stored.
func (m Manage) testFilter(w http.ResponseWriter, r *http.Request) error {
	var expression string
	var raw json.RawMessage
	err := decodeWithin(r, webhook.MaxDataBytes+envelopeAllowance, maxDepth+1, fields{
		"filter": into("filter", "a string", &expression),
		"event":  func(given json.RawMessage) error { raw = given; return nil },
	})
	if err != nil {
		return err
	}
	if expression == "" {
		return &webhook.Invalid{Field: "filter", Reason: "is required"}
	}
	if raw == nil {
		return &webhook.Invalid{Field: "event", Reason: "is required: an event as it would be posted"}
	}
	request := ingest.Request{Tenant: tenantOf(r)}
	if err := decodeObject(raw, maxDepth, eventFields(&request)); err != nil {
		return err
	}
	if err := checkEvent(request); err != nil {
		return err
	}
	if err := m.tenantExists(r); err != nil {
		return err
	}
	x, err := filter.Explain("filter", expression, exampleOf(request, m.Registry.Now()))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewExplanation(x))
	return nil
}

// exampleOf is the event that the request would make at now.
func exampleOf(request ingest.Request, now time.Time) webhook.Event {
	e := webhook.Event{ID: request.ID, Type: request.Type, Channels: request.Channels, Timestamp: request.Timestamp}
	if e.ID == "" {
		e.ID = "evt_example"
	}
	if e.Timestamp.IsZero() {
		e.Timestamp = now
	}
	e.Body = ingest.Body(e.Type, e.Timestamp, request.Data)
	return e
}

func viewExplanation(x filter.Explanation) filterTestView {
	view := filterTestView{Result: "no_match", DecidedBy: []partView{}}
	switch {
	case x.Fault != nil:
		view.Result, view.Detail = "failed", x.Fault.Error()
	case x.Matches:
		view.Result = "match"
	}
	for _, part := range x.Decided {
		view.DecidedBy = append(view.DecidedBy, viewPart(part))
	}
	return view
}
