package simulate

import (
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/sweep"
)

// What the sweeper function and its schedule set.
const (
	sweepInterval = time.Minute
	sweepTimeout  = time.Minute
	sweepReserve  = 10 * time.Second
)

// planSweep sees to the sweeper's next run. It runs every minute; runs that
// would find nothing held and the day's walk done are left out.
func (w *World) planSweep() {
	if !w.begun || w.sweeping > 0 {
		return
	}
	now := w.Now()
	next := now
	if s := w.tables.sweep; s.Done && s.Day == now.Format(time.DateOnly) {
		next = now.Truncate(24 * time.Hour).Add(24 * time.Hour) // the next walk
	}
	if held, ok := w.tables.nextHeld(); ok && held.Add(-sweepInterval).Before(next) {
		next = held.Add(-sweepInterval)
	}
	next = later(next, now).Add(sweepInterval - time.Millisecond).Truncate(sweepInterval)
	if !w.sweeps.IsZero() && !next.Before(w.sweeps) {
		return
	}
	w.sweeps = next
	w.plans++
	plan := w.plans
	w.at(next, func() {
		if plan != w.plans {
			return // an earlier run was planned since
		}
		w.sweeps = time.Time{}
		switch w.strike(opSchedule) {
		case Throttled:
			w.after(time.Millisecond, w.planSweep)
		case Twice:
			w.sweep()
			w.sweep()
		default:
			w.sweep()
		}
	})
}

func (w *World) sweep() {
	w.sweeping++
	h := &host{}
	jitter := func() float64 { return h.p.jitter }
	p := w.start("sweeper", sweepTimeout, func(p *process) {
		h.p = p
		s := sweep.Sweeper{
			Store: wrap[sweep.Store](store{h}, w.config.Seams.SweepStore), Queue: wrap[sweep.Queue](line{h}, w.config.Seams.SweepQueue),
			Breaker: w.breaker(jitter), Lifetime: breaker.Lifetime(w.config.Schedule), Interval: sweepInterval, Rate: sweep.DefaultRate,
			Now: h.now, Log: silent,
		}
		// Errors are logged, and it is called again in a minute.
		_, _ = s.Release(p.ctx)
		_ = s.Run(p.ctx)
	}, func(*process, bool) {
		w.sweeping--
		w.after(time.Millisecond, w.planSweep)
	})
	w.at(p.deadline.Add(-sweepReserve), p.cancel)
}

func (w *World) breaker(jitter func() float64) breaker.Policy {
	return breaker.Policy{Failures: w.config.Breaker, Window: 10 * time.Minute, DisableAfter: w.config.DisableAfter, Rand: jitter}
}
