package webhook

import "time"

// Health is what the relay remembers of an endpoint's failures. The zero Health
// is that of an endpoint that answers; nothing is written while it does.
type Health struct {
	// Failures counts attempts that failed in a row while the breaker was closed.
	Failures int
	// FailingSince is when the first attempt failed that no success has followed.
	FailingSince time.Time
	// LastFailureAt is when the latest failed.
	LastFailureAt time.Time
	// OpenedAt is when the breaker opened; zero while it is closed.
	OpenedAt time.Time
	// OpenUntil is when the next probe may be made. Before it no attempt is.
	OpenUntil time.Time
	// Warned is how many warnings the operator got since FailingSince.
	Warned int
	// Rev counts the writes, so that of concurrent ones each sees the one before.
	Rev int64
}

// Open reports whether the breaker is open: no attempt is made but probes.
func (h Health) Open() bool { return !h.OpenedAt.IsZero() }

// Well reports whether nothing has failed since the last success.
func (h Health) Well() bool { return h.FailingSince.IsZero() }

// Recovered is the health after a success.
func (h Health) Recovered() Health { return Health{Rev: h.Rev} }

// Closed is the health after a success of which the operator is still to be
// told: the breaker is closed, and the next success finds the rest.
func (h Health) Closed() Health {
	return Health{FailingSince: h.FailingSince, LastFailureAt: h.LastFailureAt, Warned: h.Warned, Rev: h.Rev}
}
