package sqlite

import (
	"context"
	"fmt"

	"webhookrelay/shared/replay"
)

// bury moves a message to the dead-letter queue.
func bury(c *conn, m messageRow) error {
	if _, err := c.exec("INSERT INTO dead_messages (seq, body) VALUES (?, ?)", m.seq, m.body); err != nil {
		return err
	}
	_, err := c.exec("DELETE FROM messages WHERE seq = ?", m.seq)
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

// moveCompleted is the status of a finished move, as SQS names it.
const moveCompleted = "COMPLETED"

// StartMove moves every message of the dead-letter queue back to the delivery
// queue before it returns. Each enters anew: another id, no receives.
func (q *Queue) StartMove(ctx context.Context) error {
	err := q.s.write(ctx, func(c *conn) error {
		var dead [][]byte
		err := c.each("SELECT body FROM dead_messages ORDER BY seq", nil, func(row scanner) (bool, error) {
			var body []byte
			err := row.Scan(&body)
			dead = append(dead, body)
			return true, err
		})
		if err != nil {
			return err
		}
		now := millis(q.s.now())
		for _, body := range dead {
			if _, err := c.exec(addMessage, q.s.nextMessage.Add(1), now, now, int64(unknown), false, body); err != nil {
				return err
			}
		}
		if _, err := c.exec("DELETE FROM dead_messages"); err != nil {
			return err
		}
		c.onCommit(func() { q.s.due.note(instant(now)) })
		_, err = c.exec("INSERT OR REPLACE INTO moves (id, started_at, moved) VALUES (1, ?, ?)", now, len(dead))
		return err
	})
	if err != nil {
		return fmt.Errorf("move the dead-letter queue: %w", err)
	}
	q.s.bell.ring()
	return nil
}

// LatestMove returns the newest move, always completed, and false when there was none.
func (q *Queue) LatestMove(ctx context.Context) (m replay.Move, ok bool, err error) {
	var started int64
	err = q.s.read(ctx, func(c *conn) (err error) {
		ok, err = c.row("SELECT started_at, moved FROM moves WHERE id = 1", nil, &started, &m.Moved)
		return err
	})
	if err != nil {
		return replay.Move{}, false, fmt.Errorf("latest move: %w", err)
	}
	if !ok {
		return replay.Move{}, false, nil
	}
	m.Status, m.ToMove, m.StartedAt = moveCompleted, m.Moved, instant(started)
	return m, true, nil
}
