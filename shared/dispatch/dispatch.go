// Package dispatch takes queue messages to their end: it loads what a message
// names, posts the event, records the attempt, and then lets the message be
// deleted, hides it until the next attempt is due, or leaves it to the queue,
// which moves it to the dead-letter queue.
//
// Attempts are counted in the store, never by receives. A message whose
// delivery is dead is made visible at once and reported as failed, over and
// over, until SQS itself moves it to the dead-letter queue: only SQS's own move
// records the source that the console's redrive sends it back to.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const (
	// MaxHide is the longest a message is hidden at once: SQS allows 12 hours
	// since the receive. LongestHide keeps waits far below; this bounds a row that
	// was written without regard to it.
	MaxHide = 43_170 * time.Second

	// LongestHide is the longest wait for which a message is hidden. Hidden
	// messages count against the 120,000 that SQS has in flight at most, beyond
	// which every tenant stalls; with this bound it takes over 300 failures
	// a second, lasting. SQS counts a message's age until its third receive, and two
	// such waits stay below what the alarm FreshBacklog calls late, so that no endpoint's
	// schedule raises it. For longer waits the store carries the delivery.
	LongestHide = 6 * time.Minute

	// perEndpoint is how many attempts to one endpoint a batch makes at once.
	// All of them, twice in a row, fit in an invocation unless each may take long.
	perEndpoint = 5
	longAttempt = 20 * time.Second

	// early is how much before its time a retry may be made, so that clocks that
	// differ a little do not cost another receive.
	early = 500 * time.Millisecond

	// reserve is the part of the invocation kept for recording results and
	// setting visibility after the last attempt ended.
	reserve = 8 * time.Second

	// saveTries bounds how often a result is applied anew to a row that another
	// consumer keeps changing.
	saveTries = 10
)

// Config holds what a Dispatcher works with. Every field is required.
type Config struct {
	Store  Store
	Queue  Queue
	Sender Sender
	// Announcer tells the operator what becomes of endpoints and deliveries.
	Announcer Announcer
	Policy    retry.Policy
	// Breaker says when an endpoint is left alone, and when it is disabled.
	Breaker breaker.Policy
	// Lifetime is how long a delivery may be parked before it is given up.
	Lifetime time.Duration
	Now      func() time.Time
	Log      *slog.Logger
}

// Dispatcher handles batches of queue messages. Safe for concurrent use.
type Dispatcher struct {
	Config
	seen    *healthSeen
	seats   *seats
	matcher *filter.Matcher
}

// New returns a Dispatcher over c.
func New(c Config) *Dispatcher {
	return &Dispatcher{Config: c, seen: newHealthSeen(), seats: newSeats(), matcher: filter.NewMatcher()}
}

// storeFailure marks the lines that tell of a failed call of the store.
var storeFailure = telemetry.Counted("StoreFailures", 1)

// fate is what becomes of a message after its handling.
type fate struct {
	// keep: the message is not deleted.
	keep bool
	// hide: the message is made invisible until then; a past time shows it at
	// once. Without it, it comes back after the queue's visibility timeout.
	hide  bool
	until time.Time
}

var (
	done  = fate{}
	leave = fate{keep: true}
	// spin sends a message with nothing left to try on its way to the dead-letter queue.
	spin = fate{keep: true, hide: true}
)

func hideUntil(t time.Time) fate { return fate{keep: true, hide: true, until: t} }

// Handle takes each message of a batch as far as it can and returns the ids of
// those the queue must keep. Messages are handled side by side; ctx should carry
// the invocation's deadline, and attempts end in time to record them.
func (d *Dispatcher) Handle(ctx context.Context, batch []Message) (keep []string) {
	return d.HandleEach(ctx, batch, func(Message) {})
}

// HandleEach is Handle for a consumer that counts what is in work: it calls
// free, from one goroutine, for each message as soon as nobody works on it.
func (d *Dispatcher) HandleEach(ctx context.Context, batch []Message, free func(Message)) (keep []string) {
	fates := make([]fate, len(batch))
	jobs := d.decode(batch, fates)
	d.load(ctx, jobs, fates)

	attempts, cancel := attemptContext(ctx)
	defer cancel()
	settled := make(chan int, len(batch))
	slots := make(map[endpointKey]chan struct{})
	loaded := make(map[int]*job, len(jobs))
	for _, j := range jobs {
		if j.loaded != nil {
			loaded[j.index], slots[j.endpoint()] = j, make(chan struct{}, together(j.loaded.Endpoint, len(batch)))
		}
	}
	for i := range batch {
		j := loaded[i]
		if j == nil {
			settled <- i // its fate is sealed already
			continue
		}
		go func() {
			slots[j.endpoint()] <- struct{}{}
			fates[i] = d.process(ctx, attempts, j)
			<-slots[j.endpoint()]
			settled <- i
		}()
	}
	d.hideAsSettled(ctx, batch, fates, settled, free)
	for i, f := range fates {
		if f.keep {
			keep = append(keep, batch[i].ID)
		}
	}
	return keep
}

// together is how many attempts to the endpoint a batch makes at once.
func together(endpoint *webhook.Endpoint, batch int) int {
	if endpoint != nil && endpoint.Terms.Timeout > longAttempt {
		return max(batch, perEndpoint)
	}
	return perEndpoint
}

// job is one message that could be read, with its place in the batch.
type job struct {
	index   int
	message Message
	envelope.Envelope
	loaded *Loaded
}

