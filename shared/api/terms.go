package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"webhookrelay/shared/retry"
	"webhookrelay/shared/webhook"
)

// termsView shows an endpoint's terms; null stands for the relay's own.
type termsView struct {
	TimeoutSeconds *int      `json:"timeout_seconds"`
	RetrySchedule  []int64   `json:"retry_schedule"`
	RateLimit      *rateView `json:"rate_limit"`
	MaxConcurrency *int      `json:"max_concurrency"`
}

type rateView struct {
	Count   int `json:"count"`
	Seconds int `json:"seconds"`
}

func viewTerms(t webhook.Terms) termsView {
	var view termsView
	if t.Timeout > 0 {
		view.TimeoutSeconds = new(int(t.Timeout / time.Second))
	}
	if t.Schedule != nil {
		view.RetrySchedule = make([]int64, len(t.Schedule))
		for i, wait := range t.Schedule {
			view.RetrySchedule[i] = int64(wait / time.Second)
		}
	}
	if t.Rate != (webhook.Rate{}) {
		view.RateLimit = &rateView{t.Rate.Count, int(t.Rate.Window / time.Second)}
	}
	if t.Concurrency > 0 {
		view.MaxConcurrency = &t.Concurrency
	}
	return view
}

// reader reads one member of a request.
type reader = func(raw json.RawMessage) error

// given reads a member into a target that is nil unless the member is there.
func given[T any](target **T, read func(*T) reader) reader {
	return func(raw json.RawMessage) error {
		*target = new(T)
		return read(*target)(raw)
	}
}

// orNull lets a member be null, which stands for the relay's own.
func orNull(read reader) reader {
	return func(raw json.RawMessage) error {
		if bytes.Equal(raw, []byte("null")) {
			return nil
		}
		return read(raw)
	}
}

// intoCount reads a number above 0, or null.
func intoCount(field string, target *int) reader {
	return orNull(func(raw json.RawMessage) error {
		if err := into(field, "a whole number or null", target)(raw); err != nil {
			return err
		}
		if *target < 1 {
			return &webhook.Invalid{Field: field, Reason: "must be at least 1, or null for the relay's own"}
		}
		return nil
	})
}

// maxSeconds bounds numbers of seconds before they become a time.Duration, which
// could overflow. What is allowed, the registry says.
const maxSeconds = 1_000_000

func seconds(n int) time.Duration { return time.Duration(max(-1, min(n, maxSeconds))) * time.Second }

// intoSeconds reads a number of seconds above 0, or null.
func intoSeconds(field string, target *time.Duration) reader {
	return orNull(func(raw json.RawMessage) error {
		var n int
		err := intoCount(field, &n)(raw)
		*target = seconds(n)
		return err
	})
}

// intoSchedule reads a list of waits in seconds, or null. A target that is read
// is not nil.
func intoSchedule(field string, target *[]time.Duration) reader {
	return orNull(func(raw json.RawMessage) error {
		const want = "a list of whole numbers of seconds, or null"
		var waits []*int
		if err := into(field, want, &waits)(raw); err != nil {
			return err
		}
		if slices.Contains(waits, nil) {
			return &webhook.Invalid{Field: field, Reason: "must be " + want}
		}
		if len(waits) > retry.MaxSteps {
			return &webhook.Invalid{Field: field, Reason: fmt.Sprintf("must hold at most %d waits", retry.MaxSteps)}
		}
		*target = make([]time.Duration, len(waits))
		for i, wait := range waits {
			(*target)[i] = seconds(*wait)
		}
		return nil
	})
}

// intoRate reads a rate limit, or null.
func intoRate(field string, target *webhook.Rate) reader {
	return orNull(func(raw json.RawMessage) error {
		var window int
		err := decodeObject(raw, maxDepth, fields{
			"count":   into("count", "a whole number", &target.Count),
			"seconds": into("seconds", "a whole number", &window),
		})
		if bad, ok := errors.AsType[*webhook.Invalid](err); ok {
			return &webhook.Invalid{Field: field + "." + bad.Field, Reason: bad.Reason}
		}
		if err != nil {
			return &webhook.Invalid{Field: field, Reason: `must be an object such as {"count":10,"seconds":1}, or null`}
		}
		if target.Count < 1 || window < 1 {
			return &webhook.Invalid{Field: field, Reason: "needs a count and seconds, each at least 1"}
		}
		target.Window = seconds(window)
		return nil
	})
}

// intoStrings reads an object of strings into target, which is then not nil.
func intoStrings(field string, target *map[string]string) reader {
	return func(raw json.RawMessage) error {
		bad := func(reason string) error { return &webhook.Invalid{Field: field, Reason: reason} }
		if raw[0] != '{' {
			return bad("must be an object whose values are strings")
		}
		*target = make(map[string]string)
		for name, value := range membersOf(raw) {
			if _, twice := (*target)[name]; twice {
				return bad("has " + strconv.Quote(name) + " twice")
			}
			if value[0] != '"' {
				return bad("must be an object whose values are strings")
			}
			(*target)[name] = unquote(value)
		}
		return nil
	}
}
