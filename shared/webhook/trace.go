package webhook

// Trace is the place in a distributed trace that an event came from, as its
// producer gave it (W3C Trace Context). Package trace reads and continues it.
type Trace struct {
	// Parent is a valid traceparent; empty when the event belongs to no trace.
	Parent string
	// State is the tracestate that came with it, often empty.
	State string
}
