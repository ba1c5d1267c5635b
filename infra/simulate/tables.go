package simulate

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// tables is what the store holds. It keeps the promises of the use cases' store
// interfaces: conditional writes, and reads that lag where they may.
type tables struct {
	tenants    map[webhook.TenantID]*tenantRow
	endpoints  map[endpointKey]*row[webhook.Endpoint]
	events     map[eventKey]*row[webhook.Event]
	deliveries map[webhook.DeliveryKey]*row[webhook.Delivery]
	claims     map[claimKey]ingest.Claim
	turns      map[turnKey]int64
	sweep      sweep.State
	now        func() time.Time
	// lag is how old a row may be that a usual read returns; pick chooses one of n.
	lag  time.Duration
	pick func(n int) int
	// page bounds the rows of one list call, whatever its limit.
	page int
	// heldPage bounds those of one list of held deliveries.
	heldPage int
	// changed is told of every change to a tenant's endpoints.
	changed func(tenant webhook.TenantID)
}

type tenantRow struct {
	webhook.Tenant
	version int64
}

type endpointKey struct {
	tenant webhook.TenantID
	id     webhook.EndpointID
}

type eventKey struct {
	tenant webhook.TenantID
	ref    webhook.EventRef
}

type claimKey struct {
	tenant webhook.TenantID
	key    string
}

type turnKey struct {
	endpointKey
	rate webhook.Rate
}

// row is a value with those it had before; nil: there was none.
type row[T any] struct {
	current *T
	past    []pastValue[T]
}

type pastValue[T any] struct {
	value *T
	until time.Time
}

func get[K comparable, T any](m map[K]*row[T], k K) *T {
	if r := m[k]; r != nil {
		return r.current
	}
	return nil
}

func set[K comparable, T any](m map[K]*row[T], k K, v *T, now time.Time) {
	r := m[k]
	if r == nil {
		r = &row[T]{}
		m[k] = r
	}
	r.past = append(r.past, pastValue[T]{r.current, now})
	if len(r.past) > 3 {
		r.past = r.past[1:]
	}
	r.current = v
}

// usual is an eventually consistent read: any value of the last moments.
func usual[K comparable, T any](t *tables, m map[K]*row[T], k K) *T {
	r := m[k]
	if r == nil {
		return nil
	}
	recent := slices.Clone(r.past)
	recent = slices.DeleteFunc(recent, func(p pastValue[T]) bool { return t.now().Sub(p.until) >= t.lag })
	if n := t.pick(len(recent) + 1); n < len(recent) {
		return recent[n].value
	}
	return r.current
}

func (t *tables) endpoint(k endpointKey) *webhook.Endpoint { return get(t.endpoints, k) }

func (t *tables) delivery(k webhook.DeliveryKey) *webhook.Delivery { return get(t.deliveries, k) }

func (t *tables) event(k eventKey) *webhook.Event {
	if e := get(t.events, k); e != nil && t.now().Before(e.ExpiresAt) {
		return e
	}
	return nil
}

// writeEndpoint stores e, or nothing for nil, and raises the tenant's version
// in the same moment.
func (t *tables) writeEndpoint(k endpointKey, e *webhook.Endpoint) {
	set(t.endpoints, k, e, t.now())
	t.tenants[k.tenant].version++
	t.changed(k.tenant)
}

// saveHealth is the conditional write of an endpoint's health, which touches
// nothing else.
func (t *tables) saveHealth(k endpointKey, h webhook.Health) error {
	stored := t.endpoint(k)
	if stored == nil || stored.Health.Rev != h.Rev {
		return webhook.ErrConflict
	}
	h.Rev++
	for _, at := range []*time.Time{&h.FailingSince, &h.LastFailureAt, &h.OpenedAt, &h.OpenUntil} {
		*at = at.Truncate(time.Millisecond)
	}
	e := *stored
	e.Health = h
	set(t.endpoints, k, &e, t.now())
	return nil
}

