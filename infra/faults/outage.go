package main

import (
	"fmt"
	"strings"
	"time"

	"webhookrelay/infra/measure"
)

// recovery is what became of the events of an endpoint that was away.
type recovery struct {
	Posted  int `json:"posted"`
	Missing int `json:"missing"`
	// Posts is how many requests the endpoint got while it was away.
	Posts int `json:"posts_during_outage"`
	// Seconds is from the moment it was back to the last arrival.
	Seconds    float64 `json:"seconds_until_all_delivered"`
	Duplicates int     `json:"duplicates"`
}

// outage has an endpoint answer 503 while it gets events, and then be well.
func outage(l *lab) ([]finding, any, error) {
	var all []recovery
	for range l.Rounds {
		r, err := l.away()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, r)
	}
	var seconds, posts []float64
	missing := 0
	for _, r := range all {
		seconds = append(seconds, r.Seconds)
		posts = append(posts, float64(r.Posts)/float64(r.Posted))
		missing += r.Missing
	}
	back, each := measure.SpreadOf(seconds), measure.SpreadOf(posts)
	return []finding{{
		Scenario: fmt.Sprintf("outage of %d s at %d events/s, retries every 2 s", l.Outage, l.Rate),
		Measured: "all delivered after recovery; missing; POSTs per event meanwhile",
		Outpost:  "not by 120 s", Svix: "5.1 s", Convoy: "9.0 s",
		Ours: fmt.Sprintf("%s s; %d; %s", back, missing, each),
		Goal: "≤ 3 s; 0; ≤ 1.1", Met: verdict(back.Max <= 3 && missing == 0 && each.Max <= 1.1),
	}}, all, nil
}

// everyTwoSeconds is the schedule of the scenario, as long as it may be.
var everyTwoSeconds = strings.TrimSuffix(strings.Repeat("2s,", 25), ",")

func (l *lab) away() (r recovery, err error) {
	relay, err := l.start("--retry-schedule", everyTwoSeconds)
	if err != nil {
		return r, err
	}
	defer relay.Kill()
	to, err := receiver(relay, "a")
	if err != nil {
		return r, err
	}
	defer to.Close()
	n := l.Rate * int(l.Outage)
	to.Expect(n)
	to.Answer(status(503))
	posted, err := l.loader(relay, "a").Pace(bodies(n), l.Rate)
	if err != nil {
		return r, err
	}
	posts, back := to.Received().Posts, time.Now()
	to.Answer(nil)
	to.Await(time.Minute)
	got := to.Received()
	return recovery{
		Posted: n, Missing: got.Missing(measure.IDs(posted), []string{hook}), Posts: posts,
		Seconds: measure.Round4(got.Last.Sub(back).Seconds()), Duplicates: got.Repeats,
	}, nil
}
