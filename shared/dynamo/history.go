package dynamo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// Attributes that a list of deliveries needs.
const deliveryAttributes = listedAttributes + ", " + deliveryState + ", " + deliveryReason + ", " +
	deliveryAttempts + ", " + deliveryDeflated + ", " + deliveryCount + ", " + deliveryBudget + ", " + deliveryNext + ", " +
	deliveryCause + ", " + deliveryDied + ", " + deliveryUpdated + ", " + deliveryWriter + ", " + deliveryHeld + ", " + deliveryParked + ", " + deliveryUntold + ", " + deliveryExpunged

// Events lists a tenant's events that f lets through, newest first, without their
// bodies. A call reads at most about 1,000 rows and 40 days; see walk for its
// cost. Of an unknown tenant there are none.
func (s *Store) Events(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Event, string, error) {
	from, err := parsePosition(p.After)
	if err != nil {
		return nil, "", err
	}
	from.endpoint = "" // a position among deliveries: the event itself was passed
	var events []webhook.Event
	next, err := s.walk(ctx, tenant, from.notAfter(f.Until), f.Since, listedAttributes, func(g group) bool {
		if g.event != nil && f.MatchEvent(*g.event) {
			events = append(events, *g.event)
		}
		return len(events) < p.Limit
	})
	if err != nil {
		return nil, "", fmt.Errorf("list events of tenant %s: %w", tenant, err)
	}
	return events, next, nil
}

// Deliveries lists a tenant's deliveries by event, newest first; those of one
// event by target. A list by a failed state reads the index and costs 1 read
// unit per delivery; any other is a walk over all events, as Events makes it,
// and filters what it finds.
func (s *Store) Deliveries(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Delivery, string, error) {
	from, err := parsePosition(p.After)
	if err != nil {
		return nil, "", err
	}
	list := s.walkDeliveries
	if isFailed(f.State) {
		list = s.failedDeliveries
	}
	deliveries, next, err := list(ctx, tenant, f, from, p.Limit)
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries of tenant %s: %w", tenant, err)
	}
	return deliveries, next, nil
}

func (s *Store) walkDeliveries(ctx context.Context, tenant webhook.TenantID, f history.Filter, from position, limit int) ([]webhook.Delivery, string, error) {
	var found []webhook.Delivery
	var stopped position
	from = from.notAfter(f.Until)
	next, err := s.walk(ctx, tenant, from, f.Since, deliveryAttributes, func(g group) bool {
		rest := g.expand()
		if g.ref == from.ref {
			rest = behind(rest, from.endpoint)
		}
		for i, d := range rest {
			if f.Match(d) {
				found = append(found, d)
			}
			if len(found) >= limit && i < len(rest)-1 {
				stopped = position{ref: g.ref, endpoint: d.Endpoint}
				return false
			}
		}
		return len(found) < limit
	})
	if stopped.ref != "" {
		next = stopped.String()
	}
	return found, next, err
}

// EventsWithoutDelivery lists events, newest first and without their bodies, that
// f covers and that have no delivery to f's endpoint. It is a walk as Events makes it.
func (s *Store) EventsWithoutDelivery(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Event, string, error) {
	from, err := parsePosition(p.After)
	if err != nil {
		return nil, "", err
	}
	from.endpoint = ""
	var events []webhook.Event
	next, err := s.walk(ctx, tenant, from.notAfter(f.Until), f.Since, listedAttributes, func(g group) bool {
		if g.event != nil && f.Covers(g.ref) && webhook.Selects(f.Types, g.event.Type) && g.lacks(f.Endpoint, s.now()) {
			events = append(events, *g.event)
		}
		return len(events) < p.Limit
	})
	if err != nil {
		return nil, "", fmt.Errorf("list events of tenant %s without delivery: %w", tenant, err)
	}
	return events, next, nil
}

// lacks reports whether the group's event may be replayed and has no delivery to endpoint.
func (g group) lacks(endpoint webhook.EndpointID, now time.Time) bool {
	stored := slices.ContainsFunc(g.deliveries, func(d webhook.Delivery) bool { return d.Endpoint == endpoint })
	return !stored && g.event.Replayable(now) && !slices.Contains(g.event.Targets, endpoint)
}

// expand lists the group's deliveries in target order. Where the event's row
// is gone, the stored rows are all there is, by endpoint.
func (g group) expand() []webhook.Delivery {
	if g.event != nil {
		return g.event.Expand(g.deliveries)
	}
	slices.Reverse(g.deliveries) // they were read in descending order
	return g.deliveries
}

// behind returns what follows the delivery to endpoint, or all of deliveries
// when there is none.
func behind(deliveries []webhook.Delivery, endpoint webhook.EndpointID) []webhook.Delivery {
	i := slices.IndexFunc(deliveries, func(d webhook.Delivery) bool { return d.Endpoint == endpoint })
	return deliveries[i+1:]
}

// failedDeliveries lists by the index. Those of one event come by endpoint,
// descending.
func (s *Store) failedDeliveries(ctx context.Context, tenant webhook.TenantID, f history.Filter, from position, limit int) ([]webhook.Delivery, string, error) {
	low := string(tenant) + separator
	high := string(tenant) + afterSeparator
	if !f.Until.IsZero() {
		high = string(tenant) + separator + string(id.First(f.Until))
	}
	if !f.Since.IsZero() {
		low += string(id.First(f.Since))
	}
	switch {
	case from.endpoint != "":
		high = failedSK(webhook.DeliveryKey{Tenant: tenant, Event: from.ref, Endpoint: from.endpoint})
	case from.ref != "":
		high = string(tenant) + separator + string(from.ref)
	case from.day != 0:
		return nil, "", webhook.ErrBadCursor // a walk's position; the index knows no days
	}
	page, err := s.readIndex(ctx, indexRead{
		state: f.State, low: low, high: high, descending: true, limit: limit,
		match: func(k webhook.DeliveryKey) bool {
			passed := k.Event == from.ref && k.Endpoint == from.endpoint
			return !passed && (f.Endpoint == "" || f.Endpoint == k.Endpoint)
		},
	})
	if err != nil {
		return nil, "", err
	}
	deliveries, err := s.deliveriesAt(ctx, page.matched, f.Match)
	if err != nil || !page.more {
		return deliveries, "", err
	}
	return deliveries, position{ref: page.last.Event, endpoint: page.last.Endpoint}.String(), nil
}

// DeadLetters lists the dead deliveries of all tenants, by tenant, oldest
// event first, for 1 read unit per delivery. The index may lag by moments.
func (s *Store) DeadLetters(ctx context.Context, p webhook.Page) ([]webhook.Delivery, string, error) {
	low, high := "-", "~" // below and above every tenant's id
	var after webhook.DeliveryKey
	if p.After != "" {
		var err error
		if after, err = parseDeadPosition(p.After); err != nil {
			return nil, "", err
		}
		low = failedSK(after)
	}
	page, err := s.readIndex(ctx, indexRead{
		state: webhook.Dead, low: low, high: high, limit: p.Limit,
		match: func(k webhook.DeliveryKey) bool { return k != after },
	})
	if err != nil {
		return nil, "", fmt.Errorf("list dead letters: %w", err)
	}
	deliveries, err := s.stillIn(ctx, webhook.Dead, page.matched)
	if err != nil {
		return nil, "", fmt.Errorf("list dead letters: %w", err)
	}
	if !page.more {
		return deliveries, "", nil
	}
	return deliveries, deadPosition(page.last), nil
}
