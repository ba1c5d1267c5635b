package simulate

import (
	"maps"
	"time"

	"webhookrelay/shared/webhook"
)

// OutageReport says what an Outage came to. Counts are those of the full rate,
// and but for the queue's they are of the endpoint that fails. Times count in
// seconds from the outage's beginning.
type OutageReport struct {
	// Scale is how many events each simulated one stood for.
	Scale int `json:"scale"`
	// Steps shows where the deliveries stood, during the outage and after.
	Steps []OutageStep `json:"steps"`
	// Accepted counts the deliveries of events accepted during the outage.
	Accepted int `json:"accepted"`
	// AcceptedInAll counts those accepted up to DrainedAt.
	AcceptedInAll int `json:"accepted_in_all"`
	// Posts counts the POSTs made meanwhile; Probes are among them.
	Posts  int `json:"posts"`
	Probes int `json:"probes"`
	// PeakInFlight is the most messages that were in flight in the queue, of
	// InFlightLimit, at PeakAt.
	PeakInFlight  int   `json:"peak_in_flight"`
	PeakAt        int64 `json:"peak_in_flight_at"`
	InFlightLimit int   `json:"in_flight_limit"`
	// NoticedAt is when the first POST was made after the recovery; 0: none was.
	NoticedAt int64 `json:"noticed_at"`
	// DisabledAt is when the relay disabled the endpoint; 0: it did not.
	DisabledAt int64 `json:"disabled_at"`
	// Drained says whether all of them have ended, and DrainedAt when.
	Drained   bool  `json:"drained"`
	DrainedAt int64 `json:"drained_at"`
	// Delivered and Dead count what they came to.
	Delivered int `json:"delivered"`
	Dead      int `json:"dead"`
	// Attempts counts them by the attempts that were made.
	Attempts map[int]int `json:"deliveries_by_attempts"`
	// Writes counts rows written, for all endpoints, up to DrainedAt.
	Writes int `json:"writes"`
	// OthersDelivered counts deliveries to the other endpoints, and
	// OthersLongest is the longest that one of them took, in milliseconds.
	OthersDelivered int   `json:"others_delivered"`
	OthersLongest   int64 `json:"others_longest_ms"`
	// Lost counts deliveries that are neither made nor in the dead-letter queue:
	// none, or the relay has a defect.
	Lost int `json:"lost"`
}

// OutageStep is where the deliveries to the failing endpoint stood at a time.
type OutageStep struct {
	At int64 `json:"at"`
	// Accepted counts all up to then; Delivered and Dead those that have ended.
	Accepted  int `json:"accepted"`
	Delivered int `json:"delivered"`
	Dead      int `json:"dead"`
	// Parked are on hold. Retrying wait for their next attempt, InTable of them in
	// the table and the others in the queue. Queued are to be attempted for the first time.
	Queued   int `json:"queued"`
	Retrying int `json:"retrying"`
	InTable  int `json:"retrying_in_table"`
	Parked   int `json:"parked"`
	// Posts counts those made to it so far, up to the recovery.
	Posts int `json:"posts"`
	// InFlight are the messages received and not deleted, Visible those that
	// nobody has received yet: of all endpoints.
	InFlight int `json:"queue_in_flight"`
	Visible  int `json:"queue_visible"`
}

// tally counts simulated deliveries to the endpoint that fails.
type tally struct {
	accepted, delivered, dead, retrying, inTable, parked int
	posts, probes                                        int
	// during counts those accepted during the outage.
	during int
	// ended counts those of the outage that have, with the number of attempts,
	// and died those among them that are dead; attempts counts them at the full rate.
	ended, died int
	attempts    map[int]int
	// noticed is when the first POST was made after the recovery, disabled when
	// the relay disabled the endpoint.
	noticed, disabled time.Time
	// others counts deliveries to the endpoints that do not fail, of which the
	// longest took so long.
	others  int
	longest time.Duration
}

func (t tally) waiting() int { return t.accepted - t.delivered - t.dead }

