package sqlite

import (
	"context"
	"fmt"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

const listWithBodies = "SELECT " + eventColumns + ", body FROM events WHERE tenant = ? AND ref < ? AND ref >= ? ORDER BY ref DESC LIMIT ?"

// Records lists a tenant's events that f lets through, newest first, with bodies and
// deliveries. It examines at most 1,000 events a call; a page ends early at
// history.MaxRecordBytes.
func (s *Store) Records(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) (records []history.Record, next string, err error) {
	after, err := parsePosition(p.After, atEvent, "event")
	if err != nil {
		return nil, "", fmt.Errorf("list records: %w", err)
	}
	before := untilRef(f)
	if after != nil {
		before = min(before, after[0])
	}
	err = s.snapshot(ctx, func(c *conn) (err error) {
		records, next, err = recordsBefore(c, tenant, f, before, p.Limit, s.now())
		for i, r := range records {
			if err != nil {
				break
			}
			var rows []webhook.Delivery
			rows, err = eventDeliveries(c, tenant, r.Event.Ref, s.now())
			records[i].Deliveries = r.Event.Expand(rows)
		}
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list records: %w", err)
	}
	return records, next, nil
}

// recordsBefore reads a page of records, still without their deliveries.
func recordsBefore(c *conn, tenant webhook.TenantID, f history.Filter, before string, limit int, now time.Time) (records []history.Record, next string, err error) {
	size := 0
	args := []any{string(tenant), before, string(id.First(f.Since))}
	return page(c, limit, listWithBodies, args, func(row scanner) (history.Record, string, bool, error) {
		var body []byte
		e, err := scanEvent(row, tenant, &body)
		e.Body = body
		at := position(atEvent, e.Ref)
		keep := f.MatchEvent(e) && now.Before(e.ExpiresAt)
		if keep {
			size += len(body)
		}
		return history.Record{Event: e, Behind: at}, at, keep, err
	}, func() bool { return size >= history.MaxRecordBytes })
}
