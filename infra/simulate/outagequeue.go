package simulate

import (
	"strconv"
	"time"

	"webhookrelay/shared/dispatch"
)

// backlog is an SQS standard queue with its dead-letter queue, as queue is, made
// for hundreds of thousands of messages: it keeps the order of sending,
// delivers nothing twice and never fails.
type backlog struct {
	now         func() time.Time
	maxReceives int
	// inFlight is how many messages may be in flight; flying is how many are.
	inFlight, flying int
	// peak is the most that were, and peakAt when.
	peak   int
	peakAt time.Time

	messages []*letter // by number; nil: deleted
	ready    []*letter
	hidden   pile[unseen]
	// live counts the messages in the queue, delayed those that nobody has
	// received yet because their sender delayed them.
	live, delayed int
	// dead lists what lies in the dead-letter queue.
	dead []*letter
	// expired counts what was too old to be received.
	expired int
}

// letter is one message. Times are those of SQS, for one subject.
type letter struct {
	number  int
	subject int
	sentAt, firstReceived,
	receivedAt, visibleAt time.Time
	receives, receipt int
}

// unseen is a message that is invisible until then, unless that was changed.
type unseen struct {
	*letter
	until   time.Time
	receipt int
}

func newBacklog(now func() time.Time, inFlight int) *backlog {
	sooner := func(a, b unseen) bool {
		return a.until.Before(b.until) || a.until.Equal(b.until) && a.number < b.number
	}
	return &backlog{now: now, maxReceives: outageReceives, inFlight: inFlight, hidden: pile[unseen]{before: sooner}}
}

func (q *backlog) send(subject int, delay time.Duration) {
	now := q.now()
	m := &letter{number: len(q.messages), subject: subject, sentAt: now, visibleAt: now}
	q.messages = append(q.messages, m)
	q.live++
	if delay <= 0 {
		q.ready = append(q.ready, m)
		return
	}
	m.visibleAt = now.Add(wholeSeconds(min(delay, maxDelay)))
	q.delayed++
	q.hidden.push(unseen{m, m.visibleAt, 0})
}

func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// surface makes visible what has been hidden for long enough.
func (q *backlog) surface() {
	now := q.now()
	for !q.hidden.empty() && !q.hidden.first().until.After(now) {
		u := q.hidden.pop()
		if q.messages[u.number] == nil || !u.until.Equal(u.visibleAt) || u.receipt != u.letter.receipt {
			continue // deleted, or hidden anew
		}
		if u.receives == 0 {
			q.delayed--
		} else {
			q.flying--
		}
		q.ready = append(q.ready, u.letter)
	}
}

// next is when another message becomes visible.
func (q *backlog) next() (at time.Time, ok bool) {
	if q.hidden.empty() {
		return time.Time{}, false
	}
	return q.hidden.first().until, true
}

// receive hands out the next visible message, or nil: there is none, or as many
// are in flight as may be.
func (q *backlog) receive() *letter {
	now := q.now()
	for len(q.ready) > 0 && q.flying < q.inFlight {
		m := q.ready[0]
		q.ready[0] = nil
		q.ready = q.ready[1:]
		switch {
		case q.messages[m.number] == nil:
			continue // deleted since it became visible
		case now.Sub(m.sentAt) >= kept:
			q.remove(m)
			q.expired++
			continue
		case m.receives >= q.maxReceives:
			q.remove(m)
			q.dead = append(q.dead, m)
			continue
		}
		if m.firstReceived.IsZero() {
			m.firstReceived = now
		}
		m.receives++
		m.receipt++
		m.receivedAt, m.visibleAt = now, now.Add(visibility)
		q.hidden.push(unseen{m, m.visibleAt, m.receipt})
		if q.flying++; q.flying > q.peak {
			q.peak, q.peakAt = q.flying, now
		}
		return m
	}
	return nil
}

func (q *backlog) remove(m *letter) {
	q.messages[m.number] = nil
	q.live--
}

// delete takes a message away by its newest receipt.
func (q *backlog) delete(m *letter, receipt int) {
	q.surface()
	if q.messages[m.number] == nil || m.receipt != receipt {
		return
	}
	if m.visibleAt.After(q.now()) {
		q.flying--
	}
	q.remove(m)
}

// hide changes for how long a received message stays invisible.
func (q *backlog) hide(h dispatch.Hiding) bool {
	number, err := strconv.Atoi(h.MessageID)
	if err != nil {
		return false
	}
	now := q.now()
	m := q.messages[number]
	until := now.Add(wholeSeconds(max(h.Wait, 0)))
	if m == nil || strconv.Itoa(m.receipt) != h.Receipt || !m.visibleAt.After(now) || until.After(m.receivedAt.Add(ceiling)) {
		return false
	}
	m.visibleAt = until
	q.hidden.push(unseen{m, until, m.receipt})
	return true
}
