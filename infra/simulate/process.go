package simulate

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"webhookrelay/shared/webhook"
)

// process is one call of a use case: what one invocation of a function runs.
type process struct {
	w      *World
	name   string
	number int
	ctx    context.Context
	cancel context.CancelFunc
	// started is when it began, deadline when Lambda kills it.
	started, deadline time.Time
	ended             bool
	killed            atomic.Bool
	// parked are its calls that wait for an answer.
	parked []*call
	// disturbed: a fault, a kill or a deadline has touched it.
	disturbed bool
	// jitter is drawn once per process: its goroutines must not share a source.
	jitter float64
}

// call is one question of a process to a model.
type call struct {
	p  *process
	op *Op
	// subject is what an announcement is about; key what the call concerns.
	subject, key string
	// effect changes the model and keeps the answer; fail sets the answer that
	// tells of the fault instead.
	effect func()
	fail   func(Fault)
	// said puts the answer into words, for the trace.
	said func() string
	// in is how long the answer takes after the effect.
	in time.Duration
	// goOn carries whether the process lives on.
	goOn chan bool
	// orphan: the process has ended, and the call may still arrive (lands).
	orphan, lands bool
}

// arrival tells the world that a process waits, or has ended (call nil).
type arrival struct {
	p         *process
	call      *call
	completed bool
}

// deadlined gives a context a deadline in virtual time, without a timer.
type deadlined struct {
	context.Context
	at time.Time
}

func (d deadlined) Deadline() (time.Time, bool) { return d.at, true }

// start runs a use case as a process that is killed after limit. The context
// says so where limit is, in production, known to the function; after is told
// whether it ran to its end.
func (w *World) start(name string, limit time.Duration, run func(p *process), after func(p *process, completed bool)) *process {
	w.processes++
	p := &process{w: w, name: name, number: w.processes, started: w.Now(), deadline: w.Now().Add(limit)}
	if w.config.Jitter {
		p.jitter = w.rand.Float64()
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.ctx, p.cancel = deadlined{ctx, p.deadline}, cancel
	w.running[p] = after
	w.tracef("%s begins", w.label(p))
	go func() {
		completed := false
		defer func() { w.arrivals <- arrival{p: p, completed: completed} }()
		run(p)
		completed = true
	}()
	w.at(p.deadline, func() {
		if !p.ended && !p.killed.Load() {
			w.tracef("%s reaches its timeout", w.label(p))
			w.kill(p)
		}
	})
	w.settle()
	return p
}

// now is the clock of a process; one that was killed goes no further.
func (p *process) now() time.Time {
	if p.killed.Load() {
		runtime.Goexit()
	}
	return p.w.Now()
}

// ask hands a call to the world and waits for its answer. Only the world's
// thread runs effect and failed. A process that is killed never returns from
// it, whatever context it gave.
func ask[T any](ctx context.Context, p *process, op *Op, key string, effect func(c *call) T, failed func(Fault) T, said func(T) string) T {
	if p.killed.Load() {
		runtime.Goexit()
	}
	var answer T
	c := &call{p: p, op: op, subject: subjectOf(ctx), key: key, goOn: make(chan bool, 1)}
	c.effect = func() { answer = effect(c) }
	c.fail = func(f Fault) { answer = failed(f) }
	c.said = func() string { return said(answer) }
	p.w.arrivals <- arrival{p: p, call: c}
	if !<-c.goOn {
		runtime.Goexit()
	}
	return answer
}

// settle waits until no process runs: each waits for an answer or has ended.
func (w *World) settle() {
	if w.config.Settled == nil {
		// The one that was let run; those that were killed may still say so.
		a := <-w.arrivals
		for a.p.killed.Load() {
			a = <-w.arrivals
		}
		w.arrive(a)
		return
	}
	w.config.Settled()
	var all []arrival
	for len(w.arrivals) > 0 {
		if a := <-w.arrivals; !a.p.killed.Load() {
			all = append(all, a)
		}
	}
	// The goroutines of a batch arrive in any order; what they ask for names
	// their delivery.
	slices.SortStableFunc(all, func(a, b arrival) int {
		if a.call == nil || b.call == nil || a.p != b.p {
			return a.p.number - b.p.number
		}
		return cmp.Or(strings.Compare(a.call.op.Name+a.call.subject, b.call.op.Name+b.call.subject), strings.Compare(a.call.key, b.call.key))
	})
	for _, a := range all {
		w.arrive(a)
	}
}

func (w *World) arrive(a arrival) {
	if a.call != nil {
		a.p.parked = append(a.p.parked, a.call)
		w.after(w.latency(a.call.op), func() { w.perform(a.call) })
		return
	}
	w.end(a.p, a.completed)
}

func (w *World) end(p *process, completed bool) {
	p.ended = true
	p.cancel()
	after := w.running[p]
	delete(w.running, p)
	// Not from here: the end of one process may begin another.
	w.after(0, func() { after(p, completed) })
}

// perform lets a call take effect, or a fault.
func (w *World) perform(c *call) {
	if c.orphan {
		if c.lands {
			c.effect()
			w.tracef("%s (ended) %s %s arrives late", w.label(c.p), c.op.Name, w.names.in(c.key))
		}
		return
	}
	if c.op == opPutEvent || c.op == opPutEvents {
		for ref := range strings.SplitSeq(c.key, ", ") {
			w.names.event(webhook.EventRef(ref))
		}
	}
	f := w.strike(c.op)
	c.p.disturbed = c.p.disturbed || f != None
	switch f {
	case None:
		c.effect()
	case Crashes, CrashesAfter:
		if f == CrashesAfter {
			c.effect()
		}
		w.tracef("%s crashes: %s %s", w.label(c.p), c.op.Name, w.names.in(c.key))
		w.remove(c)
		c.goOn <- false
		w.kill(c.p)
		return
	case Fails:
		c.fail(f)
	default:
		if f != Part {
			c.effect()
		}
		c.fail(f)
	}
	if w.config.Trace != nil {
		w.tracef("%s %s %s: %s", w.label(c.p), c.op.Name, w.names.in(c.key), w.names.in(c.said()))
	}
	w.after(c.in+w.latency(c.op)/2, func() {
		if c.orphan {
			return
		}
		w.remove(c)
		c.goOn <- true
		w.settle()
	})
}

func (w *World) remove(c *call) {
	c.p.parked = slices.DeleteFunc(c.p.parked, func(other *call) bool { return other == c })
}

// kill ends a process for good, whatever its goroutines wait for; they end at
// the next thing they ask. What it had sent already may still arrive.
func (w *World) kill(p *process) {
	p.disturbed = true
	p.killed.Store(true)
	for _, c := range p.parked {
		c.orphan, c.lands = true, w.rand.IntN(2) == 0
		c.goOn <- false
	}
	p.parked = nil
	w.end(p, false)
	if w.config.Settled != nil {
		w.settle()
	}
}

// latency is how long a call takes until it has its effect: mostly little.
func (w *World) latency(op *Op) time.Duration {
	if op == opSleep {
		return 0
	}
	d := time.Duration(1+w.rand.IntN(8)) * time.Millisecond
	if op.web {
		d *= 10
	}
	if w.config.Slow > 0 && w.rand.Float64() < w.config.Slow {
		d += time.Duration(w.rand.IntN(3000)) * time.Millisecond
	}
	return d
}
