package breaker_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/webhook"
)

var (
	start  = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	policy = breaker.Policy{Failures: 3, Window: time.Minute}
)

func fail(h webhook.Health, at ...time.Duration) webhook.Health {
	for _, d := range at {
		h = policy.Failed(h, start.Add(d))
	}
	return h
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule string
		got  webhook.Health
		open bool
	}{
		{"StaysClosedBelowTheCount", fail(webhook.Health{}, 0, time.Second), false},
		{"OpensAtTheCount", fail(webhook.Health{}, 0, time.Second, 2*time.Second), true},
		{"ForgetsFailuresThatLieFarApart", fail(webhook.Health{}, 0, 61*time.Second, 62*time.Second), false},
		{"ASuccessBeginsTheCountAnew", fail(fail(webhook.Health{}, 0, 1).Recovered(), 2, 3), false},
		{"StaysOpenWhenAProbeFails", fail(webhook.Health{}, 0, 1, 2, time.Hour), true},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			if tc.got.Open() != tc.open {
				t.Fatalf("open %t: %+v", tc.got.Open(), tc.got)
			}
		})
	}
	t.Run("ARecoveredEndpointIsAsIfItHadNeverFailed", func(t *testing.T) {
		t.Parallel()
		h := fail(webhook.Health{Rev: 7}, 0, 1, 2)
		if got := h.Recovered(); got != (webhook.Health{Rev: 7}) || !got.Well() || h.Well() {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("WarnsThreeTimesAndThenGivesUp", func(t *testing.T) {
		t.Parallel()
		p := breaker.Policy{Window: time.Minute, DisableAfter: 5 * 24 * time.Hour}
		for day, want := range []int{0, 1, 1, 2, 3, 3} {
			var h webhook.Health
			var now time.Time
			for hour := range 24*day + 1 { // a failure an hour
				now = start.Add(time.Duration(hour) * time.Hour)
				h = p.Failed(h, now)
			}
			if got := p.Warnings(h, now); got != want || p.GivenUp(h, now) != (day == 5) {
				t.Errorf("day %d: %d warnings, given up %t", day, got, p.GivenUp(h, now))
			}
		}
	})
	t.Run("AQuietDayBeginsTheStreakAnew", func(t *testing.T) {
		t.Parallel()
		p := breaker.Policy{Window: time.Minute, DisableAfter: 5 * 24 * time.Hour}
		h := p.Failed(webhook.Health{Warned: 2}, start)
		h = p.Failed(h, start.Add(25*time.Hour))
		if h.Warned != 0 || !h.FailingSince.Equal(start.Add(25*time.Hour)) {
			t.Errorf("%+v", h)
		}
	})
	t.Run("NeverGivesUpWithoutALimit", func(t *testing.T) {
		t.Parallel()
		h := policy.Failed(webhook.Health{}, start)
		if now := start.Add(1000 * time.Hour); policy.Warnings(h, now) > 0 || policy.GivenUp(h, now) {
			t.Error("given up")
		}
	})
	t.Run("NeverOpensWithoutACount", func(t *testing.T) {
		t.Parallel()
		var h webhook.Health
		for i := range 1000 {
			h = breaker.Policy{Window: time.Minute}.Failed(h, start.Add(time.Duration(i)*time.Millisecond))
		}
		if h.Open() || h.Failures != 1000 {
			t.Fatalf("got %+v", h)
		}
	})
}

func TestProbesComeAfterATenthOfTheOutageWithinBounds(t *testing.T) {
	t.Parallel()
	for outage, want := range map[time.Duration]time.Duration{
		0: time.Second, 5 * time.Second: time.Second, time.Minute: 6 * time.Second, time.Hour: 6 * time.Minute, 24 * time.Hour: 10 * time.Minute,
	} {
		h := webhook.Health{OpenedAt: start}
		if got := policy.Wait(h, start.Add(outage)); got != want {
			t.Errorf("after %s: %s, want %s", outage, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Float64Range(0, 0.999).Draw(t, "draw")
		outage := time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "outage"))
		p := policy
		p.Rand = func() float64 { return draw }
		h := webhook.Health{OpenedAt: start}
		plain, got := policy.Wait(h, start.Add(outage)), p.Wait(h, start.Add(outage))
		if got < plain || got > plain+plain/5+1 {
			t.Fatalf("wait %s for %s", got, plain)
		}
	})
}

func TestLifetimeIsTwiceTheSchedule(t *testing.T) {
	t.Parallel()
	for want, schedule := range map[time.Duration][]time.Duration{
		0: nil, 12 * time.Second: {time.Second, 5 * time.Second}, breaker.MaxLifetime: {48 * time.Hour},
	} {
		if got := breaker.Lifetime(schedule); got != want {
			t.Errorf("%v: %s, want %s", schedule, got, want)
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, bad := range []breaker.Policy{{Failures: -1, Window: time.Minute}, {Failures: 10_001, Window: time.Minute}, {Failures: 1}, {Failures: 1, Window: 25 * time.Hour}} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if got, err := breaker.Parse(breaker.Default); err != nil || got.Check() != nil || got.Failures != 20 || got.Window != 10*time.Minute {
		t.Errorf("the default is %+v, %v", got, err)
	}
}
