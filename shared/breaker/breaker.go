// Package breaker decides when an endpoint that keeps failing is left alone,
// how often it is probed meanwhile, and when it is given up.
package breaker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/webhook"
)

// Default opens a breaker after 20 failures in a row, no more than 10 minutes
// apart; see Parse.
const Default = "20/10m"

// MaxLifetime bounds how long deliveries are kept on hold, so that their events
// outlast it (see config.MinRetentionDays).
const MaxLifetime = 72 * time.Hour

// DefaultDisableAfter is how long an endpoint may fail before it is disabled.
const DefaultDisableAfter = 5 * 24 * time.Hour

// warnings are the parts of that time, in tenths, after which the operator is warned.
var warnings = [...]time.Duration{2, 5, 8}

// quiet is the longest time between two failures that count as one streak: an
// endpoint that failed once last week is not disabled for failing once today. It
// outlasts the waits of the default schedule.
const quiet = 24 * time.Hour

const (
	// firstWait and maxWait bound the time between probes.
	firstWait = time.Second
	maxWait   = 10 * time.Minute
	// share of an outage's length so far that passes until the next probe: an
	// endpoint that was away for a minute is found well within seconds, one that
	// was away for hours is asked six times an hour.
	share = 10
	// jitter is the largest part of a wait added to it at random.
	jitter = 0.2
)

// Policy turns failures into waits.
type Policy struct {
	// Failures in a row open the breaker, 0 never.
	Failures int
	// Window is the longest time between two failures in a row: an endpoint with
	// little traffic has its retries, and needs no breaker.
	Window time.Duration
	// DisableAfter is how long an endpoint may do nothing but fail, 0 for ever.
	DisableAfter time.Duration
	// Rand returns a number in [0,1); nil means no jitter.
	Rand func() float64
}

// Lifetime is how long deliveries to an endpoint that does not come back are
// kept on hold when nothing else is set: twice the time that their retries
// would take, at most MaxLifetime.
func Lifetime(schedule []time.Duration) time.Duration {
	var total time.Duration
	for _, wait := range schedule {
		total += wait
	}
	return min(2*total, MaxLifetime)
}

// LifetimeOf is general, or what follows from the endpoint's own schedule where
// that is longer.
func LifetimeOf(e webhook.Endpoint, general time.Duration) time.Duration {
	return max(general, Lifetime(e.Terms.Schedule))
}

// Parse reads a count and a window, such as "20/10m".
func Parse(text string) (Policy, error) {
	count, window, ok := strings.Cut(text, "/")
	failures, err := strconv.Atoi(count)
	if err != nil || !ok {
		return Policy{}, fmt.Errorf("%q is not a count and a duration such as 20/10m", text)
	}
	longest, err := time.ParseDuration(window)
	if err != nil {
		return Policy{}, fmt.Errorf("%q is not a count and a duration such as 20/10m", text)
	}
	p := Policy{Failures: failures, Window: longest}
	return p, p.Check()
}

// Check returns an error that names what is wrong with p.
func (p Policy) Check() error {
	if p.Failures < 0 || p.Failures > 10_000 {
		return fmt.Errorf("%d failures: must be from 0 (never) to 10000", p.Failures)
	}
	if p.Window <= 0 || p.Window > 24*time.Hour {
		return fmt.Errorf("window %s: must be above 0s, at most 24h", p.Window)
	}
	return nil
}

// Look is how long after now a delivery is looked at again that a paused endpoint
// has kept waiting since: a tenth of that time, at least a second and at most ten
// minutes.
func (p Policy) Look(since, now time.Time) time.Duration {
	return p.Wait(webhook.Health{OpenedAt: since}, now)
}

// Failed is the health after an attempt that failed at now.
func (p Policy) Failed(h webhook.Health, now time.Time) webhook.Health {
	if h.FailingSince.IsZero() || now.Sub(h.LastFailureAt) > quiet {
		h.FailingSince, h.Warned = now, 0
	}
	if h.Open() {
		h.LastFailureAt = now
		return p.Probe(h, now)
	}
	if now.Sub(h.LastFailureAt) > p.Window {
		h.Failures = 0
	}
	h.Failures, h.LastFailureAt = h.Failures+1, now
	if p.Failures > 0 && h.Failures >= p.Failures {
		h.OpenedAt = now
		return p.Probe(h, now)
	}
	return h
}

// Warnings is how many warnings an endpoint of health h has given cause for at
// now: at 20, 50 and 80 % of the time after which it is disabled.
func (p Policy) Warnings(h webhook.Health, now time.Time) int {
	due := 0
	for _, tenths := range warnings {
		if p.DisableAfter > 0 && !h.Well() && now.Sub(h.FailingSince) >= p.DisableAfter/10*tenths {
			due++
		}
	}
	return due
}

// GivenUp reports whether an endpoint of health h is to be disabled at now.
func (p Policy) GivenUp(h webhook.Health, now time.Time) bool {
	return p.DisableAfter > 0 && !h.Well() && now.Sub(h.FailingSince) >= p.DisableAfter
}

// Probe is the health of an open breaker once a probe is under way at now: the
// next one may be made after a wait.
func (p Policy) Probe(h webhook.Health, now time.Time) webhook.Health {
	h.OpenUntil = now.Add(p.Wait(h, now))
	return h
}

// Wait is how long after now a delivery to an open endpoint is worth another try.
func (p Policy) Wait(h webhook.Health, now time.Time) time.Duration {
	wait := min(max(now.Sub(h.OpenedAt)/share, firstWait), maxWait)
	if p.Rand != nil {
		wait += time.Duration(p.Rand() * jitter * float64(wait))
	}
	return wait
}
