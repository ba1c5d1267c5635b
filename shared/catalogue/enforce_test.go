package catalogue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/webhook"
)

// shelf is a Finder that counts.
type shelf struct {
	types map[webhook.EventType]catalogue.Type
	reads int
	err   error
}

func (s *shelf) EventType(_ context.Context, name webhook.EventType) (catalogue.Type, error) {
	s.reads++
	t, ok := s.types[name]
	if s.err != nil {
		return catalogue.Type{}, s.err
	}
	if !ok {
		return catalogue.Type{}, fmt.Errorf("event type %s: %w", name, webhook.ErrNotFound)
	}
	return t, nil
}

type enforced struct {
	*catalogue.Enforcer
	shelf *shelf
	now   time.Time
}

func enforce(rule webhook.Enforcement) *enforced {
	e := &enforced{now: time.Unix(1_800_000_000, 0), shelf: &shelf{types: map[webhook.EventType]catalogue.Type{
		"plain":  {Name: "plain"},
		"strict": {Name: "strict", Schema: []byte(`{"type":"object","properties":{"n":{"type":"integer"}}}`)},
	}}}
	e.Enforcer = catalogue.NewEnforcer(rule, e.shelf, func() time.Time { return e.now })
	return e
}

// verdict is what a check comes to, in a word.
func (e *enforced) verdict(name webhook.EventType, data string) string {
	err := e.Check(context.Background(), name, []byte(data))
	if bad, ok := errors.AsType[*catalogue.Violation](err); ok {
		return "violation at " + bad.Pointer
	}
	if bad, ok := errors.AsType[*webhook.Invalid](err); ok {
		return "invalid " + bad.Field
	}
	if err != nil {
		return "failure"
	}
	return "taken"
}

func TestWhatIsEnforced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule webhook.Enforcement
		name webhook.EventType
		data string
		want string
	}{
		{webhook.EnforceNothing, "unknown", `1`, "taken"},
		{webhook.EnforceNothing, "strict", `1`, "taken"},
		{webhook.EnforceKnown, "unknown", `1`, "invalid type"},
		{webhook.EnforceKnown, "plain", `1`, "taken"},
		{webhook.EnforceKnown, "strict", `1`, "taken"},
		{webhook.EnforceSchema, "unknown", `1`, "invalid type"},
		{webhook.EnforceSchema, "plain", `1`, "taken"},
		{webhook.EnforceSchema, "strict", `{"n":1}`, "taken"},
		{webhook.EnforceSchema, "strict", `{"n":"1"}`, "violation at /n"},
	} {
		if got := enforce(c.rule).verdict(c.name, c.data); got != c.want {
			t.Errorf("%s, event %s of type %s: %s, want %s", c.rule, c.data, c.name, got, c.want)
		}
	}
	var none *catalogue.Enforcer
	if err := none.Check(t.Context(), "any", nil); err != nil {
		t.Error(err)
	}
}

func TestAnEnforcerReadsATypeOnceInAWhile(t *testing.T) {
	t.Parallel()
	off := enforce(webhook.EnforceNothing)
	off.verdict("strict", `1`)
	if off.shelf.reads != 0 {
		t.Errorf("%d reads where nothing is enforced", off.shelf.reads)
	}
	e := enforce(webhook.EnforceSchema)
	for range 100 {
		e.verdict("strict", `{"n":1}`)
		e.verdict("unknown", `1`)
	}
	if e.shelf.reads != 2 {
		t.Errorf("%d reads of two types", e.shelf.reads)
	}
	e.shelf.types["unknown"] = catalogue.Type{Name: "unknown"}
	e.shelf.types["strict"] = catalogue.Type{Name: "strict", Schema: []byte(`{"type":"array"}`)}
	e.now = e.now.Add(catalogue.Staleness - time.Millisecond)
	if got := e.verdict("unknown", `1`); got != "invalid type" {
		t.Errorf("within the staleness: %s", got)
	}
	e.now = e.now.Add(time.Millisecond)
	if got := e.verdict("unknown", `1`); got != "taken" {
		t.Errorf("after it: %s", got)
	}
	if got := e.verdict("strict", `{"n":1}`); got != "violation at " {
		t.Errorf("after it: %s", got)
	}
}

func TestAnEnforcerThatCannotReadAcceptsNothing(t *testing.T) {
	t.Parallel()
	e := enforce(webhook.EnforceSchema)
	e.shelf.err = errors.New("store is down")
	if got := e.verdict("strict", `{"n":1}`); got != "failure" {
		t.Errorf("got %s", got)
	}
	e.shelf.err = nil
	if got := e.verdict("strict", `{"n":1}`); got != "taken" {
		t.Errorf("afterwards: %s", got)
	}
}

// Names come from whoever posts events: they must not fill the memory.
func TestAnEnforcerForgetsWhereThereAreTooMany(t *testing.T) {
	t.Parallel()
	e := enforce(webhook.EnforceKnown)
	const names = 20_000
	for i := range names {
		e.verdict(webhook.EventType(fmt.Sprintf("made.up.%d", i)), `1`)
	}
	e.shelf.reads = 0
	for i := range names {
		e.verdict(webhook.EventType(fmt.Sprintf("made.up.%d", i)), `1`)
	}
	if remembered := names - e.shelf.reads; remembered > 5000 {
		t.Errorf("%d names are remembered", remembered)
	}
}
