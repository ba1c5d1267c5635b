package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"webhookrelay/infra/measure"
)

// settings are the sizes of a run.
type settings struct {
	// Rounds is how often what is compared is measured, in turn.
	Rounds int `json:"rounds"`
	// Rate is how many events a second the endpoint gets whose deliveries are watched.
	Rate int `json:"events_per_second"`
	// Watched is for how long, Outage how long an endpoint is away, and Blocked
	// how long the relay's file cannot be written.
	Watched Seconds `json:"watched_seconds"`
	Outage  Seconds `json:"outage_seconds"`
	Blocked Seconds `json:"blocked_seconds"`
	// Grace is how long after the last post a watched event may arrive.
	Grace Seconds `json:"grace_seconds"`
	// Backlogs are how many events are queued for the endpoint that hangs.
	Backlogs []int `json:"backlogs"`
	// Kills is how often the relay is killed while so many events are posted, over
	// so many connections.
	Kills       int `json:"kills"`
	KillEvents  int `json:"kill_events"`
	Connections int `json:"connections"`
}

// Seconds is a duration, in whole seconds in the results.
type Seconds int

func (s Seconds) duration() time.Duration { return time.Duration(s) * time.Second }

var (
	full = settings{
		Rounds: 3, Rate: 50, Watched: 30, Grace: 1, Outage: 20, Blocked: 8, Backlogs: []int{2_000, 10_000},
		Kills: 40, KillEvents: 50_000, Connections: 32,
	}
	// quick shows that everything runs, and what does not depend on speed. Its
	// grace ends before an attempt that hangs does.
	quick = settings{
		Rounds: 1, Rate: 50, Watched: 2, Grace: 10, Outage: 2, Blocked: 1, Backlogs: []int{700},
		Kills: 1, KillEvents: 600, Connections: 32,
	}
)

// lab is what the scenarios share.
type lab struct {
	settings
	work, binary string
	serial       atomic.Int64
}

// directory names a new directory for a relay's data.
func (l *lab) directory() string {
	return filepath.Join(l.work, fmt.Sprintf("data-%d", l.serial.Add(1)))
}

// start starts a relay over data of its own.
func (l *lab) start(options ...string) (*measure.Relay, error) {
	return measure.StartRelay(l.binary, l.directory(), options...)
}

// receiver starts one and subscribes it to the tenant's events.
func receiver(r *measure.Relay, tenant string) (*measure.Receiver, error) {
	to, err := measure.NewReceiver()
	if err != nil {
		return nil, err
	}
	if err := r.Subscribe(tenant, to.URL+hook); err != nil {
		to.Close()
		return nil, err
	}
	return to, nil
}

// hook is the path of every endpoint.
const hook = "/hook"

// loader posts the tenant's events.
func (l *lab) loader(r *measure.Relay, tenant string) *measure.Loader {
	return measure.NewLoader(r.EventsURL(tenant), l.Connections)
}

// bodies are n events to post.
func bodies(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = measure.EventRequest(i)
	}
	return all
}

// status answers every request so.
func status(code int) measure.Answer {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

// hang never answers.
func hang(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

// finding is a row of the table.
type finding struct {
	Scenario string `json:"scenario"`
	Measured string `json:"measured"`
	// Outpost, Svix and Convoy are what they came to in the same scenario on
	// another machine of two cores.
	Outpost string `json:"outpost"`
	Svix    string `json:"svix_oss"`
	Convoy  string `json:"convoy"`
	Ours    string `json:"ours"`
	Goal    string `json:"goal"`
	Met     string `json:"met"`
}

// What finding.Met says.
const (
	met         = "yes"
	missed      = "no"
	notMeasured = "not measured"
)

func verdict(reached bool) string {
	if reached {
		return met
	}
	return missed
}

func printFindings(all []finding) {
	var rows [][]string
	for _, f := range all {
		rows = append(rows, []string{f.Scenario, f.Measured, f.Outpost, f.Svix, f.Convoy, f.Ours, f.Goal, f.Met})
	}
	measure.Table([]string{"scenario", "measured", "Outpost", "Svix OSS", "Convoy", "ours", "goal", "met"}, rows)
}
