package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// host is an instance of a function: what it keeps in memory outlives the
// process that uses it now.
type host struct{ p *process }

func (h *host) now() time.Time { return h.p.now() }

// store is the tables as a process sees them: every call may fail.
type store struct{ *host }

var (
	_ ingest.Store   = store{}
	_ dispatch.Store = store{}
	_ sweep.Store    = store{}
	_ history.Store  = store{}
	_ registry.Store = store{}
)

// answer is a call's result with its error.
type answer[T any] struct {
	value T
	err   error
}

func (a answer[T]) String() string {
	switch {
	case a.err != nil:
		return a.err.Error()
	default:
		return describe(a.value)
	}
}

// query is a call that returns a value. Like the real clients, it fails once
// its context has ended.
func query[T any](ctx context.Context, h *host, op *Op, key string, effect func(t *tables) (T, error)) (T, error) {
	a := ask(ctx, h.p, op, key, func(*call) (a answer[T]) {
		if err := ctx.Err(); err != nil {
			return answer[T]{err: err}
		}
		a.value, a.err = effect(h.p.w.tables)
		return a
	}, func(f Fault) answer[T] {
		if f == Conflicts {
			return answer[T]{err: fmt.Errorf("%s: %w", op.Name, webhook.ErrConflict)}
		}
		return answer[T]{err: fmt.Errorf("%s: %w", op.Name, errInjected)}
	}, answer[T].String)
	return a.value, a.err
}

// change is a call that returns an error only.
func change(ctx context.Context, h *host, op *Op, key string, effect func(t *tables) error) error {
	_, err := query(ctx, h, op, key, func(t *tables) (struct{}, error) { return struct{}{}, effect(t) })
	return err
}

func (s store) ConfigVersion(ctx context.Context, tenant webhook.TenantID) (int64, error) {
	return query(ctx, s.host, opVersion, string(tenant), func(t *tables) (int64, error) {
		if row := t.tenants[tenant]; row != nil {
			return row.version, nil
		}
		return 0, webhook.ErrNotFound
	})
}

func (s store) AllEndpoints(ctx context.Context, tenant webhook.TenantID) ([]webhook.Endpoint, error) {
	return query(ctx, s.host, opEndpoints, string(tenant), func(t *tables) ([]webhook.Endpoint, error) {
		return t.endpointsOf(tenant), nil
	})
}

func (s store) Claim(ctx context.Context, c ingest.Claim) (ingest.Claim, error) {
	return query(ctx, s.host, opClaim, c.Key, func(t *tables) (ingest.Claim, error) {
		s.p.w.names.event(c.Ref)
		return t.claim(c), nil
	})
}

func (s store) UpdateClaim(ctx context.Context, old, c ingest.Claim) error {
	return change(ctx, s.host, opUpdateClaim, c.Key, func(t *tables) error { return t.updateClaim(old, c) })
}

func (s store) PutEvents(ctx context.Context, events []webhook.Event) error {
	if len(events) == 1 {
		return change(ctx, s.host, opPutEvent, string(events[0].Ref), func(t *tables) error {
			t.putEvents(events)
			s.p.w.planSweep()
			return nil
		})
	}
	return ask(ctx, s.p, opPutEvents, list(events, func(e webhook.Event) string { return string(e.Ref) }), func(*call) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.p.w.tables.putEvents(events)
		s.p.w.planSweep()
		return nil
	}, func(f Fault) error {
		if f == Part {
			s.p.w.tables.putEvents(events[:len(events)/2])
			s.p.w.planSweep()
		}
		return fmt.Errorf("%s: %w", opPutEvents.Name, errInjected)
	}, describe[error])
}

func (s store) MarkUnsent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error {
	return change(ctx, s.host, opMarkUnsent, string(ref), func(t *tables) error {
		e := t.event(eventKey{tenant, ref})
		if e == nil {
			return webhook.ErrNotFound
		}
		marked := *e
		marked.Unsent = true
		set(t.events, eventKey{tenant, ref}, &marked, t.now())
		return nil
	})
}

