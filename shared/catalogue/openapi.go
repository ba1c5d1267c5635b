package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"webhookrelay/shared/webhook"
)

// MaxImport bounds the webhooks of a document that is imported.
const MaxImport = 500

// Imported says what became of one webhook of a document.
type Imported struct {
	Name   string
	Change Change
	// Refused says why it was not taken; empty when it was.
	Refused string
}

// Import puts a type for each webhook that an OpenAPI 3.1 document describes, by
// name; one that cannot be taken spoils no other. Nothing is removed. With dryRun
// it says what it would do. *webhook.Invalid: the document is none.
func (c Catalogue) Import(ctx context.Context, raw []byte, dryRun bool) ([]Imported, error) {
	found, err := readOpenAPI(raw)
	if err != nil {
		return nil, err
	}
	results := make([]Imported, 0, len(found))
	for _, w := range found {
		result := Imported{Name: w.name, Refused: w.fault}
		if w.fault == "" {
			put := c.Put
			if dryRun {
				put = c.prepare
			}
			_, result.Change, err = put(ctx, w.described)
			if bad, ok := errors.AsType[*webhook.Invalid](err); ok {
				result.Refused, err = bad.Error(), nil
			}
			if err != nil {
				return nil, err
			}
		}
		results = append(results, result)
	}
	return results, nil
}

// described is a webhook of a document: a type, or why it is none.
type described struct {
	name      string
	described Type
	fault     string
}

// document is what an import reads of an OpenAPI document.
type document struct {
	whole    any
	OpenAPI  string         `json:"openapi"`
	Webhooks map[string]any `json:"webhooks"`
}

func readOpenAPI(raw []byte) ([]described, error) {
	var d document
	if err := errors.Join(unmarshal(raw, &d), unmarshal(raw, &d.whole)); err != nil {
		return nil, &webhook.Invalid{Field: "openapi", Reason: "must be an OpenAPI document as a JSON object"}
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1.") && !strings.HasPrefix(d.OpenAPI, "3.2.") {
		return nil, &webhook.Invalid{Field: "openapi", Reason: "must be a document of OpenAPI 3.1, which is the first to have webhooks"}
	}
	if len(d.Webhooks) == 0 || len(d.Webhooks) > MaxImport {
		return nil, &webhook.Invalid{Field: "openapi", Reason: fmt.Sprintf("must have 1 to %d webhooks", MaxImport)}
	}
	var all []described
	for _, name := range slices.Sorted(maps.Keys(d.Webhooks)) {
		w := described{name: name}
		var err error
		if w.described, err = d.typeOf(name, d.Webhooks[name]); err != nil {
			w.fault = err.Error()
		}
		all = append(all, w)
	}
	return all, nil
}

// operation is the request that a webhook's receiver gets.
type operation struct {
	Summary     string `json:"summary"`
	Description string `json:"description"`
	Deprecated  bool   `json:"deprecated"`
	RequestBody any    `json:"requestBody"`
}

type body struct {
	Content map[string]struct {
		Schema   any            `json:"schema"`
		Example  any            `json:"example"`
		Examples map[string]any `json:"examples"`
	} `json:"content"`
}

func (d document) typeOf(name string, item any) (Type, error) {
	t := Type{Name: webhook.EventType(name)}
	item, err := d.follow(item)
	if err != nil {
		return t, err
	}
	var operations struct{ Post, Put *operation }
	if err := remake(item, &operations); err != nil || operations.Post == nil && operations.Put == nil {
		return t, errors.New("has no operation post")
	}
	request := operations.Post
	if request == nil {
		request = operations.Put
	}
	t.Description, t.Deprecated = request.Description, request.Deprecated
	if t.Description == "" {
		t.Description = request.Summary
	}
	if request.RequestBody == nil {
		return t, nil
	}
	sent, err := d.follow(request.RequestBody)
	if err != nil {
		return t, err
	}
	var content body
	if err := remake(sent, &content); err != nil {
		return t, errors.New("has a requestBody that cannot be read")
	}
	described, ok := content.Content["application/json"]
	if !ok {
		return t, errors.New("has no requestBody of application/json")
	}
	example := described.Example
	if names := slices.Sorted(maps.Keys(described.Examples)); example == nil && len(names) > 0 {
		named, err := d.follow(described.Examples[names[0]])
		if err != nil {
			return t, err
		}
		if object, ok := named.(map[string]any); ok {
			example = object["value"]
		}
	}
	return d.payload(t, described.Schema, example)
}

