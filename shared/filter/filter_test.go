package filter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/filter"
	"webhookrelay/shared/webhook"
)

func event(data string) webhook.Event {
	return webhook.Event{
		Type: "order.placed", ID: "o-1", Channels: []webhook.Channel{"eu"}, Timestamp: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Body: []byte(`{"type":"order.placed","data":` + data + `}`),
	}
}

func endpoint(expression string) webhook.Endpoint {
	return webhook.Endpoint{State: webhook.EndpointEnabled, Filter: expression}
}

const order = `{"total":120.5,"n":3,"paid":true,"note":null,"customer":{"tier":"gold","tags":["a","b"]},"lines":[{"sku":"A-1","n":2},{"sku":"B-2","n":1}]}`

func TestWhatMatches(t *testing.T) {
	t.Parallel()
	m := filter.NewMatcher()
	for expression, want := range map[string]bool{
		``:                            true,
		`true`:                        true,
		`type == "order.placed"`:      true,
		`type.startsWith("invoice.")`: false,
		`id == "o-1"`:                 true,
		`"eu" in channels`:            true,
		`timestamp < timestamp("2027-01-01T00:00:00Z") && timestamp.getHours() == 12`: true,
		`headers["webhook-id"] == "o-1"`:                                              true,
		`data.total > 100`:                                                            true,
		`data.total > 100.0 && data.n == 3 && data.n < 4`:                             true,
		`data.paid == true && data.note == null`:                                      true,
		`data.customer.tier in ["gold", "silver"]`:                                    true,
		`has(data.customer.city) && data.customer.city == "Köln"`:                     false,
		`data.lines.exists(l, l.sku.startsWith("B") && l.n > 0)`:                      true,
		`data.lines.all(l, l.n > 1)`:                                                  false,
		`size(data.lines) == 2 && data.lines[0].sku.matches("^[A-Z]-[0-9]")`:          true,
		`data.customer.tags.map(x, x + "!").exists(x, x == "a!")`:                     true,
		`data.total > 1000 || data.customer.tier == "gold"`:                           true,
		`data.missing == 1 || data.paid == true`:                                      true, // one true part settles it
		`data.missing == 1 && data.paid == false`:                                     false,
	} {
		got, err := m.Wants(endpoint(expression), filter.NewSubject(event(order)))
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", expression, got, err, want)
		}
	}
}

func TestTypesAndChannelsAreAskedFirst(t *testing.T) {
	t.Parallel()
	m := filter.NewMatcher()
	failing := endpoint(`data.missing.deeper == 1`)
	failing.EventTypes = []webhook.Pattern{"invoice.*"}
	for name, change := range map[string]func(*webhook.Endpoint){
		"AnotherType":    func(*webhook.Endpoint) {},
		"AnotherChannel": func(e *webhook.Endpoint) { e.EventTypes, e.Channels = nil, []webhook.Channel{"us"} },
		"Disabled":       func(e *webhook.Endpoint) { e.EventTypes, e.State = nil, webhook.EndpointDisabled },
	} {
		e := failing
		change(&e)
		if wants, err := m.Wants(e, filter.NewSubject(event(order))); wants || err != nil {
			t.Errorf("%s: %v, %v", name, wants, err)
		}
	}
	by := filter.Selection{EventTypes: []webhook.Pattern{"order.*"}, Channels: []webhook.Channel{"eu"}, Filter: `data.n == 3`}
	if selects, err := m.Selects(by, filter.NewSubject(event(order))); !selects || err != nil {
		t.Errorf("%v, %v", selects, err)
	}
	by.Filter = `data.n == 4`
	if selects, err := m.Selects(by, filter.NewSubject(event(order))); selects || err != nil {
		t.Errorf("%v, %v", selects, err)
	}
}

func TestAFilterIsRefusedWithPlaceAndReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ expression, says string }{
		"Syntax":             {`data.total >`, "line 1, column 13"},
		"UnknownName":        {"data.total > 1 &&\n dat.n == 1", "undeclared reference to 'dat' (did you mean 'data'?) (line 2, column 2)"},
		"WrongArguments":     {`type > 1`, "no matching overload"},
		"NoBoolean":          {`data.total + 1.0`, "true or false"},
		"PerhapsNoBoolean":   {`data.paid`, "data.paid == true"},
		"AString":            {`"true"`, "true or false"},
		"ThreeLoops":         {`data.a.all(x, data.b.all(y, data.c.all(z, x == y && y == z)))`, "cost too much"},
		"TooLong":            {`type == "` + strings.Repeat("x", webhook.MaxFilterLength) + `"`, "at most 2048 bytes"},
		"TooDeep":            {strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), "does not compile"},
		"APatternFromAnyone": {`type.matches(data.pattern)`, "must be a literal (line 1"},
		"ABrokenPattern":     {`type.matches("(")`, "missing closing )"},
		"ACostlyPattern":     {`type.matches("(.{0,500}x){2}")`, "repeats more"},
		"AFunctionOfNobody":  {`env("HOME") == ""`, "undeclared reference to 'env'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := filter.Check("filter", c.expression)
			bad, ok := errors.AsType[*webhook.Invalid](err)
			if !ok || bad.Field != "filter" || !strings.Contains(bad.Reason, c.says) {
				t.Errorf("got %v, want an Invalid that says %q", err, c.says)
			}
		})
	}
}

