package catalogue

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxWork bounds what one event's validation may cost: about a tenth of a second
// at worst. A schema that refers to itself in two of its alternatives doubles the
// work with every level of the data, which its author seldom notices and a sender
// of events could make use of.
const maxWork = 1_000_000

// Bounds of a pattern. Its instructions bound the time that each byte of a string takes.
const (
	maxPattern      = 500
	maxInstructions = 1000
)

// meter counts the work of one validation.
type meter struct{ spent int }

func (m *meter) exhausted() bool { return m.spent > maxWork }

var errExhausted = errors.New("too much work")

// attach has every part of a schema report to the meter when it is applied to a
// value, and fail at once when the work is used up. A part's format is checked
// before its other parts are, whatever comes of those; its type and its enum are
// checked before that, and are on the account of the part that applies it.
func (m *meter) attach(root *jsonschema.Schema) error {
	seen := map[*jsonschema.Schema]bool{nil: true}
	queue := []*jsonschema.Schema{root}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if seen[s] {
			continue
		}
		seen[s] = true
		if s.DynamicRef != nil || s.RecursiveRef != nil {
			return badSchema("must not use $dynamicRef or $recursiveRef: use $ref")
		}
		here, below := partsOf(s)
		s.Format = m.on(s, here, below)
		queue = append(append(queue, here...), below...)
	}
	return nil
}

// on is a format that every value has until the work is used up.
func (m *meter) on(s *jsonschema.Schema, here, below []*jsonschema.Schema) *jsonschema.Format {
	name, inner := "work", func(any) error { return nil }
	if s.Format != nil {
		name, inner = s.Format.Name, s.Format.Validate
	}
	step := 1 + len(s.Required)
	for _, part := range here {
		step += entry(part)
	}
	perMember, perByte := 1, 1+instructionsOf(s.Pattern)
	for _, part := range below {
		perMember = max(perMember, entry(part))
	}
	// What is below applies to some members each, but for these, which may apply to all.
	perMember *= 1 + len(s.PatternProperties)
	perNameByte := 1
	for pattern := range s.PatternProperties {
		perNameByte += instructionsOf(pattern)
	}
	return &jsonschema.Format{Name: name, Validate: func(value any) error {
		m.spent += step
		switch v := value.(type) {
		case string:
			m.spent += len(v) * perByte / bytesPerUnit
		case map[string]any:
			for member := range v {
				m.spent += perMember + len(member)*perNameByte/bytesPerUnit
			}
		case []any:
			m.spent += len(v) * perMember
		}
		if m.exhausted() {
			return errExhausted
		}
		return inner(value)
	}}
}

// bytesPerUnit is how many instructions of patterns, each on one byte, count as
// one comparison.
const bytesPerUnit = 64

// entry is what a part costs before its format is looked at.
func entry(s *jsonschema.Schema) int {
	if s == nil || s.Enum == nil {
		return 1
	}
	return 1 + len(s.Enum.Values)
}

// partsOf returns the schemas that a schema applies to a value itself, and those
// that it applies to the value's members. Some are nil.
func partsOf(s *jsonschema.Schema) (here, below []*jsonschema.Schema) {
	here = []*jsonschema.Schema{s.Ref, s.Not, s.If, s.Then, s.Else, s.ContentSchema}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		here = append(here, list...)
	}
	for _, part := range s.DependentSchemas {
		here = append(here, part)
	}
	below = append([]*jsonschema.Schema{s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems}, s.PrefixItems...)
	for _, part := range s.Properties {
		below = append(below, part)
	}
	for _, part := range s.PatternProperties {
		below = append(below, part)
	}
	// These hold a schema, or several, or something else.
	loose := []any{s.AdditionalProperties, s.Items, s.AdditionalItems}
	for _, dependency := range s.Dependencies {
		loose = append(loose, dependency)
	}
	for _, part := range loose {
		switch part := part.(type) {
		case *jsonschema.Schema:
			below = append(below, part)
		case []*jsonschema.Schema:
			below = append(below, part...)
		}
	}
	return here, below
}

// pattern is a regular expression that knows how many instructions it has.
type pattern struct {
	*regexp.Regexp
	instructions int
}

func instructionsOf(r jsonschema.Regexp) int {
	if p, ok := r.(pattern); ok {
		return p.instructions
	}
	return 0
}

// boundedPattern compiles a pattern in the syntax of RE2, whose time is linear in
// the length of the string.
func boundedPattern(text string) (jsonschema.Regexp, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("a pattern has at most %d bytes", maxPattern)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	if len(program.Inst) > maxInstructions {
		return nil, errors.New("a pattern repeats more than can be matched in time")
	}
	compiled, err := regexp.Compile(text)
	return pattern{compiled, len(program.Inst)}, err
}
