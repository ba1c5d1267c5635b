package filter

import (
	"encoding/json"
	"errors"
	"sync"

	"webhookrelay/shared/webhook"
)

// maxPrograms bounds the filters that a process keeps compiled, each some tens of KB.
const maxPrograms = 2000

// Matcher decides whether events go to endpoints. It compiles each expression
// once, also where several endpoints have the same. Safe for concurrent use.
type Matcher struct {
	mu   sync.Mutex
	held map[string]kept
}

type kept struct {
	program program
	err     error
}

// NewMatcher returns a Matcher that has compiled nothing yet.
func NewMatcher() *Matcher { return &Matcher{held: make(map[string]kept)} }

// Subject is an event to be matched with endpoints. What filters see of it is
// read when the first asks. For one goroutine.
type Subject struct {
	event     webhook.Event
	variables map[string]any
	fault     *Fault
	spent     uint64
}

// NewSubject returns a Subject for e, whose Body must be there where filters are asked.
func NewSubject(e webhook.Event) *Subject { return &Subject{event: e} }

// Selection is by what an endpoint, or a job for one, selects events.
type Selection struct {
	EventTypes []webhook.Pattern
	Channels   []webhook.Channel
	Filter     string
}

// Wants reports whether the event goes to the endpoint. An error is a *Fault: the
// event passed all else, and its filter failed on it.
func (m *Matcher) Wants(e webhook.Endpoint, s *Subject) (bool, error) {
	if !e.Wants(s.event.Type, s.event.Channels) {
		return false, nil
	}
	return m.passes(e.Filter, s)
}

// Selects is Wants for what is selected without regard to an endpoint's state.
func (m *Matcher) Selects(by Selection, s *Subject) (bool, error) {
	if !webhook.Selects(by.EventTypes, s.event.Type) || !webhook.OnOneOf(by.Channels, s.event.Channels) {
		return false, nil
	}
	return m.passes(by.Filter, s)
}

func (m *Matcher) passes(expression string, s *Subject) (bool, error) {
	if expression == "" {
		return true, nil
	}
	if s.spent > maxEventCost {
		return false, &Fault{Reason: "could not be asked at once, for the tenant's filters cost too much together"}
	}
	p, err := m.compiled(expression)
	if err != nil {
		return false, err
	}
	variables, fault := s.read()
	if fault != nil {
		return false, fault
	}
	matches, _, cost, err := p.run(variables)
	s.spent += cost
	return matches, err
}

func (m *Matcher) compiled(expression string) (program, error) {
	m.mu.Lock()
	found, ok := m.held[expression]
	m.mu.Unlock()
	if ok {
		return found.program, found.err
	}
	checked, err := compile(expression)
	if err == nil {
		found.program, err = ready(checked, false)
	}
	found.err = faultOf(err)
	m.mu.Lock()
	defer m.mu.Unlock()
	for other := range m.held {
		if len(m.held) < maxPrograms {
			break
		}
		delete(m.held, other)
	}
	m.held[expression] = found
	return found.program, found.err
}

// faultOf returns err as a *Fault, or nil.
func faultOf(err error) error {
	if _, ok := errors.AsType[*Fault](err); ok || err == nil {
		return err
	}
	return &Fault{Reason: err.Error()}
}

// read returns what filters see of the event.
func (s *Subject) read() (map[string]any, *Fault) {
	if s.variables != nil || s.fault != nil {
		return s.variables, s.fault
	}
	var body struct {
		Data any `json:"data"`
	}
	if err := json.Unmarshal(s.event.Body, &body); err != nil {
		s.fault = &Fault{Reason: "cannot be asked: the data holds a number beyond what can be compared"}
		return nil, s.fault
	}
	channels := make([]string, len(s.event.Channels))
	for i, channel := range s.event.Channels {
		channels[i] = string(channel)
	}
	s.variables = map[string]any{
		"type": string(s.event.Type), "id": string(s.event.ID), "timestamp": s.event.Timestamp, "channels": channels,
		"headers": headersOf(s.event), "data": body.Data,
	}
	return s.variables, nil
}

// headersOf returns the headers that are the same in each delivery of the event.
func headersOf(e webhook.Event) map[string]string {
	headers := map[string]string{"content-type": "application/json", "webhook-id": string(e.ID)}
	if e.Trace.Parent != "" {
		headers["traceparent"] = e.Trace.Parent
	}
	if e.Trace.State != "" {
		headers["tracestate"] = e.Trace.State
	}
	return headers
}