func (t *tally) add(d *webhook.Delivery, n int) {
	switch {
	case d == nil:
	case d.State == webhook.Delivered:
		t.delivered += n
	case d.State == webhook.Dead:
		t.dead += n
	case d.State == webhook.Parked:
		t.parked += n
	case !d.HeldUntil.IsZero():
		t.retrying += n
		t.inTable += n
	default:
		t.retrying += n
	}
}

// saved keeps the tally when a row changes.
func (r *outageRun) saved(subject int, before, after *webhook.Delivery) {
	event, endpoint := subject/r.Endpoints, subject%r.Endpoints
	t := &r.tally
	if endpoint > 0 {
		if after.State == webhook.Delivered {
			t.others++
			t.longest = max(t.longest, r.Now().Sub(r.table.accepted(event)))
		}
		return
	}
	t.add(before, -1)
	t.add(after, 1)
	ended := after.State == webhook.Delivered || after.State == webhook.Dead
	if ended && (before == nil || before.State != after.State) && event < r.during {
		t.ended++
		// Of those that it stands for, one was the probe.
		probed := after.BudgetStart
		t.attempts[after.AttemptCount]++
		t.attempts[after.AttemptCount-probed] += r.Scale - 1
		if after.State == webhook.Dead {
			t.died++
		}
	}
}

// since is the time from the beginning until t in seconds, 0 if there is no t.
func (r *outageRun) since(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return int64(t.Sub(epoch).Seconds())
}

// sample notes where everything stands.
func (r *outageRun) sample() {
	r.queue.surface()
	t, k := r.tally, r.Scale
	r.samples = append(r.samples, OutageStep{
		At: r.since(r.Now()), Accepted: t.accepted * k, Delivered: t.delivered * k, Dead: t.dead * k,
		Queued:   (t.waiting() - t.retrying - t.parked) * k,
		Retrying: t.retrying * k, InTable: t.inTable * k, Parked: t.parked * k, Posts: t.posts*k + t.probes,
		InFlight: r.queue.flying * k, Visible: len(r.queue.ready) * k,
	})
}

func (r *outageRun) report() OutageReport {
	r.sample()
	t, k := r.tally, r.Scale
	report := OutageReport{
		Scale: k, Steps: r.steps(), Accepted: t.during * k, AcceptedInAll: t.accepted * k, Posts: t.posts*k + t.probes, Probes: t.probes,
		PeakInFlight: r.queue.peak * k, PeakAt: r.since(r.queue.peakAt), InFlightLimit: outageInFlight,
		NoticedAt: r.since(t.noticed), DisabledAt: r.since(t.disabled), Drained: r.drained(), DrainedAt: r.since(r.Now()), Delivered: (t.ended - t.died) * k, Dead: t.died * k,
		Attempts: maps.Clone(t.attempts), Writes: r.table.writes * k, OthersDelivered: t.others * k, OthersLongest: t.longest.Milliseconds(),
	}
	return report
}

// steps picks, of the samples of each minute, those that tell the story.
func (r *outageRun) steps() []OutageStep {
	var times []time.Duration
	after := r.Now().Sub(r.recovery)
	for _, span := range []struct{ from, length time.Duration }{{0, r.Length}, {r.Length, after}} {
		for _, early := range []time.Duration{0, time.Minute, 10 * time.Minute} {
			if early < span.length/6 {
				times = append(times, span.from+early)
			}
		}
		for part := range time.Duration(6) {
			times = append(times, span.from+span.length*(part+1)/6)
		}
	}
	var picked []OutageStep
	for _, s := range r.samples {
		if len(times) > 0 && time.Duration(s.At)*time.Second >= times[0].Truncate(time.Second) {
			picked = append(picked, s)
			for len(times) > 0 && time.Duration(s.At)*time.Second >= times[0].Truncate(time.Second) {
				times = times[1:]
			}
		}
	}
	return picked
}

// lost counts deliveries that are neither made nor in the dead-letter queue.
func (r *outageRun) lost() (n int) {
	buried := make(map[int]bool, len(r.queue.dead))
	for _, m := range r.queue.dead {
		buried[m.subject] = true
	}
	for subject, row := range r.table.rows {
		if (row == nil || row.State != webhook.Delivered) && !buried[subject] {
			n++
		}
	}
	return n * r.Scale
}
