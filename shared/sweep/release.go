package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const (
	// heldPage is how many held deliveries are looked at at once.
	heldPage = 250
	// candidates is how many deliveries to an endpoint that is down are at hand
	// for its next probe.
	candidates = 3
	// savers bounds the rows written side by side.
	savers = 16
)

// HeldStore is where deliveries wait that no message carries.
type HeldStore interface {
	// Held returns at most limit deliveries whose HeldUntil is not after until,
	// roughly the earliest first. It may lag, and show a row as it was moments ago.
	// With ErrUnreadable it returns those that can be read.
	Held(ctx context.Context, until time.Time, limit int) ([]webhook.Delivery, error)
	// SaveDelivery stores d as dispatch.Store does.
	SaveDelivery(ctx context.Context, d webhook.Delivery) error
	// Endpoint returns one endpoint, or ErrNotFound.
	Endpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID) (webhook.Endpoint, error)
}

// Release is ReleaseEvents and ReleaseHeld, and returns how many messages were sent.
// The events go first: many deliveries may be due to one endpoint, and each costs a
// write, even if it is only put off. They have half of the time until the next call.
func (s Sweeper) Release(ctx context.Context) (sent int, err error) {
	due, eventErr := s.releaseEvents(ctx, s.Interval/2)
	held, err := s.ReleaseHeld(ctx)
	return held + due, errors.Join(err, eventErr)
}

// ReleaseHeld sends messages for the deliveries that fall due before the next call.
// For an endpoint whose breaker is open it sends one, as a probe, and puts the
// others off; for one that is paused it puts off all; for one that has come back it
// keeps to Rate, or to the endpoint's own. The message is sent
// before the row is changed: a crash between the two sends it twice.
func (s Sweeper) ReleaseHeld(ctx context.Context) (sent int, err error) {
	r := release{
		Sweeper: s, now: s.Now(), endpoints: make(map[endpointKey]*released), seen: make(map[webhook.DeliveryKey]bool),
	}
	for ctx.Err() == nil {
		held, err := s.Store.Held(ctx, r.now.Add(s.Interval), heldPage)
		unreadable := errors.Is(err, webhook.ErrUnreadable)
		if unreadable {
			s.Log.Error("rows unreadable", "error", err.Error())
		} else if err != nil {
			return sent, fmt.Errorf("held deliveries: %w", err)
		}
		n, fresh, err := r.page(ctx, held)
		sent += n
		if err != nil {
			return sent, err
		}
		// A page that shows only what was handled already is an index that lags.
		if len(held) < heldPage && !unreadable || !fresh {
			break
		}
	}
	if sent > 0 || r.oldest > s.Interval {
		s.Log.Info("released", telemetry.Counted("HeldReleased", sent), telemetry.Aged("OldestDueSeconds", r.oldest), "looked_at", len(r.seen))
	}
	return sent, nil
}

// release is one call of ReleaseHeld.
type release struct {
	Sweeper
	now       time.Time
	endpoints map[endpointKey]*released
	seen      map[webhook.DeliveryKey]bool
	// oldest is for how long the one that waits longest has been due.
	oldest time.Duration
}

type endpointKey struct {
	tenant   webhook.TenantID
	endpoint webhook.EndpointID
}

// released is an endpoint with how many of its deliveries were sent.
type released struct {
	webhook.Endpoint
	sent int
}

// page handles one page and reports whether it held anything new.
func (r *release) page(ctx context.Context, held []webhook.Delivery) (sent int, fresh bool, err error) {
	var messages []Delayed
	var rows []webhook.Delivery
	for _, d := range held {
		if r.seen[d.DeliveryKey] {
			continue
		}
		r.seen[d.DeliveryKey] = true
		r.oldest = max(r.oldest, r.now.Sub(d.HeldUntil))
		delay, send, cause, err := r.decide(ctx, d)
		if err != nil {
			return 0, true, err
		}
		if send {
			messages = append(messages, Delayed{d.DeliveryKey, delay})
			rows = append(rows, d.Hold(r.now.Add(delay+webhook.ResendAfter)))
		} else {
			rows = append(rows, d.Park(r.now.Add(delay), r.now, cause))
		}
	}
	if len(messages) > 0 {
		if err := r.Queue.SendDelayed(ctx, messages); err != nil {
			return 0, true, fmt.Errorf("send %d held deliveries: %w", len(messages), err)
		}
	}
	return len(messages), len(rows) > 0, r.save(ctx, rows)
}

