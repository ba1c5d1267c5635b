package sqlite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"webhookrelay/shared/webhook"
)

// SaveHealth stores h as revision h.Rev+1 if the stored revision is h.Rev, and
// returns webhook.ErrConflict otherwise.
func (s *Store) SaveHealth(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, h webhook.Health) error {
	doc := encodeHealth(h)
	err := s.write(ctx, func(c *conn) error {
		saved, err := c.exec("UPDATE endpoints SET health_rev = health_rev + 1, health = ? WHERE tenant = ? AND id = ? AND health_rev = ?",
			doc, string(tenant), string(id), h.Rev)
		if err == nil && saved == 0 {
			return webhook.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("save health of endpoint %s: %w", id, err)
	}
	s.lanes.note(tenant, id, h.Open())
	s.back.note(endpointKey{tenant, id}, h, s.now())
	return nil
}

type endpointKey struct {
	tenant webhook.TenantID
	id     webhook.EndpointID
}

// back holds the endpoints that have lately become well again, or may have been
// resumed, and since when.
// The zero back is ready.
type back struct {
	mu    sync.Mutex
	since map[endpointKey]time.Time
}

// lately is how long somebody may still take an endpoint that is back for one
// that is down, and put deliveries to it on hold.
const lately = 5 * time.Second

func (b *back) note(e endpointKey, h webhook.Health, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !h.Well() {
		delete(b.since, e)
		return
	}
	if b.since == nil {
		b.since = make(map[endpointKey]time.Time)
	}
	b.since[e] = now
}

// endpoints returns them, and forgets those that have been well for a while.
func (b *back) endpoints(now time.Time) (all []endpointKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e, since := range b.since {
		all = append(all, e)
		if now.Sub(since).Abs() > lately {
			delete(b.since, e)
		}
	}
	return all
}

// hastenSome leaves out deliveries that have a message on its way: the time at
// which those are sent another is not that of their next attempt.
const hastenSome = `UPDATE deliveries SET held_until = ?3, next_at = ?3 WHERE rowid IN (
	SELECT rowid FROM deliveries WHERE state = 'parked' AND next_cause IN ('breaker', 'paused') AND tenant = ?1 AND endpoint = ?2 AND held_until > ?3 AND held_until = next_at
	ORDER BY held_until LIMIT ?4)`

// hasten makes deliveries fall due that were to be looked at later because their
// endpoint was down, or paused, and no longer is.
func (s *Store) hasten(ctx context.Context) error {
	now := s.now()
	for _, e := range s.back.endpoints(now) {
		for hastened := int64(sweepChunk); hastened == sweepChunk; {
			err := s.write(ctx, func(c *conn) (err error) {
				hastened, err = c.exec(hastenSome, string(e.tenant), string(e.id), millis(now), sweepChunk)
				return err
			})
			if err != nil {
				return fmt.Errorf("deliveries of endpoint %s, which is back: %w", e.id, err)
			}
		}
	}
	return nil
}
