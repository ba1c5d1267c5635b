package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// ExportLine is a line of an export: an event, or a delivery of the event before it.
type ExportLine struct {
	Event    *ExportedEvent `json:"event,omitempty"`
	Delivery *Delivery      `json:"delivery,omitempty"`
}

// ExportedEvent is an event with its payload, which is null once it was expunged.
type ExportedEvent struct {
	Event
	Payload json.RawMessage `json:"payload"`
}

// ExportPage is a part of an export.
type ExportPage struct {
	// Lines are JSON Lines, each of which is an ExportLine.
	Lines []byte
	// NextCursor asks for the next page; empty at the end.
	NextCursor string
}

// ExportEvents returns one page of a tenant's events with their deliveries, newest
// event first, of about 2 MB, or of at most options.Limit events.
func (c *Client) ExportEvents(ctx context.Context, tenant string, filter EventFilter, options PageOptions) (ExportPage, error) {
	query := options.query()
	filter.deliveries().narrow(query)
	var page ExportPage
	header, err := c.do(ctx, call{method: http.MethodGet, path: at("/v1/tenants/", tenant, "/export"), query: query, repeatable: true}, &page.Lines)
	if err != nil {
		return ExportPage{}, err
	}
	page.NextCursor = header.Get("Next-Cursor")
	return page, nil
}
