package throttle_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/throttle"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]throttle.Rate{
		"off": {}, "1/1": {PerSecond: 1, Burst: 1}, "50/100": {PerSecond: 50, Burst: 100}, "1000000/1000000": {PerSecond: 1_000_000, Burst: 1_000_000},
	} {
		if got, err := throttle.Parse(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "50", "50/", "/50", "0/1", "1/0", "-1/1", "1.5/2", "1/2/3", "1000001/1", "1/1000001", "none"} {
		if got, err := throttle.Parse(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestNoLimitLimitsNothing(t *testing.T) {
	t.Parallel()
	buckets := throttle.New(throttle.Rate{}, time.Now)
	for range 10_000 {
		if wait := buckets.Take("a", 1); wait != 0 {
			t.Fatalf("wait %s", wait)
		}
	}
}

// In any stretch of time no more than the burst and the rate's share get
// through, and a refused request uses nothing up: after its wait, one does.
func TestABucketHoldsItsRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := throttle.Rate{PerSecond: rapid.IntRange(1, 50).Draw(t, "rate"), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		now := start
		buckets := throttle.New(r, func() time.Time { return now })
		taken := 0
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "ms")) * time.Millisecond)
			wait := buckets.Take("a", 1)
			if wait == 0 {
				taken++
			}
			if most := float64(r.Burst) + now.Sub(start).Seconds()*float64(r.PerSecond); float64(taken) > most+1e-6 {
				t.Fatalf("%d taken, at most %f may be", taken, most)
			}
			if wait > 0 {
				now = now.Add(wait + time.Microsecond) // for what rounding took
				if wait := buckets.Take("a", 1); wait > 0 {
					t.Fatalf("still %s to wait", wait)
				}
				taken++
			}
		}
	})
}

func TestBucketsAreApart(t *testing.T) {
	t.Parallel()
	now := time.Now()
	buckets := throttle.New(throttle.Rate{PerSecond: 1, Burst: 2}, func() time.Time { return now })
	for _, name := range []string{"a", "b"} {
		for i, want := range []bool{true, true, false} {
			if got := buckets.Take(name, 1) == 0; got != want {
				t.Errorf("%s, request %d: %v", name, i, got)
			}
		}
	}
	if wait := buckets.Take("a", 1); wait != time.Second {
		t.Errorf("wait %s, want a second", wait)
	}
}

// However many names come, those that are used up stay so as long as there is room.
func TestFullBucketsMakeRoom(t *testing.T) {
	t.Parallel()
	now := time.Now()
	buckets := throttle.New(throttle.Rate{PerSecond: 1, Burst: 100}, func() time.Time { return now })
	for range 100 {
		buckets.Take("busy", 1)
	}
	for i := range 30_000 {
		buckets.Take(fmt.Sprint(i), 1)
		if i%1000 == 0 {
			now = now.Add(time.Second)
			buckets.Take("busy", 1)
		}
	}
	if buckets.Take("busy", 1) == 0 {
		t.Error("a bucket that was used up is full again")
	}
}

func TestManyTokensAreTakenTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	now := time.Now()
	buckets := throttle.New(throttle.Rate{PerSecond: 10, Burst: 20}, func() time.Time { return now })
	for _, tc := range []struct {
		n    int
		wait time.Duration
	}{{15, 0}, {6, 100 * time.Millisecond}, {5, 0}, {1, 100 * time.Millisecond}, {100, 2 * time.Second}} {
		if wait := buckets.Take("a", tc.n); wait != tc.wait {
			t.Errorf("%d: wait %s, want %s", tc.n, wait, tc.wait)
		}
	}
	now = now.Add(2 * time.Second)
	if wait := buckets.Take("a", 100); wait != 0 {
		t.Errorf("more than a bucket holds: wait %s", wait)
	}
}
