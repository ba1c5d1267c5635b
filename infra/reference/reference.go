package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
)

//go:embed page.html
var pageText string

// reference is what the page shows.
type reference struct {
	Title, Summary string
	Description    template.HTML
	Access         template.HTML // who may call
	Groups         []group
	Objects        []object
}

// group holds the operations of one tag.
type group struct {
	Name, Anchor, Description string
	Operations                []operation
}

type operation struct {
	ID, Method, Path, Summary string
	Description               template.HTML
	Scopes                    []string
	Parameters, Body          []field
	Example                   string
	Answers                   []answer
	Errors                    []answer
}

type answer struct {
	Status      string
	Description template.HTML
	Object      string // what the answer holds, when that has a name
	Fields      []field
}

// object is a named part of requests and answers.
type object struct {
	Name        string
	Description template.HTML
	Fields      []field
}

// field is a parameter, or a property of an object.
type field struct {
	Name, In    string
	Required    bool
	Type        string
	Link        string // the object of which it is, or holds several
	Limits      []string
	Description template.HTML
	Fields      []field
}

// render returns the page for an OpenAPI document.
func render(source []byte) ([]byte, error) {
	d, err := parse(source)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := page.Execute(&out, d.reference()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (d document) reference() reference {
	info := d.root.at("info")
	r := reference{
		Title: info.at("title").text(), Summary: info.at("summary").text(), Description: prose(info.at("description")),
		Access: prose(d.root.at("components", "securitySchemes", "key", "description")),
	}
	for _, tag := range d.root.at("tags").items() {
		name := tag.at("name").text()
		g := group{Name: name, Anchor: strings.ReplaceAll(strings.ToLower(name), " ", "-"), Description: tag.at("description").text()}
		for _, path := range d.root.at("paths").entries() {
			for _, method := range path.value.entries() {
				if method.value.at("tags").has(name) {
					g.Operations = append(g.Operations, d.operation(path, method))
				}
			}
		}
		r.Groups = append(r.Groups, g)
	}
	for _, schema := range d.root.at("components", "schemas").entries() {
		if fields := d.fields(schema.value); len(fields) > 0 {
			r.Objects = append(r.Objects, object{schema.key, prose(schema.value.at("description")), fields})
		}
	}
	return r
}

func (d document) operation(path, method entry) operation {
	of := method.value
	o := operation{
		ID: of.at("operationId").text(), Method: strings.ToUpper(method.key), Path: path.key,
		Summary: of.at("summary").text(), Description: prose(of.at("description")),
	}
	for _, alternative := range of.at("security").items() {
		for _, scheme := range alternative.entries() {
			o.Scopes = append(o.Scopes, scheme.value.texts()...)
		}
	}
	for _, parameter := range slices.Concat(path.value.at("parameters").items(), of.at("parameters").items()) {
		p, _ := d.resolve(parameter)
		f := d.field(p.at("name").text(), p.at("schema"))
		f.In, f.Required, f.Description = p.at("in").text(), p.at("required").text() == "true", cmp.Or(prose(p.at("description")), f.Description)
		o.Parameters = append(o.Parameters, f)
	}
	body := of.at("requestBody", "content", "application/json")
	o.Body = d.fields(body.at("schema"))
	o.Example = d.example(o, body)
	for _, response := range of.at("responses").entries() {
		resolved, _ := d.resolve(response.value)
		a := answer{Status: response.key, Description: prose(resolved.at("description"))}
		if response.key >= "4" {
			o.Errors = append(o.Errors, a)
			continue
		}
		schema, name := d.resolve(resolved.at("content", "application/json", "schema"))
		if a.Object = name; name == "" {
			a.Fields = d.fields(schema)
		}
		o.Answers = append(o.Answers, a)
	}
	return o
}

// example is the operation as a call with curl.
func (d document) example(o operation, body node) string {
	var call strings.Builder
	call.WriteString("curl")
	if o.Method != "GET" {
		fmt.Fprintf(&call, " -X %s", o.Method)
	}
	address := o.Path
	for _, p := range o.Parameters {
		address = strings.ReplaceAll(address, "{"+p.Name+"}", "$"+strings.ToUpper(p.Name))
	}
	fmt.Fprintf(&call, ` "$URL%s"`, address)
	if len(o.Scopes) > 0 {
		call.WriteString(` -H "Authorization: Bearer $KEY"`)
	}
	example := body.at("example")
	if example.Node == nil {
		return call.String()
	}
	var value any
	if err := example.Decode(&value); err != nil {
		return call.String()
	}
	text, err := json.Marshal(value)
	if err != nil {
		return call.String()
	}
	fmt.Fprintf(&call, " \\\n  -H 'Content-Type: application/json' \\\n  -d '%s'", strings.ReplaceAll(string(text), "'", `'\''`))
	return call.String()
}

// fields returns the properties of an object, those of its parts among them.
func (d document) fields(schema node) (all []field) {
	schema, _ = d.resolve(schema)
	for _, part := range schema.at("allOf").items() {
		all = append(all, d.fields(part)...)
	}
	if item := schema.at("items"); schema.at("type").text() == "array" {
		return d.fields(item)
	}
	for _, property := range schema.at("properties").entries() {
		f := d.field(property.key, property.value)
		f.Required = schema.at("required").has(property.key)
		all = append(all, f)
	}
	return all
}

func (d document) field(name string, of node) field {
	schema, named := d.resolve(of)
	f := field{Name: name, Type: d.typeOf(schema), Limits: limits(schema), Description: prose(of.at("description"))}
	whole := schema
	for _, part := range schema.at("allOf").items() {
		resolved, partName := d.resolve(part)
		f.Type, f.Limits, named = d.typeOf(resolved), append(f.Limits, limits(resolved)...), cmp.Or(named, partName)
		whole = resolved
	}
	f.Description = cmp.Or(f.Description, prose(schema.at("description")), prose(whole.at("description")))
	inner := whole
	if item := whole.at("items"); item.Node != nil {
		inner, named = d.resolve(item)
		f.Limits = append(f.Limits, limits(inner)...)
	}
	switch hasFields := inner.at("properties").Node != nil || inner.at("allOf").Node != nil; {
	case named == "":
		f.Fields = d.fields(inner)
	case hasFields:
		f.Link = named
	}
	return f
}

// typeOf names a schema's type, such as "array of string, or null".
func (d document) typeOf(schema node) string {
	types := schema.at("type").texts()
	if text := schema.at("type").text(); text != "" {
		types = []string{text}
	}
	for i, name := range types {
		if name == "array" {
			item, _ := d.resolve(schema.at("items"))
			types[i] = "array of " + cmp.Or(d.typeOf(item), "anything")
		}
	}
	if format := schema.at("format").text(); format != "" && len(types) > 0 {
		types[0] += " (" + format + ")"
	}
	return strings.Join(types, ", or ")
}

// limits puts a schema's bounds into words.
func limits(schema node) (all []string) {
	if values := schema.at("enum").texts(); len(values) > 0 {
		all = append(all, "one of "+strings.Join(values, ", "))
	}
	for _, bound := range []struct{ key, words string }{
		{"const", "always %s"},
		{"minLength", "at least %s characters"}, {"maxLength", "at most %s characters"},
		{"minItems", "at least %s items"}, {"maxItems", "at most %s items"}, {"maxProperties", "at most %s entries"},
		{"minimum", "at least %s"}, {"maximum", "at most %s"}, {"exclusiveMinimum", "more than %s"},
		{"pattern", "matches %s"}, {"default", "%s when left out"},
	} {
		if value := schema.at(bound.key).text(); value != "" {
			all = append(all, fmt.Sprintf(bound.words, value))
		}
	}
	return all
}

// prose turns a description, which is Markdown, into HTML.
func prose(description node) template.HTML {
	if description.text() == "" {
		return ""
	}
	var out bytes.Buffer
	if err := goldmark.Convert([]byte(description.text()), &out); err != nil {
		return template.HTML(template.HTMLEscapeString(description.text())) //nolint:gosec // escaped
	}
	return template.HTML(out.String()) //nolint:gosec // openapi.yaml is ours, and Markdown's own HTML is left out
}
