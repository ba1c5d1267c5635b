package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// What the relay's template sets and SQS demands.
const (
	visibility    = 6 * time.Minute
	kept          = 4 * 24 * time.Hour
	keptDead      = 14 * 24 * time.Hour
	ceiling       = 12 * time.Hour
	longestHide   = 43_170 * time.Second
	refusedHide   = ceiling - visibility // what the adapter asks for once SQS has refused
	maxDelay      = 15 * time.Minute
	moveTakesUpTo = 3 * time.Second
)

// Move is how a redrive presents a message to the consumer.
type Move int

// Moves.
const (
	// MoveAnew is AWS's: another id, another time of sending, no receives.
	MoveAnew Move = iota
	// MoveCounting sends anew, but reports the receives of before as well.
	MoveCounting
	// MoveKeeping is LocalStack's: the same id and time of sending; only the
	// first receive is another.
	MoveKeeping
)

// message lies in the queue or in the dead-letter queue.
type message struct {
	id   string
	body string
	// subject is what it is about, as its sender said; nil for what no version
	// of the relay wrote.
	subject *envelope.Envelope

	sentAt, firstReceived time.Time
	// enteredAt is what retention counts from; a dead letter keeps it.
	enteredAt time.Time
	receives  int
	// reported is added to the receives that the consumer is told.
	reported   int
	receipt    int
	receivedAt time.Time
	visibleAt  time.Time
	// disturbed counts the receives that a fault cost it.
	disturbed int
}

// queue is an SQS standard queue with its dead-letter queue.
type queue struct {
	clock       *clock
	rand        *rand.Rand
	maxReceives int
	inFlight    int
	skew        time.Duration
	move        Move
	// strict: nothing is out of order or received twice.
	strict bool

	live, dead []*message
	sent       int
	receipts   int
	moving     int
	lost       []*message
	subjects   map[string]*envelope.Envelope
	// copies counts the messages of each body that were ever sent.
	copies map[string]int
	// stir is told when a message may be visible from a time on.
	stir func(at time.Time)
}

func (q *queue) add(body string, subject *envelope.Envelope) *message {
	q.sent++
	now := q.clock.Now()
	m := &message{id: fmt.Sprint("m", q.sent), body: body, subject: subject, sentAt: now, enteredAt: now, visibleAt: now}
	q.live = append(q.live, m)
	q.subjects[body] = subject
	q.copies[body]++
	q.stir(now)
	return m
}

func (q *queue) send(e envelope.Envelope) *message { return q.add(envelope.Encode(e), &e) }

// sendDelayed sends a message that is not seen for a while, which is not in
// flight meanwhile.
func (q *queue) sendDelayed(d sweep.Delayed) {
	m := q.send(envelope.Envelope{DeliveryKey: d.DeliveryKey})
	m.visibleAt = m.visibleAt.Add((min(max(0, d.Delay), maxDelay) + time.Second - 1).Truncate(time.Second))
	q.stir(m.visibleAt)
}

// visible lists what may be received now, in an order of the queue's choice. It
// buries what was received as often as allowed, and forgets what is too old.
func (q *queue) visible() []*message {
	now := q.clock.Now()
	q.expire(now)
	var found []*message
	flying := 0
	for _, m := range slices.Clone(q.live) {
		switch {
		case m.visibleAt.After(now):
			if m.receives > 0 {
				flying++
			}
		case m.receives >= q.maxReceives:
			q.live = without(q.live, m)
			q.dead = append(q.dead, m)
		default:
			found = append(found, m)
		}
	}
	if !q.strict {
		q.rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	}
	// Beyond its limit of messages in flight a queue returns nothing, and no error.
	return found[:max(0, min(len(found), q.inFlight-flying))]
}

func (q *queue) expire(now time.Time) {
	q.live = slices.DeleteFunc(q.live, func(m *message) bool {
		old := now.Sub(m.enteredAt) >= kept
		if old {
			q.lost = append(q.lost, m)
		}
		return old
	})
	q.dead = slices.DeleteFunc(q.dead, func(m *message) bool { return now.Sub(m.enteredAt) >= keptDead })
}