// held lists what the store carries until then, the earliest first; its index
// lags like a usual read.
func (t *tables) held(until time.Time, limit int) []webhook.Delivery {
	var found []webhook.Delivery
	for _, k := range slices.SortedFunc(maps.Keys(t.deliveries), compareKeys) {
		if d := usual(t, t.deliveries, k); d != nil && !d.HeldUntil.IsZero() && !d.HeldUntil.After(until) {
			found = append(found, *d)
		}
	}
	slices.SortStableFunc(found, func(a, b webhook.Delivery) int { return a.HeldUntil.Compare(b.HeldUntil) })
	return found[:min(limit, t.heldPage, len(found))]
}

// due lists the held events whose time comes until then, the earliest first. The
// index that names them lags, and each is shown as it is.
func (t *tables) due(until time.Time, limit int) []webhook.Event {
	var found []webhook.Event
	for _, k := range slices.SortedFunc(maps.Keys(t.events), func(a, b eventKey) int { return cmp.Compare(a.ref, b.ref) }) {
		named, e := usual(t, t.events, k), t.event(k)
		if named != nil && named.Held && !named.DeliverAt.After(until) && e != nil && e.Held {
			found = append(found, *e)
		}
	}
	slices.SortStableFunc(found, func(a, b webhook.Event) int { return a.DeliverAt.Compare(b.DeliverAt) })
	return found[:min(limit, t.heldPage, len(found))]
}

// changeEvent changes the event at k, if it is there.
func (t *tables) changeEvent(k eventKey, change func(e *webhook.Event)) {
	if stored := t.event(k); stored != nil {
		e := *stored
		change(&e)
		set(t.events, k, &e, t.now())
	}
}

// nextHeld is when the store's first delivery or scheduled event is due.
func (t *tables) nextHeld() (at time.Time, ok bool) {
	for _, r := range t.events {
		if e := r.current; e.Held && (!ok || e.DeliverAt.Before(at)) {
			at, ok = e.DeliverAt, true
		}
	}
	for _, r := range t.deliveries {
		if held := r.current.HeldUntil; !held.IsZero() && (!ok || held.Before(at)) {
			at, ok = held, true
		}
	}
	return at, ok
}

func compareKeys(a, b webhook.DeliveryKey) int {
	return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Endpoint, b.Endpoint))
}

func (t *tables) endpointsOf(tenant webhook.TenantID) []webhook.Endpoint {
	var found []webhook.Endpoint
	for k, r := range t.endpoints {
		if k.tenant == tenant && r.current != nil {
			found = append(found, *r.current)
		}
	}
	slices.SortFunc(found, func(a, b webhook.Endpoint) int { return cmp.Compare(a.ID, b.ID) })
	return found
}

func (t *tables) load(l dispatch.Lookup) (out dispatch.Loaded) {
	event, endpoint := eventKey{l.Tenant, l.Event}, endpointKey{l.Tenant, l.Endpoint}
	if l.Fresh {
		out.Event, out.Endpoint, out.Delivery = t.event(event), t.endpoint(endpoint), t.delivery(l.DeliveryKey)
	} else {
		out.Event, out.Endpoint, out.Delivery = usual(t, t.events, event), usual(t, t.endpoints, endpoint), usual(t, t.deliveries, l.DeliveryKey)
		// Absence is confirmed, but for that of the delivery.
		if out.Event == nil {
			out.Event = t.event(event)
		}
		if out.Endpoint == nil {
			out.Endpoint = t.endpoint(endpoint)
		}
	}
	return dispatch.Loaded{Event: copied(out.Event), Endpoint: copied(out.Endpoint), Delivery: copied(out.Delivery)}
}

func copied[T any](v *T) *T {
	if v == nil {
		return nil
	}
	c := *v
	return &c
}

