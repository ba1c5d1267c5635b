package webhook

import (
	"slices"
	"strings"
	"time"
)

// EventType is a dotted name, such as "invoice.paid": segments of letters,
// digits and underscores joined by single dots (Standard Webhooks 1.0.0,
// "Event types").
type EventType string

// Limits on event types and on what an endpoint subscribes to.
const (
	MaxEventTypeLength = 128
	MaxPatterns        = 100
)

// CheckEventType returns an *Invalid for field unless name is an event type of
// at most 128 bytes.
func CheckEventType(field, name string) error {
	if name == "" || len(name) > MaxEventTypeLength {
		return invalid(field, "must be 1 to %d characters", MaxEventTypeLength)
	}
	for segment := range strings.SplitSeq(name, ".") {
		if !isSegment(segment) {
			return invalid(field, `must be segments of letters, digits and underscores joined by dots, such as "invoice.paid"`)
		}
	}
	return nil
}

// Pattern selects event types. It is an event type in which a segment may be
// "*": in the middle it stands for exactly one segment, at the end for one or
// more, so "invoice.*" matches "invoice.paid" and "invoice.item.added", and
// "*" matches everything.
type Pattern string

// CheckPatterns returns an *Invalid for field unless there are at most 100
// patterns and each is well formed.
func CheckPatterns(field string, patterns []Pattern) error {
	if len(patterns) > MaxPatterns {
		return invalid(field, "must hold at most %d patterns", MaxPatterns)
	}
	for _, p := range patterns {
		if p == "" || len(p) > MaxEventTypeLength {
			return invalid(field, "must hold patterns of 1 to %d characters", MaxEventTypeLength)
		}
		for segment := range strings.SplitSeq(string(p), ".") {
			if segment != "*" && !isSegment(segment) {
				return invalid(field, `holds %q: a pattern is an event type in which whole segments may be "*", such as "invoice.*"`, p)
			}
		}
	}
	return nil
}

// Match reports whether the pattern selects t.
func (p Pattern) Match(t EventType) bool {
	pattern, name := string(p), string(t)
	for {
		want, restPattern, morePattern := strings.Cut(pattern, ".")
		have, restName, moreName := strings.Cut(name, ".")
		if want == "*" && !morePattern {
			return true
		}
		if want != "*" && want != have {
			return false
		}
		if !morePattern || !moreName {
			return morePattern == moreName
		}
		pattern, name = restPattern, restName
	}
}

// Selects reports whether one of the patterns selects t; none at all select everything.
func Selects(patterns []Pattern, t EventType) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p Pattern) bool { return p.Match(t) })
}

func isSegment(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// TypeEntry is an event type with what the catalogue says of it.
type TypeEntry struct {
	Name        EventType
	Description string
	// Schema is a JSON Schema (draft 2020-12) of an event's data; nil when there is none.
	Schema []byte
	// Example is an event's data; nil when there is none.
	Example []byte
	// Deprecated types are still taken; whoever subscribes should look for another.
	Deprecated bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Group is what the names of related types begin with: the part before the first dot.
func (t TypeEntry) Group() string {
	group, _, _ := strings.Cut(string(t.Name), ".")
	return group
}

// Enforcement says what events have to be to be accepted.
type Enforcement string

// Enforcements.
const (
	// EnforceNothing: any type and any data.
	EnforceNothing Enforcement = "off"
	// EnforceKnown: only types that are in the catalogue.
	EnforceKnown Enforcement = "known"
	// EnforceSchema: also, data that matches the type's schema where it has one.
	EnforceSchema Enforcement = "schema"
)

// Enforcements lists every enforcement.
var Enforcements = []Enforcement{EnforceNothing, EnforceKnown, EnforceSchema}
