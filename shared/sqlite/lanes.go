package sqlite

import (
	"hash/fnv"
	"iter"
	"maps"
	"math"
	"sync"
	"time"

	"webhookrelay/shared/envelope"
	"webhookrelay/shared/webhook"
)

const (
	// fewPlaces is how many places an endpoint may have when none are free, and
	// when others wait.
	fewPlaces = 4
	// downPace is the time between two messages of an endpoint whose breaker is
	// open: they are only put on hold. The first downBurst do not wait for it.
	downPace  = 100 * time.Millisecond
	downBurst = 50
	// lateAfter is how long a message waits in the common lane before endpoints
	// that have more than a few in work must leave it.
	lateAfter = 100 * time.Millisecond
	// maxMoved bounds how many messages one receive moves to lanes of their own.
	maxMoved = 250
	// pruneEvery bounds how often places are looked through for those that nobody gave back.
	pruneEvery = time.Second
)

// lanes share the places for messages in work among the endpoints, so that one
// that hangs, or is down with thousands of messages waiting, leaves the others
// theirs.
//
// Messages wait in a common lane, in the order in which they fall due. An
// endpoint may take as many places as it leaves free: alone half of them. When
// several that hang have left hardly any, each of the others may still have a
// few, out of a reserve as large again. Messages that come to the head of the
// common lane and have no place move to a lane of their endpoint's own, where
// nobody passes them again until it has room; later ones join them there. So do
// those of an endpoint that gets more than can be handled, once messages wait
// for it. The lanes are served in turn. That is what SQS's fair queues do with
// message groups, for a consumer that cannot grow.
//
// Which endpoints have a lane of their own is a copy of what the table says,
// kept by the writer; after a rollback it is read anew.
type lanes struct {
	mu     sync.Mutex
	places int
	taken  map[int64]place // by message number
	busy   map[lane]int    // places by endpoint
	own    map[lane]bool
	stale  bool // own may differ from the table
	// down holds the endpoints whose breaker is open, and until when the messages
	// received so far use up their pace.
	down   map[lane]time.Time
	pruned time.Time
	turn   int
}

// lane stands for an endpoint: a hash of its name. Two that share one by chance
// share their room.
type lane int64

// unknown is the lane of a message whose endpoint was not worked out when it was
// sent, and of one that nobody can read.
const unknown lane = 0

// place is held by a message that was received, until it is given back or the
// message becomes visible again.
type place struct {
	lane     lane
	receives int
	until    time.Time
}

func newLanes(places int) *lanes {
	return &lanes{
		places: places, taken: make(map[int64]place), busy: make(map[lane]int), own: make(map[lane]bool),
		down: make(map[lane]time.Time), stale: true,
	}
}

func laneOf(tenant webhook.TenantID, endpoint webhook.EndpointID) lane {
	h := fnv.New64a()
	_, _ = h.Write([]byte(tenant)) // a hash takes every write
	_, _ = h.Write([]byte("/"))
	_, _ = h.Write([]byte(endpoint))
	return lane(h.Sum64())
}

// laneOfBody is unknown for a message that nobody can read.
func laneOfBody(body []byte) lane {
	e, err := envelope.Decode(body)
	if err != nil {
		return unknown
	}
	return laneOf(e.Tenant, e.Endpoint)
}

// note says whether an endpoint's breaker is open.
func (l *lanes) note(tenant webhook.TenantID, endpoint webhook.EndpointID, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !open && len(l.down) == 0 {
		return
	}
	key := laneOf(tenant, endpoint)
	if _, known := l.down[key]; !open {
		delete(l.down, key)
	} else if !known {
		l.down[key] = time.Time{}
	}
}

// take gives the message a place if its endpoint has room. The pace of an
// endpoint that is down is for messages that come the first time.
func (l *lanes) take(m messageRow, now, until time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(m.lane) {
		return false
	}
	if used, down := l.down[m.lane]; down && m.receives == 1 {
		if pacedUntil(used).After(now) {
			return false
		}
		if used.Before(now) {
			used = now
		}
		l.down[m.lane] = used.Add(downPace)
	}
	l.giveBack(m.seq)
	l.taken[m.seq] = place{m.lane, m.receives, until}
	l.busy[m.lane]++
	return true
}