// endpoint is whom the message is for. Two tenants may have an endpoint of one id.
func (j *job) endpoint() endpointKey { return endpointKey{j.Tenant, j.Endpoint} }

// decode reads the batch's messages. One that cannot be read is never dropped:
// it goes to the dead-letter queue by its receive count, at once when no
// version wrote it, slowly when another version did and may be deployed again.
func (d *Dispatcher) decode(batch []Message, fates []fate) []*job {
	jobs := make([]*job, 0, len(batch))
	for i, message := range batch {
		decoded, err := envelope.Decode(message.Body)
		if err != nil {
			fates[i] = spin
			if errors.Is(err, envelope.ErrVersion) {
				fates[i] = leave
			}
			d.Log.Error("message rejected", "message_id", message.ID, "receives", message.Receives,
				"error", err.Error(), telemetry.Counted("MessagesRejected", 1))
			continue
		}
		jobs = append(jobs, &job{index: i, message: message, Envelope: decoded})
	}
	return jobs
}

// load reads what all jobs need at once. When the store fails, every message is
// put back for a while without using up an attempt.
func (d *Dispatcher) load(ctx context.Context, jobs []*job, fates []fate) {
	if len(jobs) == 0 {
		return
	}
	lookups := make([]Lookup, len(jobs))
	for i, j := range jobs {
		// A first receive has, but for redrives and duplicates, no row that a
		// lagging read could miss; later ones do.
		lookups[i] = Lookup{DeliveryKey: j.DeliveryKey, Fresh: j.message.Receives > 1 || j.Once}
	}
	loaded, err := d.Store.Load(ctx, lookups)
	if err == nil {
		err = d.confirm(ctx, lookups, loaded)
	}
	if err != nil {
		d.Log.Error("store failed", "operation", "load", "messages", len(jobs), "error", err.Error(), storeFailure)
		for _, j := range jobs {
			fates[j.index] = d.putBack(j.message)
		}
		return
	}
	for i, j := range jobs {
		if err := loaded[i].Err; err != nil {
			// Another version may read it; until then its receives run out.
			d.Log.Error("row unreadable", "tenant_id", j.Tenant, "delivery_id", j.ID(),
				"message_id", j.message.ID, "receives", j.message.Receives, "error", err.Error())
			fates[j.index] = d.putBack(j.message)
			continue
		}
		j.loaded = &loaded[i]
	}
}

// confirm reads again, so that every finished write is seen, what concerns the
// first attempts of scheduled events: one that was cancelled a moment ago is not sent.
func (d *Dispatcher) confirm(ctx context.Context, lookups []Lookup, loaded []Loaded) error {
	var again []Lookup
	var places []int
	for i, l := range loaded {
		if l.Event != nil && !l.Event.DeliverAt.IsZero() && l.Delivery == nil && !lookups[i].Fresh {
			again, places = append(again, Lookup{DeliveryKey: lookups[i].DeliveryKey, Fresh: true}), append(places, i)
		}
	}
	if len(again) == 0 {
		return nil
	}
	newest, err := d.Store.Load(ctx, again)
	if err != nil {
		return err
	}
	for n, i := range places {
		loaded[i] = newest[n]
	}
	return nil
}

// hideEvery is how long a result waits for others before its message is hidden.
const hideEvery = 500 * time.Millisecond

// hideAsSettled returns when all messages are settled. It hides them as their
// results come in, several at once where they come close together: the retry of one must not wait until the slowest
// endpoint of its batch has timed out. A message that becomes visible again while
// its batch is still running is no harm, for its result is recorded.
func (d *Dispatcher) hideAsSettled(ctx context.Context, batch []Message, fates []fate, settled <-chan int, free func(Message)) {
	tick := time.NewTicker(hideEvery)
	defer tick.Stop()
	var ready []int
	for remaining := len(batch); remaining > 0; {
		select {
		case i := <-settled:
			free(batch[i])
			ready = append(ready, i)
			remaining--
		case <-tick.C:
			d.hide(ctx, batch, fates, ready)
			ready = nil
		}
	}
	d.hide(ctx, batch, fates, ready)
}

// hide sets the visibility of those of the messages at indexes that are to be hidden.
func (d *Dispatcher) hide(ctx context.Context, batch []Message, fates []fate, indexes []int) {
	var hidings []Hiding
	now := d.Now()
	for _, i := range indexes {
		if f := fates[i]; f.hide {
			wait := min(max(0, f.until.Sub(now)), MaxHide)
			hidings = append(hidings, Hiding{MessageID: batch[i].ID, Receipt: batch[i].Receipt, Wait: wait})
		}
	}
	if len(hidings) == 0 {
		return
	}
	if failed := d.Queue.Hide(ctx, hidings); len(failed) > 0 {
		d.Log.Error("visibility not set", "messages", len(failed), "message_id", failed[0], telemetry.Counted("VisibilityFailures", len(failed)))
	}
}

// putBack returns a message that the relay itself could not handle. The wait
// doubles with each receive, from 5 s up to 5 min, so that the receives the
// queue allows outlast an outage of hours.
func (d *Dispatcher) putBack(m Message) fate {
	doublings := min(max(m.Receives, 1)-1, 6)
	return hideUntil(d.Now().Add(min(5*time.Second<<doublings, 5*time.Minute)))
}

// attemptContext ends early enough before ctx that every result can be recorded.
func attemptContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-reserve))
	}
	return context.WithCancel(ctx)
}
