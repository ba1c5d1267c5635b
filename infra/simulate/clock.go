package simulate

import (
	"container/heap"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// epoch is when every run begins: at midday, so that the sweeper's midnight
// falls into it, and far ahead of the real clock, so that no timer of a context
// with a virtual deadline ever fires.
var epoch = time.Date(2100, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is virtual time in milliseconds, the store's resolution, with what is
// to happen when.
type clock struct {
	now    atomic.Int64
	agenda agenda
	seq    int
	// ties orders what falls on the same millisecond; nil keeps the order of adding.
	ties *rand.Rand
}

func (c *clock) Now() time.Time { return time.UnixMilli(c.now.Load()).UTC() }

// at lets do happen at t, or now if t has passed.
func (c *clock) at(t time.Time, do func()) {
	c.seq++
	e := event{at: max(t.UnixMilli(), c.now.Load()), seq: c.seq, do: do}
	if c.ties != nil {
		e.tie = c.ties.Uint32()
	}
	heap.Push(&c.agenda, e)
}

func (c *clock) after(d time.Duration, do func()) { c.at(c.Now().Add(d), do) }

// next is when something happens next.
func (c *clock) next() (at time.Time, ok bool) {
	if len(c.agenda) == 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(c.agenda[0].at).UTC(), true
}

// happen lets the next thing happen.
func (c *clock) happen() {
	next := heap.Pop(&c.agenda).(event) // an agenda holds events
	c.now.Store(next.at)
	next.do()
}

type event struct {
	at  int64
	tie uint32
	seq int
	do  func()
}

type agenda []event

func (a agenda) Len() int      { return len(a) }
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a agenda) Less(i, j int) bool {
	x, y := a[i], a[j]
	if x.at != y.at {
		return x.at < y.at
	}
	if x.tie != y.tie {
		return x.tie < y.tie
	}
	return x.seq < y.seq
}
func (a *agenda) Push(x any) { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*a = old[:len(old)-1]
	return last
}