func TestAFilterThatFailsSaysWhereAndWhy(t *testing.T) {
	t.Parallel()
	m := filter.NewMatcher()
	for name, c := range map[string]struct{ expression, data, says string }{
		"AMissingMember":     {`data.total > 1.0 && data.city == "x"`, order, "no such key: city (line 1, column"},
		"AnotherTypeOfValue": {`data.total.startsWith("x")`, order, "no such overload"},
		"NoObject":           {`data.total > 1.0`, `[]`, "(line 1, column"},
		"ANumberBeyondFloat": {`data.total > 1.0`, `{"total":1e999}`, "number"},
		"TooMuch":            {`data.all(x, data.all(y, x + y >= 0))`, `[` + strings.TrimSuffix(strings.Repeat("1,", 2000), ",") + `]`, "cost limit"},
		"AnOldOne":           {`nonsense(`, order, "does not compile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wants, err := m.Wants(endpoint(c.expression), filter.NewSubject(event(c.data)))
			if fault, ok := errors.AsType[*filter.Fault](err); wants || !ok || !strings.Contains(fault.Error(), c.says) {
				t.Errorf("got %v, %v, want a Fault that says %q", wants, err, c.says)
			}
		})
	}
}

func TestTheFiltersOfATenantShareABudget(t *testing.T) {
	t.Parallel()
	m, s := filter.NewMatcher(), filter.NewSubject(event(`[`+strings.TrimSuffix(strings.Repeat("1,", 350), ",")+`]`))
	asked := 0
	for i := range 1000 {
		_, err := m.Wants(endpoint(fmt.Sprintf(`data.all(x, data.all(y, x + y > 0 && %d > 0))`, i+1)), s)
		if err == nil {
			asked++
		}
	}
	if asked == 0 || asked > 50 {
		t.Errorf("%d filters were asked", asked)
	}
}

func TestAnExplanationNamesWhatDecided(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expression string
		result     string
		decided    []string
	}{
		"OneCondition":      {`data.total > 200.0`, "no", []string{`data.total > 200.0 = false: data.total = 120.5`}},
		"TheFirstThatIsNot": {`type == "order.placed" && data.customer.tier == "iron" && data.n == 3`, "no", []string{`data.customer.tier == "iron" = false: data.customer.tier = "gold"`}},
		"AllThatAre":        {`data.n == 3 && data.paid == true`, "yes", []string{`data.n == 3 = true: data.n = 3`, `data.paid == true = true: data.paid = true`}},
		"TheOneOfSeveral":   {`data.n == 4 || data.paid == true`, "yes", []string{`data.paid == true = true: data.paid = true`}},
		"NoneOfSeveral":     {`data.n == 4 || id == "x"`, "no", []string{`data.n == 4 = false: data.n = 3`, `id == "x" = false: id = "o-1"`}},
		"WhatIsNegated":     {`!(data.n == 3)`, "no", []string{`data.n == 3 = true: data.n = 3`}},
		"TheBranchTaken":    {`data.paid == true ? data.n == 4 : true`, "no", []string{`data.paid == true = true: data.paid = true`, `data.n == 4 = false: data.n = 3`}},
		"ALoop":             {`data.customer.tags.exists(x, x == "c")`, "no", []string{`data.customer.tags.exists(x, x == "c") = false: data.customer.tags = ["a","b"]`}},
		"WhatFailed":        {`data.n == 3 && data.city == "x"`, "fails", []string{`data.city == "x" fails`}},
		"WhetherThereIsOne": {`has(data.city)`, "no", []string{`has(data.city) = false`}},
		"WithoutAnything":   {``, "yes", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, err := filter.Explain("filter", c.expression, event(order))
			if err != nil {
				t.Fatal(err)
			}
			result := map[bool]string{true: "yes", false: "no"}[x.Matches]
			if x.Fault != nil {
				result = "fails"
			}
			var decided []string
			for _, part := range x.Decided {
				text := part.Expression
				if part.Fault != "" || part.Value == nil {
					text += " fails"
				} else {
					text += " = " + string(part.Value)
					for _, of := range part.Of {
						text += ": " + of.Expression + " = " + string(of.Value)
					}
				}
				decided = append(decided, text)
			}
			if result != c.result {
				t.Errorf("%s, want %s (%v)", result, c.result, x.Fault)
			}
			if diff := cmp.Diff(c.decided, decided); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := filter.Explain("filter", `nonsense(`, event(order)); err == nil {
		t.Error("an expression that is none was explained")
	}
}

// What anybody may send must neither stop the relay nor make it say both yes and no.
func FuzzFilter(f *testing.F) {
	for _, expression := range []string{
		`data.total > 100 && has(data.x)`, `data.lines.exists(l, l.sku.matches("^A"))`, `timestamp(data.t) < timestamp`,
		`data.a.map(x, x.y)[0] == 1`, `type.size() % 2 == 0 ? true : data == null`, `duration("1h") > duration(data.d)`, "\"\\u0000\" in channels",
	} {
		f.Add(expression, order)
	}
	f.Add(`data.all(x, data.all(y, x == y))`, `[[1],[2]]`)
	f.Fuzz(func(t *testing.T, expression, data string) {
		wants, err := filter.NewMatcher().Wants(endpoint(expression), filter.NewSubject(event(data)))
		if _, ok := errors.AsType[*filter.Fault](err); err != nil && (!ok || wants) {
			t.Fatalf("%v, %v", wants, err)
		}
		x, explainErr := filter.Explain("filter", expression, event(data))
		if explainErr == nil && err == nil && x.Fault == nil && x.Matches != wants {
			t.Errorf("matches: %v, explained: %v", wants, x.Matches)
		}
	})
}

func BenchmarkWants(b *testing.B) {
	m, e := filter.NewMatcher(), endpoint(`data.total > 100.0 && data.customer.tier in ["gold", "silver"]`)
	for b.Loop() {
		if wants, err := m.Wants(e, filter.NewSubject(event(order))); !wants || err != nil {
			b.Fatal(err)
		}
	}
}
