package catalogue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"webhookrelay/shared/webhook"
)

// draft is the one that schemas are written in, whether or not they say so.
const draft = "https://json-schema.org/draft/2020-12/schema"

// maxSchemaDepth bounds how deep objects and lists of a schema lie in each other.
const maxSchemaDepth = 64

// place is the address a schema has while it is compiled. Nothing is ever loaded
// from there, or from anywhere else.
const place = "urn:webhookrelay:schema"

// Schema is a compiled JSON Schema. Safe for concurrent use.
type Schema struct {
	// idle holds compiled copies: each counts its own work while it is used.
	idle sync.Pool
}

// Violation is how an event breaks its type's schema.
type Violation struct {
	// Pointer is the JSON Pointer (RFC 6901) of the value in the data.
	Pointer string
	// Reason completes "<value> …".
	Reason string
	// More is how many more there are.
	More int
}

func (v *Violation) Error() string { return fmt.Sprintf("%q: %s", v.Pointer, v.Reason) }

// Compile reads a schema. *webhook.Invalid for "schema" unless it is one of draft
// 2020-12 that refers to nothing outside itself and whose patterns are of bounded cost.
func Compile(raw []byte) (*Schema, error) {
	first, err := compile(raw)
	if err != nil {
		return nil, err
	}
	s := &Schema{}
	s.idle.New = func() any {
		again, err := compile(raw)
		if err != nil {
			panic(err) // it compiled before
		}
		return again
	}
	s.idle.Put(first)
	return s, nil
}

// compiled is a schema with the meter that its every part reports to.
type compiled struct {
	schema *jsonschema.Schema
	meter  *meter
}

func compile(raw []byte) (*compiled, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, badSchema("must be JSON")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, badSchema("must be an object")
	}
	if version, given := object["$schema"]; given && version != draft {
		return nil, badSchema("must be of draft 2020-12: leave $schema out, or give " + draft)
	}
	if deeper(value, maxSchemaDepth) {
		return nil, badSchema(fmt.Sprintf("must not nest more than %d deep", maxSchemaDepth))
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(nowhere{})
	compiler.UseRegexpEngine(boundedPattern)
	if err := compiler.AddResource(place, value); err != nil {
		return nil, badSchema("cannot be used: " + err.Error())
	}
	schema, err := compiler.Compile(place)
	if err != nil {
		return nil, badSchema(faultOf(err))
	}
	m := &meter{}
	if err := m.attach(schema); err != nil {
		return nil, err
	}
	return &compiled{schema, m}, nil
}

func badSchema(reason string) error { return &webhook.Invalid{Field: "schema", Reason: reason} }

// nowhere refuses to load anything: a reference must never make the relay read a
// file or call an address.
type nowhere struct{}

var errElsewhere = errors.New("refers to something outside the schema")

func (nowhere) Load(string) (any, error) { return nil, errElsewhere }

// faultOf says what is wrong with a schema.
func faultOf(err error) string {
	if elsewhere, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		return fmt.Sprintf("refers to %s: a schema may refer to its own parts only, such as #/$defs/address", elsewhere.URL)
	}
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if wrong, ok := errors.AsType[*jsonschema.ValidationError](invalid.Err); ok {
			v := violationOf(wrong)
			return fmt.Sprintf("is no JSON Schema: at %q, %s", v.Pointer, v.Reason)
		}
	}
	return "is no JSON Schema: " + strings.ReplaceAll(err.Error(), place, "")
}

// Validate returns a *Violation unless data, which is JSON, matches the schema.
func (s *Schema) Validate(data []byte) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return &Violation{Reason: "holds a number beyond what can be compared"}
	}
	c := s.idle.Get().(*compiled)
	defer s.idle.Put(c)
	c.meter.spent = 0
	err := c.schema.Validate(value)
	if c.meter.exhausted() {
		return &Violation{Reason: "takes too long to compare with the schema of its type"}
	}
	if wrong, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		v := violationOf(wrong)
		return &v
	}
	return nil
}

// maxReason bounds a reason, in bytes: it may quote a value.
const maxReason = 300

// violationOf picks the first violation in the order of the pointers.
func violationOf(wrong *jsonschema.ValidationError) Violation {
	var first []*jsonschema.ValidationError // those at the first pointer
	var at string
	count := 0
	var visit func(e *jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		if len(e.Causes) > 0 && !isChoice(e) {
			for _, cause := range e.Causes {
				visit(cause)
			}
			return
		}
		count++
		here := pointer(e.InstanceLocation)
		if first == nil || here < at {
			first, at = nil, here
		}
		if here == at {
			first = append(first, e)
		}
	}
	visit(wrong)
	printer := message.NewPrinter(language.English)
	reasons := make([]string, len(first))
	for i, e := range first {
		reasons[i] = reasonOf(e, printer)
	}
	return Violation{Pointer: at, Reason: slices.Min(reasons), More: count - 1}
}

// isChoice reports whether what is wrong is that no alternative fits: which of
// them was meant, nobody knows.
func isChoice(e *jsonschema.ValidationError) bool {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		return true
	}
	return false
}

func reasonOf(e *jsonschema.ValidationError, printer *message.Printer) string {
	if len(e.Causes) > 0 && isChoice(e) {
		return "fits none of the alternatives"
	}
	reason := e.ErrorKind.LocalizedString(printer)
	if len(reason) > maxReason {
		return strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return reason
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

func pointer(parts []string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteByte('/')
		b.WriteString(escapes.Replace(part))
	}
	return b.String()
}

// deeper reports whether objects and lists lie more than limit deep in each other.
func deeper(value any, limit int) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			if limit == 0 || deeper(member, limit-1) {
				return true
			}
		}
	case []any:
		for _, member := range v {
			if limit == 0 || deeper(member, limit-1) {
				return true
			}
		}
	}
	return false
}
