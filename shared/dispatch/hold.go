package dispatch

import (
	"context"
	"sync"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/webhook"
)

const (
	// turnKept is how late a delivery may come to its turn: a message that was
	// hidden for whole seconds does not come back to the moment. Later, the turn
	// has lapsed, so that a standstill is not followed by a burst.
	turnKept = 5 * time.Second

	// turnReceives is how often a message may have been received and still be
	// hidden until a turn: its other receives are for its attempts. Later ones
	// leave the waiting to the store, which sends another message.
	turnReceives = 1

	// seatPatience is how long a message waits in a batch for the endpoint's other
	// attempts to end. Then it waits in the store, and blocks nobody.
	seatPatience = 2 * time.Second
)

// lifetime is how long a delivery may be on hold because its endpoint fails.
func (d *Dispatcher) lifetime(endpoint *webhook.Endpoint) time.Duration {
	if endpoint == nil {
		return d.Lifetime
	}
	return breaker.LifetimeOf(*endpoint, d.Lifetime)
}

// park lets the store carry the delivery until then.
func (d *Dispatcher) park(ctx context.Context, j *job, delivery webhook.Delivery, until, now time.Time, cause webhook.NextCause) fate {
	return d.settle(ctx, j, delivery.Park(until, now, cause), done)
}

// pause puts a delivery to a paused endpoint on hold.
func (d *Dispatcher) pause(ctx context.Context, j *job, delivery webhook.Delivery, now time.Time) fate {
	since := delivery.ParkedAt
	if since.IsZero() {
		since = now
	}
	return d.park(ctx, j, delivery, now.Add(d.Breaker.Look(since, now)), now, webhook.NextPaused)
}

// await sees to it that an attempt keeps to the endpoint's rate. It settles the
// message unless it is the delivery's turn.
func (d *Dispatcher) await(ctx context.Context, j *job, delivery webhook.Delivery, now time.Time) (f fate, settled bool) {
	rate := j.loaded.Endpoint.Terms.Rate
	if rate == (webhook.Rate{}) || hasTurn(delivery, now) {
		return fate{}, false
	}
	at, given, err := d.Store.TakeTurn(ctx, delivery.Tenant, delivery.Endpoint, rate, now)
	switch {
	case err != nil:
		d.Log.Error("store failed", "operation", "take turn", "endpoint_id", delivery.Endpoint, "error", err.Error())
		return d.putBack(j.message), true
	case !given:
		return d.park(ctx, j, delivery, at, now, webhook.NextRateLimit), true
	case at.Sub(now) <= early:
		return fate{}, false
	case j.message.Receives > turnReceives:
		return d.park(ctx, j, delivery, at, now, webhook.NextTurn), true
	}
	waiting := delivery.Park(at, now, webhook.NextTurn).Hold(time.Time{})
	if !delivery.HeldUntil.IsZero() {
		waiting = waiting.Hold(at.Add(webhook.ResendAfter)) // what the store carries it goes on to carry
	}
	return d.settle(ctx, j, waiting, hideUntil(at)), true
}

// hasTurn reports whether the delivery was given the turn that is now.
func hasTurn(delivery webhook.Delivery, now time.Time) bool {
	return delivery.State == webhook.Parked && delivery.NextCause == webhook.NextTurn && now.Sub(delivery.NextAttemptAt) <= turnKept
}

// seats bounds the attempts that this process makes at once to endpoints that ask
// for it.
type seats struct {
	mu    sync.Mutex
	taken map[endpointKey]int
	// freed is closed and replaced whenever a seat is given back.
	freed chan struct{}
}

func newSeats() *seats {
	return &seats{taken: make(map[endpointKey]int), freed: make(chan struct{})}
}

// take waits a while for a seat, and returns what gives it back; ok is false when
// there was none.
func (s *seats) take(ctx context.Context, e webhook.Endpoint) (leave func(), ok bool) {
	if e.Terms.Concurrency == 0 {
		return func() {}, true
	}
	key := endpointKey{e.Tenant, e.ID}
	patience := time.NewTimer(seatPatience)
	defer patience.Stop()
	for {
		freed, ok := s.try(key, e.Terms.Concurrency)
		if ok {
			return func() { s.leave(key) }, true
		}
		select {
		case <-freed:
		case <-patience.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
}

func (s *seats) try(key endpointKey, limit int) (freed <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key] >= limit {
		return s.freed, false
	}
	s.taken[key]++
	return nil, true
}

func (s *seats) leave(key endpointKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key]--; s.taken[key] == 0 {
		delete(s.taken, key)
	}
	close(s.freed)
	s.freed = make(chan struct{})
}
