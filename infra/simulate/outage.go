package simulate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/sweep"
)

// Outage is an endpoint that fails for a while, under a steady stream of events.
// The dispatcher and the sweeper run over models of the table, the queue and
// Lambda with the limits that World's have, made for very many events, none of
// which fails or is late.
type Outage struct {
	// Length is for how long the endpoint fails, from the first event on.
	Length time.Duration
	// Rate is how many events a second are accepted, each for all endpoints.
	Rate float64
	// Endpoints is how many there are. One fails.
	Endpoints int
	// Hangs: the endpoint gives no answer in time; otherwise it answers 503.
	Hangs bool
	// Schedule holds the waits between attempts.
	Schedule []time.Duration
	// Breaker is the policy; its Rand is the run's own.
	Breaker breaker.Policy
	// Lifetime is how long a delivery may be on hold.
	Lifetime time.Duration
	// Seed decides the random part of waits.
	Seed uint64
	// Scale is how many events each simulated one stands for: rates and limits
	// are divided by it, and counts multiplied. 0 chooses one.
	Scale int
}

// What the template sets, for an outage.
const (
	outageReceives = 30
	outageInFlight = 120_000
	// outageSlots is how many messages are handled at once: the template's
	// dispatchers, each with five attempts to an endpoint at a time.
	outageSlots     = 100 * 5
	outageRetention = 30 * 24 * time.Hour
)

// Check returns an error that says all that is wrong with o.
func (o Outage) Check() error {
	var faults []error
	refuse := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if o.Length <= 0 || o.Length > 14*24*time.Hour {
		refuse("the outage lasts %s: must be above 0s, at most 336h", o.Length)
	}
	if !(o.Rate > 0) || o.Rate > 100_000 {
		refuse("%g events a second: must be above 0, at most 100000", o.Rate)
	}
	if o.Endpoints < 1 || o.Endpoints > 100 {
		refuse("%d endpoints: must be from 1 to 100", o.Endpoints)
	}
	if o.Lifetime < 0 || o.Lifetime > breaker.MaxLifetime {
		refuse("on hold for %s at most: must be from 0s to %s", o.Lifetime, breaker.MaxLifetime)
	}
	if o.Scale < 0 {
		refuse("one event for %d: must not be negative", o.Scale)
	}
	return errors.Join(append(faults, o.Breaker.Check())...)
}

// breaker is the policy for simulated events: with one for many, fewer failures
// open it, so that it opens as early.
func (r *outageRun) breaker() breaker.Policy {
	p := r.Breaker
	p.Rand = r.rand.Float64
	if p.Failures > 0 {
		p.Failures = max(1, (p.Failures+r.Scale/2)/r.Scale)
	}
	return p
}

// Run simulates the outage and what follows, until every delivery of an event
// accepted during it has ended. The same Outage comes to the same report.
func (o Outage) Run() (OutageReport, error) {
	if err := o.Check(); err != nil {
		return OutageReport{}, err
	}
	if o.Scale == 0 {
		var err error
		if o.Scale, err = o.affordable(); err != nil {
			return OutageReport{}, err
		}
	}
	r := o.begin()
	limit := r.until.Add(retry.MaxTotal + keptDead)
	for !r.drained() && r.Now().Before(limit) {
		r.happen()
	}
	report := r.report()
	// What was accepted since is let finish, for the account.
	r.until = r.Now()
	for !r.quiet() && r.Now().Before(limit) {
		r.happen()
	}
	report.Lost = r.lost()
	return report, nil
}

func (o Outage) begin() *outageRun {
	r := &outageRun{
		Outage: o, rand: rand.New(rand.NewPCG(o.Seed, 0x0de)), recovery: epoch.Add(o.Length),
		until: epoch.Add(o.Length + o.Lifetime + retry.MaxTotal), slots: max(1, outageSlots/o.Scale), yields: make(chan yield),
	}
	r.now.Store(epoch.UnixMilli())
	r.queue = newBacklog(r.Now, max(1, outageInFlight/o.Scale))
	r.table = newLedger(o, r.saved)
	r.tally.attempts = map[int]int{}
	r.at(epoch, r.accept)
	r.at(epoch, r.sweep)
	r.at(r.recovery, r.sample)
	return r
}

// drained: the endpoint has recovered, and what was accepted before has ended.
func (r *outageRun) drained() bool {
	return !r.Now().Before(r.recovery) && r.tally.ended >= r.tally.during
}

// quiet: no message is left, the table carries nothing, and no function runs.
func (r *outageRun) quiet() bool {
	return r.queue.live == 0 && r.busy == 0 && r.tally.waiting() == 0
}

// budget is about the processor time that a run may take.
const budget = 18 * time.Second

// scales are what Scale is chosen from. With more for one, the limits that are
// divided by it would be too coarse.
var scales = []int{1, 2, 5, 10, 25, 50, 100, 250, 500}

// affordable is how many events each simulated one must stand for so that the
// run takes no longer than budget.
func (o Outage) affordable() (int, error) {
	cost := o.cost()
	for _, scale := range scales {
		if cost/time.Duration(scale) <= budget {
			return scale, nil
		}
	}
	return 0, fmt.Errorf("%.0f deliveries are too many to simulate: shorten the outage or lower the rate", o.deliveries())
}

func (o Outage) deliveries() float64 { return o.Rate * o.Length.Seconds() * float64(o.Endpoints) }

// cost is about the processor time that a simulation of every event takes; what
// a step costs was measured.
func (o Outage) cost() time.Duration {
	const (
		perDelivery = 40 * time.Microsecond // received and put on hold, released and delivered
		perAttempt  = 30 * time.Microsecond // one more of them
		perNew      = 15 * time.Microsecond // accepted after the recovery
		perLook     = 3 * time.Microsecond  // at one on hold
		perDead     = 200 * time.Microsecond
		// What is on hold is looked at about every so often; the sweeper looks at
		// so many in a minute at most.
		between   = 11 * time.Minute
		perMinute = 160_000
	)
	backlog, rate := o.Rate*o.Length.Seconds(), float64(sweep.DefaultRate)
	drain := min(o.Lifetime.Seconds(), backlog/rate)
	looks := min(backlog*(min(o.Lifetime, o.Length).Seconds()+drain)/2/between.Seconds(), perMinute/60*(o.Length.Seconds()+drain))
	each := perDelivery
	if o.Breaker.Failures == 0 {
		var passed time.Duration
		for _, wait := range o.Schedule {
			if passed += wait; passed < o.Length {
				each += perAttempt
			}
		}
	}
	total := o.deliveries()*float64(each) + looks*float64(perLook) + o.Rate*float64(o.Endpoints)*drain*float64(perNew) +
		max(0, backlog-rate*o.Lifetime.Seconds())*float64(perDead)
	return time.Duration(total)
}
