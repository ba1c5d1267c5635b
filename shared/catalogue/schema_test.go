package catalogue_test

import (
	"errors"
	"strings"
	"testing"

	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/webhook"
)

func TestASchemaIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ schema, says string }{
		"NoJSON":                 {`{`, "JSON"},
		"NoObject":               {`true`, "object"},
		"AnotherDraft":           {`{"$schema":"http://json-schema.org/draft-07/schema#"}`, "2020-12"},
		"AKeywordOfAnotherType":  {`{"type":"object","properties":{"a":{"minimum":"1"}}}`, `"/properties/a/minimum"`},
		"AnUnknownType":          {`{"type":"objekt"}`, `"/type"`},
		"AReferenceByHTTP":       {`{"$ref":"http://127.0.0.1:1/s.json"}`, "own parts"},
		"AReferenceToAFile":      {`{"$ref":"file:///etc/passwd"}`, "own parts"},
		"AReferenceByItsID":      {`{"$id":"http://169.254.169.254/a","$ref":"b"}`, "own parts"},
		"AReferenceToNothing":    {`{"$ref":"#/$defs/none"}`, "#/$defs/none"},
		"AMetaschemaFromOutside": {`{"properties":{"a":{"$id":"x:y","$schema":"http://127.0.0.1:1/meta"}}}`, "own parts"},
		"ADynamicReference":      {`{"$dynamicAnchor":"a","properties":{"b":{"$dynamicRef":"#a"}}}`, "$dynamicRef"},
		"ABrokenPattern":         {`{"pattern":"("}`, "pattern"},
		"ALookbehind":            {`{"pattern":"(?<=a)b"}`, "pattern"},
		"ALongPattern":           {`{"pattern":"` + strings.Repeat("a", 501) + `"}`, "pattern"},
		"ACostlyPattern":         {`{"pattern":"(.{0,500}x){2}"}`, "pattern"},
		"ACostlyPropertyPattern": {`{"patternProperties":{"(.{0,500}x){2}":true}}`, "pattern"},
		"TooDeep":                {strings.Repeat(`{"not":`, 70) + `{}` + strings.Repeat(`}`, 70), "deep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalogue.Compile([]byte(c.schema))
			bad, ok := errors.AsType[*webhook.Invalid](err)
			if !ok || bad.Field != "schema" || !strings.Contains(bad.Reason, c.says) {
				t.Errorf("got %v, want an Invalid that says %q", err, c.says)
			}
		})
	}
}

func TestAViolationNamesThePath(t *testing.T) {
	t.Parallel()
	const schema = `{
		"type":"object", "required":["id"], "additionalProperties":false,
		"properties":{
			"id":{"type":"string","pattern":"^inv_[0-9]+$"},
			"a/b~c":{"type":"integer"},
			"lines":{"type":"array","items":{"$ref":"#/$defs/line"}},
			"paid":{"anyOf":[{"type":"null"},{"type":"string","minLength":3}]}
		},
		"$defs":{"line":{"type":"object","required":["price"],"properties":{"price":{"type":"number","minimum":0}}}}
	}`
	compiled, err := catalogue.Compile([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ data, pointer, says string }{
		"Fits":               {`{"id":"inv_1","lines":[{"price":1.5}],"paid":null,"a/b~c":3}`, "", ""},
		"WrongAtTheTop":      {`[]`, "", "got array, want object"},
		"Missing":            {`{}`, "", "missing property 'id'"},
		"Deep":               {`{"id":"inv_1","lines":[{"price":1},{"price":-1}]}`, "/lines/1/price", "minimum"},
		"Escaped":            {`{"id":"inv_1","a/b~c":"x"}`, "/a~1b~0c", "want integer"},
		"Pattern":            {`{"id":"x"}`, "/id", "pattern"},
		"NoAlternative":      {`{"id":"inv_1","paid":"x"}`, "/paid", "none of the alternatives"},
		"Unknown":            {`{"id":"inv_1","other":1}`, "", "additional properties 'other'"},
		"ANumberBeyondFloat": {`{"id":"inv_1","lines":[{"price":1e999}]}`, "", "number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := compiled.Validate([]byte(c.data))
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			bad, ok := errors.AsType[*catalogue.Violation](err)
			if !ok || bad.Pointer != c.pointer || !strings.Contains(bad.Reason, c.says) {
				t.Errorf("got %v, want %q: %q", err, c.pointer, c.says)
			}
		})
	}
	two := compiled.Validate([]byte(`{"id":1,"lines":[{}]}`))
	if bad, ok := errors.AsType[*catalogue.Violation](two); !ok || bad.Pointer != "/id" || bad.More != 1 {
		t.Errorf("of two violations: %+v", two)
	}
}

