package sweep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const (
	// eventPage is how many scheduled events are looked at at once.
	eventPage = 100
	// sentAtOnce is how many messages are sent at once, but for those of one event.
	sentAtOnce = 500
)

// EventStore is where scheduled events wait until they are due.
type EventStore interface {
	// DueEvents returns at most limit held events whose DeliverAt is not after
	// until, roughly the earliest first, possibly without their bodies. It may miss
	// one that was stored moments ago, but shows each as it is. With ErrUnreadable it
	// returns those that can be read.
	DueEvents(ctx context.Context, until time.Time, limit int) ([]webhook.Event, error)
	// EventSent records that the event is held no more. One that is gone is no error.
	EventSent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error
}

type eventKey struct {
	tenant webhook.TenantID
	ref    webhook.EventRef
}

// ReleaseEvents sends the messages of the scheduled events that fall due before the
// next call. They are sent before the event is marked: a crash between the two
// sends them twice. What an endpoint cannot take now the dispatcher puts on hold.
func (s Sweeper) ReleaseEvents(ctx context.Context) (sent int, err error) {
	return s.releaseEvents(ctx, math.MaxInt64)
}

// releaseEvents is ReleaseEvents that leaves to the next call what it has not begun
// within that time.
func (s Sweeper) releaseEvents(ctx context.Context, within time.Duration) (sent int, err error) {
	now := s.Now()
	seen, oldest := make(map[eventKey]bool), time.Duration(0)
	for ctx.Err() == nil && s.Now().Sub(now) < within {
		due, err := s.Store.DueEvents(ctx, now.Add(s.Interval), eventPage)
		unreadable := errors.Is(err, webhook.ErrUnreadable)
		if unreadable {
			s.Log.Error("rows unreadable", "error", err.Error())
		} else if err != nil {
			return sent, fmt.Errorf("due events: %w", err)
		}
		var fresh []webhook.Event
		for _, e := range due {
			if k := (eventKey{e.Tenant, e.Ref}); !seen[k] {
				seen[k], oldest = true, max(oldest, now.Sub(e.DeliverAt))
				fresh = append(fresh, e)
			}
		}
		n, err := s.sendEvents(ctx, fresh, now)
		sent += n
		if err != nil {
			return sent, err
		}
		// A page that shows only what was handled already is an index that lags.
		if len(due) < eventPage && !unreadable || len(fresh) == 0 {
			break
		}
	}
	if sent > 0 {
		s.Log.Info("scheduled events sent", "events", len(seen),
			telemetry.Counted("HeldReleased", sent), telemetry.Aged("OldestDueSeconds", oldest))
	}
	return sent, nil
}

// sendEvents sends the messages of the events, a bounded number at once.
func (s Sweeper) sendEvents(ctx context.Context, events []webhook.Event, now time.Time) (sent int, err error) {
	for len(events) > 0 {
		var messages []Delayed
		n := 0
		for ; n < len(events) && len(messages) < sentAtOnce; n++ {
			for _, k := range events[n].Deliveries() {
				messages = append(messages, Delayed{k, max(0, events[n].DeliverAt.Sub(now))})
			}
		}
		if len(messages) > 0 {
			if err := s.Queue.SendDelayed(ctx, messages); err != nil {
				return sent, fmt.Errorf("send %d scheduled events: %w", n, err)
			}
		}
		sent += len(messages)
		if err := s.markSent(ctx, events[:n]); err != nil {
			return sent, err
		}
		events = events[n:]
	}
	return sent, nil
}

// markSent marks the events side by side.
func (s Sweeper) markSent(ctx context.Context, events []webhook.Event) error {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		fault error
	)
	slots := make(chan struct{}, savers)
	for _, e := range events {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if err := s.Store.EventSent(ctx, e.Tenant, e.Ref); err != nil {
				mu.Lock()
				fault = fmt.Errorf("mark event %s sent: %w", e.Ref, err)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return fault
}
