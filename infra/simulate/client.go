package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

// ingestTimeout is the ingest function's.
const ingestTimeout = 15 * time.Second

// Naming is how a client tells the relay that a request is a repeat.
type Naming int

// Namings.
const (
	// Unnamed: a repeat is another event.
	Unnamed Naming = iota
	// ByKey: every try carries the same Idempotency-Key.
	ByKey
	// ByID: every try carries the same event id.
	ByID
	// ByBoth: every try carries both.
	ByBoth
	// ByIDWithNewKeys: the same event id, under another key with each try, as a
	// client does that makes one per request.
	ByIDWithNewKeys
)

// Intent is a fact that a client wants to send.
type Intent struct {
	Tenant webhook.TenantID
	Type   webhook.EventType
	Naming Naming
	// Tries is how often it asks until it is answered 202.
	Tries int
	// Wait is how long it waits between two tries.
	Wait time.Duration
	// Repeats is how often it asks again after a 202 that it did not get to see.
	Repeats int
	// Later is how long after the first try the event is to be delivered; 0: at once.
	Later time.Duration
	// Twin asks at the same time, as a client with two threads.
	Twin bool
}

type intent struct {
	Intent
	number int
	// first is when the first try began.
	first time.Time
}

// accepted is one answer 202.
type accepted struct {
	*intent
	key string
	id  webhook.EventID
	// from and to are when the try began and was answered.
	from, to time.Time
}

// refusal is an answer that no fault explains.
type refusal struct {
	*intent
	err error
}

// instance is an ingest function that handles one request at a time and keeps
// its cache between them.
type instance struct {
	host
	ingester *ingest.Ingester
	busy     bool
}

// Send lets a client send i at some time of the run.
func (w *World) Send(after time.Duration, i Intent) {
	made := &intent{Intent: i, number: len(w.intents)}
	w.intents = append(w.intents, made)
	threads := 1
	if i.Twin {
		threads = 2
	}
	for range threads {
		w.clients++
		w.after(after, func() {
			if made.first.IsZero() {
				made.first = w.Now()
			}
			q := request{intent: made, tries: max(i.Tries, 1), repeats: i.Repeats}
			if i.Naming == ByKey || i.Naming >= ByBoth {
				q.key = fmt.Sprint("key-", made.number)
			}
			w.try(q)
		})
	}
}

// SendAll lets a client send all as one batch at some time of the run. What is
// refused it sends again, each on its own.
func (w *World) SendAll(after time.Duration, all ...Intent) {
	made := make([]request, len(all))
	for n, i := range all {
		i.Tenant, i.Twin = all[0].Tenant, false // a batch is of one tenant
		made[n] = request{intent: &intent{Intent: i, number: len(w.intents)}, tries: max(i.Tries, 1), repeats: i.Repeats}
		w.intents = append(w.intents, made[n].intent)
		if i.Naming == ByKey || i.Naming >= ByBoth {
			made[n].key = fmt.Sprint("key-", made[n].number)
		}
	}
	w.clients += len(all)
	w.after(after, func() { w.tryAll(made) })
}

// tryAll makes one request of all, and then one of each that failed.
func (w *World) tryAll(made []request) {
	from := w.Now()
	ask := make([]ingest.Request, len(made))
	for n, q := range made {
		q.first = from
		ask[n] = q.ask()
	}
	in := w.instance()
	var got []ingest.Outcome
	var err error
	w.start("ingest", ingestTimeout, func(p *process) {
		in.p = p
		got, err = in.ingester.AcceptAll(p.ctx, ask[0].Tenant, ask)
	}, func(p *process, completed bool) {
		if in.busy = false; !completed {
			w.lose(in)
			err = errInjected
		}
		w.busy = w.Now()
		for n, q := range made {
			outcome := ingest.Outcome{Err: err}
			if err == nil {
				outcome = got[n]
			}
			w.goOn(p, q, from, outcome.Accepted, outcome.Err)
		}
	})
}

