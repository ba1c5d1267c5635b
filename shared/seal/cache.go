package seal

import (
	"container/list"
	"sync"
	"time"
)

// Bounds of what a process remembers of data keys. The age is how long it goes
// on opening after the key service has been told to refuse.
const (
	MaxKeys   = 10_000
	MaxKeyAge = time.Hour
)

// cache remembers data keys in the order in which they came, which is also that
// in which they expire.
type cache struct {
	now  func() time.Time
	mu   sync.Mutex
	held map[string]*list.Element
	aged *list.List // of remembered, the oldest first
}

type remembered struct {
	name  string
	key   dataKey
	until time.Time
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, held: make(map[string]*list.Element), aged: list.New()}
}

func (c *cache) get(name string) (dataKey, bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.held[name]
	if !ok {
		return dataKey{}, false
	}
	if found := element.Value.(remembered); now.Before(found.until) {
		return found.key, true
	}
	c.forget(element)
	return dataKey{}, false
}

func (c *cache) put(name string, key dataKey) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.held[name]; ok {
		c.forget(element)
	}
	for oldest := c.aged.Front(); oldest != nil; oldest = c.aged.Front() {
		if c.aged.Len() < MaxKeys && now.Before(oldest.Value.(remembered).until) {
			break
		}
		c.forget(oldest)
	}
	c.held[name] = c.aged.PushBack(remembered{name, key, now.Add(MaxKeyAge)})
}

func (c *cache) forget(element *list.Element) {
	delete(c.held, c.aged.Remove(element).(remembered).name)
}