// decide says whether a message is sent for d, and after which delay; otherwise
// the delay is for how long d is put off, and cause is why.
func (r *release) decide(ctx context.Context, d webhook.Delivery) (delay time.Duration, send bool, cause webhook.NextCause, err error) {
	endpoint, err := r.endpoint(ctx, d)
	if err != nil {
		return 0, false, "", err
	}
	due := max(0, d.HeldUntil.Sub(r.now))
	if d.State == webhook.Dead {
		return due, true, "", nil // the message is for the dead-letter queue
	}
	over := d.State == webhook.Parked && r.now.After(d.HoldEnds(breaker.LifetimeOf(endpoint.Endpoint, r.Lifetime)))
	if endpoint.State != webhook.EndpointEnabled && endpoint.State != webhook.EndpointPaused || over {
		return due, true, "", nil // the dispatcher ends it
	}
	if endpoint.State == webhook.EndpointPaused {
		since := d.ParkedAt
		if since.IsZero() {
			since = r.now
		}
		return max(r.Breaker.Look(since, r.now), r.Interval, r.PutOff), false, webhook.NextPaused, nil
	}
	endpoint.sent++
	if health := endpoint.Health; health.Open() {
		if probe := max(due, health.OpenUntil.Sub(r.now)); endpoint.sent == 1 && probe <= r.Interval {
			return probe, true, "", nil
		}
		wait := max(r.Breaker.Wait(health, r.now), r.Interval)
		if endpoint.sent > candidates {
			wait = max(wait, r.PutOff)
		}
		return wait, false, webhook.NextBreaker, nil
	}
	turn, cause := r.turn(endpoint, d)
	if turn > r.Interval {
		return turn, false, cause, nil
	}
	return max(due, turn), true, "", nil
}

// turn is when d's turn comes among the endpoint's, by its own rate or Rate, and
// why it has to wait so long.
func (r *release) turn(endpoint *released, d webhook.Delivery) (after time.Duration, cause webhook.NextCause) {
	if rate := endpoint.Terms.Rate; rate != (webhook.Rate{}) {
		return time.Duration(endpoint.sent-1) * rate.Spacing(), webhook.NextRateLimit
	}
	cause = webhook.NextBreaker
	if d.State == webhook.Parked {
		cause = d.NextCause
	}
	return time.Duration(float64(endpoint.sent-1) / r.Rate * float64(time.Second)), cause
}

// endpoint returns the delivery's endpoint, read once; one that is gone is not enabled.
func (r *release) endpoint(ctx context.Context, d webhook.Delivery) (*released, error) {
	key := endpointKey{d.Tenant, d.Endpoint}
	if known := r.endpoints[key]; known != nil {
		return known, nil
	}
	endpoint, err := r.Store.Endpoint(ctx, d.Tenant, d.Endpoint)
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return nil, fmt.Errorf("endpoint of a held delivery: %w", err)
	}
	known := &released{Endpoint: endpoint}
	r.endpoints[key] = known
	return known, nil
}

// save stores the rows side by side. A row that changed meanwhile is settled by
// whoever changed it.
func (r *release) save(ctx context.Context, rows []webhook.Delivery) error {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		fault error
	)
	slots := make(chan struct{}, savers)
	for _, d := range rows {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if err := r.Store.SaveDelivery(ctx, d); err != nil && !errors.Is(err, webhook.ErrConflict) {
				mu.Lock()
				fault = fmt.Errorf("put off %s: %w", d.ID(), err)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return fault
}
