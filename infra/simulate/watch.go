package simulate

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/webhook"
)

// watch checks, while a run goes on, what must hold at every moment. It uses
// nothing of the use cases but the vocabulary.
type watch struct {
	w          *World
	violations []Violation
	byHand     map[webhook.DeliveryKey]bool
	// unheld: the store carried the delivery, and left it to a message.
	unheld   map[webhook.DeliveryKey]bool
	poisoned int
}

// Violation is a rule that a run broke.
type Violation struct {
	Rule, Text string
}

func (c *watch) violate(rule, format string, args ...any) {
	v := Violation{rule, c.w.names.in(fmt.Sprintf(format, args...))}
	c.w.tracef("VIOLATION %s: %s", v.Rule, v.Text)
	if !slices.Contains(c.violations, v) {
		c.violations = append(c.violations, v)
	}
}

func (c *watch) manual(k webhook.DeliveryKey) { c.byHand[k] = true }

// loss is the rule that a delivery breaks which nothing carries any more.
func (c *watch) loss(k webhook.DeliveryKey, rule string) string {
	if c.unheld[k] {
		return "WhatTheStoreCarriedIsNotLost"
	}
	return rule
}

// follows lists which state may come after which.
var follows = map[webhook.State][]webhook.State{
	webhook.Queued:   {webhook.Retrying, webhook.Parked, webhook.Delivered, webhook.Dead, webhook.Cancelled},
	webhook.Retrying: {webhook.Retrying, webhook.Parked, webhook.Delivered, webhook.Dead, webhook.Cancelled},
	webhook.Parked:   {webhook.Parked, webhook.Retrying, webhook.Delivered, webhook.Dead, webhook.Cancelled},
	webhook.Dead:     {webhook.Dead, webhook.Retrying, webhook.Parked, webhook.Delivered, webhook.Cancelled},
	// A POST under way may still arrive; nothing else changes what has ended.
	webhook.Cancelled: {webhook.Cancelled, webhook.Delivered},
	webhook.Delivered: {webhook.Delivered},
}

// saved is told of every write of a delivery's row.
func (c *watch) saved(p *process, before, after *webhook.Delivery) {
	was := webhook.Delivery{State: webhook.Queued}
	if before != nil {
		was = *before
	}
	if !slices.Contains(follows[was.State], after.State) {
		c.violate("AStateFollowsFromTheOneBefore", "%s went from %s to %s", after.ID(), was.State, after.State)
	}
	switch ended := after.State == webhook.Delivered || after.State == webhook.Cancelled; {
	case !after.HeldUntil.IsZero() || ended:
		c.unheld[after.DeliveryKey] = false
	case !was.HeldUntil.IsZero():
		c.unheld[after.DeliveryKey] = true
	}
	switch after.AttemptCount - was.AttemptCount {
	case 0:
	case 1:
		c.recorded(p, was, *after)
	default:
		c.violate("EachAttemptIsCountedOnce", "%s: from %d attempts to %d", after.ID(), was.AttemptCount, after.AttemptCount)
	}
	allowed := len(c.w.config.Schedule) + 1
	spent := after.AttemptCount - after.BudgetStart
	if spent > allowed && after.State != webhook.Delivered && after.State != webhook.Cancelled {
		c.violate("ABudgetIsNeverOverdrawn", "%s spent %d of %d attempts", after.ID(), spent, allowed)
	}
	if after.State == webhook.Dead && after.Reason == webhook.ReasonExhausted && was.State != webhook.Dead && spent != allowed {
		c.violate("OnlyASpentBudgetIsExhausted", "%s died after %d of %d attempts", after.ID(), spent, allowed)
	}
	if moved := after.BudgetStart - was.BudgetStart; moved != 0 && was.State != webhook.Dead && (moved != 1 || after.AttemptCount == was.AttemptCount) {
		c.violate("OnlyTheDeadGetAFreshBudget", "%s, %s: budget from %d to %d", after.ID(), was.State, was.BudgetStart, after.BudgetStart)
	}
}

// recorded finds the POST of the attempt that was just written.
func (c *watch) recorded(p *process, was, is webhook.Delivery) {
	if len(is.Attempts) == 0 {
		c.violate("EachRecordedAttemptIsAPost", "%s counts %d and has none", is.ID(), is.AttemptCount)
		return
	}
	a := is.Attempts[len(is.Attempts)-1]
	i := slices.IndexFunc(c.w.posts, func(made *post) bool {
		return made.p == p && made.DeliveryKey == is.DeliveryKey && made.at.Equal(a.At) && made.recorded == 0
	})
	if i < 0 {
		c.violate("EachRecordedAttemptIsAPost", "attempt %d of %s at %s", a.Number, is.ID(), a.At)
		return
	}
	made := c.w.posts[i]
	made.recorded++
	if a.Reason == "" && !made.took {
		c.violate("OnlyWhatWasTakenIsDelivered", "attempt %d of %s", a.Number, is.ID())
	}
	if c.w.config.Strict && c.w.config.Settled != nil && c.w.config.Breaker == 0 && c.w.Faults == 0 && !c.byHand[is.DeliveryKey] {
		c.timely(was, is, a)
	}
}