// room reports whether the endpoint may take another place.
func (l *lanes) room(key lane) bool {
	busy := l.busy[key]
	return l.left() > 0 && (busy < fewPlaces || busy < l.places-len(l.taken))
}

// pacedUntil is when the next message of an endpoint that is down may come, by
// the time that those so far have used up.
func pacedUntil(used time.Time) time.Time { return used.Add(-(downBurst - 1) * downPace) }

// crowds reports whether the endpoint has more than a few messages in work.
func (l *lanes) crowds(key lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy[key] >= fewPlaces
}

// leave gives the place of a message back and reports whether somebody may be
// waiting for it. A receive that is not the latest has no place any more.
func (l *lanes) leave(seq int64, receives int) (awaited bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.taken[seq]
	if !ok || held.receives != receives {
		return false
	}
	awaited = len(l.own) > 0 || l.left() <= 0
	l.giveBack(seq)
	return awaited
}

func (l *lanes) giveBack(seq int64) {
	held, ok := l.taken[seq]
	if !ok {
		return
	}
	delete(l.taken, seq)
	if l.busy[held.lane]--; l.busy[held.lane] == 0 {
		delete(l.busy, held.lane)
	}
}

// prune takes the places back whose messages have become visible again.
func (l *lanes) prune(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.pruned).Abs() < pruneEvery {
		return
	}
	l.pruned = now
	for seq, held := range l.taken {
		if !held.until.After(now) {
			l.giveBack(seq)
		}
	}
}

// left is how many places are, with the reserve.
func (l *lanes) left() int { return 2*l.places - len(l.taken) }

// most is how many messages may be received at once.
func (l *lanes) most() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left()
}

// readyOwn is readyOf for the lanes of their own.
func (l *lanes) readyOwn(now time.Time) (open []lane, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready(now, maps.Keys(l.own))
}

// readyOf returns those of the lanes that may be served now, and when the next
// may be if none is given back; zero: that is not known.
func (l *lanes) readyOf(now time.Time, waiting iter.Seq[lane]) (open []lane, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready(now, waiting)
}

func (l *lanes) ready(now time.Time, waiting iter.Seq[lane]) (open []lane, next time.Time) {
	full := l.left() <= 0
	for key := range waiting {
		switch at := pacedUntil(l.down[key]); {
		case !l.room(key):
			full = true
		case at.After(now):
			next = earliest(next, at)
		default:
			open = append(open, key)
		}
	}
	if full {
		for _, held := range l.taken {
			next = earliest(next, held.until)
		}
	}
	return open, next
}

// earliest treats the zero time as one that is not known.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// ownTurn alternates, so that neither the common lane nor the others are always
// served last.
func (l *lanes) ownTurn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn++
	return l.turn%2 == 0
}

// unread reports whether own may differ from the table.
func (l *lanes) unread() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stale
}

func (l *lanes) isOwn(key lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own[key] && !l.stale
}

// set notes that messages wait in the lane, or that none are left. Only the
// writer calls it.
func (l *lanes) set(key lane, waiting bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting {
		l.own[key] = true
	} else {
		delete(l.own, key)
	}
}

// spoil has the lanes read anew: a rollback may have undone what they say.
func (l *lanes) spoil() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale = true
}

// read makes the lanes what the table says, if they may differ.
func (l *lanes) read(c *conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stale {
		return nil
	}
	own, after := make(map[lane]bool), int64(math.MinInt64)
	for {
		found, err := c.row("SELECT lane FROM messages WHERE own = 1 AND lane > ? ORDER BY lane LIMIT 1", []any{after}, &after)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		own[lane(after)] = true
	}
	l.own, l.stale = own, false
	return nil
}
