package webhook_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/webhook"
)

func TestTermsAreCheckedAgainstTheirLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		terms webhook.Terms
		field string
	}{
		"NothingIsAskedFor":       {webhook.Terms{}, ""},
		"AllAtTheirLimits":        {webhook.Terms{Timeout: 30 * time.Second, Rate: webhook.Rate{Count: 500, Window: time.Hour}, Concurrency: 10}, ""},
		"ATimeoutTooShort":        {webhook.Terms{Timeout: time.Millisecond}, "timeout_seconds"},
		"ATimeoutTooLong":         {webhook.Terms{Timeout: 31 * time.Second}, "timeout_seconds"},
		"ARateOfNothing":          {webhook.Terms{Rate: webhook.Rate{Window: time.Second}}, "rate_limit.count"},
		"ARateTooHigh":            {webhook.Terms{Rate: webhook.Rate{Count: 501, Window: time.Second}}, "rate_limit.count"},
		"AWindowTooLong":          {webhook.Terms{Rate: webhook.Rate{Count: 1, Window: 3601 * time.Second}}, "rate_limit.seconds"},
		"AWindowOfPartsOfSeconds": {webhook.Terms{Rate: webhook.Rate{Count: 1, Window: 1500 * time.Millisecond}}, "rate_limit.seconds"},
		"TooMuchAtOnce":           {webhook.Terms{Concurrency: 11}, "max_concurrency"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantField(t, c.terms.Check(), c.field)
		})
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	switch bad, is := errors.AsType[*webhook.Invalid](err); {
	case field == "" && err != nil:
		t.Errorf("got %v", err)
	case field != "" && (!is || bad.Field != field):
		t.Errorf("got %v, want it to be about %s", err, field)
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := webhook.Rate{
			Count:  rapid.IntRange(1, webhook.MaxRateCount).Draw(t, "count"),
			Window: time.Duration(rapid.IntRange(1, 3600).Draw(t, "seconds")) * time.Second,
		}
		now := time.UnixMilli(rapid.Int64Range(1_700_000_000_000, 4_000_000_000_000).Draw(t, "now"))
		first, beyond := rate.First(now), rate.Beyond(now)
		if at := rate.At(first); at.After(now) || now.Sub(at) >= rate.Window {
			t.Fatalf("the first turn begins at %s, now %s", at, now)
		}
		if rate.At(first-1).Equal(rate.At(first)) || !rate.At(first+int64(rate.Count)-1).Equal(rate.At(first)) {
			t.Fatalf("a window has not %d turns", rate.Count)
		}
		if beyond < first+int64(rate.Count) || beyond > first+max(int64(rate.Count), webhook.MaxTurnsAhead) {
			t.Fatalf("turns from %d to %d are given", first, beyond)
		}
		if last := rate.At(beyond - 1); last.After(now.Add(webhook.MaxTurnWait)) {
			t.Fatalf("a turn at %s is given, now %s", last, now)
		}
	})
}

func TestLabelsHaveTheFormOfIDs(t *testing.T) {
	t.Parallel()
	many := make([]webhook.Tag, 21)
	for i := range many {
		many[i] = webhook.Tag(strings.Repeat("a", i+1))
	}
	for name, c := range map[string]struct {
		labels []webhook.Tag
		field  string
	}{
		"None":        {nil, ""},
		"AsManyAsMay": {many[:20], ""},
		"OneTooMany":  {many, "tags"},
		"ADot":        {[]webhook.Tag{"a.b"}, "tags"},
		"AnEmptyOne":  {[]webhook.Tag{""}, "tags"},
		"OneTwice":    {[]webhook.Tag{"a", "b", "a"}, "tags"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantField(t, webhook.CheckLabels("tags", c.labels, webhook.MaxTags), c.field)
		})
	}
}

func TestMetadataIsBounded(t *testing.T) {
	t.Parallel()
	full := map[string]string{}
	for i := range 8 {
		full[strings.Repeat("k", i+1)] = strings.Repeat("v", 250)
	}
	for name, c := range map[string]struct {
		metadata map[string]string
		field    string
	}{
		"None":                {nil, ""},
		"AnEmptyValue":        {map[string]string{"a": ""}, ""},
		"NearlyTwoKiB":        {full, "metadata"},
		"AValueTooLong":       {map[string]string{"a": strings.Repeat("v", 257)}, "metadata.a"},
		"AControlCharacter":   {map[string]string{"a": "\x00"}, "metadata.a"},
		"ANameThatIsNotAName": {map[string]string{"a b": ""}, "metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "NearlyTwoKiB" { // 2,036 bytes; one value of 20 bytes more is too much
				wantField(t, webhook.CheckMetadata(c.metadata), "")
				c.metadata["more"] = strings.Repeat("v", 20)
			}
			wantField(t, webhook.CheckMetadata(c.metadata), c.field)
		})
	}
}

func TestAnEndpointWithChannelsWantsOnlyEventsWithOneOfThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		has, asks []webhook.Channel
		state     webhook.EndpointState
		want      bool
	}{
		"NoneAskedForTakesAll":       {[]webhook.Channel{"a"}, nil, webhook.EndpointEnabled, true},
		"OneOfSeveral":               {[]webhook.Channel{"x", "b"}, []webhook.Channel{"a", "b"}, webhook.EndpointEnabled, true},
		"NoneOfThem":                 {[]webhook.Channel{"x"}, []webhook.Channel{"a", "b"}, webhook.EndpointEnabled, false},
		"AnEventWithout":             {nil, []webhook.Channel{"a"}, webhook.EndpointEnabled, false},
		"APausedEndpointMatches":     {nil, nil, webhook.EndpointPaused, true},
		"ADisabledEndpointMatchesNo": {nil, nil, webhook.EndpointDisabled, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := webhook.Endpoint{State: c.state, Channels: c.asks, EventTypes: []webhook.Pattern{"order.*"}}
			if got := e.Wants("order.placed", c.has); got != c.want {
				t.Errorf("got %v", got)
			}
			if e.Wants("user.created", c.has) {
				t.Error("another type matches")
			}
		})
	}
}
