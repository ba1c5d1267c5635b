package simulate

import (
	"fmt"
	"slices"
	"strings"

	"webhookrelay/shared/webhook"
)

// Report is what a run came to.
type Report struct {
	Violations []Violation
	// Calls, Faults and Posts say how much happened; Accepted counts answers 202.
	Calls, Faults, Posts, Accepted int
	// Delivered, Dead and Cancelled count what became of the accepted events'
	// deliveries, before any healing; Fused those that lie in the dead-letter queue undead, because
	// faults had used up their message's receives.
	Delivered, Dead, Cancelled, Fused int
}

func (w *World) report() Report {
	r := Report{Violations: w.watch.violations, Calls: len(w.Calls), Faults: w.Faults, Posts: len(w.posts), Accepted: len(w.accepted)}
	for _, a := range w.accepted {
		e := w.watch.stored(a)
		if e == nil {
			continue
		}
		for _, target := range e.Targets {
			switch w.watch.stateOf(webhook.DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: target}) {
			case webhook.Delivered:
				r.Delivered++
			case webhook.Dead:
				r.Dead++
			case webhook.Cancelled:
				r.Cancelled++
			case webhook.Queued, webhook.Retrying, webhook.Parked:
				r.Fused++
			}
		}
	}
	return r
}

// stored finds an accepted event by the id in its answer.
func (c *watch) stored(a *accepted) *webhook.Event {
	for _, row := range c.w.tables.events {
		if e := row.current; e.Tenant == a.Tenant && e.ID == a.id {
			return e
		}
	}
	return nil
}

func (c *watch) stateOf(k webhook.DeliveryKey) webhook.State {
	if d := c.w.tables.delivery(k); d != nil {
		return d.State
	}
	if c.takenBack(k) {
		return webhook.Cancelled
	}
	return webhook.Queued
}

// takenBack: the delivery's event was cancelled before its time.
func (c *watch) takenBack(k webhook.DeliveryKey) bool {
	e := c.w.tables.event(eventKey{k.Tenant, k.Event})
	return e != nil && !e.CancelledAt.IsZero() && e.CancelledAt.Before(e.DeliverAt)
}

// account checks, once the relay has come to rest, what became of everything.
// After healing, nothing may be left in the dead-letter queue but what cannot be
// delivered.
func (c *watch) account(healed bool) {
	for _, a := range c.w.accepted {
		c.acceptedEvent(a, healed)
	}
	for k, row := range c.w.tables.deliveries {
		c.atRest(k, *row.current)
	}
	c.waiting()
	c.punctual()
	c.repeated()
	c.deadLetters()
	c.announced()
	for _, m := range c.w.queue.lost {
		// A delivery that ended well has no use for its message.
		if m.subject == nil || !c.reached(m.subject.DeliveryKey) && c.stateOf(m.subject.DeliveryKey) != webhook.Cancelled {
			c.violate("NoMessageExpires", "%s for %s", m.id, m.body)
		}
	}
}

// acceptedEvent is the promise: every endpoint that matched got the event, or
// it lies in the dead-letter queue, or the endpoint was deleted.
func (c *watch) acceptedEvent(a *accepted, healed bool) {
	e := c.stored(a)
	if e == nil {
		c.violate("AnAcceptedEventIsStored", "intent %d, %s", a.number, a.id)
		return
	}
	if want, err := readPayload(e.Body); err != nil || want.Data.Intent != a.number {
		c.violate("TheBodyIsWhatWasSent", "intent %d: %q", a.number, e.Body)
	}
	c.targets(a, e)
	for _, target := range e.Targets {
		k := webhook.DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: target}
		state := c.stateOf(k)
		switch {
		case c.reached(k) && (!healed || state == webhook.Delivered || state == webhook.Cancelled):
		case c.inDeadLetters(k) && !healed:
		case state == webhook.Cancelled && (c.w.deletedEndpoint(k) || c.takenBack(k)):
		case healed:
			c.violate(c.loss(k, "ARedriveDeliversOnceAllIsWell"), "%s is %s", k.ID(), state)
		default:
			c.violate(c.loss(k, "AnAcceptedEventIsNeverLost"), "%s is %s, and no dead letter", k.ID(), state)
		}
	}
}

// targets compares an event's targets with the endpoints that matched at some
// time between the first try and the answer.
func (c *watch) targets(a *accepted, e *webhook.Event) {
	from := a.from
	if a.Naming != Unnamed {
		from = a.first
	}
	sometimes, always := map[webhook.EndpointID]bool{}, map[webhook.EndpointID]int{}
	states := 0
	all := c.w.configured[e.Tenant]
	for i, state := range all {
		if state.from.After(a.to) || i+1 < len(all) && !all[i+1].from.After(from) {
			continue
		}
		states++
		for _, endpoint := range state.endpoints {
			if endpoint.State != webhook.EndpointDisabled && wants(endpoint.EventTypes, string(e.Type)) {
				sometimes[endpoint.ID] = true
				always[endpoint.ID]++
			}
		}
	}
	for id, n := range always {
		if n == states && !slices.Contains(e.Targets, id) {
			c.violate("EveryMatchingEndpointIsATarget", "intent %d has targets %v, not %s", a.number, e.Targets, id)
		}
	}
	for _, id := range e.Targets {
		if !sometimes[id] {
			c.violate("OnlyMatchingEndpointsAreTargets", "intent %d has target %s", a.number, id)
		}
	}
}

