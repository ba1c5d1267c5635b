package simulate

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// Config describes a run. The zero value of a field is its usual setting.
type Config struct {
	// Seed decides every choice of the run.
	Seed uint64
	// Schedule is the waits between attempts; nil: two short ones and one that
	// the store carries.
	Schedule []time.Duration
	// Jitter adds the policy's random part to them.
	Jitter bool
	// MaxReceives is the queue's, InFlight its limit of messages in flight.
	MaxReceives, InFlight int
	// Concurrency is how many dispatchers run at once, Batch how many messages
	// each gets. Without Settled a batch is one message.
	Concurrency, Batch int
	// Lag is how stale a usual read may be, Slow how often a call takes seconds.
	Lag  time.Duration
	Slow float64
	// Skew is how far the queue's clock is ahead of the functions'.
	Skew time.Duration
	// Move is how a redrive presents its messages.
	Move Move
	// Plan says what fails during the first Active of the run; then all is well.
	Plan   Plan
	Active time.Duration
	// Breaker is how many failures in a row open an endpoint's breaker, no more
	// than ten minutes apart; 0: never.
	Breaker int
	// DisableAfter is how long an endpoint may do nothing but fail; 0: for ever.
	DisableAfter time.Duration
	// Heal: in the end every receiver recovers, every endpoint is enabled, and
	// the dead-letter queue is redriven.
	Heal bool
	// Strict: nothing happens that the queue or a slow service may do but seldom
	// does, so that every attempt must be in time.
	Strict bool
	// Seams alters what the use cases see, to prove that the checker notices.
	Seams Seams
	// Settled waits until every goroutine of the run stands still, and Pass lets
	// time go by for their timers.
	Settled func()
	Pass    func(time.Duration)
	// Trace receives one line for everything that happens.
	Trace func(line string)
}

// Seams replace what a use case works with; nil leaves it.
type Seams struct {
	IngestStore   func(ingest.Store) ingest.Store
	IngestQueue   func(ingest.Queue) ingest.Queue
	DispatchStore func(dispatch.Store) dispatch.Store
	DispatchQueue func(dispatch.Queue) dispatch.Queue
	Sender        func(dispatch.Sender) dispatch.Sender
	Announcer     func(dispatch.Announcer) dispatch.Announcer
	SweepStore    func(sweep.Store) sweep.Store
	SweepQueue    func(sweep.Queue) sweep.Queue
	Handle        func(handler) handler
}

type handler = func(context.Context, []dispatch.Message) []string

func wrap[T any](v T, by func(T) T) T {
	if by == nil {
		return v
	}
	return by(v)
}

// World is one run.
type World struct {
	clock
	config    Config
	rand      *rand.Rand
	ids       *id.Source
	tables    *tables
	queue     *queue
	sealing   seal.LocalKey
	mapping   *mapping
	receivers map[string]*receiver
	instances []*instance
	watch     *watch
	names     names

	running   map[*process]func(*process, bool)
	arrivals  chan arrival
	processes int
	// clients counts the senders that have not given up or finished.
	clients int
	// busy is when something last happened that the sweeper may have to repair.
	busy time.Time
	// begun: the run is on its way; calm: nothing fails now.
	begun, calm bool
	// sweeps is when the sweeper runs next, by the newest of all plans.
	sweeps   time.Time
	plans    int
	sweeping int

	posts    []*post
	intents  []*intent
	accepted []*accepted
	refused  []refusal
	// configured is every state of each tenant's endpoints, with its time.
	configured map[webhook.TenantID][]configuration
	deleted    map[endpointKey]bool
	// takenBack is when each event was said to be cancelled.
	takenBack map[eventKey]time.Time

	// Calls are the calls so far, Faults how many of them were struck.
	Calls  []*Op
	Faults int
}

// configuration is a tenant's endpoints as they were from a moment on.
type configuration struct {
	from      time.Time
	endpoints []webhook.Endpoint
}

var silent = slog.New(slog.DiscardHandler)

