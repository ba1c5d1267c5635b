package simulate

import (
	"slices"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/seal"
)

// dispatchTimeout is the dispatcher function's.
const dispatchTimeout = time.Minute

// mapping is Lambda's event source mapping: it receives batches, invokes the
// dispatcher with them and deletes what the reply does not keep.
type mapping struct {
	w *World
	// polls is when the next look at the queue is due; zero: none is.
	polls time.Time
	plans int
	// busy counts the dispatchers that run, batches those with several messages.
	busy, batches int
	idle          []*dispatcher
}

// stir looks at the queue at the given time.
func (s *mapping) stir(at time.Time) {
	at = later(at, s.w.Now())
	if !s.polls.IsZero() && !s.polls.After(at) {
		return
	}
	s.polls = at
	s.plans++
	plan := s.plans
	s.w.at(at, func() {
		if plan == s.plans {
			s.polls = time.Time{}
			s.poll()
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *mapping) poll() {
	w := s.w
	for s.busy < w.config.Concurrency {
		batch := s.receive()
		if len(batch) == 0 {
			break
		}
		s.invoke(batch)
	}
	if at, ok := w.queue.next(); ok {
		s.stir(at)
	}
}

// receive takes a batch, at most one message for an endpoint: two in one batch
// may ask for the same things, and the world could not tell them apart. Side by
// side they come in the batches of several dispatchers.
func (s *mapping) receive() []dispatch.Message {
	w := s.w
	var batch []*message
	about := map[endpointKey]bool{}
	take := func(m *message) {
		if len(batch) == w.config.Batch {
			return
		}
		if m.subject != nil {
			k := endpointKey{m.subject.Tenant, m.subject.Endpoint}
			if about[k] {
				return
			}
			about[k] = true
		}
		batch = append(batch, m)
	}
	for _, m := range w.queue.visible() {
		take(m)
	}
	if len(batch) == 0 {
		return nil
	}
	fault := w.strike(opReceive)
	if fault == Twice {
		if m := w.queue.hidden(); m != nil {
			// First, so that there is room for it.
			batch, about = nil, map[endpointKey]bool{}
			take(m)
			m.disturbed++
			for _, other := range w.queue.visible() {
				take(other)
			}
		}
	}
	received := make([]dispatch.Message, len(batch))
	for i, m := range batch {
		received[i] = w.queue.receive(m)
		w.tracef("receive %s (%d) %s", m.id, m.receives, w.names.in(m.body))
		if fault == Throttled {
			m.disturbed++
		}
	}
	if fault == Throttled {
		return s.receive() // what else there is
	}
	return received
}

func (s *mapping) invoke(batch []dispatch.Message) {
	w := s.w
	s.busy++
	several := 0
	if len(batch) > 1 {
		several = 1
	}
	s.batches += several
	var keep []string
	in := s.instance()
	w.start("dispatcher", dispatchTimeout, func(p *process) {
		in.p = p
		keep = in.handle(p.ctx, batch)
	}, func(p *process, completed bool) {
		s.busy--
		s.batches -= several
		if completed {
			s.idle = append(s.idle, in)
		}
		s.stir(w.Now())
		if p.disturbed {
			for _, m := range w.queue.live {
				if slices.ContainsFunc(batch, func(r dispatch.Message) bool { return r.ID == m.id }) {
					m.disturbed++
				}
			}
		}
		if !completed {
			return
		}
		w.watch.handled(p, batch, keep)
		if w.strike(opReply) == ReplyLost {
			for _, m := range w.queue.live {
				if slices.ContainsFunc(batch, func(r dispatch.Message) bool { return r.ID == m.id }) {
					m.disturbed++
				}
			}
			return
		}
		for _, r := range batch {
			if !slices.Contains(keep, r.ID) {
				w.tracef("delete %s: %v", r.ID, w.queue.delete(r))
			}
		}
	})
}

// dispatcher is a function instance; what it keeps in memory is lost in a crash.
type dispatcher struct {
	host
	handle handler
}

// instance returns a dispatcher that is idle, or a new one.
func (s *mapping) instance() *dispatcher {
	w := s.w
	if n := len(s.idle); n > 0 && (w.config.Strict || w.rand.IntN(3) > 0) {
		in := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return in
	}
	in := &dispatcher{}
	h := &in.host
	seams := w.config.Seams
	jitter := func() float64 { return h.p.jitter }
	d := dispatch.New(dispatch.Config{
		Store: wrap[dispatch.Store](store{h}, seams.DispatchStore), Queue: wrap[dispatch.Queue](line{h}, seams.DispatchQueue),
		Sender:    wrap[dispatch.Sender](sender{h, seal.New(keyService{h}, h.now)}, seams.Sender),
		Announcer: wrap(w.announcer(h), seams.Announcer),
		Policy:    retry.Policy{Schedule: w.config.Schedule, Rand: jitter},
		Breaker:   w.breaker(jitter), Lifetime: breaker.Lifetime(w.config.Schedule),
		Now: h.now, Log: silent,
	})
	in.handle = wrap(d.Handle, seams.Handle)
	return in
}
