package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"webhookrelay/infra/measure"
)

// survival is what became of events while the relay was killed.
type survival struct {
	Accepted   int `json:"accepted"`
	Missing    int `json:"missing"`
	Kills      int `json:"kills"`
	Duplicates int `json:"duplicates"`
	// Seconds is from each kill until all was there that had been posted before it
	// and had not arrived, accepted or not.
	Seconds []float64 `json:"seconds_until_back"`
}

// kill kills the relay over and over while events come in.
func kill(l *lab) ([]finding, any, error) {
	s, err := l.survive()
	if err != nil {
		return nil, nil, err
	}
	per, back := float64(s.Duplicates)/float64(s.Kills), measure.SpreadOf(s.Seconds)
	return []finding{{
		Scenario: fmt.Sprintf("kill -9 of the relay in %d events at concurrency %d, %d×", l.KillEvents, l.Connections, l.Kills),
		Measured: "missing / duplicates per crash; events in flight are back",
		Outpost:  "0 / 16", Svix: "0 / 13", Convoy: "1 / 1",
		Ours: fmt.Sprintf("%d / %s; %s s", s.Missing, measure.Show(per), back),
		Goal: "0 / < 9; < 45 s", Met: verdict(s.Missing == 0 && per < 9 && back.Max < 45),
	}}, s, nil
}

func (l *lab) survive() (s survival, err error) {
	directory := l.directory()
	relay, err := measure.StartRelay(l.binary, directory)
	if err != nil {
		return s, err
	}
	defer func() { relay.Kill() }()
	to, err := receiver(relay, "a")
	if err != nil {
		return s, err
	}
	defer to.Close()
	to.Expect(l.KillEvents)
	address := strings.TrimPrefix(relay.URL, "http://")

	loader := l.loader(relay, "a")
	loader.Patience = time.Minute
	type flood struct {
		posted []measure.Posted
		err    error
	}
	done := make(chan flood, 1)
	go func() {
		posted, err := loader.Flood(bodies(l.KillEvents), l.Connections)
		done <- flood{posted, err}
	}()
	var killed []time.Time
	for k := range l.Kills {
		// After equal parts of the arrivals, that is under full load, and then at any
		// moment: arrivals come in bursts, and a kill would fall into one.
		for due := l.KillEvents * (k + 1) / (l.Kills + 1); to.Count() < due; {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(rand.N(50 * time.Millisecond))
		relay.Kill()
		killed = append(killed, time.Now())
		if relay, err = measure.StartRelay(l.binary, directory, "--listen", address); err != nil {
			return s, err
		}
	}
	f := <-done
	if f.err != nil {
		return s, f.err
	}
	to.Await(time.Minute)
	time.Sleep(time.Second) // for duplicates
	got := to.Received()
	s = survival{
		Accepted: len(f.posted), Missing: got.Missing(measure.IDs(f.posted), []string{hook}),
		Kills: len(killed), Duplicates: got.Repeats,
	}
	for _, at := range killed {
		s.Seconds = append(s.Seconds, measure.Round4(lastBack(f.posted, got, at).Seconds()))
	}
	if s.Kills == 0 {
		return s, errors.New("nothing was killed")
	}
	return s, nil
}

// lastBack is how long after the kill the last arrival came of what had been
// posted before it.
func lastBack(posted []measure.Posted, got measure.Received, killed time.Time) (last time.Duration) {
	for _, p := range posted {
		at, ok := got.First[measure.Arrival{Path: hook, ID: p.ID}]
		if ok && p.Sent.Before(killed) {
			last = max(last, at.Sub(killed))
		}
	}
	return last
}
