package storetest

import (
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

// window is when a window of a minute, and of what divides it, begins.
var window = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

var turnRules = []rule{
	{"EachWindowHasItsTurnsAndTheNextFollows", func(t *testing.T, s *bench) {
		rate := webhook.Rate{Count: 2, Window: time.Minute}
		now := window.Add(20 * time.Second)
		for i, want := range []time.Time{window, window, window.Add(time.Minute), window.Add(time.Minute)} {
			if at, given := s.takeTurn(t, rate, now); !given || !at.Equal(want) {
				t.Errorf("turn %d: %s, %v, want %s", i, at, given, want)
			}
		}
		// The window after the next lies more than a minute ahead.
		for range 2 {
			if at, given := s.takeTurn(t, rate, now); given || !at.Equal(window.Add(2*time.Minute)) {
				t.Errorf("too far ahead: %s, %v", at, given)
			}
		}
		// A minute later it does not, and what was refused has taken nothing.
		if at, given := s.takeTurn(t, rate, now.Add(time.Minute)); !given || !at.Equal(window.Add(2*time.Minute)) {
			t.Errorf("once nearer: %s, %v", at, given)
		}
	}},

	{"ATurnThatPassedIsNotSavedUp", func(t *testing.T, s *bench) {
		rate := webhook.Rate{Count: 1, Window: time.Second}
		s.takeTurn(t, rate, window)
		later := window.Add(time.Hour)
		for i := range 3 {
			want := later.Add(time.Duration(i) * time.Second)
			if at, given := s.takeTurn(t, rate, later); !given || !at.Equal(want) {
				t.Errorf("turn %d: %s, %v, want %s", i, at, given, want)
			}
		}
	}},

	{"NoTwoCallersGetTheSameTurn", func(t *testing.T, s *bench) {
		rate := webhook.Rate{Count: 3, Window: time.Second}
		const callers = 12
		turns := make([]time.Time, callers)
		for _, err := range race(callers, func(i int) error {
			at, given, err := s.TakeTurn(t.Context(), s.tenant, "ep", rate, window)
			if !given {
				at = time.Time{}
			}
			turns[i] = at
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		count := map[time.Time]int{}
		for _, at := range turns {
			count[at]++
		}
		for i := range callers / rate.Count {
			if at := window.Add(time.Duration(i) * time.Second); count[at] != rate.Count {
				t.Errorf("%d turns at %s, of %v", count[at], at, turns)
			}
		}
	}},

	{"AnotherRateAndAnotherEndpointBeginAnew", func(t *testing.T, s *bench) {
		rate := webhook.Rate{Count: 1, Window: time.Second}
		s.takeTurn(t, rate, window)
		if at, _ := s.takeTurn(t, webhook.Rate{Count: 1, Window: time.Minute}, window); !at.Equal(window) {
			t.Errorf("another rate: %s", at)
		}
		if at, given, err := s.TakeTurn(t.Context(), s.tenant, "other", rate, window); err != nil || !given || !at.Equal(window) {
			t.Errorf("another endpoint: %s, %v, %v", at, given, err)
		}
		if at, _ := s.takeTurn(t, rate, window); !at.Equal(window.Add(time.Second)) {
			t.Errorf("the first again: %s", at)
		}
	}},
}

func (s *bench) takeTurn(t *testing.T, rate webhook.Rate, now time.Time) (at time.Time, given bool) {
	t.Helper()
	at, given, err := s.TakeTurn(t.Context(), s.tenant, "ep", rate, now)
	if err != nil {
		t.Fatal(err)
	}
	return at, given
}
