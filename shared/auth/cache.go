package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"webhookrelay/shared/webhook"
)

const (
	// maxAge is for how long a process goes by what it read of a key. A key that
	// is revoked ends everywhere within it.
	maxAge = 30 * time.Second
	// maxCached bounds what is kept, of keys and of places without one each; past
	// it, that cache starts anew. Guesses thus never push keys out.
	maxCached = 1000
)

// keyCache keeps what the store said of keys, and where it said there is none.
type keyCache struct {
	store Store
	now   func() time.Time

	mu     sync.Mutex
	found  map[place]cached[Key]
	absent map[place]cached[struct{}]
}

type cached[T any] struct {
	value T
	until time.Time
}

func newKeyCache(store Store, now func() time.Time) *keyCache {
	return &keyCache{store: store, now: now, found: map[place]cached[Key]{}, absent: map[place]cached[struct{}]{}}
}

// key returns the key at p unless it has expired, or ErrNotFound.
func (c *keyCache) key(ctx context.Context, p place) (Key, error) {
	now := wall(c.now())
	key, known, err := c.recall(p, now)
	if !known {
		key, err = c.store.Key(ctx, p.tenant, p.id)
		c.keep(p, key, err, now)
	}
	if err == nil && key.expired(now) {
		err = webhook.ErrNotFound
	}
	return key, err
}

func (c *keyCache) recall(p place, now time.Time) (key Key, known bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hit, ok := c.found[p]; ok && now.Before(hit.until) {
		return hit.value, true, nil
	}
	if hit, ok := c.absent[p]; ok && now.Before(hit.until) {
		return Key{}, true, webhook.ErrNotFound
	}
	return Key{}, false, nil
}

// keep remembers the store's answer, counted from before it was asked.
func (c *keyCache) keep(p place, key Key, err error, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		remember(c.found, p, key, asked)
	case errors.Is(err, webhook.ErrNotFound):
		remember(c.absent, p, struct{}{}, asked)
	}
}

func remember[T any](m map[place]cached[T], p place, value T, asked time.Time) {
	if len(m) >= maxCached {
		clear(m)
	}
	m[p] = cached[T]{value, asked.Add(maxAge)}
}

func (c *keyCache) forget(p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.found, p)
}

// wall drops the monotonic clock's reading: that clock stands while Lambda keeps
// a process frozen, and a key would be remembered for as long.
func wall(t time.Time) time.Time { return t.Round(0) }
