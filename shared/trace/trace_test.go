package trace_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/trace"
	"webhookrelay/shared/webhook"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func headers(parents []string, states ...string) http.Header {
	h := http.Header{}
	for _, p := range parents {
		h.Add("traceparent", p)
	}
	for _, s := range states {
		h.Add("tracestate", s)
	}
	return h
}

func TestParent(t *testing.T) {
	t.Parallel()
	const id, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for rule, tc := range map[string]struct {
		in   []string
		want string
	}{
		"AValidOneIsKept":                {[]string{parent}, parent},
		"SpacesAroundItAreNoPartOfIt":    {[]string{" " + parent + "\t"}, parent},
		"NotSampledStaysSo":              {[]string{"00-" + id + "-" + span + "-00"}, "00-" + id + "-" + span + "-00"},
		"UnknownFlagsAreCleared":         {[]string{"00-" + id + "-" + span + "-ff"}, "00-" + id + "-" + span + "-03"},
		"ALaterVersionIsContinuedAsThis": {[]string{"cc-" + id + "-" + span + "-01-what-comes"}, parent},
		"ALaterVersionMayEndThere":       {[]string{"cc-" + id + "-" + span + "-01"}, parent},
		"ThisVersionHasNothingMore":      {[]string{parent + "-more"}, ""},
		"ALaterVersionsMoreIsSetApart":   {[]string{"cc-" + id + "-" + span + "-01more"}, ""},
		"VersionFFIsInvalid":             {[]string{"ff-" + id + "-" + span + "-01"}, ""},
		"ATraceOfZerosIsInvalid":         {[]string{"00-" + strings.Repeat("0", 32) + "-" + span + "-01"}, ""},
		"ASpanOfZerosIsInvalid":          {[]string{"00-" + id + "-0000000000000000-01"}, ""},
		"CapitalsAreInvalid":             {[]string{strings.ToUpper(parent)}, ""},
		"WhatIsNotHexadecimalIsInvalid":  {[]string{"00-" + id + "-" + span + "-0g"}, ""},
		"OtherSeparatorsAreInvalid":      {[]string{strings.ReplaceAll(parent, "-", "_")}, ""},
		"AShortOneIsInvalid":             {[]string{parent[:54]}, ""},
		"TwoAreNone":                     {[]string{parent, parent}, ""},
		"NoneIsNone":                     {nil, ""},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			if got := trace.Of(headers(tc.in)).Parent; got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	long, short := "l="+strings.Repeat("x", 200), func(key string) string { return key + "=" + strings.Repeat("y", 100) }
	var many []string
	for i := range 33 {
		many = append(many, string(rune('a'+i/10))+string(rune('0'+i%10))+"=1")
	}
	for rule, tc := range map[string]struct {
		in   []string
		want string
	}{
		"MembersStayInOrder":              {[]string{"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
		"LinesAreJoined":                  {[]string{"a=1", "b=2"}, "a=1,b=2"},
		"EmptyMembersAndSpacesAreLeftOut": {[]string{" a=1 ,, b=2\t,"}, "a=1,b=2"},
		"AKeyMayNameATenant":              {[]string{"4ab@vendor=1"}, "4ab@vendor=1"},
		"AMemberWithoutValueSpoilsAll":    {[]string{"a=1,b"}, ""},
		"ACapitalKeySpoilsAll":            {[]string{"A=1"}, ""},
		"AKeyOnItsOwnBeginsWithALetter":   {[]string{"1a=1"}, ""},
		"ASecondOfTheSameKeySpoilsAll":    {[]string{"a=1,a=2"}, ""},
		"AnEqualsSignInAValueSpoilsAll":   {[]string{"a=1=2"}, ""},
		"ALineBreakSpoilsAll":             {[]string{"a=1\r\nX-Evil: 1"}, ""},
		"LettersBeyondASCIISpoilAll":      {[]string{"a=é"}, ""},
		"ThirtyTwoMembersAreAllowed":      {[]string{strings.Join(many[:32], ",")}, strings.Join(many[:32], ",")},
		"AndNoMore":                       {[]string{strings.Join(many, ",")}, ""},
		"LongMembersAreLeftOutFirst":      {[]string{strings.Join([]string{short("a"), long, short("b"), short("c"), short("d")}, ",")}, strings.Join([]string{short("a"), short("b"), short("c"), short("d")}, ",")},
		"ThenThoseAtTheEnd":               {[]string{strings.Join([]string{short("a"), short("b"), short("c"), short("d"), short("e"), short("f")}, ",")}, strings.Join([]string{short("a"), short("b"), short("c"), short("d")}, ",")},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(webhook.Trace{Parent: parent, State: tc.want}, trace.Of(headers([]string{parent}, tc.in...))); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("WithoutAParentThereIsNone", func(t *testing.T) {
		t.Parallel()
		if got := trace.Of(headers(nil, "a=1")); got != (webhook.Trace{}) {
			t.Error(got)
		}
	})
}

func TestContinue(t *testing.T) {
	t.Parallel()
	t.Run("EachAttemptIsAChildOfItsOwn", func(t *testing.T) {
		t.Parallel()
		from, seen := webhook.Trace{Parent: parent, State: "a=1"}, map[string]bool{}
		for range 100 {
			h := http.Header{}
			span := trace.Continue(from, h)
			sent := h.Get("traceparent")
			if !regexp.MustCompile(`^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$`).MatchString(sent) || h.Get("tracestate") != "a=1" {
				t.Fatalf("%v", h)
			}
			if want := (trace.Span{Trace: parent[3:35], Parent: parent[36:52], ID: sent[36:52]}); span != want {
				t.Fatalf("%+v, want %+v", span, want)
			}
			if seen[span.ID] || span.ID == span.Parent {
				t.Fatalf("%s again", span.ID)
			}
			seen[span.ID] = true
		}
	})
	t.Run("WithoutATraceNothingIsSent", func(t *testing.T) {
		t.Parallel()
		h := http.Header{}
		if span := trace.Continue(webhook.Trace{}, h); span != (trace.Span{}) || len(h) != 0 {
			t.Errorf("%+v %v", span, h)
		}
	})
}

// FuzzOf: whatever comes, what is kept may be sent, and is read as the same again.
func FuzzOf(f *testing.F) {
	f.Add(parent, "a=1,b=2")
	f.Add("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", "4ab@v=x y,")
	f.Fuzz(func(t *testing.T, p, s string) {
		got := trace.Of(headers([]string{p}, s))
		if len(got.Parent) != 0 && len(got.Parent) != 55 || len(got.State) > 512 {
			t.Fatalf("%+v", got)
		}
		if strings.ContainsFunc(got.Parent+got.State, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q", got)
		}
		h := http.Header{}
		trace.Continue(got, h)
		again := trace.Of(h)
		if again.State != got.State || (again.Parent == "") != (got.Parent == "") {
			t.Fatalf("%+v read again as %+v", got, again)
		}
	})
}
