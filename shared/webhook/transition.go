package webhook

import (
	"slices"
	"time"
)

// The methods below are the only ways a delivery changes. Each returns the
// changed copy; the store refuses it when the row's Rev has moved on.

// Succeed records an attempt that the endpoint took: the delivery is delivered
// from any state, because the receiver has the event.
func (d Delivery) Succeed(a Attempt) Delivery {
	d = d.record(a)
	d.State, d.Reason, d.Untold = Delivered, "", false
	d.NextAttemptAt, d.NextCause, d.HeldUntil, d.ParkedAt = time.Time{}, "", time.Time{}, time.Time{}
	return d
}

// Retry records a failed attempt after which another is due at next.
func (d Delivery) Retry(a Attempt, next time.Time, cause NextCause) Delivery {
	d = d.record(a)
	if d.State == Parked && d.NextCause != NextBreaker {
		d.ParkedAt = time.Time{}
	}
	d.State, d.Reason = Retrying, ""
	d.NextAttemptAt, d.NextCause, d.HeldUntil = next, cause, time.Time{}
	return d
}

// Fail records a failed attempt and leaves the state, the schedule and the
// retry budget as they are: the attempt was asked for by hand, or another
// consumer has settled the delivery meanwhile.
func (d Delivery) Fail(a Attempt) Delivery {
	d = d.record(a)
	d.BudgetStart++
	return d
}

// GiveUp records the failed attempt after which the delivery is dead, for reason.
func (d Delivery) GiveUp(a Attempt, reason Reason) Delivery {
	return d.record(a).Die(reason, a.At.Add(a.Duration))
}

// Die ends the delivery at now without an attempt, for reason.
func (d Delivery) Die(reason Reason, now time.Time) Delivery {
	d.State, d.Reason = Dead, reason
	d.NextAttemptAt, d.NextCause, d.HeldUntil = time.Time{}, "", time.Time{}
	d.DiedAt, d.UpdatedAt = now, now
	return d
}

// Cancel ends the delivery at now because it can no longer be made, for reason.
func (d Delivery) Cancel(reason Reason, now time.Time) Delivery {
	d.State, d.Reason, d.Untold = Cancelled, reason, false
	d.NextAttemptAt, d.NextCause, d.HeldUntil = time.Time{}, "", time.Time{}
	d.UpdatedAt = now
	return d
}

// Expunge removes at now for good what the endpoint answered, also to attempts that
// are still under way, and ends the delivery if it is pending.
func (d Delivery) Expunge(now time.Time) Delivery {
	d.Attempts = slices.Clone(d.Attempts)
	for i := range d.Attempts {
		d.Attempts[i].Response = nil
	}
	d.Expunged = true
	if d.Pending() {
		d = d.Cancel(ReasonExpunged, now)
	}
	return d
}

// Reopen gives a dead delivery a fresh retry budget. The next attempt decides its state.
func (d Delivery) Reopen() Delivery {
	d.Untold = false
	d.BudgetStart = d.AttemptCount
	d.ParkedAt = time.Time{}
	return d
}

// Recover gives a dead delivery a fresh retry budget at now, with its first
// attempt at due. Until then the store carries it.
func (d Delivery) Recover(due, now time.Time) Delivery {
	d = d.Reopen()
	d.State, d.Reason = Retrying, ""
	d.NextAttemptAt, d.NextCause = due, NextRecover
	d.UpdatedAt = now
	return d.Hold(due)
}

// Replay schedules the first attempt of a delivery that a job makes at now.
func (d Delivery) Replay(due, now time.Time) Delivery {
	d.NextAttemptAt, d.NextCause = due, NextReplay
	d.UpdatedAt = now
	return d.Hold(due)
}

// Park puts the delivery on hold at now, to be looked at again at until, because
// of cause. What the endpoint's owner made it wait does not count as time that the
// endpoint failed.
func (d Delivery) Park(until, now time.Time, cause NextCause) Delivery {
	if d.ParkedAt.IsZero() || d.State == Parked && d.NextCause != NextBreaker && cause == NextBreaker {
		d.ParkedAt = now
	}
	d.State, d.Reason = Parked, ""
	d.NextAttemptAt, d.NextCause = until, cause
	d.UpdatedAt = now
	return d.Hold(until)
}

// Hold lets the store carry the delivery until then, instead of a message.
func (d Delivery) Hold(until time.Time) Delivery {
	d.HeldUntil = until
	return d
}

func (d Delivery) record(a Attempt) Delivery {
	d.AttemptCount++
	a.Number = d.AttemptCount
	if d.Expunged {
		a.Response = nil
	}
	kept := slices.Clone(d.Attempts)
	if len(kept) > 0 {
		last := &kept[len(kept)-1]
		if len(last.Response) > MaxOldResponseKept {
			last.Response = last.Response[:MaxOldResponseKept]
		}
	}
	kept = append(kept, a)
	if over := len(kept) - MaxAttemptsKept; over > 0 {
		kept = kept[over:]
	}
	d.Attempts = kept
	d.UpdatedAt = a.At.Add(a.Duration)
	return d
}
