package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// EventType is a type of events as lists show it.
type EventType struct {
	Name string `json:"name"`
	// Group is the part of the name before its first dot.
	Group       string    `json:"group"`
	Description string    `json:"description"`
	Deprecated  bool      `json:"deprecated"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// EventTypeDetail is a type with what its events' data looks like.
type EventTypeDetail struct {
	EventType
	// Schema is a JSON Schema, and Example an event's data; null where there is none.
	Schema  json.RawMessage `json:"schema"`
	Example json.RawMessage `json:"example"`
}

// NewEventType is what to say of a type.
type NewEventType struct {
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
	Example     json.RawMessage `json:"example,omitempty"`
	Deprecated  bool            `json:"deprecated,omitempty"`
}

// Import is what became of the webhooks of an OpenAPI document.
type Import struct {
	DryRun  bool           `json:"dry_run"`
	Refused int            `json:"refused"`
	Data    []ImportedType `json:"data"`
}

// ImportedType is what became of one webhook: created, updated, unchanged, or
// refused for the reason in Detail.
type ImportedType struct {
	Name   string `json:"name"`
	Change string `json:"change"`
	Detail string `json:"detail,omitempty"`
}

const typesPath = "/v1/event-types"

// ListEventTypes returns one page of the event types, by name: all, or with a
// prefix that type and those whose names go on from it with a dot.
func (c *Client) ListEventTypes(ctx context.Context, prefix string, options PageOptions) (Page[EventType], error) {
	query := options.query()
	if prefix != "" {
		query.Set("prefix", prefix)
	}
	return get[Page[EventType]](ctx, c, typesPath, query)
}

// AllEventTypes walks the event types of a prefix, by name.
func (c *Client) AllEventTypes(ctx context.Context, prefix string, options PageOptions) iter.Seq2[EventType, error] {
	return all(options, func(o PageOptions) (Page[EventType], error) { return c.ListEventTypes(ctx, prefix, o) })
}

// GetEventType shows an event type.
func (c *Client) GetEventType(ctx context.Context, name string) (EventTypeDetail, error) {
	return get[EventTypeDetail](ctx, c, at(typesPath+"/", name), nil)
}

// PutEventType describes an event type, in place of what was said of it.
func (c *Client) PutEventType(ctx context.Context, name string, described NewEventType) (EventTypeDetail, error) {
	var answer EventTypeDetail
	_, err := c.do(ctx, call{method: http.MethodPut, path: at(typesPath+"/", name), body: described, repeatable: true}, &answer)
	return answer, err
}

// DeleteEventType removes an event type from the catalogue.
func (c *Client) DeleteEventType(ctx context.Context, name string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: at(typesPath+"/", name), repeatable: true}, nil)
	return err
}

// ImportEventTypes takes the webhooks of an OpenAPI 3.1 document, which is JSON. A
// dry run says what would become of each.
func (c *Client) ImportEventTypes(ctx context.Context, document json.RawMessage, dryRun bool) (Import, error) {
	var answer Import
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: "/v1/event-type-imports", repeatable: true,
		body: struct {
			OpenAPI json.RawMessage `json:"openapi"`
			DryRun  bool            `json:"dry_run,omitempty"`
		}{document, dryRun},
	}, &answer)
	return answer, err
}
