package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"webhookrelay/shared/client"
)

type typesCommand struct {
	remote
	List   typesList   `cmd:"" default:"withargs" help:"List event types."`
	Get    typesGet    `cmd:"" help:"Show an event type with its schema and example."`
	Put    typesPut    `cmd:"" help:"Describe an event type, in place of what was said of it."`
	Delete typesDelete `cmd:"" help:"Remove an event type from the catalogue."`
	Import typesImport `cmd:"" help:"Take event types from the webhooks of an OpenAPI 3.1 document."`
}

type typesList struct {
	Prefix string `placeholder:"NAME" help:"Only the type of this name and those that go on from it, such as invoice."`
	listFlags
}

// Run lists event types.
func (c typesList) Run(s *session) error {
	relay, _, err := s.connect()
	if err != nil {
		return err
	}
	header := []string{"NAME", "STATE", "UPDATED", "DESCRIPTION"}
	return list(s, c.listFlags, header, relay.AllEventTypes(s.ctx, c.Prefix, c.options()), func(t client.EventType) []string {
		first, _, _ := strings.Cut(t.Description, "\n")
		return []string{t.Name, stateOfType(t), s.time(t.UpdatedAt), first}
	})
}

func stateOfType(t client.EventType) string {
	if t.Deprecated {
		return "deprecated"
	}
	return "current"
}

type typesGet struct {
	Name string `arg:"" help:"Its name, such as invoice.paid."`
}

// Run shows an event type.
func (c typesGet) Run(s *session) error {
	relay, _, err := s.connect()
	if err != nil {
		return err
	}
	found, err := relay.GetEventType(s.ctx, c.Name)
	if err != nil {
		return err
	}
	return s.showType(found)
}

func (s *session) showType(t client.EventTypeDetail) error {
	return s.show(t,
		"name         "+cell(t.Name),
		"state        "+stateOfType(t.EventType),
		"description  "+cell(t.Description),
		"created      "+s.time(t.CreatedAt),
		"updated      "+s.time(t.UpdatedAt),
		"schema       "+indented(t.Schema),
		"example      "+indented(t.Example),
	)
}

// indented shows JSON over several lines, and nothing for null.
func indented(raw json.RawMessage) string {
	var b bytes.Buffer
	if string(raw) == "null" || json.Indent(&b, raw, "             ", "  ") != nil {
		return ""
	}
	return printable(b.String())
}

type typesPut struct {
	Name        string `arg:"" help:"Its name, such as invoice.paid."`
	Description string `placeholder:"TEXT" help:"What such an event means."`
	SchemaFile  string `placeholder:"FILE" help:"File with a JSON Schema (draft 2020-12) of the data; - for standard input."`
	ExampleFile string `placeholder:"FILE" help:"File with an event's data; - for standard input."`
	Deprecated  bool   `help:"Advise against subscribing to it."`
}

// Run describes an event type.
func (c typesPut) Run(s *session) error {
	described := client.NewEventType{Description: c.Description, Deprecated: c.Deprecated}
	for _, file := range []struct {
		flag, path string
		into       *json.RawMessage
	}{{"--schema-file", c.SchemaFile, &described.Schema}, {"--example-file", c.ExampleFile, &described.Example}} {
		if file.path == "" {
			continue
		}
		raw, err := s.read(file.path)
		if err != nil {
			return usage("%s: %w", file.flag, err)
		}
		if !json.Valid(raw) {
			return usage("%s: %s is no JSON", file.flag, file.path)
		}
		*file.into = raw
	}
	relay, _, err := s.connect()
	if err != nil {
		return err
	}
	stored, err := relay.PutEventType(s.ctx, c.Name, described)
	if err != nil {
		return err
	}
	return s.showType(stored)
}

type typesDelete struct {
	Name string `arg:"" help:"Its name."`
	Yes  bool   `short:"y" help:"Do not ask."`
}

// Run removes an event type, after asking.
func (c typesDelete) Run(s *session) error {
	relay, _, err := s.connect()
	if err != nil {
		return err
	}
	if err := s.confirm(c.Yes, fmt.Sprintf("Remove %s from the catalogue? Where the relay holds events to it, they are refused.", c.Name)); err != nil {
		return err
	}
	if err := relay.DeleteEventType(s.ctx, c.Name); err != nil {
		return err
	}
	s.note("Removed %s.", c.Name)
	return nil
}

type typesImport struct {
	File   string `arg:"" help:"OpenAPI 3.1 document, as YAML or JSON; - for standard input."`
	DryRun bool   `help:"Say what would be done, and do nothing."`
}

// Run imports event types.
func (c typesImport) Run(s *session) error {
	raw, err := s.read(c.File)
	if err != nil {
		return usage("%w", err)
	}
	document, err := openAPIDocument(raw)
	if err != nil {
		return usage("%s: %w", c.File, err)
	}
	relay, _, err := s.connect()
	if err != nil {
		return err
	}
	imported, err := relay.ImportEventTypes(s.ctx, document, c.DryRun)
	if err != nil {
		return err
	}
	out := s.table("NAME", "CHANGE", "WHY")
	for _, t := range imported.Data {
		if err := out.add(t, t.Name, t.Change, t.Detail); err != nil {
			return err
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	if c.DryRun {
		s.note("Nothing was changed.")
	}
	if imported.Refused > 0 {
		s.note("%d of %d are refused.", imported.Refused, len(imported.Data))
		return silent(exitSome)
	}
	return nil
}

// openAPIDocument reads YAML, of which JSON is a part, and leaves out what an
// import does not look at.
func openAPIDocument(raw []byte) (json.RawMessage, error) {
	var whole map[string]any
	if err := yaml.Unmarshal(raw, &whole); err != nil {
		return nil, err
	}
	document := map[string]any{}
	for _, part := range []string{"openapi", "webhooks", "components"} {
		if value, ok := whole[part]; ok {
			document[part] = named(value)
		}
	}
	return json.Marshal(document)
}

// named turns the keys of maps, such as the status 200, into the strings that
// they are in JSON.
func named(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = named(member)
		}
	case map[any]any:
		object := make(map[string]any, len(v))
		for name, member := range v {
			object[fmt.Sprint(name)] = named(member)
		}
		return object
	case []any:
		for i, member := range v {
			v[i] = named(member)
		}
	}
	return value
}
