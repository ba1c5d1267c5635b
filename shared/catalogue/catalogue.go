// Package catalogue keeps what an installation says of its event types: what each
// means, what its data looks like, and whether events have to keep to that.
package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// Limits on what is kept of an event type, in bytes.
const (
	MaxDescription = 4 << 10
	MaxSchema      = 32 << 10
	MaxExample     = 32 << 10
)

// Type is an event type with what is known of it.
type Type = webhook.TypeEntry

// says reports whether t and other say the same of the same type.
func says(t, other Type) bool {
	return t.Name == other.Name && t.Description == other.Description && t.Deprecated == other.Deprecated &&
		bytes.Equal(t.Schema, other.Schema) && bytes.Equal(t.Example, other.Example)
}

// Store keeps the catalogue. The lines that a change is given go to the audit
// trail in the same atomic write; a change that is refused leaves none.
type Store interface {
	// PutEventType stores t in place of what there is under its name.
	PutEventType(ctx context.Context, t Type, lines ...audit.Line) error
	// EventType returns one type, seeing every finished write, or ErrNotFound.
	EventType(ctx context.Context, name webhook.EventType) (Type, error)
	// EventTypes lists types by name, without their schemas and examples: all, or
	// with a prefix the one of that name and those whose names go on from it with
	// a dot.
	EventTypes(ctx context.Context, prefix webhook.EventType, p webhook.Page) ([]Type, string, error)
	// DeleteEventType removes a type. ErrNotFound: there is none.
	DeleteEventType(ctx context.Context, name webhook.EventType, lines ...audit.Line) error
}

// Catalogue manages event types, on behalf of whoever ctx names (see package audit).
type Catalogue struct {
	Store Store
	IDs   *id.Source
	Now   func() time.Time
}

// Change says what became of a type that was put.
type Change string

// Changes.
const (
	Created   Change = "created"
	Updated   Change = "updated"
	Unchanged Change = "unchanged"
)

// Put stores what is known of a type in place of what was, and returns it as
// stored. *webhook.Invalid: a name that is none, a schema that is none or asks for
// more than is done, or an example that does not match the schema.
func (c Catalogue) Put(ctx context.Context, t Type) (Type, Change, error) {
	t, change, err := c.prepare(ctx, t)
	if err != nil || change == Unchanged {
		return t, change, err
	}
	line := audit.Entry{Action: audit.EventTypePut, Target: string(t.Name)}.Line(ctx, c.IDs, c.Now())
	return t, change, c.Store.PutEventType(ctx, t, line)
}

// prepare checks t and says what putting it would do.
func (c Catalogue) prepare(ctx context.Context, t Type) (Type, Change, error) {
	t, err := check(t)
	if err != nil {
		return Type{}, "", err
	}
	before, err := c.Store.EventType(ctx, t.Name)
	change := Updated
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		change = Created
	case err != nil:
		return Type{}, "", err
	case says(t, before):
		return before, Unchanged, nil
	}
	t.UpdatedAt = c.Now().UTC().Truncate(time.Millisecond)
	t.CreatedAt = before.CreatedAt
	if change == Created {
		t.CreatedAt = t.UpdatedAt
	}
	return t, change, nil
}

// Get returns one type, or ErrNotFound.
func (c Catalogue) Get(ctx context.Context, name webhook.EventType) (Type, error) {
	if err := webhook.CheckEventType("type", string(name)); err != nil {
		return Type{}, fmt.Errorf("event type %.80q: %w", name, webhook.ErrNotFound)
	}
	return c.Store.EventType(ctx, name)
}

// List lists types as Store.EventTypes does. *webhook.Invalid: the prefix is none.
func (c Catalogue) List(ctx context.Context, prefix webhook.EventType, p webhook.Page) ([]Type, string, error) {
	if prefix != "" {
		if err := webhook.CheckEventType("prefix", string(prefix)); err != nil {
			return nil, "", err
		}
	}
	return c.Store.EventTypes(ctx, prefix, p)
}

// Delete removes a type, or returns ErrNotFound. Events and endpoints keep it.
func (c Catalogue) Delete(ctx context.Context, name webhook.EventType) error {
	if err := webhook.CheckEventType("type", string(name)); err != nil {
		return fmt.Errorf("event type %.80q: %w", name, webhook.ErrNotFound)
	}
	line := audit.Entry{Action: audit.EventTypeDeleted, Target: string(name)}.Line(ctx, c.IDs, c.Now())
	return c.Store.DeleteEventType(ctx, name, line)
}

// check returns t as it is to be stored: JSON without white space.
func check(t Type) (Type, error) {
	if err := webhook.CheckEventType("name", string(t.Name)); err != nil {
		return Type{}, err
	}
	if err := webhook.CheckText("description", t.Description, MaxDescription); err != nil {
		return Type{}, err
	}
	var err error
	if t.Schema, err = compact("schema", t.Schema, MaxSchema); err != nil {
		return Type{}, err
	}
	if t.Example, err = compact("example", t.Example, MaxExample); err != nil || t.Schema == nil {
		return t, err
	}
	schema, err := Compile(t.Schema)
	if err != nil || t.Example == nil {
		return t, err
	}
	if bad, ok := errors.AsType[*Violation](schema.Validate(t.Example)); ok {
		return Type{}, &webhook.Invalid{Field: "example", Reason: fmt.Sprintf("does not match the schema: at %q, %s", bad.Pointer, bad.Reason)}
	}
	return t, nil
}

func compact(field string, raw []byte, limit int) ([]byte, error) {
	if raw == nil {
		return nil, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, &webhook.Invalid{Field: field, Reason: "must be JSON"}
	}
	if b.Len() > limit {
		return nil, &webhook.Invalid{Field: field, Reason: fmt.Sprintf("must be at most %d bytes of JSON without white space; it is %d", limit, b.Len())}
	}
	return b.Bytes(), nil
}