// Without a bound, some of these would take years.
func TestTheWorkOfAValidationIsBounded(t *testing.T) {
	t.Parallel()
	nested := strings.Repeat(`{"x":`, 60) + `1` + strings.Repeat(`}`, 60)
	twice := func(keyword string) string {
		return `{"$ref":"#/$defs/a","$defs":{"a":{"` + keyword + `":[{"properties":{"x":{"$ref":"#/$defs/a"}}},{"properties":{"x":{"$ref":"#/$defs/a"}}}]}}}`
	}
	for name, c := range map[string]struct{ schema, data string }{
		"AllOf": {twice("allOf"), nested},
		"AnyOfWhereAllFail": {
			`{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","anyOf":[{"properties":{"x":{"$ref":"#/$defs/a"}}},{"properties":{"x":{"$ref":"#/$defs/a"}}}]}}}`, nested,
		},
		"WithinNot": {
			`{"not":{"$ref":"#/$defs/a"},"$defs":{"a":{"type":"object","allOf":[{"properties":{"x":{"$ref":"#/$defs/a"}}},{"properties":{"x":{"$ref":"#/$defs/a"}}}]}}}`, strings.Replace(nested, "1", "{}", 1),
		},
		"OneAfterTheOther": {chain(40), `1`},
		"Patterns": {
			`{"allOf":[` + strings.TrimSuffix(strings.Repeat(`{"pattern":"(a?){50}b"},`, 200), ",") + `]}`, `"` + strings.Repeat("a", 200_000) + `"`,
		},
		"Enums": {
			`{"items":{"enum":[` + strings.TrimSuffix(strings.Repeat(`"aaaaaaaa",`, 2000), ",") + `]}}`, `[` + strings.TrimSuffix(strings.Repeat(`"b",`, 60_000), ",") + `]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiled, err := catalogue.Compile([]byte(c.schema))
			if err != nil {
				t.Fatal(err)
			}
			err = compiled.Validate([]byte(c.data))
			if bad, ok := errors.AsType[*catalogue.Violation](err); !ok || !strings.Contains(bad.Reason, "too long") {
				t.Errorf("got %v", err)
			}
			if err := compiled.Validate([]byte(c.data)); err == nil {
				t.Error("the second time it was taken")
			}
		})
	}
}

// chain is a schema in which each part applies the next one twice.
func chain(n int) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/a0","$defs":{`)
	for i := range n {
		next := `{"$ref":"#/$defs/a` + string(rune('0'+(i+1)/10)) + string(rune('0'+(i+1)%10)) + `"}`
		name := `a` + string(rune('0'+i/10)) + string(rune('0'+i%10))
		if i == 0 {
			name = "a0"
		}
		b.WriteString(`"` + name + `":{"allOf":[` + next + `,` + next + `]},`)
	}
	b.WriteString(`"a` + string(rune('0'+n/10)) + string(rune('0'+n%10)) + `":{}}}`)
	return b.String()
}

// An ordinary event of the largest size is far from the bound.
func TestALargeEventIsValidated(t *testing.T) {
	t.Parallel()
	compiled, err := catalogue.Compile([]byte(`{"type":"array","items":{"type":"object","required":["sku","n"],"additionalProperties":false,
		"properties":{"sku":{"type":"string","pattern":"^[A-Z]{2}-[0-9]+$"},"n":{"type":"integer","minimum":1},"tags":{"type":"array","uniqueItems":true}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	item := `{"sku":"AB-12345","n":3,"tags":["a","b","c"]},`
	data := `[` + strings.TrimSuffix(strings.Repeat(item, webhook.MaxDataBytes/len(item)), ",") + `]`
	if err := compiled.Validate([]byte(data)); err != nil {
		t.Error(err)
	}
}
