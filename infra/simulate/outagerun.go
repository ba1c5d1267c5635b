package simulate

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// outageRun is an Outage under way. Its functions are goroutines of which one
// runs at a time: it goes on until it waits for an answer, and then virtual time
// goes by. A function gets one message, so that nothing in it runs side by side
// but the sweeper's writes, whose order does not matter.
type outageRun struct {
	clock
	Outage
	rand     *rand.Rand
	recovery time.Time
	queue    *backlog
	table    *ledger
	sweeps   sweep.State

	busy, slots int
	idle        []*outageDispatcher
	yields      chan yield
	// wakes is when the queue is looked at next.
	wakes time.Time

	// events counts those accepted, and during those of them that were accepted
	// during the outage.
	events, during int
	// until is when the last of them is accepted.
	until time.Time
	// sweeping: a sweeper runs.
	sweeping bool
	tally    tally
	samples  []OutageStep
}

// invocation is one run of a function.
type invocation struct {
	run  *outageRun
	goOn chan struct{}
}

// yield says that an invocation waits for a while, or has ended.
type yield struct {
	*invocation
	wait  time.Duration
	ended bool
}

// invoke runs do as a function, and then, in the world's own thread, after.
func (r *outageRun) invoke(do func(p *invocation), after func()) {
	p := &invocation{run: r, goOn: make(chan struct{})}
	go func() {
		do(p)
		r.yields <- yield{invocation: p, ended: true}
	}()
	r.attend(after)
}

// attend waits until the invocation that runs waits or ends.
func (r *outageRun) attend(after func()) {
	y := <-r.yields
	if y.ended {
		after()
		return
	}
	r.after(y.wait, func() {
		y.goOn <- struct{}{}
		r.attend(after)
	})
}

// pause lets virtual time go by.
func (p *invocation) pause(d time.Duration) {
	p.run.yields <- yield{invocation: p, wait: d}
	<-p.goOn
}

// accept lets the next event come, with a message for each endpoint that is
// enabled.
func (r *outageRun) accept() {
	for i, endpoint := range r.table.endpoints {
		if endpoint.State != webhook.EndpointEnabled {
			r.table.rows = append(r.table.rows, settled) // nothing to do
			continue
		}
		r.queue.send(len(r.table.rows), 0)
		r.table.rows = append(r.table.rows, nil)
		if i == 0 {
			r.tally.accepted++
		}
	}
	r.events++
	if r.Now().Before(r.recovery) {
		r.during, r.tally.during = r.events, r.tally.accepted
	}
	r.poll()
	if next := r.table.accepted(r.events); next.Before(r.until) {
		r.at(next, r.accept)
	}
}

// poll is Lambda's event source mapping: it invokes as many dispatchers as may
// run, and comes back when there is more to receive.
func (r *outageRun) poll() {
	r.queue.surface()
	for r.busy < r.slots {
		m := r.queue.receive()
		if m == nil {
			break
		}
		r.dispatch(m)
	}
	at, ok := r.queue.next()
	if !ok || r.busy == r.slots || !r.wakes.IsZero() && !r.wakes.After(at) {
		return
	}
	r.wakes = at
	r.at(at, func() {
		if r.wakes.Equal(at) {
			r.wakes = time.Time{}
			r.poll()
		}
	})
}

func (r *outageRun) dispatch(m *letter) {
	r.busy++
	in := r.instance()
	receipt := m.receipt
	batch := []dispatch.Message{{
		ID: strconv.Itoa(m.number), Receipt: strconv.Itoa(receipt),
		Body:   []byte(envelope.Encode(envelope.Envelope{DeliveryKey: r.table.key(m.subject)})),
		SentAt: m.sentAt, FirstReceivedAt: m.firstReceived, Receives: m.receives,
	}}
	ctx := deadlined{context.Background(), r.Now().Add(dispatchTimeout)}
	var keep []string
	r.invoke(func(p *invocation) {
		in.invocation = p
		keep = in.Handle(ctx, batch)
	}, func() {
		r.busy--
		r.idle = append(r.idle, in)
		if len(keep) == 0 {
			r.queue.delete(m, receipt)
		}
		r.poll()
	})
}

// outageDispatcher is an instance of the dispatcher function, which remembers
// the health of endpoints between its invocations.
type outageDispatcher struct {
	*invocation
	*dispatch.Dispatcher
}

func (r *outageRun) instance() *outageDispatcher {
	if n := len(r.idle); n > 0 {
		in := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return in
	}
	in := &outageDispatcher{}
	in.Dispatcher = dispatch.New(dispatch.Config{
		Store: dispatcherTable{in}, Queue: dispatcherTable{in}, Sender: dispatcherTable{in}, Announcer: nobody{},
		Policy: retry.Policy{Schedule: r.Schedule, Rand: r.rand.Float64}, Breaker: r.breaker(), Lifetime: r.Lifetime,
		Now: r.Now, Log: silent,
	})
	return in
}

// sweep runs the sweeper every minute. With one event for many, a page may take
// it so long that it misses one.
func (r *outageRun) sweep() {
	r.sample()
	r.after(sweepInterval, r.sweep)
	if r.sweeping {
		return
	}
	r.sweeping = true
	ctx, cancel := context.WithCancel(context.Background())
	r.after(sweepTimeout-sweepReserve, cancel)
	r.invoke(func(p *invocation) {
		view := &sweeperTable{invocation: p}
		s := sweep.Sweeper{
			Store: view, Queue: view, Breaker: r.breaker(), Lifetime: r.Lifetime, Interval: sweepInterval,
			Rate: sweep.DefaultRate / float64(r.Scale), Now: r.Now, Log: silent,
		}
		// The model fails nowhere, and what a run does not get to is left to the next.
		_, _ = s.Release(ctx)
		_ = s.Run(ctx)
	}, func() {
		r.sweeping = false
		cancel()
	})
}

// posted counts a POST to the endpoint that fails, and says what came of it and
// how long it takes.
func (r *outageRun) posted(endpoint webhook.EndpointID) (webhook.Result, time.Duration) {
	down := endpoint == r.table.targets[0] && r.Now().Before(r.recovery)
	if down {
		// One probe is made however many deliveries wait for it.
		if r.table.endpoints[0].Health.Open() {
			r.tally.probes++
		} else {
			r.tally.posts++
		}
	}
	switch {
	case !down:
		if endpoint == r.table.targets[0] && r.tally.noticed.IsZero() {
			r.tally.noticed = r.Now()
		}
		return webhook.Result{StatusCode: 200, Duration: answerTime}, answerTime
	case r.Hangs:
		return webhook.Result{Reason: webhook.ReasonTimeout, Duration: postTimeout}, postTimeout
	}
	return webhook.Result{Reason: webhook.ReasonHTTP5xx, StatusCode: 503, Duration: answerTime}, answerTime
}
