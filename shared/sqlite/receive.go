package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"webhookrelay/shared/dispatch"
)

// Receive returns at most limit messages that are visible and have a place,
// possibly none, and hides them for the queue's visibility timeout. A message
// that was received as often as allowed goes to the dead-letter queue instead.
func (q *Queue) Receive(ctx context.Context, limit int) ([]dispatch.Message, error) {
	if err := q.s.usable(ctx); err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}
	var got []messageRow
	if now := q.s.now(); q.s.storedDue(now) {
		if share := q.s.fresh.storedShare(q.s.lanes, limit, now); share > 0 {
			var err error
			if got, err = q.receiveStored(ctx, share); err != nil {
				return nil, fmt.Errorf("receive messages: %w", err)
			}
		}
	}
	now := q.s.now()
	got = append(got, q.s.fresh.receive(q.s.lanes, limit-len(got), now, now.Add(q.s.visibility))...)
	messages := make([]dispatch.Message, len(got))
	for i, m := range got {
		messages[i] = m.message()
	}
	return messages, nil
}

// storedDue reports whether the file may hold messages to receive.
func (s *Store) storedDue(now time.Time) bool {
	if s.lanes.unread() || len(s.fresh.lapsed(now)) > 0 {
		return true
	}
	if due := s.due.get(); !due.IsZero() && !due.After(now) {
		return true
	}
	open, _ := s.lanes.readyOwn(now)
	return len(open) > 0
}

// due is when the first message in the common lane becomes visible; zero: there
// is none. It may be too early, never too late. The zero due is ready.
type due struct {
	mu sync.Mutex
	at time.Time
}

func (d *due) get() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

// set is for the writer, once it is on disk.
func (d *due) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
}

// note is for the writer, once a message is on disk that becomes visible then.
func (d *due) note(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = earliest(d.at, at)
}

// receiveStored receives from the file.
func (q *Queue) receiveStored(ctx context.Context, limit int) ([]messageRow, error) {
	r := receiving{s: q.s}
	err := q.s.write(ctx, func(c *conn) error {
		r.undo() // of a run before, which came to nothing
		r.c, r.now, r.left = c, q.s.now(), limit
		if err := r.showLapsed(); err != nil {
			return err
		}
		if err := r.run(); err != nil {
			return err
		}
		return r.noteDue()
	})
	if err != nil {
		r.undo()
		return nil, err
	}
	return r.got, nil
}

func (r *receiving) showLapsed() error {
	for _, seq := range r.s.fresh.lapsed(r.now) {
		if _, err := r.c.exec(showLapsed, seq, millis(r.now)); err != nil {
			return err
		}
		r.c.onCommit(func() { r.s.fresh.left(seq) })
	}
	return nil
}

const firstVisible = "SELECT visible_at FROM messages WHERE own = 0 AND visible_at > 0 ORDER BY visible_at LIMIT 1"

// firstDue is when the first message in the common lane becomes visible; zero:
// there is none.
func firstDue(c *conn) (at time.Time, err error) {
	var visible int64
	found, err := c.row(firstVisible, nil, &visible)
	if found {
		at = instant(visible)
	}
	return at, err
}

func (r *receiving) noteDue() error {
	at, err := firstDue(r.c)
	r.c.onCommit(func() { r.s.due.set(at) })
	return err
}

// receiving is one receive.
type receiving struct {
	s    *Store
	c    *conn
	now  time.Time
	left int // how many more may be received
	got  []messageRow
}

func (r *receiving) undo() {
	for _, m := range r.got {
		r.s.lanes.leave(m.seq, m.receives)
	}
	r.got = nil
}

func (r *receiving) run() error {
	if err := r.s.lanes.read(r.c); err != nil {
		return err
	}
	r.s.lanes.prune(r.now)
	r.left = min(r.left, r.s.lanes.most())
	if r.s.lanes.ownTurn() {
		if err := r.fromOwn(); err != nil {
			return err
		}
		return r.fromCommon()
	}
	if err := r.fromCommon(); err != nil {
		return err
	}
	return r.fromOwn()
}

