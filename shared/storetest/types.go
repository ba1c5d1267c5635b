package storetest

import (
	"errors"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/webhook"
)

// The catalogue is the installation's, so each subtest keeps to a prefix of its own.

var typeRules = []rule{
	{"AnEventTypeRoundTrips", func(t *testing.T, s *bench) {
		full := s.eventType(".paid")
		s.putType(full)
		s.expectType(t, full)
		bare := catalogue.Type{Name: s.typeName(".bare"), CreatedAt: s.clock.Now(), UpdatedAt: s.clock.Now()}
		s.putType(bare)
		s.expectType(t, bare)
		if got, err := s.EventType(t.Context(), bare.Name); err != nil || got.Schema != nil || got.Example != nil {
			t.Errorf("a type without a schema has %#v and %#v, %v", got.Schema, got.Example, err)
		}
	}},

	{"AnEventTypePutAgainIsReplacedWhole", func(t *testing.T, s *bench) {
		before := s.eventType(".paid")
		s.putType(before)
		after := catalogue.Type{Name: before.Name, Description: "other", CreatedAt: before.CreatedAt, UpdatedAt: s.clock.Now().Add(time.Hour)}
		s.putType(after)
		s.expectType(t, after)
	}},

	{"ADeletedEventTypeIsGone", func(t *testing.T, s *bench) {
		kept, gone := s.eventType(".kept"), s.eventType(".gone")
		s.putType(kept)
		s.putType(gone)
		if err := s.DeleteEventType(t.Context(), gone.Name, s.line(audit.EventTypeDeleted)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.EventType(t.Context(), gone.Name); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
		line := s.line(audit.EventTypeDeleted)
		if err := s.DeleteEventType(t.Context(), gone.Name, line); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("second delete: got error %v, want ErrNotFound", err)
		}
		s.expectNoLine(t, line)
		s.expectType(t, kept)
	}},

	{"EventTypesAreListedByNameWithinTheirPrefix", func(t *testing.T, s *bench) {
		var want []string
		for _, suffix := range []string{"", ".A", ".a", ".a.b", ".a_b", ".b"} {
			s.putType(s.eventType(suffix))
			want = append(want, string(s.typeName(suffix)))
		}
		for _, other := range []string{"0", "_", "a", "_.a"} { // these begin like it, but are none of it
			s.putType(s.eventType(other))
		}
		expectPaged(t, s.types(""), typeOf, want)
		expectPaged(t, s.types(".a"), typeOf, want[2:4])
		expectPaged(t, s.types(".c"), typeOf, nil)
		for _, after := range []string{"a..b", ".", "x.", "a/b", "ü"} {
			if _, _, err := s.types("")(webhook.Page{Limit: 10, After: after}); !errors.Is(err, webhook.ErrBadCursor) {
				t.Errorf("position %q: got error %v, want ErrBadCursor", after, err)
			}
		}
		listed, _, err := s.types(".a")(webhook.Page{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		short := s.eventType(".a")
		short.Schema, short.Example = nil, nil
		expect(t, "listed", []catalogue.Type{short}, listed)
	}},

	{"EventTypesOfAllPrefixesAreListed", func(t *testing.T, s *bench) {
		s.putType(s.eventType(".first"))
		s.putType(s.eventType(".second"))
		all := list[catalogue.Type](func(p webhook.Page) ([]catalogue.Type, string, error) { return s.EventTypes(t.Context(), "", p) })
		seen := map[string]bool{}
		for _, found := range walk(t, all, fixed(3)) {
			seen[typeOf(found)] = true
		}
		if !seen[string(s.typeName(".first"))] || !seen[string(s.typeName(".second"))] {
			t.Errorf("not all are among %v", seen)
		}
	}},
}

// typeName is a name that no other subtest uses.
func (s *bench) typeName(suffix string) webhook.EventType {
	return webhook.EventType(string(s.tenant) + suffix)
}

// eventType is a type with every field set, not yet stored.
func (s *bench) eventType(suffix string) catalogue.Type {
	now := s.clock.Now()
	return catalogue.Type{
		Name: s.typeName(suffix), Description: "Größe \"M\"\nzwei", Schema: []byte(`{"type":"object"}`), Example: []byte(`{"ü":1}`),
		Deprecated: true, CreatedAt: now.Add(-time.Hour).Add(3 * time.Millisecond), UpdatedAt: now.Add(7 * time.Millisecond),
	}
}

func (s *bench) putType(t catalogue.Type) {
	s.t.Helper()
	if err := s.PutEventType(s.t.Context(), t, s.line(audit.EventTypePut)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *bench) expectType(t *testing.T, want catalogue.Type) {
	t.Helper()
	got, err := s.EventType(t.Context(), want.Name)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "event type", want, got)
}

func (s *bench) types(suffix string) list[catalogue.Type] {
	return func(p webhook.Page) ([]catalogue.Type, string, error) {
		return s.EventTypes(s.t.Context(), s.typeName(suffix), p)
	}
}

func typeOf(t catalogue.Type) string { return string(t.Name) }