// New returns a world without tenants.
func New(c Config) *World {
	if c.Schedule == nil {
		c.Schedule = []time.Duration{5 * time.Second, 5 * time.Minute, 13 * time.Hour}
	}
	c.MaxReceives = or(c.MaxReceives, 8)
	c.InFlight = or(c.InFlight, 120_000)
	c.Concurrency = or(c.Concurrency, 3)
	c.Batch = or(c.Batch, 10)
	c.Active = or(c.Active, 24*time.Hour)
	if c.Settled == nil {
		c.Batch = 1
	}
	w := &World{
		config: c, rand: rand.New(rand.NewPCG(c.Seed, 0x5eed)), ids: id.NewSource(),
		receivers: map[string]*receiver{}, running: map[*process]func(*process, bool){}, arrivals: make(chan arrival, 1024),
		configured: map[webhook.TenantID][]configuration{}, deleted: map[endpointKey]bool{}, takenBack: map[eventKey]time.Time{},
		names: names{}, calm: true, // nothing fails before the run
	}
	w.now.Store(epoch.UnixMilli())
	w.busy = epoch
	w.sealing, _ = seal.NewLocalKey(make([]byte, seal.LocalKeySize)) // of the right length
	if !c.Strict {
		w.ties = w.rand
	}
	w.watch = &watch{w: w, byHand: map[webhook.DeliveryKey]bool{}, unheld: map[webhook.DeliveryKey]bool{}}
	w.tables = &tables{
		tenants: map[webhook.TenantID]*tenantRow{}, endpoints: map[endpointKey]*row[webhook.Endpoint]{},
		events: map[eventKey]*row[webhook.Event]{}, deliveries: map[webhook.DeliveryKey]*row[webhook.Delivery]{},
		claims: map[claimKey]ingest.Claim{}, turns: map[turnKey]int64{}, now: w.Now, lag: c.Lag, pick: w.rand.IntN, page: 3, heldPage: 5,
		changed: w.reconfigured,
	}
	switch {
	case c.Settled == nil:
		w.tables.heldPage = 1 // the sweeper writes several rows side by side
	case c.Strict:
		w.tables.heldPage = 1000
	}
	w.mapping = &mapping{w: w}
	w.queue = &queue{
		clock: &w.clock, rand: w.rand, maxReceives: c.MaxReceives, inFlight: c.InFlight, skew: c.Skew, move: c.Move, strict: c.Strict,
		stir: w.mapping.stir, subjects: map[string]*envelope.Envelope{}, copies: map[string]int{},
	}
	return w
}

func or[T comparable](v, usual T) T {
	var zero T
	if v == zero {
		return usual
	}
	return v
}

func (w *World) reconfigured(tenant webhook.TenantID) {
	w.configured[tenant] = append(w.configured[tenant], configuration{w.Now(), w.tables.endpointsOf(tenant)})
}

// Run lets everything happen that was scheduled, waits until the relay has
// come to rest, and checks what became of it.
func (w *World) Run() Report {
	w.begun, w.calm, w.Calls = true, false, nil
	defer w.finish()
	w.planSweep()
	active := epoch.Add(w.config.Active)
	for w.step(active) {
		if len(w.Calls) > 200_000 {
			w.watch.violate("TheRelayComesToRest", "%d calls and no end", len(w.Calls))
			return w.report()
		}
	}
	w.now.Store(max(w.now.Load(), active.UnixMilli()))
	w.calm = true
	w.tracef("--- from here on nothing fails")
	w.rest()
	w.watch.account(false)
	r := w.report()
	if w.config.Heal {
		w.tracef("--- every receiver recovers; redrive")
		w.heal()
		w.rest()
		w.watch.account(true)
		r.Violations = w.watch.violations
	}
	return r
}

// finish ends what still runs.
func (w *World) finish() {
	for len(w.running) > 0 {
		for p := range w.running {
			w.kill(p)
			break
		}
	}
	if w.config.Pass != nil {
		w.config.Pass(time.Second) // goroutines of killed processes notice at their next tick
	}
}

// rest steps until no message is left to deliver and the sweeper has walked
// twice past whatever was left behind.
func (w *World) rest() {
	limit := w.Now().Add(15 * 24 * time.Hour)
	calls := len(w.Calls)
	for w.step(limit) {
		_, held := w.tables.nextHeld()
		if len(w.queue.live) == 0 && !held && w.queue.moving == 0 && len(w.running) == 0 && w.clients == 0 &&
			w.Now().Sub(w.busy) > 50*time.Hour {
			return
		}
		if len(w.Calls) > calls+100_000 {
			break
		}
	}
	w.watch.violate("TheRelayComesToRest", "%d messages left, %d processes, %d clients", len(w.queue.live), len(w.running), w.clients)
}

// heal makes every receiver take everything, and redrives.
func (w *World) heal() {
	for _, r := range w.receivers {
		r.healthy = true
	}
	for k, row := range w.tables.endpoints {
		if e := row.current; e != nil && e.State != webhook.EndpointEnabled {
			enabled := *e
			enabled.State, enabled.DisabledReason = webhook.EndpointEnabled, ""
			enabled.Rev++
			w.tables.writeEndpoint(k, &enabled)
		}
	}
	// A minute later no read lags behind this.
	w.after(time.Minute, func() { _ = w.queue.startMove() })
	w.busy = w.Now().Add(-49 * time.Hour)
}

// step lets the next thing happen, unless it lies after limit. While dispatchers
// handle batches time goes by in small slices, for those have a timer.
func (w *World) step(limit time.Time) bool {
	for {
		at, ok := w.next()
		if !ok || at.After(limit) {
			return false
		}
		gap := at.Sub(w.Now())
		if w.config.Pass == nil || gap <= 0 || w.mapping.batches == 0 {
			w.happen()
			return true
		}
		gap = min(gap, 100*time.Millisecond)
		w.now.Add(gap.Milliseconds())
		w.config.Pass(gap)
		w.settle()
	}
}
