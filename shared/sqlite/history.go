package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// Deliveries lists a tenant's deliveries by event, newest first. Within an
// event they come in target order, or by endpoint id, last first, when f asks
// for a failed state. It examines at most 1,000 rows or events a call.
func (s *Store) Deliveries(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) (found []webhook.Delivery, next string, err error) {
	switch f.State {
	case webhook.Retrying, webhook.Parked, webhook.Dead, webhook.Cancelled:
		found, next, err = s.failed(ctx, tenant, f, p)
	default:
		found, next, err = s.walk(ctx, tenant, f, p)
	}
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries: %w", err)
	}
	return found, next, nil
}

// DeadLetters lists the dead deliveries of all tenants, by tenant, oldest event first.
func (s *Store) DeadLetters(ctx context.Context, p webhook.Page) (dead []webhook.Delivery, next string, err error) {
	after, err := parsePosition(p.After, atDeadLetter, "tenant", "event", "endpoint")
	if err != nil {
		return nil, "", fmt.Errorf("list dead letters: %w", err)
	}
	if after == nil {
		after = []string{"", "", ""}
	}
	err = s.read(ctx, func(c *conn) (err error) {
		now := s.now()
		dead, next, err = page(c, p.Limit, listDeadLetters, []any{after[0], after[1], after[2]},
			func(row scanner) (webhook.Delivery, string, bool, error) {
				d, err := scanDelivery(row)
				at := position(atDeadLetter, string(d.Tenant), string(d.Event), string(d.Endpoint))
				return d, at, now.Before(d.ExpiresAt), err
			})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list dead letters: %w", err)
	}
	return dead, next, nil
}

// failed lists the deliveries in one failed state, which an index holds.
func (s *Store) failed(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) (found []webhook.Delivery, next string, err error) {
	after, err := parsePosition(p.After, atFailed, "event", "endpoint")
	if err != nil {
		return nil, "", err
	}
	if after == nil {
		after = []string{untilRef(f), ""}
	}
	err = s.read(ctx, func(c *conn) (err error) {
		now := s.now()
		found, next, err = page(c, p.Limit, listFailed, []any{string(f.State), string(tenant), after[0], after[1], string(id.First(f.Since))},
			func(row scanner) (webhook.Delivery, string, bool, error) {
				d, err := scanDelivery(row)
				at := position(atFailed, string(d.Event), string(d.Endpoint))
				return d, at, f.Match(d) && now.Before(d.ExpiresAt), err
			})
		return err
	})
	return found, next, err
}

// walk lists deliveries event by event: only so are those seen that no attempt
// has touched, which have no row.
func (s *Store) walk(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) (found []webhook.Delivery, next string, err error) {
	after, err := parsePosition(p.After, atDelivery, "event", "endpoint")
	if err != nil {
		return nil, "", err
	}
	err = s.snapshot(ctx, func(c *conn) (err error) {
		found, next, err = walk(c, tenant, f, p.Limit, after, s.now())
		return err
	})
	return found, next, err
}

func walk(c *conn, tenant webhook.TenantID, f history.Filter, limit int, after []string, now time.Time) (found []webhook.Delivery, next string, err error) {
	if after != nil && after[1] != "" {
		// The page before ended inside an event.
		e, ok, err := event(c, tenant, webhook.EventRef(after[0]), now)
		if err != nil {
			return nil, "", err
		}
		if ok {
			if found, next, err = take(c, e, webhook.EndpointID(after[1]), f, limit, now); err != nil || next != "" {
				return found, next, err
			}
		}
	}
	before := untilRef(f)
	if after != nil {
		before = min(before, after[0])
	}
	for examined := 0; ; {
		events, err := eventsBefore(c, tenant, before, min(walkChunk, maxExamined-examined))
		if err != nil {
			return nil, "", err
		}
		if len(events) == 0 && examined < maxExamined {
			return found, "", nil
		}
		for _, e := range events {
			if len(found) == limit {
				return found, position(atDelivery, before, ""), nil
			}
			before, examined = string(e.Ref), examined+1
			if !f.Covers(e.Ref) {
				return found, "", nil
			}
			if !now.Before(e.ExpiresAt) {
				continue
			}
			taken, next, err := take(c, e, "", f, limit-len(found), now)
			if err != nil {
				return nil, "", err
			}
			if found = append(found, taken...); next != "" {
				return found, next, nil
			}
		}
		if examined >= maxExamined {
			return found, position(atDelivery, before, ""), nil
		}
	}
}

// walkChunk is how many events walk reads at once.
const walkChunk = 100

func eventsBefore(c *conn, tenant webhook.TenantID, before string, limit int) (events []webhook.Event, err error) {
	err = c.each(listEvents, []any{string(tenant), before, limit}, func(row scanner) (bool, error) {
		e, err := scanEvent(row, tenant)
		events = append(events, e)
		return true, err
	})
	return events, err
}

// take returns at most limit of e's deliveries that f lets through, from behind
// the one to an endpoint on, and a position when there are more.
func take(c *conn, e webhook.Event, behind webhook.EndpointID, f history.Filter, limit int, now time.Time) (found []webhook.Delivery, next string, err error) {
	if !f.MatchEvent(e) {
		return nil, "", nil
	}
	rows, err := eventDeliveries(c, e.Tenant, e.Ref, now)
	if err != nil {
		return nil, "", err
	}
	all := e.Expand(rows)
	first := slices.IndexFunc(all, func(d webhook.Delivery) bool { return d.Endpoint == behind }) + 1
	var last webhook.EndpointID
	for _, d := range all[first:] {
		if !f.Match(d) {
			continue
		}
		if len(found) == limit {
			return found, position(atDelivery, string(e.Ref), string(last)), nil
		}
		found, last = append(found, d), d.Endpoint
	}
	return found, "", nil
}

// untilRef is the reference below which a list begins that f narrows.
func untilRef(f history.Filter) string {
	if f.Until.IsZero() {
		return beyond
	}
	return string(id.First(f.Until))
}

// EventsWithoutDelivery lists events, newest first and without their bodies, that
// f covers and that have no delivery to f's endpoint. It examines at most 1,000 a call.
func (s *Store) EventsWithoutDelivery(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) (events []webhook.Event, next string, err error) {
	after, err := parsePosition(p.After, atEvent, "event")
	if err != nil {
		return nil, "", fmt.Errorf("list events without delivery: %w", err)
	}
	before := untilRef(f)
	if after != nil {
		before = after[0]
	}
	now := s.now()
	args := []any{string(f.Endpoint), string(tenant), before, string(id.First(f.Since))}
	err = s.read(ctx, func(c *conn) (err error) {
		events, next, err = page(c, p.Limit, listWithout, args, func(row scanner) (webhook.Event, string, bool, error) {
			var stored bool
			e, err := scanEvent(row, tenant, &stored)
			missing := !stored && e.Replayable(now) && !slices.Contains(e.Targets, f.Endpoint)
			return e, position(atEvent, e.Ref), missing && webhook.Selects(f.Types, e.Type) && now.Before(e.ExpiresAt), err
		})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list events without delivery: %w", err)
	}
	return events, next, nil
}

const listWithout = "SELECT " + eventColumns + `,
	EXISTS (SELECT 1 FROM deliveries d WHERE d.tenant = events.tenant AND d.event = events.ref AND d.endpoint = ?)
	FROM events WHERE tenant = ? AND ref < ? AND ref >= ? ORDER BY ref DESC LIMIT ?`
