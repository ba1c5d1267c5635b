package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

var (
	_ ingest.Queue           = (*Queue)(nil)
	_ dispatch.Queue         = (*Queue)(nil)
	_ replay.Queue           = (*Queue)(nil)
	_ replay.DeadLetterQueue = (*Queue)(nil)
)

// Queue is the delivery queue and its dead-letter queue, kept in a Store's
// file, with the semantics of an SQS standard queue. Safe for concurrent use.
type Queue struct{ s *Store }

// Queue returns the store's delivery queue. It lives as long as the store.
func (s *Store) Queue() *Queue { return &Queue{s} }

// numberMessages picks the first message number: above all that exist, and
// above all that existed, for a number's receipts may outlive its message.
func (s *Store) numberMessages() error {
	var last, dead int64
	if _, err := s.writer.row("SELECT coalesce(max(seq), 0) FROM messages", nil, &last); err != nil {
		return err
	}
	if _, err := s.writer.row("SELECT coalesce(max(seq), 0) FROM dead_messages", nil, &dead); err != nil {
		return err
	}
	s.nextMessage.Store(max(last, dead, time.Now().UnixMicro()))
	return nil
}

// releaseMessages shows the messages again that an earlier process had received
// and neither deleted nor hidden when it ended: nobody works on them any more.
func (s *Store) releaseMessages() error {
	_, err := s.writer.exec("UPDATE messages SET visible_at = sent_at, leased = 0 WHERE leased = 1")
	return err
}

// Send enqueues a message for each key, durably, before it returns.
func (q *Queue) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	messages := make([]sweep.Delayed, len(keys))
	for i, key := range keys {
		messages[i].DeliveryKey = key
	}
	return q.SendDelayed(ctx, messages)
}

// SendDelayed is Send with messages that stay invisible for a while.
func (q *Queue) SendDelayed(ctx context.Context, messages []sweep.Delayed) error {
	bodies := make([]string, len(messages))
	for i, m := range messages {
		bodies[i] = envelope.Encode(envelope.Envelope{DeliveryKey: m.DeliveryKey})
	}
	if err := q.send(ctx, bodies, func(i int) time.Duration { return messages[i].Delay }); err != nil {
		return fmt.Errorf("send %d messages: %w", len(messages), err)
	}
	return nil
}

// SendEnvelope enqueues one message, durably, before it returns.
func (q *Queue) SendEnvelope(ctx context.Context, e envelope.Envelope) error {
	if err := q.send(ctx, []string{envelope.Encode(e)}, func(int) time.Duration { return 0 }); err != nil {
		return fmt.Errorf("send message for %s: %w", e.ID(), err)
	}
	return nil
}

// send enqueues bodies, each to be seen after its delay.
func (q *Queue) send(ctx context.Context, bodies []string, delay func(i int) time.Duration) error {
	if len(bodies) == 0 {
		return nil
	}
	err := q.s.write(ctx, func(c *conn) error {
		now := q.s.now()
		for i, body := range bodies {
			if _, err := c.exec(addMessage, q.s.nextMessage.Add(1), millis(now), millis(now.Add(delay(i))), []byte(body)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		q.s.bell.ring()
	}
	return err
}

const addMessage = "INSERT INTO messages (seq, sent_at, visible_at, receives, leased, body) VALUES (?, ?, ?, 0, 0, ?)"

// Receive returns at most limit messages that are visible, possibly none, and
// hides them for the queue's visibility timeout. A message that was received
// as often as allowed goes to the dead-letter queue instead.
func (q *Queue) Receive(ctx context.Context, limit int) ([]dispatch.Message, error) {
	var received []dispatch.Message
	err := q.s.write(ctx, func(c *conn) error {
		received = nil
		now := q.s.now()
		for len(received) < limit {
			visible, err := visibleMessages(c, now, limit-len(received))
			if err != nil || len(visible) == 0 {
				return err
			}
			for _, m := range visible {
				if m.receives >= q.s.maxReceives {
					err = bury(c, m)
				} else {
					m.receives++
					received = append(received, m.message())
					_, err = c.exec("UPDATE messages SET visible_at = ?, receives = ?, leased = 1 WHERE seq = ?",
						millis(now.Add(q.s.visibility)), m.receives, m.seq)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}
	return received, nil
}

type messageRow struct {
	seq, sentAt int64
	receives    int
	body        []byte
}

func (m messageRow) message() dispatch.Message {
	id := strconv.FormatInt(m.seq, 10)
	return dispatch.Message{
		ID: id, Receipt: id + "." + strconv.Itoa(m.receives), Body: m.body, SentAt: instant(m.sentAt), Receives: m.receives,
	}
}

func visibleMessages(c *conn, now time.Time, limit int) (found []messageRow, err error) {
	err = c.each("SELECT seq, sent_at, receives, body FROM messages WHERE visible_at <= ? ORDER BY visible_at, seq LIMIT ?",
		[]any{millis(now), limit}, func(row scanner) (bool, error) {
			var m messageRow
			err := row.Scan(&m.seq, &m.sentAt, &m.receives, &m.body)
			found = append(found, m)
			return true, err
		})
	return found, err
}

// Delete removes received messages. One that was received again since, so that
// its receipt is stale, stays.
func (q *Queue) Delete(ctx context.Context, messages []dispatch.Message) error {
	err := q.s.write(ctx, func(c *conn) error {
		for _, m := range messages {
			seq, receives, ok := parseReceipt(m.Receipt)
			if !ok {
				continue
			}
			if _, err := c.exec("DELETE FROM messages WHERE seq = ? AND receives = ?", seq, receives); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete %d messages: %w", len(messages), err)
	}
	return nil
}

// Hide makes each message invisible for its wait, counted from the call. It
// returns the ids of those whose receipt is stale, or all on an error.
func (q *Queue) Hide(ctx context.Context, hidings []dispatch.Hiding) (failed []string) {
	now := q.s.now()
	err := q.s.write(ctx, func(c *conn) error {
		failed = nil
		for _, h := range hidings {
			seq, receives, _ := parseReceipt(h.Receipt)
			hidden, err := c.exec("UPDATE messages SET visible_at = ?, leased = 0 WHERE seq = ? AND receives = ?",
				millis(now.Add(h.Wait)), seq, receives)
			if err != nil {
				return err
			}
			if hidden == 0 {
				failed = append(failed, h.MessageID)
			}
		}
		return nil
	})
	if err != nil {
		failed = nil
		for _, h := range hidings {
			failed = append(failed, h.MessageID)
		}
	}
	q.s.bell.ring()
	return failed
}

func parseReceipt(receipt string) (seq int64, receives int, ok bool) {
	number, count, _ := strings.Cut(receipt, ".")
	seq, err := strconv.ParseInt(number, 10, 64)
	receives, err2 := strconv.Atoi(count)
	return seq, receives, errors.Join(err, err2) == nil
}