func (s store) EventByRef(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (webhook.Event, error) {
	return query(ctx, s.host, opEvent, string(ref), func(t *tables) (webhook.Event, error) {
		if e := t.event(eventKey{tenant, ref}); e != nil {
			return *e, nil
		}
		return webhook.Event{}, webhook.ErrNotFound
	})
}

func (s store) Load(ctx context.Context, lookups []dispatch.Lookup) ([]dispatch.Loaded, error) {
	key := func(l dispatch.Lookup) string { return string(l.ID()) }
	return query(ctx, s.host, opLoad, list(lookups, key), func(t *tables) ([]dispatch.Loaded, error) {
		loaded := make([]dispatch.Loaded, len(lookups))
		for i, l := range lookups {
			loaded[i] = t.load(l)
		}
		return loaded, nil
	})
}

func (s store) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	return change(ctx, s.host, opSave, string(d.ID()), func(t *tables) error {
		before := t.delivery(d.DeliveryKey)
		err := t.save(d)
		if err == nil {
			s.p.w.watch.saved(s.p, before, t.delivery(d.DeliveryKey))
			s.p.w.planSweep()
		}
		return err
	})
}

func (s store) DisableEndpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, reason webhook.Reason, now time.Time) error {
	return change(ctx, s.host, opDisable, string(id), func(t *tables) error {
		k := endpointKey{tenant, id}
		stored := t.endpoint(k)
		if stored == nil || stored.State == webhook.EndpointDisabled {
			return nil
		}
		e := *stored
		e.State, e.DisabledReason, e.UpdatedAt = webhook.EndpointDisabled, reason, now
		e.Rev++
		t.writeEndpoint(k, &e)
		return nil
	})
}

func (s store) SaveHealth(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, h webhook.Health) error {
	return change(ctx, s.host, opSaveHealth, string(tenant)+"/"+string(id), func(t *tables) error {
		return t.saveHealth(endpointKey{tenant, id}, h)
	})
}

func (s store) TakeTurn(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, rate webhook.Rate, now time.Time) (time.Time, bool, error) {
	type turn struct {
		at    time.Time
		given bool
	}
	got, err := query(ctx, s.host, opTakeTurn, string(tenant)+"/"+string(id), func(t *tables) (turn, error) {
		at, given := t.takeTurn(turnKey{endpointKey{tenant, id}, rate}, now)
		return turn{at, given}, nil
	})
	return got.at, got.given, err
}

func (s store) Held(ctx context.Context, until time.Time, limit int) ([]webhook.Delivery, error) {
	return query(ctx, s.host, opHeld, until.Format("15:04:05"), func(t *tables) ([]webhook.Delivery, error) {
		return t.held(until, limit), nil
	})
}

func (s store) DueEvents(ctx context.Context, until time.Time, limit int) ([]webhook.Event, error) {
	return query(ctx, s.host, opDue, until.Format("15:04:05"), func(t *tables) ([]webhook.Event, error) {
		return t.due(until, limit), nil
	})
}

func (s store) EventSent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error {
	return change(ctx, s.host, opEventSent, string(ref), func(t *tables) error {
		t.changeEvent(eventKey{tenant, ref}, func(e *webhook.Event) { e.Held = false })
		return nil
	})
}

func (s store) CancelEvent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, at time.Time) error {
	return change(ctx, s.host, opCancelEvent, string(ref), func(t *tables) error {
		k := eventKey{tenant, ref}
		if e := t.event(k); e == nil || !e.CancelledAt.IsZero() {
			return webhook.ErrConflict
		}
		t.changeEvent(k, func(e *webhook.Event) { e.CancelledAt, e.Held = at, false })
		return nil
	})
}

// ExpungeEvent is not modelled.
func (s store) ExpungeEvent(context.Context, webhook.TenantID, webhook.EventRef, time.Time) error {
	return errNotModelled
}

func (s store) EventRef(ctx context.Context, tenant webhook.TenantID, id webhook.EventID) (webhook.EventRef, error) {
	return query(ctx, s.host, opEventRef, string(id), func(t *tables) (webhook.EventRef, error) {
		if c, ok := t.claims[claimKey{tenant, ingest.ClaimByID + string(id)}]; ok {
			return c.Ref, nil
		}
		return "", webhook.ErrNotFound
	})
}

// page is what a list call returns.
type page[T any] struct {
	items []T
	next  string
}

func (s store) Tenants(ctx context.Context, p webhook.Page) ([]webhook.Tenant, string, error) {
	got, err := query(ctx, s.host, opList, "tenants", func(t *tables) (page[webhook.Tenant], error) {
		items, next := t.tenantsAfter(p)
		return page[webhook.Tenant]{items, next}, nil
	})
	return got.items, got.next, err
}

func (s store) Deliveries(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Delivery, string, error) {
	got, err := query(ctx, s.host, opList, "deliveries of "+string(tenant), func(t *tables) (page[webhook.Delivery], error) {
		items, next := t.list(tenant, f, p)
		return page[webhook.Delivery]{items, next}, nil
	})
	return got.items, got.next, err
}

