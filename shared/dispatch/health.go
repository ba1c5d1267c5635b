package dispatch

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

// healthTries bounds how often a change of an endpoint's health is applied anew.
const healthTries = 5

// admit decides whether an attempt may be made now. With the breaker closed it
// may. With it open it may when a probe is due and this caller is the first to
// take it; otherwise until says when to look again.
func (d *Dispatcher) admit(ctx context.Context, endpoint webhook.Endpoint, now time.Time) (probe bool, until time.Time) {
	health := d.seen.newest(endpoint)
	if !health.Open() {
		return false, time.Time{}
	}
	defer d.seen.lock(endpoint)()
	if health = d.seen.newest(endpoint); !health.Open() {
		return false, time.Time{}
	}
	if now.Before(health.OpenUntil) {
		return false, now.Add(d.Breaker.Wait(health, now))
	}
	taken := d.Breaker.Probe(health, now)
	if err := d.Store.SaveHealth(ctx, endpoint.Tenant, endpoint.ID, taken); err != nil {
		if errors.Is(err, webhook.ErrConflict) {
			d.seen.forget(endpoint)
		} else {
			d.Log.Error("store failed", "operation", "take probe", "endpoint_id", endpoint.ID, "error", err.Error(), storeFailure)
		}
		return false, now.Add(d.Breaker.Wait(health, now))
	}
	taken.Rev++
	d.seen.note(endpoint, taken)
	return true, time.Time{}
}

// heard notes what an attempt says of the endpoint's health, and returns it. An
// endpoint that is well and answers costs nothing.
func (d *Dispatcher) heard(ctx context.Context, j *job, result webhook.Result) webhook.Health {
	endpoint := *j.loaded.Endpoint
	if health := d.seen.newest(endpoint); result.Delivered() && health.Well() {
		return health
	}
	defer d.seen.lock(endpoint)()
	health := d.seen.newest(endpoint)
	for range healthTries {
		if result.Delivered() && health.Well() {
			return health
		}
		next := d.after(ctx, endpoint, health, result)
		err := d.Store.SaveHealth(ctx, endpoint.Tenant, endpoint.ID, next)
		if err == nil {
			next.Rev++
			d.seen.note(endpoint, next)
			d.logBreaker(endpoint, health, next)
			return next
		}
		if !errors.Is(err, webhook.ErrConflict) {
			// The breaker opens a little later; no delivery depends on it.
			d.Log.Error("store failed", "operation", "save health", "endpoint_id", endpoint.ID, "error", err.Error(), storeFailure)
			return health
		}
		d.seen.forget(endpoint)
		loaded, err := d.Store.Load(ctx, []Lookup{{DeliveryKey: j.DeliveryKey, Fresh: true}})
		if err != nil || loaded[0].Endpoint == nil {
			return health
		}
		health = loaded[0].Endpoint.Health
	}
	return health
}

// after is the health that an attempt with this result leaves behind, once the
// operator was told what is worth telling. What could not be told is left to the
// next attempt.
func (d *Dispatcher) after(ctx context.Context, endpoint webhook.Endpoint, before webhook.Health, result webhook.Result) webhook.Health {
	if result.Delivered() {
		if before.Warned == 0 {
			return before.Recovered()
		}
		if err := d.Announcer.EndpointRecovered(ctx, endpoint, before); err != nil {
			d.Log.Error("not announced", "endpoint_id", endpoint.ID, "error", err.Error())
			return before.Closed()
		}
		return before.Recovered()
	}
	now := d.Now()
	next := d.Breaker.Failed(before, now)
	if n := d.Breaker.Warnings(next, now); n > next.Warned {
		if err := d.Announcer.EndpointFailing(ctx, endpoint, next, n, next.FailingSince.Add(d.Breaker.DisableAfter)); err != nil {
			d.Log.Error("not announced", "endpoint_id", endpoint.ID, "error", err.Error())
			return next
		}
		next.Warned = n
		d.Log.Warn("endpoint failing", "tenant_id", endpoint.Tenant, "endpoint_id", endpoint.ID, "failing_since", next.FailingSince, "warning", n)
	}
	return next
}

func (d *Dispatcher) logBreaker(endpoint webhook.Endpoint, before, after webhook.Health) {
	switch {
	case !before.Open() && after.Open():
		d.Log.Warn("breaker opened", "tenant_id", endpoint.Tenant, "endpoint_id", endpoint.ID,
			"failures", after.Failures, "failing_since", after.FailingSince, "next_probe_at", after.OpenUntil, telemetry.Counted("BreakersOpened", 1))
	case before.Open() && !after.Open():
		d.Log.Info("breaker closed", "tenant_id", endpoint.Tenant, "endpoint_id", endpoint.ID, "opened_at", before.OpenedAt)
	}
}

// healthSeen holds the newest health this process knows of, which may be newer
// than what a batch loaded: five attempts that time out side by side keep the
// sixth from being made.
type healthSeen struct {
	mu   sync.Mutex
	held map[endpointKey]webhook.Health
	// turns keep the failures of one batch from refusing each other's writes. Each
	// is a channel of one place: who fills it has the turn.
	turns [64]chan struct{}
}

type endpointKey struct {
	tenant   webhook.TenantID
	endpoint webhook.EndpointID
}

// maxSeen bounds the memory; past it, the memory starts anew.
const maxSeen = 10_000

func newHealthSeen() *healthSeen {
	s := &healthSeen{held: make(map[endpointKey]webhook.Health)}
	for i := range s.turns {
		s.turns[i] = make(chan struct{}, 1)
	}
	return s
}

func (s *healthSeen) newest(e webhook.Endpoint) webhook.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, ok := s.held[endpointKey{e.Tenant, e.ID}]; ok && held.Rev > e.Health.Rev {
		return held
	}
	return e.Health
}

// lock gives the caller the turn to change the endpoint's health, and returns
// what ends it.
func (s *healthSeen) lock(e webhook.Endpoint) (unlock func()) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(e.Tenant)) // a hash takes every write
	_, _ = h.Write([]byte(e.ID))
	turn := s.turns[h.Sum32()%uint32(len(s.turns))]
	turn <- struct{}{}
	return func() { <-turn }
}

// forget drops what turned out to be outdated.
func (s *healthSeen) forget(e webhook.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, endpointKey{e.Tenant, e.ID})
}

func (s *healthSeen) note(e webhook.Endpoint, h webhook.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) >= maxSeen {
		clear(s.held)
	}
	s.held[endpointKey{e.Tenant, e.ID}] = h
}
