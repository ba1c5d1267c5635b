// Package retry says when a failed delivery is tried again, or that it is not.
package retry

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"webhookrelay/shared/webhook"
)

// DefaultSchedule waits 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h: eight
// attempts over 27.6 hours.
const DefaultSchedule = "5s,5m,30m,2h,5h,10h,10h"

// Bounds of a schedule, and of what a receiver may ask for.
const (
	MaxSteps = 25
	// MaxTotal bounds all waits together: with jitter they must end while the
	// event is kept (see config.MinRetentionDays).
	MaxTotal = 80 * time.Hour
	// MaxRetryAfter bounds a receiver's Retry-After.
	MaxRetryAfter = 12 * time.Hour
)

// jitter is the largest part of a step added to it, so that deliveries that
// failed together do not come back together. Only added, never taken away: the
// advertised step is a minimum.
const jitter = 0.2

// Policy turns a failed attempt into the next one's time. The zero Policy
// never retries.
type Policy struct {
	// Schedule holds the waits after the 1st, 2nd … attempt; n waits make n+1 attempts.
	Schedule []time.Duration
	// Rand returns a number in [0,1); nil means no jitter.
	Rand func() float64
}

// ParseSchedule reads comma-separated durations such as "5s,5m,2h". An empty
// string is a schedule without retries.
func ParseSchedule(text string) ([]time.Duration, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	schedule := make([]time.Duration, len(parts))
	for i, part := range parts {
		step, err := time.ParseDuration(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("retry schedule: wait %d, %q, is not a duration such as 30s, 5m or 2h", i+1, part)
		}
		schedule[i] = step
	}
	if err := Check(schedule); err != nil {
		return nil, err
	}
	return schedule, nil
}

// Check returns an error unless schedule has at most 25 waits of together at most
// 80 hours, none below 0.
func Check(schedule []time.Duration) error {
	if len(schedule) > MaxSteps {
		return fmt.Errorf("retry schedule has %d waits, at most %d are allowed", len(schedule), MaxSteps)
	}
	var total time.Duration
	for i, step := range schedule {
		if step < 0 || step > MaxTotal {
			return fmt.Errorf("retry schedule: wait %d, %s, is not between 0s and %s", i+1, step, MaxTotal)
		}
		total += step
	}
	if total > MaxTotal {
		return fmt.Errorf("retry schedule: it takes %s in all, at most %s are allowed", total, MaxTotal)
	}
	return nil
}

// Next returns the wait after the spent-th attempt of a budget ended in r, and
// the rule that set it; ok is false when the budget is spent.
//
// A Retry-After longer than the step replaces it, up to MaxRetryAfter. 429, 502
// and 504 double the step (Standard Webhooks 1.0.0 asks to throttle on them).
func (p Policy) Next(spent int, r webhook.Result) (wait time.Duration, cause webhook.NextCause, ok bool) {
	if spent < 1 || spent > len(p.Schedule) {
		return 0, "", false
	}
	wait, cause = p.Schedule[spent-1], webhook.NextSchedule
	switch r.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		wait, cause = 2*wait, webhook.NextSlowDown
	}
	if asked := min(r.RetryAfter, MaxRetryAfter); asked > wait {
		wait, cause = asked, webhook.NextRetryAfter
	}
	if p.Rand != nil {
		wait += time.Duration(p.Rand() * jitter * float64(wait))
	}
	return wait, cause, true
}
