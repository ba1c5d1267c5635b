package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/webhook"
)

// Errors of Withdrawer.
var (
	// ErrNotScheduled says that the event is on its way already: it was not
	// scheduled, or its time has come.
	ErrNotScheduled = errors.New("the event is not waiting for its time")
	// ErrNotDue says that a delivery's event is scheduled for later.
	ErrNotDue = errors.New("the event is scheduled for later")
)

// EventStore finds and ends events.
type EventStore interface {
	Rows
	// CancelEvent records that the event was taken back at then, and is held no
	// more. ErrConflict: it was before, or it is gone.
	CancelEvent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, at time.Time) error
	// ExpungeEvent removes the event's payload for good and records when; the event
	// is held no more. ErrConflict: it was removed before, or it is gone.
	ExpungeEvent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, at time.Time) error
}

// Events finds an event with all its deliveries.
type Events interface {
	// Event returns the event a caller names, with every delivery of it, or ErrNotFound.
	Event(ctx context.Context, tenant webhook.TenantID, id webhook.EventID) (webhook.Event, []webhook.Delivery, error)
}

// Withdrawer takes events back, on behalf of whoever ctx names (see package audit).
//
// The event's own mark decides: once it is stored, no attempt begins. What the
// deliveries' rows say follows it, and a call that was interrupted is made again.
type Withdrawer struct {
	Events Events
	Store  EventStore
	Trail  Trail
	Now    func() time.Time
}

// withdrawTries bounds how often an event is ended anew that something keeps changing.
const withdrawTries = 5

// Cancel takes back a scheduled event before its time and returns it as it then is.
// An attempt that began at that very moment may still deliver it, and its delivery
// then says so. One that was cancelled before stays so. ErrNotFound, ErrNotScheduled.
func (w Withdrawer) Cancel(ctx context.Context, tenant webhook.TenantID, id webhook.EventID) (webhook.Event, []webhook.Delivery, error) {
	return w.end(ctx, tenant, id, step{
		action: audit.EventCancelled,
		done:   func(e webhook.Event) bool { reason, _ := e.Ended(); return reason != "" },
		refuse: func(e webhook.Event, now time.Time) error {
			if !now.Before(e.DeliverAt) {
				return ErrNotScheduled
			}
			return nil
		},
		mark:   w.Store.CancelEvent,
		change: endPending,
	})
}

// Expunge removes the event's payload for good, and what endpoints answered to it;
// that it was there stays on record. What is pending of it is cancelled. ErrNotFound.
func (w Withdrawer) Expunge(ctx context.Context, tenant webhook.TenantID, id webhook.EventID) (webhook.Event, []webhook.Delivery, error) {
	return w.end(ctx, tenant, id, step{
		action: audit.EventExpunged,
		done:   func(e webhook.Event) bool { return !e.ExpungedAt.IsZero() },
		refuse: func(webhook.Event, time.Time) error { return nil },
		mark:   w.Store.ExpungeEvent,
		change: func(d webhook.Delivery, _ webhook.Event, now time.Time) (webhook.Delivery, bool) {
			if d.Expunged && d.Rev > 0 && !d.Pending() {
				return d, false
			}
			return d.Expunge(now), true
		},
	})
}

// endPending cancels what is pending of an event that has ended, and stores what
// stands as cancelled with its event, so that lists find it.
func endPending(d webhook.Delivery, e webhook.Event, now time.Time) (webhook.Delivery, bool) {
	if d.Pending() {
		reason, _ := e.Ended()
		d = d.Cancel(reason, now)
	} else if d.Rev > 0 {
		return d, false
	}
	return d, true
}

// step is what ends an event.
type step struct {
	action audit.Action
	done   func(webhook.Event) bool
	refuse func(webhook.Event, time.Time) error
	mark   func(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, at time.Time) error
	// change is what becomes of a delivery of the event, and false when nothing does.
	change func(d webhook.Delivery, e webhook.Event, now time.Time) (webhook.Delivery, bool)
}

// end marks the event and then brings its deliveries in line with it.
func (w Withdrawer) end(ctx context.Context, tenant webhook.TenantID, id webhook.EventID, s step) (webhook.Event, []webhook.Delivery, error) {
	recorded := false
	for range withdrawTries {
		now := w.Now().UTC().Truncate(time.Millisecond)
		e, deliveries, err := w.Events.Event(ctx, tenant, id)
		if err != nil {
			return webhook.Event{}, nil, err
		}
		if !s.done(e) {
			if err := s.refuse(e, now); err != nil {
				return webhook.Event{}, nil, err
			}
			if !recorded {
				if err := w.Trail.Record(ctx, audit.Entry{Tenant: tenant, Action: s.action, Target: string(e.ID)}); err != nil {
					return webhook.Event{}, nil, err
				}
				recorded = true
			}
			if err := s.mark(ctx, tenant, e.Ref, now); err != nil && !errors.Is(err, webhook.ErrConflict) {
				return webhook.Event{}, nil, err
			}
			continue // with the deliveries as they are after the mark
		}
		refused, err := w.settle(ctx, e, deliveries, s, now)
		if err != nil {
			return webhook.Event{}, nil, err
		}
		if !refused {
			return e, deliveries, nil
		}
	}
	return webhook.Event{}, nil, fmt.Errorf("end event %s: %w", id, webhook.ErrConflict)
}

// settle stores the deliveries as the event's end leaves them, in their places.
// refused: some changed meanwhile.
func (w Withdrawer) settle(ctx context.Context, e webhook.Event, deliveries []webhook.Delivery, s step, now time.Time) (refused bool, fault error) {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
	)
	slots := make(chan struct{}, savers)
	for i, d := range deliveries {
		ended, changed := s.change(d, e, now)
		if !changed {
			continue
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			err := w.Store.SaveDelivery(ctx, ended)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				ended.Rev++
				deliveries[i] = ended
			case errors.Is(err, webhook.ErrConflict):
				refused = true
			default:
				fault = fmt.Errorf("end delivery %s: %w", ended.ID(), err)
			}
		})
	}
	wait.Wait()
	return refused, fault
}
