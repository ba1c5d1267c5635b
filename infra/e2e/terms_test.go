package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// terms is what an endpoint asks for, as it is shown.
type terms struct {
	Channels    []string
	Timeout     *int  `json:"timeout_seconds"`
	Schedule    []int `json:"retry_schedule"`
	Rate        *rate `json:"rate_limit"`
	Concurrency *int  `json:"max_concurrency"`
	Tags        []string
	Metadata    map[string]string
}

func TestWhatAnEndpointAsksForIsShownChangedAndTakenBack(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	bare := n.register(t, newEndpoint{URL: newHook(t).url})
	nothing := terms{Channels: []string{}, Tags: []string{}, Metadata: map[string]string{}}
	if diff := cmp.Diff(nothing, as[terms](t, n.get(t, n.at("/endpoints/%s", bare.ID)))); diff != "" {
		t.Errorf("bare (-want +got)\n%s", diff)
	}
	e := n.register(t, newEndpoint{
		URL: newHook(t).url, Channels: []string{"eu", "b_2"}, Timeout: 30, Schedule: []int{0, 5, 288_000 - 5}, Rate: &rate{500, 3600},
		Concurrency: 10, Tags: []string{"gold"}, Metadata: map[string]string{"owner": "日本", "empty": ""},
	})
	want := terms{
		Channels: []string{"eu", "b_2"}, Timeout: new(30), Schedule: []int{0, 5, 288_000 - 5}, Rate: &rate{500, 3600},
		Concurrency: new(10), Tags: []string{"gold"}, Metadata: map[string]string{"owner": "日本", "empty": ""},
	}
	mustBe := func(step string) {
		t.Helper()
		if diff := cmp.Diff(want, as[terms](t, n.get(t, n.at("/endpoints/%s", e.ID)))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", step, diff)
		}
	}
	mustBe("registered")
	want.Schedule, want.Rate = []int{}, &rate{1, 1}
	n.change(t, e.ID, map[string]any{"retry_schedule": []int{}, "rate_limit": rate{1, 1}})
	mustBe("changed")
	n.change(t, e.ID, map[string]any{"description": "another"})
	mustBe("something else changed")
	n.change(t, e.ID, map[string]any{
		"retry_schedule": nil, "rate_limit": nil, "timeout_seconds": nil, "max_concurrency": nil,
		"channels": []string{}, "tags": []string{}, "metadata": map[string]string{},
	})
	want = nothing
	mustBe("taken back")
}

func TestAPausedEndpointKeepsItsEventsUntilItIsResumed(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	e := n.subscribe(t, h)
	n.change(t, e.ID, map[string]any{"state": "paused"})
	const events = 5
	var last accepted
	for i := range events {
		if last = n.post(t, "order.placed", fmt.Sprint(i)); last.Deliveries != 1 {
			t.Fatalf("%d deliveries while paused", last.Deliveries)
		}
	}
	n.awaitOnHold(t, e.ID, events+1) // one fewer may be
	held := n.deliveryTo(t, last.ID, e.ID)
	if held.State != "parked" || held.NextCause != "paused" || held.AttemptCount != 0 {
		t.Errorf("the delivery is %s because of %q", held, held.NextCause)
	}
	n.retry(t, held)
	h.awaitEvent(t, last.ID)
	if got := h.got(); len(got) != 1 {
		t.Errorf("%d attempts while paused, want the one by hand", len(got))
	}

	n.change(t, e.ID, map[string]any{"state": "enabled"})
	eventually(t, patience, func() (bool, string) {
		delivered := as[page[delivery]](t, n.get(t, n.at("/deliveries?endpoint=%s&status=delivered", e.ID))).Data
		return len(delivered) == events, fmt.Sprintf("%d of %d delivered", len(delivered), events)
	})
	if got := h.got(); len(got) != events {
		t.Errorf("%d attempts in all, want %d", len(got), events)
	}
}

func TestAnEndpointGetsNoMoreThanItsRateAndEverythingInTheEnd(t *testing.T) {
	t.Parallel()
	const events, count, seconds = 9, 2, 3
	n := newTenant(t)
	h := newHook(t)
	e := n.register(t, newEndpoint{URL: h.url, Rate: &rate{count, seconds}})
	h.trust(n.secret(t, e.ID))
	began := time.Now()
	for i := range events {
		n.post(t, "order.placed", fmt.Sprint(i))
	}
	h.await(t, events)
	// The first window may be nearly over, and the last has just begun.
	if least := ((events-1)/count - 1) * seconds; time.Since(began) < time.Duration(least)*time.Second {
		t.Errorf("%d attempts at %d in %d s took %s", events, count, seconds, time.Since(began))
	}
	eventually(t, patience, func() (bool, string) {
		delivered := as[page[delivery]](t, n.get(t, n.at("/deliveries?endpoint=%s&status=delivered", e.ID))).Data
		for _, d := range delivered {
			if d.AttemptCount != 1 {
				t.Errorf("%d attempts of %s", d.AttemptCount, d)
			}
		}
		return len(delivered) == events, fmt.Sprintf("%d of %d delivered", len(delivered), events)
	})
}

func TestAnEndpointsOwnTimeoutAndSchedule(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, answer{hold: make(chan struct{})})
	e := n.register(t, newEndpoint{URL: h.url, Timeout: 1, Schedule: []int{0}})
	h.trust(n.secret(t, e.ID))
	posted := n.post(t, "order.placed", `{}`)
	dead := n.awaitState(t, posted.ID, e.ID, "dead")
	if dead.AttemptCount != 2 {
		t.Errorf("%d attempts, want 2: %s", dead.AttemptCount, dead)
	}
	for _, a := range dead.Attempts {
		if a.Reason != "timeout" || a.DurationMS < 900 || a.DurationMS > 5000 {
			t.Errorf("attempt %d failed because of %s after %d ms", a.Number, a.Reason, a.DurationMS)
		}
	}
}

func TestEventsGoToEndpointsOfTheirChannels(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	everything, eu, both := newHook(t), newHook(t), newHook(t)
	n.subscribe(t, everything)
	n.register(t, newEndpoint{URL: eu.url, Channels: []string{"eu"}})
	n.register(t, newEndpoint{URL: both.url, Channels: []string{"eu", "us"}, EventTypes: []string{"order.*"}})
	for name, tc := range map[string]struct {
		kind, channels string
		want           int
	}{
		"none":         {"order.placed", `[]`, 1},
		"eu":           {"order.placed", `["eu"]`, 3},
		"us":           {"order.placed", `["us","x"]`, 2},
		"another type": {"user.created", `["us"]`, 1},
	} {
		body := fmt.Sprintf(`{"type":%q,"data":1,"channels":%s}`, tc.kind, tc.channels)
		got := as[accepted](t, n.send(t, http.MethodPost, n.at("/events"), body).must(t, http.StatusAccepted))
		if got.Deliveries != tc.want {
			t.Errorf("%s: %d deliveries, want %d", name, got.Deliveries, tc.want)
		}
		if shown := as[terms](t, n.get(t, n.at("/events/%s", got.ID))); fmt.Sprintf("%q", shown.Channels) == "[]" != (tc.channels == "[]") {
			t.Errorf("%s: shown with channels %q", name, shown.Channels)
		}
	}
	n.send(t, http.MethodPost, n.at("/events"), `{"type":"a","data":1,"channels":["a","b","c","d","e","f"]}`).must(t, http.StatusBadRequest)
}
