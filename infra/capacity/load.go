package capacity

import (
	"errors"
	"fmt"
	"time"

	"webhookrelay/infra/cost"
)

// Load is the traffic to plan for.
type Load struct {
	// Rate is events a second.
	Rate float64
	// PerRequest is how many events a request to the relay holds: 1 to 100.
	PerRequest float64
	// Endpoints is how many endpoints an event goes to on average.
	Endpoints float64
	// Failing is the share of first attempts that fail.
	Failing float64
	// Answer is how long an endpoint takes to answer.
	Answer time.Duration
	// Hanging is the share of attempts that get no answer, each until the timeout of
	// an attempt.
	Hanging float64
	// Tenants is over how many tenants the events are spread evenly.
	Tenants float64
}

// Default is a load with everything but its rate.
var Default = Load{PerRequest: 1, Endpoints: 1, Answer: 100 * time.Millisecond, Tenants: 1}

// Check says what is wrong with a load.
func (l Load) Check() error {
	var faults []error
	demand := func(ok bool, format string, values ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, values...))
		}
	}
	demand(l.Rate > 0 && l.Rate <= 1e6, "rate %g: above 0, a million at most", l.Rate)
	demand(l.PerRequest >= 1 && l.PerRequest <= 100, "events per request %g: 1 to 100", l.PerRequest)
	demand(l.Endpoints >= 0 && l.Endpoints <= 1000, "endpoints %g: 0 to 1000", l.Endpoints)
	demand(l.Failing >= 0 && l.Failing <= 1, "failing %g: 0 to 1", l.Failing)
	demand(l.Hanging >= 0 && l.Hanging <= 1, "hanging %g: 0 to 1", l.Hanging)
	demand(l.Answer > 0 && l.Answer <= attemptTimeout, "answer %s: above 0, %s at most", l.Answer, attemptTimeout)
	demand(l.Tenants >= 1, "tenants %g: at least 1", l.Tenants)
	return errors.Join(faults...)
}

// perEvent is what one event asks of AWS.
type perEvent struct {
	writes, reads, sqs, attempts float64
	ingestCPU, dispatcherCPU     float64 // seconds of one processor
	dollars                      float64
}

// eventOf reckons an event of the load from the measured ones: between 1 and 10
// endpoints and between no and 5 % failures it takes the straight line, and
// goes on along it; between requests of 1 and of 100 events it goes by requests per event.
func (l Load) eventOf(r cost.Results) (perEvent, error) {
	at := func(ingest int) (perEvent, error) {
		var corner [2][2]perEvent
		for i, endpoints := range []int{1, 10} {
			for j, failing := range []int{0, 5} {
				c, ok := r.Find(ingest, endpoints, fullBatch, failing)
				if !ok {
					return perEvent{}, fmt.Errorf("nothing was measured for requests of %d events, %d endpoints and %d %% failing", ingest, endpoints, failing)
				}
				corner[i][j] = measured(c)
			}
		}
		few := corner[0][0].toward(corner[0][1], l.Failing/0.05)
		many := corner[1][0].toward(corner[1][1], l.Failing/0.05)
		return few.toward(many, (l.Endpoints-1)/9), nil
	}
	batched, err := at(100)
	if err != nil {
		return perEvent{}, err
	}
	single, err := at(1)
	if err != nil {
		return perEvent{}, err
	}
	return batched.toward(single, (1/l.PerRequest-0.01)/0.99), nil
}

const fullBatch = 10

func measured(c cost.Case) perEvent {
	events, w := float64(c.Work.Events), c.Work
	return perEvent{
		writes: w.WriteUnits / events, reads: w.ReadUnits / events, sqs: float64(w.SQS()) / events, attempts: float64(w.Attempts) / events,
		ingestCPU: w.Ingest.CPUSeconds / events, dispatcherCPU: w.Dispatcher.CPUSeconds / events, dollars: c.Dollars / 1e6,
	}
}

// toward returns what lies at share of the way from p to q.
func (p perEvent) toward(q perEvent, share float64) perEvent {
	mix := func(a, b float64) float64 { return max(0, a+share*(b-a)) }
	return perEvent{
		mix(p.writes, q.writes), mix(p.reads, q.reads), mix(p.sqs, q.sqs), mix(p.attempts, q.attempts),
		mix(p.ingestCPU, q.ingestCPU), mix(p.dispatcherCPU, q.dispatcherCPU), mix(p.dollars, q.dollars),
	}
}
