package webhook

import (
	"fmt"
	"time"
)

// Terms are how an endpoint's owner wants deliveries to be made. The zero Terms
// leave everything to the relay.
type Terms struct {
	// Timeout bounds an attempt; 0 is the relay's own.
	Timeout time.Duration
	// Schedule holds the waits between attempts. Nil is the operator's; empty but
	// not nil makes one attempt only.
	Schedule []time.Duration
	// Rate bounds the attempts that begin in a while; the zero Rate does not.
	Rate Rate
	// Concurrency bounds the attempts that one dispatcher makes at once; 0 is the
	// relay's own bound.
	Concurrency int
}

// Limits of an endpoint's terms.
const (
	MinTimeout     = time.Second
	MaxTimeout     = 30 * time.Second
	MaxConcurrency = 10
	// MaxRateCount keeps the turns of one endpoint, each of which is a write to the
	// same row, well within the 1,000 a second that DynamoDB takes for one key.
	MaxRateCount  = 500
	MaxRateWindow = time.Hour
)

// Check returns an *Invalid unless timeout, rate and concurrency are within their
// limits. Package retry checks schedules.
func (t Terms) Check() error {
	if t.Timeout != 0 && (t.Timeout < MinTimeout || t.Timeout > MaxTimeout) {
		return invalid("timeout_seconds", "must be from %d to %d, or null for the relay's own", MinTimeout/time.Second, MaxTimeout/time.Second)
	}
	if t.Rate != (Rate{}) {
		if t.Rate.Count < 1 || t.Rate.Count > MaxRateCount {
			return invalid("rate_limit.count", "must be from 1 to %d", MaxRateCount)
		}
		if t.Rate.Window < time.Second || t.Rate.Window > MaxRateWindow || t.Rate.Window%time.Second != 0 {
			return invalid("rate_limit.seconds", "must be from 1 to %d", MaxRateWindow/time.Second)
		}
	}
	if t.Concurrency < 0 || t.Concurrency > MaxConcurrency {
		return invalid("max_concurrency", "must be from 1 to %d, or null for the relay's own", MaxConcurrency)
	}
	return nil
}

// Rate allows Count attempts in each window of the clock. Turns are numbered:
// each window has Count of them, and its attempts may begin with it.
type Rate struct {
	Count  int
	Window time.Duration
}

// Bounds of how far ahead turns are given. Messages that wait for a turn are
// hidden in the queue, and only so many may be.
const (
	MaxTurnsAhead = 100
	MaxTurnWait   = time.Minute
)

// String names the rate, such as "10/1s".
func (r Rate) String() string { return fmt.Sprintf("%d/%s", r.Count, r.Window) }

// First is the first turn of the window that now lies in.
func (r Rate) First(now time.Time) int64 {
	return now.UnixMilli() / r.Window.Milliseconds() * int64(r.Count)
}

// Beyond is the first turn that is not given at now, because it lies too far ahead.
func (r Rate) Beyond(now time.Time) int64 {
	last := r.First(now.Add(MaxTurnWait)) + int64(r.Count)
	return min(last, r.First(now)+max(MaxTurnsAhead, int64(r.Count)))
}

// At is when a turn's window begins.
func (r Rate) At(turn int64) time.Time {
	return time.UnixMilli(turn / int64(r.Count) * r.Window.Milliseconds()).UTC()
}

// Spacing is the time between two attempts at an even pace.
func (r Rate) Spacing() time.Duration { return r.Window / time.Duration(r.Count) }
