// Package sweep looks after what no message carries.
//
// Deliveries on hold, those whose next attempt is far off, and scheduled events wait
// in the store; Release sends messages for those that are due.
//
// Ingest stores an event and then sends its messages; a crash between the two
// leaves an event whose deliveries stay queued for ever. Once a day Run walks
// the events of the last two days and sends those deliveries again.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

const (
	// minAge spares deliveries that are likely still in the queue. Sending one
	// again would be harmless, but a backlog should not grow by it.
	minAge = time.Hour
	// maxAge makes two daily walks see each event, should one of them fail.
	maxAge = 49 * time.Hour
	// pageSize is how many deliveries are looked at between two looks at the clock.
	pageSize = 250
)

// Store is what the sweeper reads, and where it notes how far it got.
type Store interface {
	Tenants(ctx context.Context, p webhook.Page) ([]webhook.Tenant, string, error)
	// Deliveries lists as history.Store does.
	Deliveries(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Delivery, string, error)
	// SweepState returns what SaveSweepState stored last, or a zero State.
	SweepState(ctx context.Context) (State, error)
	SaveSweepState(ctx context.Context, s State) error
	HeldStore
	EventStore
}

// Queue takes deliveries that are to be sent again.
type Queue interface {
	// Send enqueues a message for each key, durably, before it returns.
	Send(ctx context.Context, keys []webhook.DeliveryKey) error
	// SendDelayed is Send with messages that stay invisible for a while.
	SendDelayed(ctx context.Context, messages []Delayed) error
}

// Delayed is a message to be seen after Delay, at most 15 minutes.
type Delayed struct {
	webhook.DeliveryKey
	Delay time.Duration
}

// State is how far a walk got.
type State struct {
	// Day is the walk's date in UTC, such as "2026-01-31".
	Day string
	// TenantsAfter and Tenant say which tenant is next or under way, and After
	// where in its deliveries.
	TenantsAfter string
	Tenant       webhook.TenantID
	After        string
	Done         bool
}

// Sweeper does a little with each call. Of each method, one call at a time.
type Sweeper struct {
	Store Store
	Queue Queue
	// Breaker is the dispatcher's.
	Breaker breaker.Policy
	// Lifetime is the dispatcher's: what has been parked for longer is sent, to be given up.
	Lifetime time.Duration
	// Interval is the time until Release is called again; it sends what falls due
	// till then, with a delay.
	Interval time.Duration
	// PutOff is for how long at least deliveries to an endpoint that is down are
	// put off, but for some: with a store that has them fall due when the endpoint
	// is back, a long one saves writes. 0 leaves it to the breaker.
	PutOff time.Duration
	// Rate is how many deliveries a second go to one endpoint that has come back; above 0.
	Rate float64
	Now  func() time.Time
	Log  *slog.Logger
}

// DefaultRate spares an endpoint that has just come back.
const DefaultRate = 50

// Run goes on with today's walk, or begins it, until it is done or ctx ends;
// the next Run continues from there.
func (s Sweeper) Run(ctx context.Context) error {
	state, err := s.Store.SweepState(ctx)
	if err != nil {
		return fmt.Errorf("sweep state: %w", err)
	}
	today := s.Now().UTC().Format(time.DateOnly)
	if state.Day == today && state.Done {
		return nil
	}
	if state.Day != today {
		state = State{Day: today}
	}
	resent := 0
	for !state.Done && ctx.Err() == nil {
		n, stepErr := s.step(ctx, &state)
		resent += n
		if stepErr != nil {
			err = stepErr
			break
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	if saveErr := s.Store.SaveSweepState(context.WithoutCancel(ctx), state); saveErr != nil {
		err = errors.Join(err, fmt.Errorf("save sweep state: %w", saveErr))
	}
	if resent > 0 || state.Done {
		s.Log.Info("sweep", "day", state.Day, "resent", resent, "done", state.Done)
	}
	return err
}

// step handles one page of one tenant's deliveries, or finds the next tenant.
func (s Sweeper) step(ctx context.Context, state *State) (resent int, err error) {
	if state.Tenant == "" {
		tenants, next, err := s.Store.Tenants(ctx, webhook.Page{Limit: 1, After: state.TenantsAfter})
		if err != nil {
			return 0, fmt.Errorf("list tenants: %w", err)
		}
		if len(tenants) > 0 {
			state.Tenant = tenants[0].ID
		}
		// Nothing follows the last tenant, which is still to be walked.
		state.TenantsAfter = next
		state.Done = len(tenants) == 0 && next == ""
		return 0, nil
	}
	queued, next, err := s.Store.Deliveries(ctx, state.Tenant,
		history.Filter{State: webhook.Queued, Since: s.Now().Add(-maxAge)}, webhook.Page{Limit: pageSize, After: state.After})
	if err != nil {
		return 0, fmt.Errorf("deliveries of %s: %w", state.Tenant, err)
	}
	leftovers := s.leftovers(queued)
	if len(leftovers) > 0 {
		if err := s.Queue.Send(ctx, leftovers); err != nil {
			return 0, fmt.Errorf("send again for %s: %w", state.Tenant, err)
		}
	}
	state.After = next
	if next == "" {
		state.Tenant, state.After = "", ""
		state.Done = state.TenantsAfter == ""
	}
	return len(leftovers), nil
}

// leftovers picks the deliveries old enough to be sent again that the store does not carry.
func (s Sweeper) leftovers(queued []webhook.Delivery) []webhook.DeliveryKey {
	var keys []webhook.DeliveryKey
	for _, d := range queued {
		accepted, ok := id.Time(d.Event)
		scheduled := d.NextCause == webhook.NextScheduled // as long as no message was sent for it, Release finds it
		if ok && !scheduled && d.HeldUntil.IsZero() && s.Now().Sub(accepted) >= minAge {
			keys = append(keys, d.DeliveryKey)
		}
	}
	return keys
}
