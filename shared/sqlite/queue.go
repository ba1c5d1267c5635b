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
// and neither deleted nor hidden when it ended, or had in memory: nobody works
// on them any more.
func (s *Store) releaseMessages() error {
	_, err := s.writer.exec("UPDATE messages SET visible_at = sent_at, leased = 0 WHERE leased = 1")
	if err == nil {
		_, err = s.writer.exec("UPDATE messages SET visible_at = sent_at WHERE visible_at = 0")
	}
	return err
}

// readQueue reads what memory says of the messages in the file.
func (s *Store) readQueue() error {
	if err := s.lanes.read(s.writer); err != nil {
		return err
	}
	at, err := firstDue(s.writer)
	s.due.set(at)
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
	outgoing := make([]outgoing, len(messages))
	for i, m := range messages {
		outgoing[i] = newOutgoing(envelope.Envelope{DeliveryKey: m.DeliveryKey}, m.Delay)
	}
	if err := q.send(ctx, outgoing); err != nil {
		return fmt.Errorf("send %d messages: %w", len(messages), err)
	}
	return nil
}

// SendEnvelope enqueues one message, durably, before it returns.
func (q *Queue) SendEnvelope(ctx context.Context, e envelope.Envelope) error {
	if err := q.send(ctx, []outgoing{newOutgoing(e, 0)}); err != nil {
		return fmt.Errorf("send message for %s: %w", e.ID(), err)
	}
	return nil
}

// outgoing is a message on its way into the queue.
type outgoing struct {
	body  []byte
	lane  lane
	delay time.Duration
}

func newOutgoing(e envelope.Envelope, delay time.Duration) outgoing {
	return outgoing{[]byte(envelope.Encode(e)), laneOf(e.Tenant, e.Endpoint), delay}
}

// send enqueues messages, each to be seen after its delay.
func (q *Queue) send(ctx context.Context, messages []outgoing) error {
	if len(messages) == 0 {
		return nil
	}
	return q.s.writeRows(ctx, len(messages), func(c *conn) error { return q.s.addMessages(c, messages) })
}

func (s *Store) addMessages(c *conn, messages []outgoing) error {
	now := s.now()
	var kept []messageRow
	for _, out := range messages {
		m := messageRow{seq: s.nextMessage.Add(1), sentAt: millis(now), visibleAt: millis(now.Add(out.delay)), lane: out.lane, body: out.body}
		own := out.delay == 0 && s.lanes.isOwn(out.lane)
		if out.delay == 0 && !own && s.fresh.room(out.lane) > len(kept) {
			m.visibleAt = 0
			kept = append(kept, m)
		} else {
			c.onCommit(func() { s.due.note(instant(m.visibleAt)) })
		}
		if _, err := c.exec(addMessage, m.seq, m.sentAt, m.visibleAt, int64(m.lane), own, m.body); err != nil {
			return err
		}
	}
	c.onCommit(func() {
		s.fresh.add(kept)
		s.bell.ring()
	})
	return nil
}

// PutAndSend stores the events and enqueues a message for each of their
// deliveries, durably, and each event all or nothing. As many events go into one
// transaction as do not keep others waiting.
func (s *Store) PutAndSend(ctx context.Context, events []webhook.Event) error {
	for rest := events; len(rest) > 0; {
		n, rows := 0, 0
		for n == 0 || n < len(rest) && rows+1+len(rest[n].Targets) <= maxRows {
			rows += 1 + len(rest[n].Targets)
			n++
		}
		if err := s.putAndSend(ctx, rest[:n], rows); err != nil {
			return fmt.Errorf("put and send %d events: %w", len(events), err)
		}
		rest = rest[n:]
	}
	return nil
}

func (s *Store) putAndSend(ctx context.Context, events []webhook.Event, rows int) error {
	var messages []outgoing
	for _, e := range events {
		if e.Held {
			continue
		}
		for _, key := range e.Deliveries() {
			messages = append(messages, newOutgoing(envelope.Envelope{DeliveryKey: key}, 0))
		}
	}
	return s.writeRows(ctx, rows, func(c *conn) error {
		if err := s.putEvents(c, events); err != nil {
			return err
		}
		return s.addMessages(c, messages)
	})
}

const addMessage = "INSERT INTO messages (seq, sent_at, visible_at, receives, leased, lane, own, body) VALUES (?, ?, ?, 0, 0, ?, ?, ?)"

// Delete removes received messages. One that was received again since, so that
// its receipt is stale, stays.
func (q *Queue) Delete(ctx context.Context, messages []dispatch.Message) error {
	err := q.s.write(ctx, func(c *conn) error {
		for _, m := range messages {
			seq, receives, ok := parseReceipt(m.Receipt)
			if !ok {
				continue
			}
			if _, err := c.exec("DELETE FROM messages WHERE seq = ?1 AND "+receivedFresh, seq, receives); err != nil {
				return err
			}
			c.onCommit(func() { q.s.fresh.left(seq) })
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete %d messages: %w", len(messages), err)
	}
	for _, m := range messages {
		q.Settled(m)
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
			until := now.Add(h.Wait)
			hidden, err := c.exec("UPDATE messages SET visible_at = ?3, receives = ?2, leased = 0 WHERE seq = ?1 AND "+receivedFresh,
				seq, receives, millis(until))
			if err != nil {
				return err
			}
			if hidden == 0 {
				failed = append(failed, h.MessageID)
				continue
			}
			c.onCommit(func() {
				q.s.fresh.left(seq)
				q.s.due.note(until)
			})
		}
		return nil
	})
	if err != nil {
		failed = nil
		for _, h := range hidings {
			failed = append(failed, h.MessageID)
		}
	}
	for _, h := range hidings {
		q.settled(h.Receipt)
	}
	q.s.bell.ring()
	return failed
}

// Settled says that nobody works on a received message any more, so that its
// place is free for another, even if it is neither deleted nor hidden yet.
func (q *Queue) Settled(m dispatch.Message) { q.settled(m.Receipt) }

func (q *Queue) settled(receipt string) {
	seq, receives, ok := parseReceipt(receipt)
	if ok && (q.s.lanes.leave(seq, receives) || q.s.fresh.waiting()) {
		q.s.bell.ring()
	}
}

func parseReceipt(receipt string) (seq int64, receives int, ok bool) {
	number, count, _ := strings.Cut(receipt, ".")
	seq, err := strconv.ParseInt(number, 10, 64)
	receives, err2 := strconv.Atoi(count)
	return seq, receives, errors.Join(err, err2) == nil
}
