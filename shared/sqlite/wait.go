package sqlite

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Wait returns nil once a message is visible, or ctx's error. It sleeps until
// then: an idle queue costs nothing.
func (q *Queue) Wait(ctx context.Context) error {
	for {
		rung := q.s.bell.listen()
		var next int64
		var waiting bool
		err := q.s.read(ctx, func(c *conn) (err error) {
			waiting, err = c.row("SELECT visible_at FROM messages ORDER BY visible_at LIMIT 1", nil, &next)
			return err
		})
		if err != nil {
			return fmt.Errorf("wait for a message: %w", err)
		}
		// Without a message, one long sleep: Send ends it.
		sleep := time.Hour
		if waiting {
			if sleep = instant(next).Sub(q.s.now()); sleep <= 0 {
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
