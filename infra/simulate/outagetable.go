package simulate

import (
	"fmt"
	"strconv"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// ledger is the table of a World, made for hundreds of thousands of deliveries:
// reads never lag, and of what has been delivered only that is kept. A subject
// numbers a delivery: the event's number times the endpoints, and the endpoint's.
type ledger struct {
	// interval is the time between two events.
	interval  time.Duration
	endpoints []webhook.Endpoint
	targets   []webhook.EndpointID
	// rows holds each accepted subject's row; nil: no attempt has been made.
	rows []*webhook.Delivery
	held pile[heldRow]
	// shown are those that the last list of held rows took from the pile.
	shown []heldRow
	// saved is told of every row that changes; before is nil for the first.
	saved func(subject int, before, after *webhook.Delivery)
	// writes counts rows written.
	writes int
}

const outageTenant webhook.TenantID = "tenant"

// settled stands for every row of which nothing more is to be known: it has been
// delivered, or there is nothing to deliver.
var settled = &webhook.Delivery{State: webhook.Delivered, Rev: -1}

// heldRow is a place in the index of what the table carries, by milliseconds.
// It is out of date once the row is held until another time.
type heldRow struct {
	until   int64
	subject int
}

func newLedger(o Outage, saved func(subject int, before, after *webhook.Delivery)) *ledger {
	sooner := func(a, b heldRow) bool { return a.until < b.until || a.until == b.until && a.subject < b.subject }
	l := &ledger{
		interval: time.Duration(float64(o.Scale) / o.Rate * float64(time.Second)), saved: saved, held: pile[heldRow]{before: sooner},
	}
	for i := range o.Endpoints {
		id := webhook.EndpointID(fmt.Sprint("endpoint-", i+1))
		l.targets = append(l.targets, id)
		l.endpoints = append(l.endpoints, webhook.Endpoint{Tenant: outageTenant, ID: id, State: webhook.EndpointEnabled})
	}
	return l
}

// accepted is when an event is accepted: they come at a steady rate.
func (l *ledger) accepted(event int) time.Time {
	return epoch.Add(time.Duration(event) * l.interval).Truncate(time.Millisecond)
}

// key names a subject. An event's reference is a ULID, as it is in production,
// whose random part is the event's number.
func (l *ledger) key(subject int) webhook.DeliveryKey {
	event := subject / len(l.endpoints)
	ref := id.First(l.accepted(event))[:10]
	return webhook.DeliveryKey{
		Tenant: outageTenant, Event: ref + webhook.EventRef(fmt.Sprintf("%016d", event)), Endpoint: l.targets[subject%len(l.endpoints)],
	}
}

func (l *ledger) subject(k webhook.DeliveryKey) int {
	event, err := strconv.Atoi(string(k.Event[10:]))
	if err != nil {
		panic(err) // key made it
	}
	return event*len(l.endpoints) + l.endpoint(k.Endpoint)
}

func (l *ledger) endpoint(id webhook.EndpointID) int {
	for i, target := range l.targets {
		if target == id {
			return i
		}
	}
	panic("simulate: no endpoint " + id)
}

var outageBody = []byte(`{"type":"order.placed","data":{}}`)

func (l *ledger) event(k webhook.DeliveryKey, number int) *webhook.Event {
	at := l.accepted(number)
	return &webhook.Event{
		Tenant: k.Tenant, Ref: k.Event, ID: id.EventID(k.Event), Type: "order.placed", Timestamp: at, Body: outageBody,
		Targets: l.targets, AcceptedAt: at, ExpiresAt: at.Add(outageRetention),
	}
}

func (l *ledger) load(lookup dispatch.Lookup) dispatch.Loaded {
	subject := l.subject(lookup.DeliveryKey)
	loaded := dispatch.Loaded{
		Event:    l.event(lookup.DeliveryKey, subject/len(l.endpoints)),
		Endpoint: copied(&l.endpoints[subject%len(l.endpoints)]),
	}
	if row := l.rows[subject]; row != nil {
		loaded.Delivery = copied(row)
		loaded.Delivery.DeliveryKey = lookup.DeliveryKey
	}
	return loaded
}

// save is the conditional write of a delivery, in the store's precision.
func (l *ledger) save(d webhook.Delivery) error {
	subject := l.subject(d.DeliveryKey)
	before := l.rows[subject]
	if before == nil && d.Rev != 0 || before != nil && before.Rev != d.Rev {
		return webhook.ErrConflict
	}
	d.Rev++
	for _, at := range []*time.Time{&d.NextAttemptAt, &d.HeldUntil, &d.ParkedAt, &d.DiedAt, &d.UpdatedAt} {
		*at = at.Truncate(time.Millisecond)
	}
	l.writes++
	l.saved(subject, before, &d)
	if d.State == webhook.Delivered {
		l.rows[subject] = settled
		return nil
	}
	l.rows[subject] = &d
	if !d.HeldUntil.IsZero() {
		l.held.push(heldRow{d.HeldUntil.UnixMilli(), subject})
	}
	return nil
}

// saveHealth is the conditional write of an endpoint's health.
func (l *ledger) saveHealth(id webhook.EndpointID, h webhook.Health) error {
	e := &l.endpoints[l.endpoint(id)]
	if e.Health.Rev != h.Rev {
		return webhook.ErrConflict
	}
	l.writes++
	h.Rev++
	e.Health = h
	return nil
}

// heldUntil lists what the table carries until then, the earliest first.
func (l *ledger) heldUntil(until time.Time, limit int) []webhook.Delivery {
	for _, h := range l.shown {
		l.held.push(h)
	}
	l.shown = l.shown[:0]
	var found []webhook.Delivery
	for !l.held.empty() && len(found) < limit && l.held.first().until <= until.UnixMilli() {
		h := l.held.pop()
		if row := l.rows[h.subject]; !row.HeldUntil.IsZero() && row.HeldUntil.UnixMilli() == h.until {
			found = append(found, *row)
			l.shown = append(l.shown, h)
		}
	}
	return found
}

// queued lists deliveries that no attempt has touched, newest first.
func (l *ledger) queued(f history.Filter, p webhook.Page) (found []webhook.Delivery, next string) {
	from := len(l.rows)
	if p.After != "" {
		from, _ = strconv.Atoi(p.After) // what it returned itself
	}
	for subject := from - 1; subject >= 0; subject-- {
		k := l.key(subject)
		if !f.Covers(k.Event) {
			break
		}
		if l.rows[subject] != nil {
			continue
		}
		found = append(found, webhook.NewDelivery(*l.event(k, subject/len(l.endpoints)), k.Endpoint))
		if len(found) == p.Limit {
			return found, strconv.Itoa(subject)
		}
	}
	return found, ""
}
