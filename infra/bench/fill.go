package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"webhookrelay/infra/measure"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

const (
	// fillTenants is over how many tenants the stored events are spread, fillEndpoints
	// how many endpoints each has, and fillTypes of how many types they are.
	fillTenants, fillEndpoints, fillTypes = 20, 5, 12
	// One of twoTargets events goes to two endpoints. One of fillRetried deliveries
	// took a second attempt, and one of fillDead died.
	twoTargets, fillRetried, fillDead = 5, 50, 500
	// fillChunk is how many events one write stores.
	fillChunk = 250
	// fillSpan is over which time the events came that have not expired: somewhat less
	// than they are kept, so that none expires while speed is measured.
	fillSpan, fillKept = 29 * 24 * time.Hour, 30 * 24 * time.Hour
)

// filler stores events with their deliveries by the store's own code, as a relay
// leaves them. What passes through the queue leaves nothing, and is left out.
type filler struct {
	store *sqlite.Store
	ids   *id.Source
	now   time.Time
	step  time.Duration
	data  [][]byte
	// events are how many are stored, the oldest of which, expired in number, are past their time.
	events, expired int
	done            filled
}

// filled counts what was stored.
type filled struct{ deliveries, expiredRows int }

// fill stores events in the file in dir, oldest first, and their deliveries.
// As many events as expired are past their time.
func fill(ctx context.Context, dir string, events, expired int) (_ filled, err error) {
	store, err := sqlite.Open(sqlite.Config{Path: filepath.Join(dir, "relay.db")})
	if err != nil {
		return filled{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	f := filler{
		store: store, ids: id.NewSource(), now: time.Now(), step: fillSpan / time.Duration(events-expired),
		events: events, expired: expired,
	}
	for i := range 1000 {
		f.data = append(f.data, measure.EventData(i))
	}
	for i := range fillTenants {
		if _, _, err := store.PutTenant(ctx, webhook.Tenant{ID: fillTenant(i), CreatedAt: f.at(0)}); err != nil {
			return filled{}, err
		}
	}
	for first := 0; first < events; first += fillChunk {
		if err := f.save(ctx, first, min(fillChunk, events-first)); err != nil {
			return filled{}, err
		}
	}
	return f.done, nil
}

// fillTenant is the i-th tenant; the events that are measured go to the first.
func fillTenant(i int) webhook.TenantID {
	if i == 0 {
		return tenantID
	}
	return webhook.TenantID(fmt.Sprintf("tenant-%02d", i))
}

// at is when the i-th event came.
func (f *filler) at(i int) time.Time {
	at := f.now.Add(-time.Duration(f.events-i) * f.step)
	if i < f.expired {
		at = at.Add(fillSpan - fillKept - time.Hour)
	}
	return at.Truncate(time.Millisecond)
}

func (f *filler) event(i int) webhook.Event {
	at := f.at(i)
	ref := f.ids.EventRef(at)
	kind := webhook.EventType(fmt.Sprintf("order.changed-%02d", i%fillTypes))
	e := webhook.Event{
		Tenant: fillTenant(i % fillTenants), Ref: ref, ID: id.EventID(ref), Type: kind, Timestamp: at,
		AcceptedAt: at, ExpiresAt: at.Add(fillKept), Body: ingest.Body(kind, at, f.data[i%len(f.data)]),
		Targets: []webhook.EndpointID{fillEndpoint(i)},
	}
	if i%twoTargets == 0 {
		e.Targets = append(e.Targets, fillEndpoint(i+fillTenants))
	}
	return e
}

// fillEndpoint has the form and length of an endpoint's id.
func fillEndpoint(i int) webhook.EndpointID {
	return webhook.EndpointID(fmt.Sprintf("ep_01k%023d", i/fillTenants%fillEndpoints))
}

// save stores n events in one write, and then their deliveries, which the store
// groups into few transactions.
func (f *filler) save(ctx context.Context, first, n int) error {
	events := make([]webhook.Event, n)
	for i := range events {
		events[i] = f.event(first + i)
		f.done.deliveries += len(events[i].Targets)
		if first+i < f.expired {
			f.done.expiredRows += 1 + len(events[i].Targets)
		}
	}
	if err := f.store.PutEvents(ctx, events); err != nil {
		return err
	}
	failed := make(chan error, n)
	var wait sync.WaitGroup
	for i, e := range events {
		wait.Go(func() {
			for _, to := range e.Targets {
				if err := f.deliver(ctx, webhook.NewDelivery(e, to), first+i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wait.Wait()
	close(failed)
	return <-failed
}

// deliver stores what the dispatcher would have, attempt by attempt.
func (f *filler) deliver(ctx context.Context, d webhook.Delivery, i int) error {
	d.Writer = fmt.Sprintf("%013d", i)
	at := d.UpdatedAt.Add(3 * time.Millisecond)
	took := webhook.Attempt{At: at, Trigger: webhook.TriggerSchedule, StatusCode: 204, Duration: 83 * time.Millisecond}
	refused := took
	refused.StatusCode, refused.Reason, refused.Detail = 500, webhook.ReasonHTTP5xx, "the endpoint answered 500 Internal Server Error"
	refused.Response = []byte("something is wrong here, try again later")
	switch {
	case i%fillDead == fillDead-1:
		return f.store.SaveDelivery(ctx, d.GiveUp(refused, webhook.ReasonExhausted))
	case i%fillRetried == fillRetried-1:
		d = d.Retry(refused, at.Add(5*time.Second), webhook.NextSchedule)
		if err := f.store.SaveDelivery(ctx, d); err != nil {
			return err
		}
		d.Rev++
		took.At = d.NextAttemptAt
	}
	return f.store.SaveDelivery(ctx, d.Succeed(took))
}