// hidden picks a message that is invisible and might be received all the same:
// the latest that was received, where nothing is left to chance.
func (q *queue) hidden() *message {
	var candidates []*message
	for _, m := range q.live {
		if m.visibleAt.After(q.clock.Now()) && m.receives > 0 && m.receives < q.maxReceives {
			candidates = append(candidates, m)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	if q.strict {
		return slices.MaxFunc(candidates, func(a, b *message) int { return a.receivedAt.Compare(b.receivedAt) })
	}
	return candidates[q.rand.IntN(len(candidates))]
}

// receive hands m out.
func (q *queue) receive(m *message) dispatch.Message {
	now := q.clock.Now()
	if m.firstReceived.IsZero() {
		m.firstReceived = now
	}
	q.receipts++
	m.receives, m.receipt, m.receivedAt, m.visibleAt = m.receives+1, q.receipts, now, now.Add(visibility)
	q.stir(m.visibleAt)
	return dispatch.Message{
		ID: m.id, Receipt: fmt.Sprint(m.receipt), Body: []byte(m.body),
		SentAt: m.sentAt.Add(q.skew), FirstReceivedAt: m.firstReceived.Add(q.skew), Receives: m.receives + m.reported,
	}
}

// held finds the message that a receipt is for. An older receipt than the
// newest may work or not.
func (q *queue) held(id, receipt string) *message {
	i := slices.IndexFunc(q.live, func(m *message) bool { return m.id == id })
	if i < 0 {
		return nil
	}
	if m := q.live[i]; fmt.Sprint(m.receipt) == receipt || !q.strict && q.rand.IntN(2) == 0 {
		return m
	}
	return nil
}

func (q *queue) delete(received dispatch.Message) bool {
	m := q.held(received.ID, received.Receipt)
	if m == nil {
		return false
	}
	q.live = without(q.live, m)
	q.stir(q.clock.Now()) // there may be room in flight again
	return true
}

// hide does as the adapter does: what SQS refuses as beyond the ceiling is
// asked for once more, shorter.
func (q *queue) hide(h dispatch.Hiding) bool {
	m := q.held(h.MessageID, h.Receipt)
	now := q.clock.Now()
	if m == nil || !m.visibleAt.After(now) {
		return false
	}
	wait := min((max(h.Wait, 0) + time.Second - 1).Truncate(time.Second), longestHide)
	if now.Add(wait).After(m.receivedAt.Add(ceiling)) {
		wait = min(wait, refusedHide)
	}
	if now.Add(wait).After(m.receivedAt.Add(ceiling)) {
		return false
	}
	m.visibleAt = now.Add(wait)
	q.stir(m.visibleAt)
	return true
}

// startMove begins a redrive, which takes some time per message.
func (q *queue) startMove() error {
	if q.moving > 0 {
		return webhook.ErrMoveRunning
	}
	for _, m := range q.dead {
		q.moving++
		q.clock.after(time.Duration(q.rand.Int64N(int64(moveTakesUpTo))), func() {
			q.moving--
			if slices.Contains(q.dead, m) {
				q.redrive(m)
			}
		})
	}
	return nil
}

func (q *queue) redrive(m *message) {
	q.dead = without(q.dead, m)
	if q.move == MoveKeeping {
		now := q.clock.Now()
		m.enteredAt, m.visibleAt, m.firstReceived, m.receives, m.receipt = now, now, time.Time{}, 0, 0
		q.live = append(q.live, m)
		q.stir(now)
		return
	}
	anew := q.add(m.body, m.subject)
	if q.move == MoveCounting {
		anew.reported = m.receives
	}
}

// next is when another message will become visible.
func (q *queue) next() (at time.Time, ok bool) {
	now := q.clock.Now()
	for _, m := range q.live {
		if m.visibleAt.After(now) && (!ok || m.visibleAt.Before(at)) {
			at, ok = m.visibleAt, true
		}
	}
	return at, ok
}

func without(all []*message, m *message) []*message {
	return slices.DeleteFunc(slices.Clone(all), func(other *message) bool { return other == m })
}

// subject tells what a message's body is about, as its sender said.
func (q *queue) subject(body string) *envelope.Envelope { return q.subjects[body] }