func (s store) SweepState(ctx context.Context) (sweep.State, error) {
	return query(ctx, s.host, opSweepState, "", func(t *tables) (sweep.State, error) { return t.sweep, nil })
}

func (s store) SaveSweepState(ctx context.Context, state sweep.State) error {
	return change(ctx, s.host, opSaveSweep, "", func(t *tables) error {
		t.sweep = state
		return nil
	})
}

func (s store) Delivery(ctx context.Context, k webhook.DeliveryKey) (webhook.Delivery, error) {
	return query(ctx, s.host, opDelivery, string(k.ID()), func(t *tables) (webhook.Delivery, error) {
		if d := t.delivery(k); d != nil {
			return *d, nil
		}
		return webhook.Delivery{}, webhook.ErrNotFound
	})
}

func (s store) Endpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID) (webhook.Endpoint, error) {
	return query(ctx, s.host, opEndpoint, string(id), func(t *tables) (webhook.Endpoint, error) {
		if e := t.endpoint(endpointKey{tenant, id}); e != nil {
			return *e, nil
		}
		return webhook.Endpoint{}, webhook.ErrNotFound
	})
}

func (s store) Endpoints(ctx context.Context, tenant webhook.TenantID, _ webhook.Page) ([]webhook.Endpoint, string, error) {
	all, err := s.AllEndpoints(ctx, tenant)
	return all, "", err
}

func (s store) CreateEndpoint(ctx context.Context, e webhook.Endpoint, _ ...audit.Line) error {
	return change(ctx, s.host, opWriteEndpoint, string(e.ID), func(t *tables) error {
		k := endpointKey{e.Tenant, e.ID}
		switch {
		case t.tenants[e.Tenant] == nil:
			return webhook.ErrNotFound
		case t.endpoint(k) != nil:
			return webhook.ErrExists
		}
		e.Rev = 1
		t.writeEndpoint(k, &e)
		return nil
	})
}

func (s store) UpdateEndpoint(ctx context.Context, e webhook.Endpoint, _ ...audit.Line) error {
	return change(ctx, s.host, opWriteEndpoint, string(e.ID), func(t *tables) error {
		k := endpointKey{e.Tenant, e.ID}
		if stored := t.endpoint(k); stored == nil || stored.Rev != e.Rev {
			return webhook.ErrConflict
		}
		e.Rev++
		t.writeEndpoint(k, &e)
		return nil
	})
}

func (s store) DeleteEndpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, _ ...audit.Line) error {
	return change(ctx, s.host, opWriteEndpoint, string(id), func(t *tables) error {
		k := endpointKey{tenant, id}
		if t.endpoint(k) == nil {
			return webhook.ErrNotFound
		}
		t.writeEndpoint(k, nil)
		return nil
	})
}

// noTrail stands for the audit trail, which is not modelled: nothing that the
// simulation checks depends on it.
type noTrail struct{}

func (noTrail) Record(context.Context, audit.Entry) error { return nil }

// What the use cases of this simulation never ask.

var errNotModelled = errors.New("not modelled")

// Events is not modelled.
func (s store) Events(context.Context, webhook.TenantID, history.Filter, webhook.Page) ([]webhook.Event, string, error) {
	return nil, "", errNotModelled
}

func (s store) EventDeliveries(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) ([]webhook.Delivery, error) {
	return query(ctx, s.host, opEventRows, string(ref), func(t *tables) (rows []webhook.Delivery, err error) {
		for k := range t.deliveries {
			if k.Tenant == tenant && k.Event == ref {
				rows = append(rows, *t.delivery(k))
			}
		}
		slices.SortFunc(rows, func(a, b webhook.Delivery) int { return compareKeys(a.DeliveryKey, b.DeliveryKey) })
		return rows, nil
	})
}

// Records is not modelled.
func (s store) Records(context.Context, webhook.TenantID, history.Filter, webhook.Page) ([]history.Record, string, error) {
	return nil, "", errNotModelled
}

// DeadLetters is not modelled.
func (s store) DeadLetters(context.Context, webhook.Page) ([]webhook.Delivery, string, error) {
	return nil, "", errNotModelled
}

// PutTenant is not modelled: tenants are there from the beginning.
func (s store) PutTenant(context.Context, webhook.Tenant, ...audit.Line) (webhook.Tenant, bool, error) {
	return webhook.Tenant{}, false, errNotModelled
}

// Tenant is not modelled.
func (s store) Tenant(context.Context, webhook.TenantID) (webhook.Tenant, error) {
	return webhook.Tenant{}, errNotModelled
}
