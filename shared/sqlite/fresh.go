package sqlite

import (
	"maps"
	"sync"
	"time"
)

const (
	// maxFresh bounds the messages kept in memory, and maxFreshOfOne those of one
	// endpoint. Those beyond wait in the file only.
	maxFresh      = 20_000
	maxFreshOfOne = 4_000
)

// fresh keeps in memory the messages that were sent a moment ago, so that the
// first receive of each, mostly its only one, takes no statement. In the file
// they are safe for the next process, with visible_at 0, which no receive from
// the file sees. A message leaves memory when it is deleted or hidden, or when
// its visibility timeout ends; from then on the file alone has it.
//
// That it was received is written down only then: a message that a process had
// when it was killed may be received once more often than is counted.
//
// Each endpoint has a line of its own, so that none waits behind another's.
type fresh struct {
	mu    sync.Mutex
	lines map[lane][]messageRow
	count int
	// leases holds until when those are hidden that were received.
	leases map[int64]time.Time
	turn   int
}

func newFresh() *fresh {
	return &fresh{lines: make(map[lane][]messageRow), leases: make(map[int64]time.Time)}
}

// room is for how many more messages of the endpoint there is room.
func (f *fresh) room(key lane) int {
	if key == unknown {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return min(maxFresh-f.count, maxFreshOfOne-len(f.lines[key]))
}

// add takes messages that have just been sent, and which the file has with
// visible_at 0.
func (f *fresh) add(messages []messageRow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range messages {
		f.lines[m.lane] = append(f.lines[m.lane], m)
	}
	f.count += len(messages)
}

// waiting reports whether any message waits to be received.
func (f *fresh) waiting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count > 0
}

// storedShare is how many of limit messages are for the file to give, so that
// neither those in the file nor those in memory wait for the others: half while
// memory has some to give. What half leaves over goes to each in turn.
func (f *fresh) storedShare(l *lanes, limit int, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if open, _ := l.readyOf(now, maps.Keys(f.lines)); len(open) == 0 {
		return limit
	}
	f.turn = 1 - f.turn
	return (limit + f.turn) / 2
}

// receive takes at most limit messages that have a place, from each endpoint its
// share.
func (f *fresh) receive(l *lanes, limit int, now, until time.Time) (got []messageRow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == 0 {
		return nil
	}
	open, _ := l.readyOf(now, maps.Keys(f.lines))
	for i, key := range open {
		others := len(open) - i - 1
		share := (limit - len(got) + others) / (others + 1)
		line := f.lines[key]
		for ; share > 0 && len(line) > 0; share-- {
			m := line[0]
			m.receives = 1
			if !l.take(m, now, until) {
				break
			}
			line = line[1:]
			f.count--
			f.leases[m.seq] = until
			got = append(got, m)
		}
		if f.lines[key] = line; len(line) == 0 {
			delete(f.lines, key)
		}
	}
	return got
}

// next returns when a message may be received, or seen again in the file; zero:
// that is not known.
func (f *fresh) next(l *lanes, now time.Time) (next time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	open, next := l.readyOf(now, maps.Keys(f.lines))
	if len(open) > 0 {
		return now
	}
	for _, until := range f.leases {
		next = earliest(next, until)
	}
	return next
}

// lapsed are the messages whose visibility timeout has ended.
func (f *fresh) lapsed(now time.Time) (seqs []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for seq, until := range f.leases {
		if !until.After(now) {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// left notes that the file says all there is to say of the message.
func (f *fresh) left(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.leases, seq)
}

// receivedFresh are statements' words for "received as often as the receipt says".
const receivedFresh = "(receives = ?2 OR visible_at = 0 AND ?2 = 1)"

// showLapsed has the file show a message whose first receive came to nothing.
const showLapsed = "UPDATE messages SET visible_at = ?2, receives = 1 WHERE seq = ?1 AND visible_at = 0"

// settleFresh writes down which messages were received, for the next process.
func (s *Store) settleFresh() error {
	s.fresh.mu.Lock()
	defer s.fresh.mu.Unlock()
	if len(s.fresh.leases) == 0 {
		return nil
	}
	if _, err := s.writer.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for seq := range s.fresh.leases {
		if _, err := s.writer.exec("UPDATE messages SET receives = 1 WHERE seq = ? AND visible_at = 0", seq); err != nil {
			return err
		}
	}
	_, err := s.writer.exec("COMMIT")
	return err
}