// save is the conditional write of a delivery, in the store's precision.
func (t *tables) save(d webhook.Delivery) error {
	stored := t.delivery(d.DeliveryKey)
	if stored == nil && d.Rev != 0 || stored != nil && stored.Rev != d.Rev {
		return webhook.ErrConflict
	}
	d.Rev++
	for _, at := range []*time.Time{&d.NextAttemptAt, &d.HeldUntil, &d.ParkedAt, &d.DiedAt, &d.UpdatedAt} {
		*at = at.Truncate(time.Millisecond)
	}
	d.Attempts = slices.Clone(d.Attempts)
	for i := range d.Attempts {
		d.Attempts[i].At = d.Attempts[i].At.Truncate(time.Millisecond)
	}
	set(t.deliveries, d.DeliveryKey, &d, t.now())
	return nil
}

func (t *tables) takeTurn(k turnKey, now time.Time) (at time.Time, given bool) {
	beyond := k.rate.Beyond(now)
	turn := max(t.turns[k], k.rate.First(now))
	if turn >= beyond {
		return k.rate.At(beyond), false
	}
	t.turns[k] = turn + 1
	return k.rate.At(turn), true
}

func (t *tables) claim(c ingest.Claim) ingest.Claim {
	k := claimKey{c.Tenant, c.Key}
	if held, ok := t.claims[k]; ok && t.now().Before(held.ExpiresAt) {
		return held
	}
	t.claims[k] = c
	return c
}

func (t *tables) updateClaim(old, c ingest.Claim) error {
	k := claimKey{c.Tenant, c.Key}
	held, ok := t.claims[k]
	if !ok || held.Ref != old.Ref || held.Fingerprint != old.Fingerprint || held.Done != old.Done ||
		!held.At.Equal(old.At) || !held.ExpiresAt.Equal(old.ExpiresAt) {
		return webhook.ErrConflict
	}
	t.claims[k] = c
	return nil
}

// refs returns a tenant's events, newest first.
func (t *tables) refs(tenant webhook.TenantID) []webhook.EventRef {
	var refs []webhook.EventRef
	for k := range t.events {
		if k.tenant == tenant && t.event(k) != nil {
			refs = append(refs, k.ref)
		}
	}
	slices.Sort(refs)
	slices.Reverse(refs)
	return refs
}

// all returns a tenant's deliveries by event, newest first, as lists show them.
func (t *tables) all(tenant webhook.TenantID) []webhook.Delivery {
	var all []webhook.Delivery
	for _, ref := range t.refs(tenant) {
		e := t.event(eventKey{tenant, ref})
		for _, target := range e.Targets {
			if d := t.delivery(webhook.DeliveryKey{Tenant: tenant, Event: ref, Endpoint: target}); d != nil {
				all = append(all, *d)
			} else if !e.Unsent {
				all = append(all, webhook.NewDelivery(*e, target))
			}
		}
	}
	return all
}

// list returns a page of them, which may be short, even empty, before the end.
func (t *tables) list(tenant webhook.TenantID, f history.Filter, p webhook.Page) (found []webhook.Delivery, next string) {
	after := strings.TrimPrefix(p.After, "after ")
	looked := 0
	for _, d := range t.all(tenant) {
		at := string(d.Event) + " " + string(d.Endpoint)
		if after != "" && !behind(at, after) {
			continue
		}
		if looked++; looked > t.page || len(found) == p.Limit {
			return found, next
		}
		next = "after " + at
		if f.Match(d) {
			found = append(found, d)
		}
	}
	return found, ""
}

// behind reports whether a list, newest event first, has position a after b.
func behind(a, b string) bool {
	refA, endpointA, _ := strings.Cut(a, " ")
	refB, endpointB, _ := strings.Cut(b, " ")
	return refA < refB || refA == refB && endpointA > endpointB
}

// tenantsAfter lists tenants by id.
func (t *tables) tenantsAfter(p webhook.Page) (found []webhook.Tenant, next string) {
	ids := slices.Sorted(maps.Keys(t.tenants))
	for i, id := range ids {
		if string(id) <= p.After {
			continue
		}
		found = append(found, t.tenants[id].Tenant)
		if len(found) == p.Limit && i < len(ids)-1 {
			return found, string(id)
		}
	}
	return found, ""
}

func (t *tables) putEvents(events []webhook.Event) {
	for _, e := range events {
		set(t.events, eventKey{e.Tenant, e.Ref}, &e, t.now())
	}
}