// wants matches an event type against patterns such as "order.*".
func wants(patterns []webhook.Pattern, t string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p webhook.Pattern) bool {
		prefix, wild := strings.CutSuffix(string(p), "*")
		return string(p) == t || wild && strings.HasPrefix(t, prefix)
	})
}

// reached: a receiver took the event, with a valid signature.
func (c *watch) reached(k webhook.DeliveryKey) bool {
	return slices.ContainsFunc(c.w.posts, func(p *post) bool { return p.DeliveryKey == k && p.valid && p.took })
}

func (c *watch) inDeadLetters(k webhook.DeliveryKey) bool {
	return slices.ContainsFunc(c.w.queue.dead, func(m *message) bool {
		return m.subject != nil && m.subject.DeliveryKey == k && !m.subject.Once
	})
}

func (w *World) deletedEndpoint(k webhook.DeliveryKey) bool {
	return w.tables.endpoint(endpointKey{k.Tenant, k.Endpoint}) == nil
}

// atRest checks one delivery's row against what happened.
func (c *watch) atRest(k webhook.DeliveryKey, d webhook.Delivery) {
	switch d.State {
	case webhook.Delivered:
		if !c.reached(k) {
			c.violate("OnlyWhatWasTakenIsDelivered", "%s", k.ID())
		}
	case webhook.Cancelled:
		if !c.w.deletedEndpoint(k) && !c.takenBack(k) {
			c.violate("OnlyADeletedEndpointCancels", "%s", k.ID())
		}
	case webhook.Dead, webhook.Queued, webhook.Retrying, webhook.Parked:
		c.carried(k, d.State)
	}
}

// waiting looks for deliveries that no attempt has touched: also those of
// events that were never accepted must not wait for ever.
func (c *watch) waiting() {
	for _, row := range c.w.tables.events {
		for _, target := range row.current.Targets {
			k := webhook.DeliveryKey{Tenant: row.current.Tenant, Event: row.current.Ref, Endpoint: target}
			if c.w.tables.delivery(k) == nil && !row.current.Unsent && !c.takenBack(k) {
				c.carried(k, webhook.Queued)
			}
		}
	}
}

// carried: a delivery that has not ended well has a message, and at rest that
// lies in the dead-letter queue.
func (c *watch) carried(k webhook.DeliveryKey, state webhook.State) {
	if c.inDeadLetters(k) {
		return
	}
	if c.byHand[k] && !slices.ContainsFunc(c.w.accepted, func(a *accepted) bool {
		e := c.stored(a)
		return e != nil && e.Ref == k.Event && e.Tenant == k.Tenant
	}) {
		c.violate("ARefusedEventRetriedByHandIsCarried", "%s is %s and has no message", k.ID(), state)
		return
	}
	c.violate(c.loss(k, "WhatHasNotEndedWellHasAMessage"), "%s is %s", k.ID(), state)
}

// repeated: one key or id, one event, one answer.
func (c *watch) repeated() {
	answers := map[*intent]webhook.EventID{}
	for _, a := range c.w.accepted {
		if a.Naming == Unnamed {
			continue
		}
		if first, ok := answers[a.intent]; ok && first != a.id {
			c.violate("ARepeatGetsTheSameAnswer", "intent %d was answered %s and %s", a.number, first, a.id)
		}
		answers[a.intent] = a.id
	}
	events := map[int]int{}
	for _, row := range c.w.tables.events {
		if p, err := readPayload(row.current.Body); err == nil && row.current.Tenant != Operator {
			events[p.Data.Intent]++
		}
	}
	for _, i := range c.w.intents {
		if i.Naming != Unnamed && events[i.number] > 1 {
			c.violate("OneKeyIsOneEvent", "intent %d became %d events", i.number, events[i.number])
		}
	}
	for _, r := range c.w.refused {
		c.violate("ARepeatGetsTheSameAnswer", "intent %d was refused: %v", r.number, r.err)
	}
}

// deadLetters: what cannot be read is there, and nothing is there without cause.
func (c *watch) deadLetters() {
	poison := 0
	for _, m := range c.w.queue.dead {
		if m.subject == nil {
			poison++
			continue
		}
		k := m.subject.DeliveryKey
		state := c.stateOf(k)
		if state == webhook.Delivered || state == webhook.Dead || state == webhook.Cancelled {
			continue
		}
		// Its receives were used up before its attempts: faults must have done it.
		if m.disturbed == 0 && c.w.queue.copies[m.body] == 1 && !c.byHand[k] {
			c.violate("OnlyFaultsBlowTheFuse", "%s of %s, which is %s", m.id, k.ID(), state)
		}
	}
	if poison != c.poisoned {
		c.violate("WhatCannotBeReadIsADeadLetter", "%d of %d", poison, c.poisoned)
	}
}

// Plus adds the counts of two reports.
func (r Report) Plus(o Report) Report {
	r.Violations = append(r.Violations, o.Violations...)
	r.Calls += o.Calls
	r.Faults += o.Faults
	r.Posts += o.Posts
	r.Accepted += o.Accepted
	r.Delivered += o.Delivered
	r.Dead += o.Dead
	r.Cancelled += o.Cancelled
	r.Fused += o.Fused
	return r
}

func (r Report) String() string {
	return fmt.Sprintf("%d calls, %d faults, %d answers 202, %d POSTs; deliveries: %d delivered, %d dead, %d cancelled, %d moved to the dead letters by the fuse",
		r.Calls, r.Faults, r.Accepted, r.Posts, r.Delivered, r.Dead, r.Cancelled, r.Fused)
}
