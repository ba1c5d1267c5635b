package simulate

import (
	"errors"
	"math/rand/v2"
	"slices"
)

// Fault is what goes wrong with one call.
type Fault int

// Faults. The first four can befall every call that changes something.
const (
	None Fault = iota
	// Fails: without effect, with an error.
	Fails
	// FailsAfter: it takes effect, with an error. A POST reaches its receiver.
	FailsAfter
	// Crashes: the process ends before the call takes effect.
	Crashes
	// CrashesAfter: the process ends when the call has taken effect.
	CrashesAfter
	// Conflicts: the write takes effect, its answer is lost, and the client's own
	// repetition meets the written row.
	Conflicts
	// Part: some of the messages are sent, or of the events stored, with an error.
	Part
	// Throttled: the batch is received, or the minute is there, but no function
	// is invoked.
	Throttled
	// Twice: a message that should be invisible is received as well; a scheduled
	// function is invoked twice at once.
	Twice
	// ReplyLost: the function's reply is lost, so that nothing is deleted.
	ReplyLost
)

var faultNames = map[Fault]string{
	None: "none", Fails: "fails", FailsAfter: "fails after its effect", Crashes: "crashes", CrashesAfter: "crashes after its effect",
	Conflicts: "conflicts with itself", Part: "does a part", Throttled: "throttled", Twice: "twice", ReplyLost: "reply lost",
}

func (f Fault) String() string { return faultNames[f] }

// Op is a kind of call, with the faults that can befall it.
type Op struct {
	Name   string
	Faults []Fault
	// web: the call goes over the internet and takes its time.
	web bool
}

var (
	reading  = []Fault{Fails, Crashes}
	writing  = []Fault{Fails, FailsAfter, Crashes, CrashesAfter}
	guarded  = []Fault{Fails, FailsAfter, Crashes, CrashesAfter, Conflicts}
	sendings = []Fault{Fails, FailsAfter, Crashes, CrashesAfter, Part}
)

// Every call between a use case and a model, and between the models.
var (
	opVersion       = &Op{Name: "config version", Faults: reading}
	opEndpoints     = &Op{Name: "endpoints", Faults: reading}
	opEndpoint      = &Op{Name: "endpoint", Faults: reading}
	opClaim         = &Op{Name: "claim", Faults: writing}
	opUpdateClaim   = &Op{Name: "update claim", Faults: guarded}
	opPutEvent      = &Op{Name: "put event", Faults: writing}
	opPutEvents     = &Op{Name: "put events", Faults: sendings}
	opMarkUnsent    = &Op{Name: "mark unsent", Faults: writing}
	opEvent         = &Op{Name: "event", Faults: reading}
	opLoad          = &Op{Name: "load", Faults: reading}
	opSave          = &Op{Name: "save delivery", Faults: guarded}
	opDisable       = &Op{Name: "disable endpoint", Faults: writing}
	opSaveHealth    = &Op{Name: "save health", Faults: guarded}
	opTakeTurn      = &Op{Name: "take turn", Faults: writing}
	opHeld          = &Op{Name: "held", Faults: reading}
	opDue           = &Op{Name: "due events", Faults: reading}
	opEventSent     = &Op{Name: "event sent", Faults: writing}
	opCancelEvent   = &Op{Name: "cancel event", Faults: guarded}
	opEventRef      = &Op{Name: "event ref", Faults: reading}
	opEventRows     = &Op{Name: "event deliveries", Faults: reading}
	opDelivery      = &Op{Name: "delivery", Faults: reading}
	opList          = &Op{Name: "list", Faults: reading}
	opSweepState    = &Op{Name: "sweep state", Faults: reading}
	opSaveSweep     = &Op{Name: "save sweep state", Faults: writing}
	opWriteEndpoint = &Op{Name: "write endpoint", Faults: guarded}
	opNewDataKey    = &Op{Name: "new data key", Faults: reading}
	opUnwrap        = &Op{Name: "unwrap", Faults: reading}
	opSleep         = &Op{Name: "sleep"}
	opSend          = &Op{Name: "send", Faults: sendings}
	opSendOne       = &Op{Name: "send one", Faults: writing}
	opHide          = &Op{Name: "hide", Faults: sendings}
	opMove          = &Op{Name: "start move", Faults: writing}
	opPost          = &Op{Name: "POST", Faults: writing, web: true}
	opSchedule      = &Op{Name: "schedule", Faults: []Fault{Throttled, Twice}}
	opReceive       = &Op{Name: "receive", Faults: []Fault{Throttled, Twice}}
	opReply         = &Op{Name: "reply", Faults: []Fault{ReplyLost}}
)

// errInjected is what a call that was made to fail returns.
var errInjected = errors.New("the service gave no answer")

// Plan decides what befalls each call. Calls are numbered from 0 in the order
// in which they reach the models.
type Plan interface {
	Strike(call int, op *Op) Fault
}

// Pinned strikes the calls with the given numbers.
type Pinned map[int]Fault

// Strike implements Plan.
func (p Pinned) Strike(call int, op *Op) Fault {
	if f := p[call]; slices.Contains(op.Faults, f) {
		return f
	}
	return None
}

// Chance strikes each call with a probability, until Budget is used up.
type Chance struct {
	Rand        *rand.Rand
	Probability float64
	Budget      int
}

// Strike implements Plan.
func (c *Chance) Strike(_ int, op *Op) Fault {
	if len(op.Faults) == 0 || c.Rand.Float64() >= c.Probability || c.Budget == 0 {
		return None
	}
	c.Budget--
	return op.Faults[c.Rand.IntN(len(op.Faults))]
}

// strike numbers the call and asks the plan about it.
func (w *World) strike(op *Op) Fault {
	n := len(w.Calls)
	w.Calls = append(w.Calls, op)
	if w.config.Plan == nil || w.calm {
		return None
	}
	f := w.config.Plan.Strike(n, op)
	if f != None {
		w.Faults++
		w.tracef("FAULT call %d, %s: %s", n, op.Name, f)
	}
	return f
}