// timely holds where nothing gets in the way: a first attempt is made at once,
// a later one when it is due.
func (c *watch) timely(was, is webhook.Delivery, a webhook.Attempt) {
	if a.Trigger != webhook.TriggerSchedule || was.State != webhook.Queued && was.State != webhook.Retrying {
		return
	}
	due := was.NextAttemptAt
	if was.State == webhook.Queued {
		due = c.w.tables.event(eventKey{is.Tenant, is.Event}).Due()
	}
	// A batch is hidden when its slowest attempt has ended; what the store carries
	// waits for the sweeper.
	grace := postTimeout + 5*time.Second
	if !was.HeldUntil.IsZero() || was.State == webhook.Queued && !c.w.tables.event(eventKey{is.Tenant, is.Event}).DeliverAt.IsZero() {
		grace += sweepInterval
	}
	if late := a.At.Sub(due); late > grace || late < -time.Second {
		c.violate("EveryAttemptIsInTime", "attempt %d of %s was due at %s and made %s later", a.Number, is.ID(), due, late)
	}
}

// handled is told what the dispatcher said of a batch, at that moment.
func (c *watch) handled(p *process, batch []dispatch.Message, keep []string) {
	for _, r := range batch {
		if !slices.Contains(keep, r.ID) {
			c.deletable(p, r)
		}
	}
	for _, id := range keep {
		if !slices.ContainsFunc(batch, func(r dispatch.Message) bool { return r.ID == id }) {
			c.violate("OnlyMessagesOfTheBatchAreKept", "%s", id)
		}
	}
	if p.disturbed {
		return
	}
	for _, made := range c.w.posts {
		if made.p == p && made.recorded == 0 && !made.aborted {
			c.violate("EachPostIsRecorded", "%s at %s", made.ID(), made.at)
		}
	}
}

// deletable: a message may go when its delivery has ended well, when something
// else carries it, or when it asked for one attempt and that is on record.
func (c *watch) deletable(p *process, r dispatch.Message) {
	const rule = "OnlyWhatIsSettledIsDeleted"
	subject := c.w.queue.subject(string(r.Body))
	if subject == nil {
		c.violate(rule, "%s, which nobody can read", r.ID)
		return
	}
	state := c.stateOf(subject.DeliveryKey)
	if d := c.w.tables.delivery(subject.DeliveryKey); d != nil {
		if !d.HeldUntil.IsZero() && !subject.Once {
			return // the store carries it
		}
	}
	if state == webhook.Delivered || state == webhook.Cancelled {
		return
	}
	if !subject.Once && slices.ContainsFunc(c.w.queue.live, func(m *message) bool {
		return m.id != r.ID && m.subject != nil && m.subject.DeliveryKey == subject.DeliveryKey && !m.subject.Once
	}) {
		return // superseded: another message carries it
	}
	if subject.Once && slices.ContainsFunc(c.w.posts, func(made *post) bool {
		return made.p == p && made.DeliveryKey == subject.DeliveryKey && made.recorded > 0
	}) {
		return
	}
	c.violate(c.loss(subject.DeliveryKey, rule), "%s for %s, which is %s", r.ID, subject.ID(), state)
}

// cancelled is told of every event that was taken back, as soon as it was.
func (c *watch) cancelled(k eventKey) {
	if _, ok := c.w.takenBack[k]; !ok {
		c.w.takenBack[k] = c.w.Now()
	}
}

// punctual: no attempt of a scheduled event begins before its time, but for the
// little that a retry may be early, and none after it was taken back.
func (c *watch) punctual() {
	for _, made := range c.w.posts {
		e := c.w.tables.event(eventKey{made.Tenant, made.Event})
		if e == nil || e.DeliverAt.IsZero() {
			continue
		}
		if e.DeliverAt.Sub(made.at) > time.Second {
			c.violate("NothingIsSentBeforeItsTime", "%s at %s, due at %s", made.ID(), made.at, e.DeliverAt)
		}
		// A dispatcher that began before the answer may have read the event before.
		if at, ok := c.w.takenBack[eventKey{made.Tenant, made.Event}]; ok && made.p.started.After(at) {
			c.violate("NothingIsSentOfWhatWasTakenBack", "%s at %s, taken back at %s", made.ID(), made.at, at)
		}
	}
}

// answered is told of every 202: by then the event is stored, and a message was
// sent for each of its targets, unless the store carries them.
func (c *watch) answered(a *accepted) {
	e := c.stored(a)
	if e == nil {
		c.violate("AnAcceptedEventIsStored", "intent %d, %s", a.number, a.id)
		return
	}
	for _, target := range e.Targets {
		k := webhook.DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: target}
		if e.Held || !e.CancelledAt.IsZero() {
			continue
		}
		if c.w.queue.copies[envelope.Encode(envelope.Envelope{DeliveryKey: k})] == 0 {
			c.violate("AnAcceptedEventWasSent", "%s", k.ID())
		}
	}
}

// unsigned is told of a signature that its receiver refused.
func (c *watch) unsigned(r *receiver, made *post, err error) {
	c.violate("EverySignatureIsValid", "%s at %s: %v", made.ID(), r.url, err)
}

// content compares what arrived with what was sent.
func (c *watch) content(r *receiver, made *post, header http.Header, body []byte) {
	if made.Tenant == Operator {
		c.announcement(r, made, body)
		return
	}
	got, err := readPayload(body)
	if err != nil || got.Data.Intent >= len(c.w.intents) {
		c.violate("TheBodyIsWhatWasSent", "%s: %q", made.ID(), body)
		return
	}
	want := c.w.intents[got.Data.Intent]
	if got.Data.Tenant != r.tenant || made.Tenant != r.tenant {
		c.violate("NoTenantGetsAnothersEvent", "%s of %s at %s", made.ID(), got.Data.Tenant, r.url)
	}
	if got.Type != string(want.Type) || want.Tenant != got.Data.Tenant || header.Get("webhook-id") == "" {
		c.violate("TheBodyIsWhatWasSent", "%s: %q", made.ID(), body)
	}
}
