package history_test

import (
	"fmt"
	"testing"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

type world struct {
	t     *testing.T
	now   time.Time
	store *sqlite.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 31, 12, 30, 0, 0, time.UTC)}
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: func() time.Time { return w.now }})
	w.must(err)
	t.Cleanup(func() { _ = store.Close() })
	w.store = store
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// event stores an event accepted age ago for ep, with what change makes of its delivery.
func (w *world) event(age time.Duration, change func(webhook.Delivery) webhook.Delivery) {
	w.t.Helper()
	at := w.now.Add(-age)
	e := webhook.Event{
		Tenant: "t", Ref: id.NewSource().EventRef(at), Type: "a", Targets: []webhook.EndpointID{"ep"}, AcceptedAt: at, ExpiresAt: at.Add(time.Hour * 720),
	}
	w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{e}))
	if change != nil {
		w.must(w.store.SaveDelivery(w.t.Context(), change(webhook.NewDelivery(e, "ep"))))
	}
}

func attempt(took time.Duration, reason webhook.Reason) webhook.Attempt {
	return webhook.Attempt{Duration: took * time.Millisecond, Reason: reason}
}

func (w *world) stats(f history.Filter, now func() time.Time) history.Stats {
	w.t.Helper()
	stats, err := history.History{Store: w.store}.Stats(w.t.Context(), "t", f, now)
	w.must(err)
	return stats
}

func TestStatsTellWhatBecameOfTheEventsOfEachHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 9 {
		w.event(time.Minute, func(d webhook.Delivery) webhook.Delivery { return d.Succeed(attempt(time.Duration(10*(i+1)), "")) })
	}
	w.event(time.Minute, nil)
	w.event(time.Hour, func(d webhook.Delivery) webhook.Delivery {
		d = d.Retry(attempt(1000, webhook.ReasonTimeout), w.now, webhook.NextSchedule)
		return d.GiveUp(attempt(2000, webhook.ReasonHTTP410), webhook.ReasonHTTP410)
	})
	w.event(48*time.Hour, nil)

	stats := w.stats(history.Filter{Endpoint: "ep", Since: w.now.Add(-24 * time.Hour)}, func() time.Time { return w.now })
	got := fmt.Sprintln(stats.Complete, stats.From.Equal(w.now.Add(-24*time.Hour)), len(stats.Hours))
	for _, tally := range []history.Tally{stats.Total, stats.Hours[0].Tally, stats.Hours[1].Tally} {
		rate, _ := tally.SuccessRate()
		half, _ := tally.Latency(.5)
		most, _ := tally.Latency(.99)
		got += fmt.Sprintf("%v %v %d %.2f %s %s\n", tally.States, tally.Reasons, tally.Attempts, rate, half, most)
	}
	want := `true true 2
map[dead:1 delivered:9 queued:1] map[http_410:1 timeout:1] 11 0.90 60ms 2s
map[delivered:9 queued:1] map[] 9 1.00 50ms 90ms
map[dead:1] map[http_410:1 timeout:1] 2 0.00 1s 2s
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if start := stats.Hours[0].Start; !start.Equal(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("the newest hour begins at %s", start)
	}
	if len(stats.Endpoints) != 1 || stats.Endpoints[0].ID != "ep" || stats.Endpoints[0].Attempts != stats.Total.Attempts {
		t.Errorf("by endpoint: %+v", stats.Endpoints)
	}
}

func TestStatsOfNothingAreEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stats := w.stats(history.Filter{}, func() time.Time { return w.now })
	_, rated := stats.Total.SuccessRate()
	_, timed := stats.Total.Latency(.5)
	if rated || timed || !stats.Complete || len(stats.Hours) > 0 {
		t.Errorf("got %+v", stats)
	}
}

func TestStatsSayHowFarTheyGotInTheirTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 1500 {
		w.event(time.Duration(i)*time.Second, nil)
	}
	looks := time.Time{}
	stats := w.stats(history.Filter{}, func() time.Time { // each look at the clock takes 3 s
		looks = looks.Add(3 * time.Second)
		return looks
	})
	if got := stats.Total.States[webhook.Queued]; stats.Complete || got != 1000 || !stats.From.Equal(w.now.Add(-999*time.Second)) {
		t.Errorf("%d are counted, from %s on, complete: %v", got, stats.From, stats.Complete)
	}
}
