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

// request is what a client asks, and how often it goes on asking.
type request struct {
	*intent
	key            string
	tries, repeats int
}

// try makes one request, and the next when it fails or its answer gets lost.
func (w *World) try(q request) {
	r := ingest.Request{
		Tenant: q.Tenant, Type: q.Type, IdempotencyKey: q.key,
		Data: fmt.Appendf(nil, `{"tenant":%q,"intent":%d}`, q.Tenant, q.number),
	}
	if q.Naming >= ByID {
		r.ID = webhook.EventID(fmt.Sprint("intent-", q.number))
	}
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
			// A function that crashed loses what it kept.
			w.instances = slices.DeleteFunc(w.instances, func(other *instance) bool { return other == in })
			err = errInjected
		}
		if next, more := w.answered(p, q, from, got, err); more {
			w.after(q.Wait+time.Duration(w.rand.IntN(1000))*time.Millisecond, func() { w.try(next) })
			return
		}
		w.clients--
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
	return ask(h.p, opSleep, "", func(c *call) error {
		c.in = d
		return ctx.Err()
	}, func(Fault) error { return nil }, describe[error])
}
