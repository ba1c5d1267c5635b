package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	openAPIFile = "../../shared/api/openapi.yaml"
	pageFile    = "../../shared/api/reference.html"
)

func TestThePageIsThatOfTheDocument(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	want, err := render(source)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("shared/api/reference.html is not that of openapi.yaml: run make reference")
	}
}

func TestThePage(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	page, err := render(source)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	t.Run("HoldsEveryOperationOnce", func(t *testing.T) {
		t.Parallel()
		for _, match := range regexp.MustCompile(`operationId: (\w+)`).FindAllStringSubmatch(string(source), -1) {
			if n := strings.Count(text, `<h3 id="`+match[1]+`">`); n != 1 {
				t.Errorf("%s is there %d times", match[1], n)
			}
		}
	})
	t.Run("LeadsNowhereThatIsNotThere", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for _, match := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if seen[match[1]] {
				t.Errorf("two places are called %s", match[1])
			}
			seen[match[1]] = true
		}
		for _, match := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if !seen[match[1]] {
				t.Errorf("nothing is called %s", match[1])
			}
		}
	})
	t.Run("LoadsNothing", func(t *testing.T) {
		t.Parallel()
		if found := regexp.MustCompile(`<(script|link|img|iframe|object)|url\(| style=| on\w+=`).FindString(text); found != "" {
			t.Errorf("it holds %q", found)
		}
	})
}

func TestFields(t *testing.T) {
	t.Parallel()
	d, err := parse([]byte(`
components:
  schemas:
    Name: {description: A *name*., type: string, maxLength: 9}
    Thing:
      type: object
      required: [name]
      properties:
        name: {$ref: "#/components/schemas/Name"}
        parts: {type: [array, "null"], items: {$ref: "#/components/schemas/Thing"}}
        place:
          type: object
          properties: {row: {type: integer, minimum: 1}}
    More:
      allOf:
        - {$ref: "#/components/schemas/Thing"}
        - {properties: {extra: {enum: [a, b]}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	fields := d.fields(d.root.at("components", "schemas", "More"))
	if len(fields) != 4 {
		t.Fatalf("%+v", fields)
	}
	name, parts, place, extra := fields[0], fields[1], fields[2], fields[3]
	if !name.Required || name.Type != "string" || strings.Join(name.Limits, "") != "at most 9 characters" ||
		!strings.Contains(string(name.Description), "<em>name</em>") {
		t.Errorf("%+v", name)
	}
	if parts.Required || parts.Type != "array of object, or null" || parts.Link != "Thing" {
		t.Errorf("%+v", parts)
	}
	if len(place.Fields) != 1 || place.Fields[0].Name != "row" || place.Fields[0].Limits[0] != "at least 1" {
		t.Errorf("%+v", place)
	}
	if strings.Join(extra.Limits, "") != "one of a, b" {
		t.Errorf("%+v", extra)
	}
}