// goOn notes an answer and asks again, if the client does.
func (w *World) goOn(p *process, q request, from time.Time, got ingest.Accepted, err error) {
	if next, more := w.answered(p, q, from, got, err); more {
		w.after(q.Wait+time.Duration(w.rand.IntN(1000))*time.Millisecond, func() { w.try(next) })
		return
	}
	w.clients--
}

// lose: a function that crashed loses what it kept.
func (w *World) lose(in *instance) {
	w.instances = slices.DeleteFunc(w.instances, func(other *instance) bool { return other == in })
}

// request is what a client asks, and how often it goes on asking.
type request struct {
	*intent
	key            string
	tries, repeats int
}

// ask is the request as ingest gets it.
func (q request) ask() ingest.Request {
	r := ingest.Request{
		Tenant: q.Tenant, Type: q.Type, IdempotencyKey: q.key,
		Data: fmt.Appendf(nil, `{"tenant":%q,"intent":%d}`, q.Tenant, q.number),
	}
	if q.Naming >= ByID {
		r.ID = webhook.EventID(fmt.Sprint("intent-", q.number))
	}
	if q.Later > 0 {
		r.DeliverAt = q.first.Add(q.Later)
	}
	return r
}

// try makes one request, and the next when it fails or its answer gets lost.
func (w *World) try(q request) {
	r := q.ask()
	from := w.Now()
	in := w.instance()
	var got ingest.Accepted
	var err error
	w.start("ingest", ingestTimeout, func(p *process) {
		in.p = p
		got, err = in.ingester.Accept(p.ctx, r)
	}, func(p *process, completed bool) {
		in.busy = false
		w.busy = w.Now()
		if !completed {
			w.lose(in)
			err = errInjected
		}
		w.goOn(p, q, from, got, err)
	})
}

// answered notes the answer and says what the client asks next, if anything.
func (w *World) answered(p *process, q request, from time.Time, got ingest.Accepted, err error) (next request, more bool) {
	if err == nil {
		w.tracef("%s intent %d: 202 %s", w.label(p), q.number, w.names.in(string(got.ID)))
		a := &accepted{q.intent, q.key, got.ID, from, w.Now()}
		w.accepted = append(w.accepted, a)
		w.watch.answered(a)
		// The client did not get to see it, and asks the same again.
		q.repeats--
		return q, q.repeats >= 0
	}
	w.tracef("%s intent %d: refused: %v", w.label(p), q.number, err)
	if !errors.Is(err, errInjected) && !errors.Is(err, ingest.ErrInProgress) {
		w.refused = append(w.refused, refusal{q.intent, err})
	}
	q.tries--
	if q.Naming == ByIDWithNewKeys && !w.acceptedUnder(q.key) {
		q.key += "'"
	}
	return q, q.tries > 0
}

func (w *World) acceptedUnder(key string) bool {
	return slices.ContainsFunc(w.accepted, func(a *accepted) bool { return a.key == key })
}

// instance returns an ingest function that is free, or a new one.
func (w *World) instance() *instance {
	for _, in := range w.instances {
		if !in.busy && (w.config.Strict || w.rand.IntN(3) > 0) {
			in.busy = true
			return in
		}
	}
	in := &instance{busy: true}
	in.ingester = w.ingester(&in.host)
	w.instances = append(w.instances, in)
	return in
}

func (w *World) ingester(h *host) *ingest.Ingester {
	seams := w.config.Seams
	return ingest.New(ingest.Config{
		Store: wrap[ingest.Store](store{h}, seams.IngestStore), Queue: wrap[ingest.Queue](line{h}, seams.IngestQueue),
		IDs: w.ids, Retention: 30 * 24 * time.Hour, Now: h.now, Sleep: h.sleep, Log: silent,
	})
}

// sleep waits in virtual time.
func (h *host) sleep(ctx context.Context, d time.Duration) error {
	return ask(ctx, h.p, opSleep, "", func(c *call) error {
		c.in = d
		return ctx.Err()
	}, func(Fault) error { return nil }, describe[error])
}
