package dynamo

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/webhook"
)

// Load answers each lookup, in order. A lookup reads three rows, for half a
// read unit each per 4 KB, or one each when Fresh; a row that several lookups
// name is read once, and 33 lookups take one call.
//
// Usual reads are eventual: the event was stored a moment ago and the rest
// seldom changes. An event or endpoint that such a read does not find is read
// again, strongly, before it counts as absent.
func (s *Store) Load(ctx context.Context, lookups []dispatch.Lookup) ([]dispatch.Loaded, error) {
	fresh, usual := keySet{}, keySet{}
	for _, l := range lookups {
		if l.Fresh {
			addRows(fresh, l.DeliveryKey)
		}
	}
	for _, l := range lookups {
		if !l.Fresh {
			addRows(usual, l.DeliveryKey)
		}
	}
	for k := range fresh { // the better read serves both
		delete(usual, k)
	}
	found := newRowSet()
	if err := s.loadRows(ctx, fresh, usual, found); err != nil {
		return nil, fmt.Errorf("load %d deliveries: %w", len(lookups), err)
	}
	return s.assemble(lookups, found), nil
}

func addRows(keys keySet, k webhook.DeliveryKey) {
	keys.add(endpointKey(k.Tenant, k.Endpoint))
	if event, ok := eventKey(k.Tenant, k.Event); ok {
		keys.add(event)
	}
	if delivery, ok := deliveryKey(k); ok {
		keys.add(delivery)
	}
}

func (s *Store) loadRows(ctx context.Context, fresh, usual keySet, found *rowSet) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.batchGet(groupCtx, fresh, true, found) })
	group.Go(func() error { return s.batchGet(groupCtx, usual, false, found) })
	if err := group.Wait(); err != nil {
		return err
	}
	missing := keySet{}
	for k := range usual {
		if _, ok := found.rows[k]; !ok && mustExist(k) {
			missing.add(k)
		}
	}
	return s.batchGet(ctx, missing, true, found)
}

// assemble decodes each event once, however many lookups name it: its body may
// have to be inflated. A row that cannot be read spoils the answers it belongs to.
func (s *Store) assemble(lookups []dispatch.Lookup, found *rowSet) []dispatch.Loaded {
	a := assembly{rows: found.rows, events: map[key]webhook.Event{}, now: s.now()}
	loaded := make([]dispatch.Loaded, len(lookups))
	for i, l := range lookups {
		var err error
		if loaded[i], err = a.answer(l.DeliveryKey); err != nil {
			loaded[i] = dispatch.Loaded{Err: err}
		}
	}
	return loaded
}

type assembly struct {
	rows   map[key]item
	events map[key]webhook.Event
	now    time.Time
}

func (a assembly) answer(k webhook.DeliveryKey) (out dispatch.Loaded, err error) {
	if row := a.row(endpointKey(k.Tenant, k.Endpoint)); row != nil {
		endpoint := decodeEndpoint(k.Tenant, row)
		out.Endpoint = &endpoint
	}
	eventAt, ok := eventKey(k.Tenant, k.Event)
	if !ok {
		return out, nil
	}
	if out.Event, err = a.event(k.Tenant, eventAt); err != nil {
		return dispatch.Loaded{}, err
	}
	deliveryAt, _ := deliveryKey(k)
	if row := a.row(deliveryAt); row != nil {
		delivery, err := decodeDelivery(k.Tenant, row)
		if err != nil {
			return dispatch.Loaded{}, err
		}
		out.Delivery = &delivery
	}
	return out, nil
}

// row returns the row at k, or nil when there is none or it has expired.
func (a assembly) row(k key) item {
	if row := a.rows[k]; !row.expired(a.now) {
		return row
	}
	return nil
}

func (a assembly) event(tenant webhook.TenantID, k key) (*webhook.Event, error) {
	row := a.row(k)
	if row == nil {
		return nil, nil
	}
	event, ok := a.events[k]
	if !ok {
		var err error
		if event, err = decodeEvent(tenant, row); err != nil {
			return nil, err
		}
		a.events[k] = event
	}
	return &event, nil
}
