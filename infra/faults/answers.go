package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"webhookrelay/infra/measure"
)

// answered is how the relay took three answers.
type answered struct {
	// Gone is the endpoint's state after a 410, and GonePosts how many requests it
	// got of two events.
	Gone      string `json:"state_after_410"`
	GonePosts int    `json:"posts_after_410"`
	// Waited is the time between the 429 with Retry-After: 5 and the next attempt,
	// in seconds.
	Waited float64 `json:"seconds_after_429"`
	// Redirected is what is on record of an attempt answered by a 302, and Followed
	// how many requests came to where it led.
	Redirected string `json:"reason_after_302"`
	Followed   int    `json:"requests_redirected"`
}

// answers has endpoints say what a relay should mind.
func answers(l *lab) ([]finding, any, error) {
	relay, err := l.start("--retry-schedule", "1s,1s,1s")
	if err != nil {
		return nil, nil, err
	}
	defer relay.Kill()
	var a answered
	for _, step := range []func(*measure.Relay, *answered) error{l.gone, l.slowDown, l.redirect} {
		if err := step(relay, &a); err != nil {
			return nil, nil, err
		}
	}
	took410 := a.Gone == "disabled" && a.GonePosts == 1
	took429 := a.Waited >= retryAfter.Seconds() && a.Waited < 2*retryAfter.Seconds()
	took302 := a.Redirected == "redirect" && a.Followed == 0
	return []finding{{
		Scenario: "410 / 429 with `Retry-After: 5` / 302",
		Measured: "what the relay does",
		Outpost:  "retried / ignored / followed by GET", Svix: "retried / clamped / failure", Convoy: "retried / ignored / followed by GET",
		Ours: fmt.Sprintf("endpoint %s after %d POST / next attempt after %s s / failure (%s), %d requests to its target",
			a.Gone, a.GonePosts, measure.Show(a.Waited), a.Redirected, a.Followed),
		Goal: "disables / obeyed / failure", Met: verdict(took410 && took429 && took302),
	}}, a, nil
}

const retryAfter = 5 * time.Second

// soon is how long what should happen at once may take.
const soon = 20 * time.Second

// log notes when requests came.
type log struct {
	mu    sync.Mutex
	times []time.Time
}

func (l *log) note() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, time.Now())
	return len(l.times)
}

func (l *log) seen() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.times)
}

func until(what string, ready func() (bool, error)) error {
	for deadline := time.Now().Add(soon); ; time.Sleep(10 * time.Millisecond) {
		if ok, err := ready(); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s", what, soon)
		}
	}
}

// subject is a tenant with one endpoint whose answers are set.
func (l *lab) subject(relay *measure.Relay, tenant string, answer measure.Answer) (*measure.Receiver, error) {
	to, err := receiver(relay, tenant)
	if err == nil {
		to.Answer(answer)
		to.Expect(1)
	}
	return to, err
}

func (l *lab) postOne(relay *measure.Relay, tenant string) error {
	_, err := l.loader(relay, tenant).Flood(bodies(1), 1)
	return err
}

func (l *lab) gone(relay *measure.Relay, a *answered) error {
	to, err := l.subject(relay, "gone", status(http.StatusGone))
	if err != nil {
		return err
	}
	defer to.Close()
	if err := l.postOne(relay, "gone"); err != nil {
		return err
	}
	err = until("the endpoint is disabled", func() (bool, error) {
		var page struct{ Data []struct{ State string } }
		err := relay.Call(http.MethodGet, "/v1/tenants/gone/endpoints", "", decode(&page))
		if err == nil && len(page.Data) == 1 {
			a.Gone = page.Data[0].State
		}
		return a.Gone == "disabled", err
	})
	if err != nil {
		return err
	}
	if err := l.postOne(relay, "gone"); err != nil {
		return err
	}
	time.Sleep(time.Second) // for the request that must not come
	a.GonePosts = to.Received().Posts
	return nil
}

func (l *lab) slowDown(relay *measure.Relay, a *answered) error {
	var attempts log
	to, err := l.subject(relay, "slow", func(w http.ResponseWriter, _ *http.Request) bool {
		if attempts.note() > 1 {
			return false
		}
		w.Header().Set("Retry-After", fmt.Sprint(int(retryAfter.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	if err != nil {
		return err
	}
	defer to.Close()
	if err := l.postOne(relay, "slow"); err != nil {
		return err
	}
	if err := until("the next attempt", func() (bool, error) { return len(attempts.seen()) > 1, nil }); err != nil {
		return err
	}
	seen := attempts.seen()
	a.Waited = measure.Round4(seen[1].Sub(seen[0]).Seconds())
	return nil
}

func (l *lab) redirect(relay *measure.Relay, a *answered) error {
	var followed log
	to, err := l.subject(relay, "moved", func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != hook {
			followed.note()
			return false
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
		return true
	})
	if err != nil {
		return err
	}
	defer to.Close()
	if err := l.postOne(relay, "moved"); err != nil {
		return err
	}
	err = until("an attempt on record", func() (bool, error) {
		var page struct {
			Data []struct {
				Attempts []struct{ Reason string }
			}
		}
		err := relay.Call(http.MethodGet, "/v1/tenants/moved/deliveries", "", decode(&page))
		if err == nil && len(page.Data) == 1 && len(page.Data[0].Attempts) > 0 {
			a.Redirected = page.Data[0].Attempts[0].Reason
		}
		return a.Redirected != "", err
	})
	a.Followed = len(followed.seen())
	return err
}

func decode(into any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(r).Decode(into) }
}
