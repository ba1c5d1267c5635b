package sqlite

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Wait returns nil once a message may be received, or ctx's error. It sleeps
// until then: an idle queue costs nothing.
func (q *Queue) Wait(ctx context.Context) error {
	for {
		rung := q.s.bell.listen()
		next, err := q.s.nextMessageAt(ctx)
		if err != nil {
			return fmt.Errorf("wait for a message: %w", err)
		}
		// Without a message, one long sleep: Send ends it.
		sleep := time.Hour
		if !next.IsZero() {
			if sleep = next.Sub(q.s.now()); sleep <= 0 {
				return nil
			}
		}
		timer := time.NewTimer(max(sleep, time.Millisecond))
		select {
		case <-rung:
		case <-timer.C:
		case <-ctx.Done():
			err = ctx.Err()
		case <-q.s.closing:
			err = ErrClosed
		}
		timer.Stop()
		if err != nil {
			return err
		}
	}
}

// nextMessageAt returns when a receive is worth the next try; zero: not before
// something changes.
func (s *Store) nextMessageAt(ctx context.Context) (at time.Time, err error) {
	if err := s.usable(ctx); err != nil {
		return at, err
	}
	now := s.now()
	open, at := s.lanes.readyOwn(now)
	if len(open) > 0 || s.lanes.unread() {
		return now, nil
	}
	at = earliest(at, s.fresh.next(s.lanes, now))
	if s.lanes.most() > 0 {
		at = earliest(at, s.due.get())
	}
	return at, nil
}

// bell wakes everyone who listens. The zero bell is ready.
type bell struct {
	mu   sync.Mutex
	rung chan struct{}
}

// listen returns a channel that the next ring closes.
func (b *bell) listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}
