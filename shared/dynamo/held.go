package dynamo

import (
	"context"
	"fmt"
	"time"

	"webhookrelay/shared/webhook"
)

// Held returns at most limit deliveries whose HeldUntil is not after until, the
// earliest first by an index that may lag by moments: 1 read unit per delivery,
// and 8 small index queries. With ErrUnreadable it returns those it could read.
func (s *Store) Held(ctx context.Context, until time.Time, limit int) ([]webhook.Delivery, error) {
	queries, err := openShards(ctx, func(shard int) *query {
		return s.queryHeld(heldPK(shard), until).pageSize(min(limit, bucketPage))
	})
	if err != nil {
		return nil, fmt.Errorf("list held deliveries: %w", err)
	}
	exists := func(row item) bool { return row != nil }
	before := func(a, b item) bool { return a.str(attrHeldSK) < b.str(attrHeldSK) }
	var keys []webhook.DeliveryKey
	for len(keys) < limit {
		row, ok, err := mergeNext(ctx, queries, exists, before)
		if err != nil {
			return nil, fmt.Errorf("list held deliveries: %w", err)
		}
		if !ok {
			break
		}
		keys = append(keys, splitHeldSK(row.str(attrHeldSK)))
	}
	held, err := s.deliveriesAt(ctx, keys, func(d webhook.Delivery) bool {
		return !d.HeldUntil.IsZero() && !d.HeldUntil.After(until)
	})
	if err != nil {
		return held, fmt.Errorf("list held deliveries: %w", err)
	}
	return held, nil
}
