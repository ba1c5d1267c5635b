package simulate_test

import (
	"strings"
	"testing"
	"time"

	"webhookrelay/infra/simulate"
)

// defect is a way in which the relay once broke a rule, with the world that showed it.
type defect struct {
	name   string
	config simulate.Config
	build  func(w *simulate.World)
}

var mended = []defect{
	{
		name: "AManualAttemptCancelsADeliveredDeliveryWhoseEndpointIsGone",
		build: func(w *simulate.World) {
			one(w)
			w.Send(0, order(simulate.Unnamed, 1, 0))
			w.Delete(time.Minute, "acme", "shop")
			w.Retry(2*time.Minute, 0)
		},
	},
	{
		name: "AKeyThatResumedTheEventOfAnotherKeyIsDoneWithAReferenceItNeverUsed",
		// The first try claims its key and the id, stores the event and cannot
		// send; the second has another key.
		config: simulate.Config{Plan: simulate.Pinned{5: simulate.Fails}},
		build: func(w *simulate.World) {
			one(w)
			w.Send(0, order(simulate.ByIDWithNewKeys, 2, 1))
		},
	},
	{
		name: "AManualAttemptOfAnEventThatWasNeverSentLeavesItRetryingWithoutAMessage",
		// Ingest crashes between storing and sending.
		config: simulate.Config{Plan: simulate.Pinned{2: simulate.CrashesAfter}},
		build: func(w *simulate.World) {
			one(w, fails)
			w.Send(0, order(simulate.Unnamed, 1, 0))
			w.Retry(time.Second, 0)
		},
	},
	{
		name: "AMessageReceivedTwiceIsDeletedByTheOneThatParksWhileTheOtherTakesTheDeliveryOffHold",
		// The first event's failure opens the breaker while the second is being
		// posted; its message is received once more, parked and deleted. Then the
		// first POST ends, and its result takes the delivery off hold.
		config: simulate.Config{Breaker: 1, Plan: &nth{op: "receive", n: 3, fault: simulate.Twice}},
		build: func(w *simulate.World) {
			one(w, hangs)
			w.Send(0, order(simulate.Unnamed, 1, 0))
			w.Send(10*time.Second, order(simulate.Unnamed, 1, 0))
			w.Send(15_200*time.Millisecond, order(simulate.Unnamed, 1, 0))
		},
	},
	{
		name: "AMessageReceivedTwiceIsDeletedByTheOneThatHoldsWhileTheOtherGivesTheDeliveryUp",
		// The same without a breaker: the second to fail uses up the last attempt,
		// and has no message to become a dead letter.
		config: simulate.Config{Schedule: []time.Duration{time.Hour}, Plan: &nth{op: "receive", n: 2, fault: simulate.Twice}},
		build: func(w *simulate.World) {
			one(w, hangs, fails)
			w.Send(0, order(simulate.Unnamed, 1, 0))
			w.Send(5*time.Second, order(simulate.Unnamed, 1, 0))
		},
	},
	{
		name:   "AQueueWhoseClockIsAheadNeverLetsADeliveryDie",
		config: simulate.Config{Skew: 500 * time.Millisecond, Schedule: []time.Duration{5 * time.Second, 20 * time.Minute}},
		build: func(w *simulate.World) {
			one(w, fails)
			w.Send(0, order(simulate.Unnamed, 1, 0))
		},
	},
}

// nth strikes the n-th call of a kind.
type nth struct {
	op    string
	n     int
	fault simulate.Fault
}

func (p *nth) Strike(_ int, op *simulate.Op) simulate.Fault {
	if op.Name == p.op {
		if p.n--; p.n == 0 {
			return p.fault
		}
	}
	return simulate.None
}

func TestMendedDefectsStayMended(t *testing.T) {
	for _, d := range mended {
		t.Run(d.name, func(t *testing.T) {
			var lines []string
			d.config.Strict = true
			d.config.Trace = func(line string) { lines = append(lines, line) }
			if r, _ := run(t, d.config, d.build); len(r.Violations) > 0 {
				t.Fatalf("%+v\n%s", r.Violations, strings.Join(lines, "\n"))
			}
		})
	}
}
