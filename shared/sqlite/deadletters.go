package sqlite

import (
	"context"
	"fmt"
	"time"

	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

const (
	// deadRetention is how long a message lies in the dead-letter queue: as long as
	// in that of template.yaml.
	deadRetention = 14 * 24 * time.Hour
	// moveChunk is how many messages one write of StartMove moves.
	moveChunk = 500
)

// bury moves a message to the dead-letter queue.
func (r *receiving) bury(m messageRow) error {
	const add = "INSERT INTO dead_messages (seq, body, expires_at) VALUES (?, ?, ?)"
	if _, err := r.c.exec(add, m.seq, m.body, millis(r.now.Add(deadRetention))); err != nil {
		return err
	}
	_, err := r.c.exec("DELETE FROM messages WHERE seq = ?", m.seq)
	return err
}

// Depth returns how many messages lie in the dead-letter queue.
func (q *Queue) Depth(ctx context.Context) (depth int, err error) {
	err = q.s.read(ctx, func(c *conn) error {
		_, err := c.row("SELECT count(*) FROM dead_messages", nil, &depth)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("depth of the dead-letter queue: %w", err)
	}
	return depth, nil
}

// Statuses of a move, as SQS names them.
const (
	moveRunning   = "RUNNING"
	moveCompleted = "COMPLETED"
	moveFailed    = "FAILED"
)

// StartMove moves every message of the dead-letter queue back to the delivery
// queue before it returns; once begun, whatever becomes of ctx. Each enters anew:
// another id, no receives. It makes several short writes and rests as Sweep does; if
// the process ends in between, what was not moved is still in the dead-letter queue.
// ErrMoveRunning: a move is under way.
func (q *Queue) StartMove(ctx context.Context) error {
	if !q.s.moving.CompareAndSwap(false, true) {
		return webhook.ErrMoveRunning
	}
	defer q.s.moving.Store(false)
	depth, err := q.Depth(ctx)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	// What is moved gets a higher number than the last, so that nothing is moved twice.
	m := move{q: q, started: millis(q.s.now()), last: q.s.nextMessage.Load(), toMove: depth}
	for more := true; more; {
		began := time.Now()
		err := q.s.writeRows(ctx, 2*moveChunk, func(c *conn) (err error) {
			more, err = m.chunk(c)
			return err
		})
		if err != nil {
			return fmt.Errorf("move the dead-letter queue: %w", err)
		}
		q.s.bell.ring()
		if more {
			giveWay(ctx, began)
		}
	}
	return nil
}

// move is one StartMove.
type move struct {
	q       *Queue
	started int64 // in ms
	last    int64 // the highest number that is moved
	toMove  int   // about how many are
	// after is the number of the last that was moved, and moved how many were.
	after int64
	moved int
}

// chunk moves the next messages, with the account of the move, and reports whether
// there may be more.
func (m *move) chunk(c *conn) (more bool, err error) {
	next := *m
	now := m.q.s.now()
	var bodies [][]byte
	err = c.each("SELECT seq, body FROM dead_messages WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ? + 0", []any{m.after, m.last, moveChunk},
		func(row scanner) (bool, error) {
			var body []byte
			err := row.Scan(&next.after, &body)
			bodies = append(bodies, body)
			return true, err
		})
	if err != nil {
		return false, err
	}
	for _, body := range bodies {
		if _, err := c.exec(addMessage, m.q.s.nextMessage.Add(1), millis(now), millis(now), int64(unknown), false, body); err != nil {
			return false, err
		}
	}
	if _, err := c.exec("DELETE FROM dead_messages WHERE seq > ? AND seq <= ?", m.after, next.after); err != nil {
		return false, err
	}
	next.moved += len(bodies)
	if more = len(bodies) == moveChunk; more {
		next.toMove = max(next.toMove, next.moved+1)
	} else {
		next.toMove = next.moved
	}
	const account = "INSERT OR REPLACE INTO moves (id, started_at, moved, to_move) VALUES (1, ?, ?, ?)"
	if _, err := c.exec(account, m.started, next.moved, next.toMove); err != nil {
		return false, err
	}
	c.onCommit(func() {
		*m = next
		m.q.s.due.note(now)
	})
	return more, nil
}

// LatestMove returns the newest move, and false when there was none.
func (q *Queue) LatestMove(ctx context.Context) (m replay.Move, ok bool, err error) {
	var started int64
	running := q.s.moving.Load()
	err = q.s.read(ctx, func(c *conn) (err error) {
		ok, err = c.row("SELECT started_at, moved, to_move FROM moves WHERE id = 1", nil, &started, &m.Moved, &m.ToMove)
		return err
	})
	if err != nil {
		return replay.Move{}, false, fmt.Errorf("latest move: %w", err)
	}
	if !ok {
		return replay.Move{}, false, nil
	}
	m.StartedAt = instant(started)
	switch {
	case m.Moved == m.ToMove:
		m.Status = moveCompleted
	case running || q.s.moving.Load(): // it may have begun, or ended, meanwhile
		m.Status = moveRunning
	default:
		m.Status, m.Failure = moveFailed, "The relay stopped, or its disk failed, in between: redrive again."
	}
	return m, true, nil
}
