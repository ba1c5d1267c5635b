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
	switch key := (endpointKey{tenant, id}); {
	case h.Open():
		s.back.forget(key)
	case h.Well():
		s.back.note(key, s.now())
	}
	return nil
}

type endpointKey struct {
	tenant webhook.TenantID
	id     webhook.EndpointID
}

// back holds the endpoints that have become well again, or may have been resumed,
// until what was on hold for them has fallen due. The zero back is ready.
type back struct {
	mu        sync.Mutex
	endpoints map[endpointKey]comeback
}

// comeback is since when an endpoint is back, and what the last look was at.
type comeback struct{ since, until time.Time }

// lately is how long somebody may still take an endpoint that is back for one
// that is down, and put deliveries to it on hold.
const lately = 5 * time.Second

func (b *back) note(e endpointKey, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endpoints == nil {
		b.endpoints = make(map[endpointKey]comeback)
	}
	b.endpoints[e] = comeback{since: now}
}

func (b *back) forget(e endpointKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.endpoints, e)
}

// unseen returns those that the look at what is due until then has not seen.
func (b *back) unseen(until time.Time) map[endpointKey]comeback {
	b.mu.Lock()
	defer b.mu.Unlock()
	unseen := make(map[endpointKey]comeback)
	for e, c := range b.endpoints {
		if !c.until.Equal(until) {
			unseen[e] = c
		}
	}
	return unseen
}

// seen records a look at an endpoint that was as before. One that has been back for
// a while and has nothing left on hold is forgotten.
func (b *back) seen(e endpointKey, before comeback, until, now time.Time, left bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.endpoints[e] != before: // it came back anew, or is down
	case !left && now.Sub(before.since).Abs() > lately:
		delete(b.endpoints, e)
	default:
		b.endpoints[e] = comeback{before.since, until}
	}
}

// hastenMost is how many of an endpoint's deliveries are due at most because it is
// back: what relay dev sends it in two looks. Each that is due and not sent is put
// off again, a write each, while everybody else's wait.
const hastenMost = 1000

const (
	// onHold leaves out deliveries that have a message on its way: the time at
	// which those are sent another is not that of their next attempt.
	onHold = "FROM deliveries WHERE state = 'parked' AND next_cause IN ('breaker', 'paused') AND tenant = ?1 AND endpoint = ?2 AND held_until = next_at"
	// hastenSome has those of the earliest fall due that are not.
	hastenSome = "UPDATE deliveries SET held_until = ?3, next_at = ?3 WHERE held_until > ?4 AND rowid IN (SELECT rowid " + onHold + " ORDER BY held_until LIMIT ?5)"
	oneLater   = "SELECT 1 " + onHold + " AND held_until > ?3 LIMIT 1"
)

// hasten makes deliveries fall due that were to be looked at later because their
// endpoint was down, or paused, and no longer is: the earliest of each endpoint, once
// for each look at what is due until then.
func (s *Store) hasten(ctx context.Context, until time.Time) error {
	now := s.now()
	for e, before := range s.back.unseen(until) {
		var left bool
		err := s.write(ctx, func(c *conn) (err error) {
			if _, err = c.exec(hastenSome, string(e.tenant), string(e.id), millis(now), millis(until), hastenMost); err != nil {
				return err
			}
			var one int
			left, err = c.row(oneLater, []any{string(e.tenant), string(e.id), millis(until)}, &one)
			return err
		})
		if err != nil {
			return fmt.Errorf("deliveries of endpoint %s, which is back: %w", e.id, err)
		}
		s.back.seen(e, before, until, now, left)
	}
	return nil
}
