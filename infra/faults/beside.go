package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"webhookrelay/infra/measure"
)

// watched is what became of the events of tenant B.
type watched struct {
	// Backlog is how many events were queued for tenant A before.
	Backlog   int `json:"backlog"`
	Posted    int `json:"posted"`
	Delivered int `json:"delivered"`
	// P50 and P99 are from the post to the arrival, in ms. What did not arrive
	// counts with the time until the end.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// beside queues events for A, whose endpoint answers so, and then watches those
// of B.
func (l *lab) beside(backlog int, answer measure.Answer) (w watched, err error) {
	relay, err := l.start()
	if err != nil {
		return w, err
	}
	defer relay.Kill() // a stop would wait for what hangs
	a, err := receiver(relay, "a")
	if err != nil {
		return w, err
	}
	defer a.Close()
	a.Answer(answer)
	b, err := receiver(relay, "b")
	if err != nil {
		return w, err
	}
	defer b.Close()
	if err := l.warm(relay, b); err != nil {
		return w, err
	}
	if _, err := l.loader(relay, "a").Flood(bodies(backlog), l.Connections); err != nil {
		return w, fmt.Errorf("backlog of A: %w", err)
	}
	n := l.Rate * int(l.Watched)
	b.Expect(n)
	posted, err := l.loader(relay, "b").Pace(bodies(n), l.Rate)
	if err != nil {
		return w, fmt.Errorf("events of B: %w", err)
	}
	b.Await(l.Grace.duration())
	end, got := time.Now(), b.Received()
	var took []float64
	for _, p := range posted {
		at, ok := got.First[measure.Arrival{Path: hook, ID: p.ID}]
		if !ok {
			at = end
		}
		took = append(took, measure.Milliseconds(at.Sub(p.Sent)))
	}
	return watched{
		Backlog: backlog, Posted: n, Delivered: len(got.First),
		P50: measure.Round4(measure.Percentile(took, 0.5)), P99: measure.Round4(measure.Percentile(took, 0.99)),
	}, nil
}

// warm sends B a few events, so that connections are open.
func (l *lab) warm(relay *measure.Relay, b *measure.Receiver) error {
	n := l.Connections
	b.Expect(n)
	if _, err := l.loader(relay, "b").Flood(bodies(n), l.Connections); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	if !b.Await(time.Minute) {
		return errors.New("the warm-up did not arrive")
	}
	return nil
}

// course is one case of what is compared, round by round.
type course []watched

func (c course) delivered() (least int) {
	least = c[0].Delivered
	for _, w := range c {
		least = min(least, w.Delivered)
	}
	return least
}

func (c course) p99() []float64 {
	var all []float64
	for _, w := range c {
		all = append(all, w.P99)
	}
	return all
}

// against is the p99 of c divided by that of other, round by round.
func (c course) against(other course) measure.Spread {
	var ratios []float64
	for i, w := range c {
		ratios = append(ratios, w.P99/other[i].P99)
	}
	return measure.SpreadOf(ratios)
}

// hanging watches B alone and beside an A that hangs, with each backlog.
func hanging(l *lab) ([]finding, any, error) {
	courses := make(map[string]course)
	backlogs := append([]int{0}, l.Backlogs...)
	for range l.Rounds {
		for _, backlog := range backlogs {
			w, err := l.beside(backlog, hang)
			if err != nil {
				return nil, nil, err
			}
			courses[name(backlog)] = append(courses[name(backlog)], w)
		}
		slices.Reverse(backlogs) // none is always measured first
	}
	alone := courses[name(0)]
	var found []finding
	for _, backlog := range l.Backlogs {
		c := courses[name(backlog)]
		ratio := c.against(alone)
		posted := c[0].Posted
		row := finding{
			Scenario: fmt.Sprintf("B gets %d events/s for %d s while A's endpoint hangs, %d queued", l.Rate, l.Watched, backlog),
			Measured: fmt.Sprintf("B delivered by the end, of %d; its p99, and that ÷ B alone", posted),
			Outpost:  "24", Svix: "73", Convoy: "30",
			Ours: fmt.Sprintf("%d; %s ms, %s (alone %s ms)", c.delivered(), measure.SpreadOf(c.p99()), ratio, measure.SpreadOf(alone.p99())),
			Goal: fmt.Sprintf("%d; ≤ 2", posted), Met: verdict(c.delivered() == posted && ratio.Median <= 2),
		}
		if backlog != 2000 {
			row.Outpost, row.Svix, row.Convoy = "–", "–", "–"
		}
		found = append(found, row)
	}
	return found, courses, nil
}

func name(backlog int) string {
	if backlog == 0 {
		return "alone"
	}
	return fmt.Sprintf("beside %d", backlog)
}

// failing watches B beside an A that takes its events and one that answers 500.
func failing(l *lab) ([]finding, any, error) {
	backlog := l.Backlogs[0]
	courses := make(map[string]course)
	kinds := []string{"healthy", "failing"}
	answers := map[string]measure.Answer{"failing": status(500)}
	for range l.Rounds {
		for _, kind := range kinds {
			w, err := l.beside(backlog, answers[kind])
			if err != nil {
				return nil, nil, err
			}
			courses[kind] = append(courses[kind], w)
		}
		slices.Reverse(kinds) // none is always measured first
	}
	sick, well := courses["failing"], courses["healthy"]
	ours, other := measure.SpreadOf(sick.p99()), measure.SpreadOf(well.p99())
	return []finding{{
		Scenario: fmt.Sprintf("the same, A answers 500 at once, %d queued", backlog),
		Measured: "B's p99 beside it / beside a healthy A",
		Outpost:  "100 / 104 ms", Svix: "198 / 51 ms", Convoy: "15 / 20 s",
		Ours: fmt.Sprintf("%s / %s ms", ours, other),
		Goal: "no worse", Met: verdict(sick.delivered() == sick[0].Posted && ours.Median <= other.Max),
	}}, courses, nil
}
