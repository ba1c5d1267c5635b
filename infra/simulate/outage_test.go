package simulate_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/infra/simulate"
	"webhookrelay/shared/breaker"
	"webhookrelay/shared/retry"
)

// outage is one of ten minutes under four events a second, at the usual settings.
func outage(t *testing.T, change func(o *simulate.Outage)) simulate.OutageReport {
	t.Helper()
	schedule, err := retry.ParseSchedule(retry.DefaultSchedule)
	if err != nil {
		t.Fatal(err)
	}
	usual, err := breaker.Parse(breaker.Default)
	if err != nil {
		t.Fatal(err)
	}
	o := simulate.Outage{
		Length: 10 * time.Minute, Rate: 4, Endpoints: 1, Schedule: schedule, Breaker: usual, Lifetime: breaker.Lifetime(schedule), Scale: 1,
	}
	change(&o)
	r, err := o.Run()
	if err != nil {
		t.Fatal(err)
	}
	if r.Lost > 0 {
		t.Errorf("%d lost", r.Lost)
	}
	if r.Delivered+r.Dead != r.Accepted || !r.Drained {
		t.Errorf("of %d, %d were delivered and %d are dead; drained: %v", r.Accepted, r.Delivered, r.Dead, r.Drained)
	}
	return r
}

func TestOutage(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t)
		})
	}
	rule("OfAShortOneNothingDiesAndTheBacklogTakesTime", func(t *testing.T) {
		r := outage(t, func(*simulate.Outage) {})
		if r.Accepted != 2400 || r.Dead > 0 || r.DrainedAt <= 600 {
			t.Errorf("%+v", r)
		}
		// Twenty failures open the breaker, and probes come ever more seldom.
		if r.Posts > 100 || r.Probes < 20 || r.Posts-r.Probes < 20 {
			t.Errorf("%d POSTs, %d probes", r.Posts, r.Probes)
		}
	})
	rule("WhatIsOnHoldForTooLongIsDead", func(t *testing.T) {
		r := outage(t, func(o *simulate.Outage) { o.Length, o.Lifetime, o.Rate = time.Hour, 20*time.Minute, 1 })
		if r.Dead < r.Accepted/3 || r.Delivered == 0 {
			t.Errorf("%d dead, %d delivered of %d", r.Dead, r.Delivered, r.Accepted)
		}
	})
	rule("WithoutABreakerTheScheduleIsKept", func(t *testing.T) {
		r := outage(t, func(o *simulate.Outage) {
			o.Breaker.Failures, o.Schedule = 0, []time.Duration{time.Minute, time.Minute}
		})
		// Three attempts over two to two and a half minutes, for all but the last.
		if r.Posts < 5*r.Accepted/2 || r.Dead < 3*r.Accepted/4 || r.Attempts[3] < r.Dead || r.Probes > 0 {
			t.Errorf("%+v", r)
		}
		if want := 4 * 120; r.PeakInFlight < want || r.PeakInFlight > want*3/2 {
			t.Errorf("%d messages were hidden at once, not about %d", r.PeakInFlight, want)
		}
	})
	rule("AnEndpointThatHangsDoesNotSlowTheOthers", func(t *testing.T) {
		r := outage(t, func(o *simulate.Outage) { o.Hangs, o.Endpoints = true, 3 })
		if r.OthersLongest > 200 || r.OthersDelivered < 2*r.Accepted {
			t.Errorf("%d delivered, the slowest after %d ms", r.OthersDelivered, r.OthersLongest)
		}
	})
	rule("NoMoreAreInFlightThanTheQueueAllows", func(t *testing.T) {
		r := outage(t, func(o *simulate.Outage) {
			o.Breaker.Failures, o.Rate, o.Scale = 0, 500, 100
			o.Schedule = []time.Duration{5 * time.Minute, 5 * time.Minute}
		})
		if r.PeakInFlight != r.InFlightLimit {
			t.Errorf("%d of %d", r.PeakInFlight, r.InFlightLimit)
		}
	})
	rule("TheSameSeedIsTheSameReport", func(t *testing.T) {
		run := func(seed uint64) simulate.OutageReport {
			return outage(t, func(o *simulate.Outage) { o.Length, o.Rate, o.Seed = 20*time.Minute, 2, seed })
		}
		first := run(1)
		if diff := cmp.Diff(first, run(1)); diff != "" {
			t.Error(diff)
		}
		if cmp.Equal(first, run(2)) {
			t.Error("another seed is the same report")
		}
	})
	rule("AtATenthOfTheRateItComesToTheSame", func(t *testing.T) {
		at := func(scale int) simulate.OutageReport {
			return outage(t, func(o *simulate.Outage) { o.Rate, o.Scale = 20, scale })
		}
		whole, tenth := at(1), at(10)
		for name, pair := range map[string][2]int{
			"accepted":        {whole.Accepted, tenth.Accepted},
			"rows written":    {whole.Writes, tenth.Writes},
			"seconds to end":  {int(whole.DrainedAt), int(tenth.DrainedAt)},
			"on hold":         {mostOnHold(whole), mostOnHold(tenth)},
			"first attempts":  {whole.Attempts[1], tenth.Attempts[1]},
			"POSTs meanwhile": {whole.Posts, tenth.Posts},
		} {
			if off := math.Abs(float64(pair[1])/float64(pair[0]) - 1); off > 0.1 {
				t.Errorf("%s: %d, and %d at a tenth", name, pair[0], pair[1])
			}
		}
	})
}

func mostOnHold(r simulate.OutageReport) (most int) {
	for _, s := range r.Steps {
		most = max(most, s.Parked)
	}
	return most
}

func TestAnImpossibleOutageIsRefusedWithAllItsFaults(t *testing.T) {
	t.Parallel()
	_, err := simulate.Outage{Length: -time.Hour, Rate: math.NaN(), Lifetime: -1, Breaker: breaker.Policy{Failures: -1}, Scale: -1}.Run()
	if err == nil {
		t.Fatal("no error")
	}
	for _, fault := range []string{"lasts -1h", "NaN events", "0 endpoints", "on hold for -1ns", "-1 failures", "one event for -1"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("%q is not in %v", fault, err)
		}
	}
	if _, err := (simulate.Outage{Length: 336 * time.Hour, Rate: 100_000, Endpoints: 1, Breaker: breaker.Policy{Window: time.Minute}}).Run(); err == nil {
		t.Error("120 billion events were not too many")
	}
}
