package catalogue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"webhookrelay/shared/webhook"
)

// Staleness is how long a process goes by what it last read of a type: a change
// counts everywhere within this time.
const Staleness = 10 * time.Second

// maxHeld bounds the schemas that a process keeps compiled, in bytes of their
// text; compiled they take some ten times as much.
const maxHeld = 4 << 20

// heldType is what a type counts as beside its schema, in the same bytes.
const heldType = 1 << 10

// Finder finds one type.
type Finder interface {
	// EventType returns one type, or ErrNotFound.
	EventType(ctx context.Context, name webhook.EventType) (Type, error)
}

// Enforcer refuses events that are not as the catalogue says. Safe for concurrent use.
type Enforcer struct {
	rule  webhook.Enforcement
	store Finder
	now   func() time.Time

	mu    sync.Mutex
	held  map[webhook.EventType]seen
	bytes int
}

// seen is what was last read of a type.
type seen struct {
	at     time.Time
	known  bool
	text   []byte
	schema *Schema // nil when there is none
}

// NewEnforcer returns an Enforcer of a rule. With webhook.EnforceNothing it never
// calls the store.
func NewEnforcer(rule webhook.Enforcement, store Finder, now func() time.Time) *Enforcer {
	return &Enforcer{rule: rule, store: store, now: now, held: make(map[webhook.EventType]seen)}
}

// Check returns a *webhook.Invalid for an event of an unknown type, a *Violation
// for data that its type's schema refuses, or the store's failure. A nil Enforcer
// refuses nothing.
func (e *Enforcer) Check(ctx context.Context, name webhook.EventType, data []byte) error {
	if e == nil || e.rule == webhook.EnforceNothing {
		return nil
	}
	t, err := e.look(ctx, name)
	if err != nil {
		return err
	}
	if !t.known {
		return &webhook.Invalid{Field: "type", Reason: fmt.Sprintf("is %q, which is not in the catalogue of event types", name)}
	}
	if e.rule != webhook.EnforceSchema || t.schema == nil {
		return nil
	}
	return t.schema.Validate(data)
}

// look returns what is known of a type, asking the store at most once in Staleness.
func (e *Enforcer) look(ctx context.Context, name webhook.EventType) (seen, error) {
	now := e.now()
	e.mu.Lock()
	before, ok := e.held[name]
	e.mu.Unlock()
	if ok && now.Sub(before.at) < Staleness {
		return before, nil
	}
	stored, err := e.store.EventType(ctx, name)
	fresh := seen{at: now, known: true, text: stored.Schema}
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		fresh.known = false
	case err != nil:
		return seen{}, fmt.Errorf("look up event type: %w", err)
	case stored.Schema == nil:
	case bytes.Equal(stored.Schema, before.text):
		fresh.schema = before.schema
	default:
		if fresh.schema, err = Compile(stored.Schema); err != nil {
			return seen{}, fmt.Errorf("schema of event type %s as stored: %w", name, errors.New(err.Error()))
		}
	}
	e.hold(name, fresh)
	return fresh, nil
}

// hold keeps what was read, in place of others where there are too many.
func (e *Enforcer) hold(name webhook.EventType, t seen) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop(name)
	for other := range e.held {
		if e.bytes+heldType+len(t.text) <= maxHeld {
			break
		}
		e.drop(other)
	}
	e.held[name] = t
	e.bytes += heldType + len(t.text)
}

func (e *Enforcer) drop(name webhook.EventType) {
	if t, ok := e.held[name]; ok {
		e.bytes -= heldType + len(t.text)
		delete(e.held, name)
	}
}
