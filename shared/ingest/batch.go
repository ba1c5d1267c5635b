package ingest

import (
	"context"
	"sync"

	"webhookrelay/shared/webhook"
)

// MaxBatch bounds the requests of one batch.
const MaxBatch = 100

// preparing is how many requests of a batch claim their names at once.
const preparing = 16

// Outcome is what became of one request of a batch: Accepted, or Err as Accept
// would return it.
type Outcome struct {
	Accepted
	Err error
}

// AcceptAll takes up to MaxBatch requests of one tenant, in few calls of store
// and queue. Each has its own outcome, in order, and none spoils another. An
// error concerns all of them: ErrNotFound for an unknown tenant, or the relay's own failure.
func (in *Ingester) AcceptAll(ctx context.Context, tenant webhook.TenantID, requests []Request) ([]Outcome, error) {
	endpoints, err := in.endpoints.of(ctx, tenant)
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(requests))
	first, again := partition(requests)
	ready := in.prepareAll(ctx, requests, first, endpoints, outcomes)
	in.commitAll(ctx, ready, outcomes)
	// A request that shares a name with one before it finds that one's event now.
	for _, i := range again {
		outcomes[i].Accepted, outcomes[i].Err = in.Accept(ctx, requests[i])
	}
	return outcomes, nil
}

// partition separates the requests that share a name with an earlier one.
func partition(requests []Request) (first, again []int) {
	taken := make(map[string]bool)
	for i, r := range requests {
		key, id := ClaimByKey+r.IdempotencyKey, ClaimByID+string(r.ID)
		if r.IdempotencyKey != "" && taken[key] || r.ID != "" && taken[id] {
			again = append(again, i)
			continue
		}
		taken[key], taken[id] = true, true
		first = append(first, i)
	}
	return first, again
}

// prepareAll prepares the requests at indexes, side by side, and returns those
// that are to be committed; the outcomes of the others are final.
func (in *Ingester) prepareAll(ctx context.Context, requests []Request, indexes []int, endpoints []webhook.Endpoint, outcomes []Outcome) map[int]prepared {
	all := make([]prepared, len(requests))
	slots := make(chan struct{}, preparing)
	var group sync.WaitGroup
	for _, i := range indexes {
		slots <- struct{}{}
		fresh := in.newPlace() // in order, so that lists show the batch as it was sent
		group.Go(func() {
			defer func() { <-slots }()
			all[i], outcomes[i].Err = in.prepare(ctx, requests[i], fresh, endpoints)
		})
	}
	group.Wait()
	ready := make(map[int]prepared)
	for _, i := range indexes {
		switch {
		case outcomes[i].Err != nil:
		case all[i].settled:
			outcomes[i].Accepted = all[i].accepted
		default:
			ready[i] = all[i]
		}
	}
	return ready
}

// commitAll stores all events and then sends all their deliveries. When
// something of that fails, each event is committed again on its own, which
// tells those that are accepted from those that are not; what is sent twice is
// delivered once.
func (in *Ingester) commitAll(ctx context.Context, ready map[int]prepared, outcomes []Outcome) {
	if len(ready) == 0 {
		return
	}
	var events []webhook.Event
	var keys []webhook.DeliveryKey
	for i := range outcomes {
		if p, ok := ready[i]; ok {
			if !p.stored {
				events = append(events, p.event)
			}
			if !p.event.Held {
				keys = append(keys, p.event.Deliveries()...)
			}
		}
	}
	var err error
	if in.Handover != nil && len(events) == len(ready) {
		err = in.Handover.PutAndSend(ctx, events)
	} else {
		err = in.putThenSend(ctx, events, keys)
	}
	if err != nil {
		in.Log.Warn("batch failed", "events", len(events), "error", err.Error())
	}
	for i := range outcomes {
		p, ok := ready[i]
		if !ok {
			continue
		}
		var own error
		if err != nil {
			own = in.commit(ctx, p)
		}
		outcomes[i].Accepted, outcomes[i].Err = in.conclude(ctx, p, own)
	}
}

func (in *Ingester) putThenSend(ctx context.Context, events []webhook.Event, keys []webhook.DeliveryKey) error {
	if len(events) > 0 {
		if err := in.Store.PutEvents(ctx, events); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return in.Queue.Send(ctx, keys)
}
