package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/webhook"
)

const (
	// maxExportBytes bounds a page of an export. As text in Lambda's own JSON it takes
	// twice as much at most, of the 6 MB that a function may answer (Lambda quotas,
	// "Invocation payload"); the line that goes beyond it is 0.4 MB at most.
	maxExportBytes = 2 << 20
	// exportTime is for how long a page is read: a request lasts 29 s at most.
	exportTime = 8 * time.Second
	// exportPage is how many events are read at once.
	exportPage = 200
	// headerNextCursor holds what asks for the next page; left out at the end.
	headerNextCursor = "Next-Cursor"
)

// exportLine is one line: an event, or a delivery of the event before.
type exportLine struct {
	Event    *exportedEvent `json:"event,omitempty"`
	Delivery *deliveryView  `json:"delivery,omitempty"`
}

type exportedEvent struct {
	eventView
	Payload json.RawMessage `json:"payload"`
}

// exportPosition is where an export goes on: behind the records at after and, of
// the event that follows, behind its own line and the delivery to endpoint.
type exportPosition struct {
	after    string
	ref      webhook.EventRef
	endpoint webhook.EndpointID
}

func (p exportPosition) String() string {
	return p.after + "\n" + string(p.ref) + "\n" + string(p.endpoint)
}

func parseExportPosition(text string) (p exportPosition, err error) {
	if text == "" {
		return p, nil
	}
	parts := strings.Split(text, "\n")
	if len(parts) != 3 {
		return p, webhook.ErrBadCursor
	}
	return exportPosition{parts[0], webhook.EventRef(parts[1]), webhook.EndpointID(parts[2])}, nil
}

// exportEvents writes a page of the tenant's events and deliveries as JSON Lines.
func (m Manage) exportEvents(w http.ResponseWriter, r *http.Request) error {
	const kind = "export"
	values, err := query(r, "limit", "cursor", "event_type", "tag", "since", "until")
	if err != nil {
		return err
	}
	p, err := page(values, kind)
	if err != nil {
		return err
	}
	if !values.Has("limit") {
		p.Limit = 0 // as many as there is room for
	}
	filter, err := deliveryFilter(values)
	if err != nil {
		return err
	}
	from, err := parseExportPosition(p.After)
	if err != nil {
		return err
	}
	if err := m.tenantExists(r); err != nil {
		return err
	}
	e := export{limit: p.Limit, at: from}
	if err := m.export(r, filter, &e); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Cache-Control", "no-store")
	if !e.done {
		w.Header().Set(headerNextCursor, *encodeCursor(kind, e.at.String()))
	}
	_, _ = w.Write(e.lines.Bytes()) // the client is gone; nothing is left to say
	return nil
}

// export reads until the page is full, all is seen, or the time is over.
func (m Manage) export(r *http.Request, filter history.Filter, e *export) error {
	for begun := m.Jobs.Now(); ; {
		asked := exportPage
		if e.limit > 0 {
			asked = min(asked, e.limit-e.events)
		}
		records, next, err := m.History.Records(r.Context(), tenantOf(r), filter, webhook.Page{Limit: asked, After: e.at.after})
		if err != nil {
			return err
		}
		for _, record := range records {
			if full, err := e.add(record); full || err != nil {
				return err
			}
		}
		if next == "" {
			e.done = true
			return nil
		}
		e.at = exportPosition{after: next, ref: e.at.ref, endpoint: e.at.endpoint}
		if e.limit > 0 && e.events >= e.limit || m.Jobs.Now().Sub(begun) >= exportTime {
			return nil
		}
	}
}

// export is a page in the making.
type export struct {
	limit  int
	lines  bytes.Buffer
	events int
	// at is behind the last line.
	at   exportPosition
	done bool
}

// add adds what fits of a record, and reports whether the page is full.
func (e *export) add(record history.Record) (full bool, err error) {
	rest := record.Deliveries
	if record.Event.Ref == e.at.ref {
		// The page before ended inside this event.
		i := slices.IndexFunc(rest, func(d webhook.Delivery) bool { return d.Endpoint == e.at.endpoint })
		rest = rest[i+1:]
	} else {
		event := exportedEvent{viewEvent(record.Event), payloadOf(record.Event)}
		if full, err := e.write(exportLine{Event: &event}); full || err != nil {
			return full, err
		}
		e.at.ref, e.at.endpoint = record.Event.Ref, ""
	}
	for _, d := range rest {
		view := viewDelivery(d)
		if full, err := e.write(exportLine{Delivery: &view}); full || err != nil {
			return full, err
		}
		e.at.endpoint = d.Endpoint
	}
	e.events++
	e.at = exportPosition{after: record.Behind}
	return false, nil
}

// write adds a line, unless the page has others and would become too large.
func (e *export) write(line exportLine) (full bool, err error) {
	before := e.lines.Len()
	encoder := json.NewEncoder(&e.lines)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		return false, err
	}
	if before > 0 && e.lines.Len() > maxExportBytes {
		e.lines.Truncate(before)
		return true, nil
	}
	return false, nil
}