// A limit that is a parameter and nothing else would have SQLite plan the statement
// anew each time, to suit the number.
const (
	oldestVisible = "SELECT seq, sent_at, visible_at, receives, lane, body FROM messages WHERE own = 0 AND visible_at > 0 AND visible_at <= ? ORDER BY visible_at, seq LIMIT ? + 0"
	// What is in a lane of its own is visible.
	oldestOfLane = "SELECT seq, sent_at, visible_at, receives, lane, body FROM messages WHERE own = 1 AND lane = ? ORDER BY visible_at, seq LIMIT ? + 0"
	receiveOne   = "UPDATE messages SET visible_at = ?, receives = ?, leased = 1, own = 0 WHERE seq = ?"
	moveToOwn    = "UPDATE messages SET lane = ?, own = 1 WHERE seq = ?"
)

// fromCommon takes messages from the common lane, past those that have to move
// out of it.
func (r *receiving) fromCommon() error {
	for looked := 0; r.left > 0 && looked < maxMoved; {
		visible, err := r.rows(oldestVisible, millis(r.now), r.left)
		if err != nil || len(visible) == 0 {
			return err
		}
		for _, m := range visible {
			if err := r.takeOrMove(m); err != nil {
				return err
			}
		}
		looked += len(visible)
	}
	return nil
}

func (r *receiving) takeOrMove(m messageRow) error {
	if m.receives >= r.s.maxReceives {
		return r.bury(m)
	}
	if m.lane == unknown {
		m.lane = laneOfBody(m.body)
	}
	// What was received before is little, and need not go behind what never was.
	if m.receives > 0 || !r.belongsAside(m) {
		if taken, err := r.take(m); taken || err != nil {
			return err
		}
	}
	if _, err := r.c.exec(moveToOwn, int64(m.lane), m.seq); err != nil {
		return err
	}
	r.s.lanes.set(m.lane, true)
	return nil
}

// belongsAside reports whether the message is to wait in its endpoint's own lane
// even if there is a place for it.
func (r *receiving) belongsAside(m messageRow) bool {
	late := r.now.Sub(instant(m.visibleAt)) > lateAfter
	return r.s.lanes.isOwn(m.lane) || (late && r.s.lanes.crowds(m.lane))
}

// fromOwn takes messages from the lanes that endpoints have of their own, from
// each its share.
func (r *receiving) fromOwn() error {
	open, _ := r.s.lanes.readyOwn(r.now)
	for i, key := range open {
		if r.left == 0 {
			return nil
		}
		others := len(open) - i - 1
		share := (r.left + others) / (others + 1)
		waiting, err := r.rows(oldestOfLane, int64(key), share)
		if err != nil {
			return err
		}
		if len(waiting) < share {
			r.s.lanes.set(key, false) // what is not taken below keeps it
		}
		for _, m := range waiting {
			if err := r.takeOwn(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *receiving) takeOwn(m messageRow) error {
	if m.receives >= r.s.maxReceives {
		return r.bury(m)
	}
	taken, err := r.take(m)
	if err == nil && !taken {
		r.s.lanes.set(m.lane, true)
	}
	return err
}

// take receives the message if there is a place for it.
func (r *receiving) take(m messageRow) (bool, error) {
	m.receives++
	until := r.now.Add(r.s.visibility)
	if !r.s.lanes.take(m, r.now, until) {
		return false, nil
	}
	r.left--
	r.got = append(r.got, m)
	_, err := r.c.exec(receiveOne, millis(until), m.receives, m.seq)
	return true, err
}

func (r *receiving) rows(query string, args ...any) (found []messageRow, err error) {
	err = r.c.each(query, args, func(row scanner) (bool, error) {
		var m messageRow
		err := row.Scan(&m.seq, &m.sentAt, &m.visibleAt, &m.receives, &m.lane, &m.body)
		found = append(found, m)
		return true, err
	})
	return found, err
}

type messageRow struct {
	seq, sentAt, visibleAt int64

	receives int
	lane     lane
	body     []byte
}

func (m messageRow) message() dispatch.Message {
	id := strconv.FormatInt(m.seq, 10)
	return dispatch.Message{
		ID: id, Receipt: id + "." + strconv.Itoa(m.receives), Body: m.body, SentAt: instant(m.sentAt), Receives: m.receives,
	}
}