// payload gives the type the schema and the example of an event's data: of what
// lies under data, where the request is described as the relay sends it, with type
// and data, and otherwise of the whole.
func (d document) payload(t Type, schema, example any) (Type, error) {
	if schema != nil {
		if _, err := d.property(schema, "type", 0); err == nil {
			if data, err := d.property(schema, "data", 0); err == nil {
				schema = data
				if object, ok := example.(map[string]any); ok {
					example = object["data"]
				}
			}
		}
		own, err := d.standAlone(schema)
		if err != nil {
			return t, err
		}
		if t.Schema, err = json.Marshal(own); err != nil {
			return t, err
		}
	}
	var err error
	if example != nil {
		t.Example, err = json.Marshal(example)
	}
	return t, err
}

// maxFollowed bounds references that lead to references.
const maxFollowed = 20

var errNoProperty = errors.New("has no such property")

// property finds the schema of a property, also in the parts of allOf.
func (d document) property(schema any, name string, depth int) (any, error) {
	schema, err := d.follow(schema)
	if err != nil {
		return nil, err
	}
	object, _ := schema.(map[string]any)
	properties, _ := object["properties"].(map[string]any)
	if found, ok := properties[name]; ok {
		return found, nil
	}
	parts, _ := object["allOf"].([]any)
	for _, part := range parts {
		if depth >= maxFollowed {
			break
		}
		if found, err := d.property(part, name, depth+1); err == nil {
			return found, nil
		}
	}
	return nil, errNoProperty
}

// follow returns what a reference leads to, if value is one.
func (d document) follow(value any) (any, error) {
	for range maxFollowed {
		object, _ := value.(map[string]any)
		to, isReference := object["$ref"].(string)
		if !isReference {
			return value, nil
		}
		target, err := d.at(to)
		if err != nil {
			return nil, err
		}
		value = target
	}
	return nil, errors.New("has references that lead in a circle")
}

var unescapes = strings.NewReplacer("~1", "/", "~0", "~")

// at returns the part of the document that a reference names.
func (d document) at(reference string) (any, error) {
	path, inside := strings.CutPrefix(reference, "#/")
	if !inside {
		return nil, fmt.Errorf("refers to %q: only references within the document (#/…) are followed", reference)
	}
	value := d.whole
	for part := range strings.SplitSeq(path, "/") {
		object, _ := value.(map[string]any)
		next, ok := object[unescapes.Replace(part)]
		if !ok {
			return nil, fmt.Errorf("refers to %q, which is not in the document", reference)
		}
		value = next
	}
	return value, nil
}

const componentSchemas = "#/components/schemas/"

// standAlone returns a schema that needs the document no more: the components
// that it refers to lie under its own $defs.
func (d document) standAlone(schema any) (map[string]any, error) {
	definitions := map[string]any{}
	own, err := d.rewrite(schema, definitions)
	if err != nil {
		return nil, err
	}
	object, ok := own.(map[string]any)
	if !ok {
		return nil, errors.New("has a schema that is no object")
	}
	if len(definitions) > 0 {
		before, _ := object["$defs"].(map[string]any)
		maps.Copy(definitions, before)
		object["$defs"] = definitions
	}
	return object, nil
}

// rewrite copies a schema with its references to components turned into
// references to definitions, which it completes.
func (d document) rewrite(value any, definitions map[string]any) (any, error) {
	switch v := value.(type) {
	case []any:
		list := make([]any, len(v))
		for i, member := range v {
			copied, err := d.rewrite(member, definitions)
			if err != nil {
				return nil, err
			}
			list[i] = copied
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, member := range v {
			if to, ok := member.(string); ok && name == "$ref" {
				moved, err := d.define(to, definitions)
				if err != nil {
					return nil, err
				}
				object[name] = moved
				continue
			}
			copied, err := d.rewrite(member, definitions)
			if err != nil {
				return nil, err
			}
			object[name] = copied
		}
		return object, nil
	}
	return value, nil
}

// define sees to it that what a reference names is among the definitions, and
// returns the reference to it there.
func (d document) define(reference string, definitions map[string]any) (string, error) {
	rest, ok := strings.CutPrefix(reference, componentSchemas)
	if !ok {
		return "", fmt.Errorf("refers to %q: a schema may refer to %s… only", reference, componentSchemas)
	}
	name, _, _ := strings.Cut(rest, "/")
	plain := unescapes.Replace(name)
	if _, done := definitions[plain]; !done {
		component, err := d.at(componentSchemas + name)
		if err != nil {
			return "", err
		}
		definitions[plain] = true // a component may refer to itself
		copied, err := d.rewrite(component, definitions)
		if err != nil {
			return "", err
		}
		definitions[plain] = copied
	}
	return "#/$defs/" + rest, nil
}

// remake reads a decoded value into a struct.
func remake(value, into any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return unmarshal(raw, into)
}

// unmarshal keeps numbers as they are written.
func unmarshal(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return decoder.Decode(into)
}
