package dynamo

import (
	"context"
	"errors"

	"webhookrelay/shared/webhook"
)

// indexRead asks for the deliveries of a failed state whose index sort keys lie
// between low and high, both included, and that match.
type indexRead struct {
	state      webhook.State
	low, high  string
	descending bool
	match      func(webhook.DeliveryKey) bool
	limit      int
}

// indexPage is what an indexRead came to.
type indexPage struct {
	matched []webhook.DeliveryKey
	// last is the last key read, matched or not: where the next page goes on.
	// more reports whether there is one.
	last webhook.DeliveryKey
	more bool
}

// readIndex reads all shards merged until limit keys match, 1,000 were read, or
// all are seen.
func (s *Store) readIndex(ctx context.Context, r indexRead) (page indexPage, err error) {
	queries, err := openShards(ctx, func(shard int) *query {
		q := s.queryFailed(r.state, shard, r.low, r.high).pageSize(bucketPage)
		if r.descending {
			q.descending()
		}
		return q
	})
	if err != nil {
		return indexPage{}, err
	}
	exists := func(row item) bool { return row != nil }
	before := func(a, b item) bool {
		return (a.str(attrFailedSK) < b.str(attrFailedSK)) != r.descending
	}
	for range maxRowsPerCall {
		row, ok, err := mergeNext(ctx, queries, exists, before)
		if err != nil || !ok {
			return page, err
		}
		if len(page.matched) >= max(r.limit, 1) {
			break
		}
		page.last = splitFailedSK(row.str(attrFailedSK))
		if r.match(page.last) {
			page.matched = append(page.matched, page.last)
		}
	}
	page.more = true
	return page, nil
}

// stillIn reads the deliveries at keys and returns those that are in state.
func (s *Store) stillIn(ctx context.Context, state webhook.State, keys []webhook.DeliveryKey) ([]webhook.Delivery, error) {
	return s.deliveriesAt(ctx, keys, func(d webhook.Delivery) bool { return d.State == state })
}

// deliveriesAt reads the deliveries at keys strongly and returns, in the same
// order, those that match: the index that named them may lag. With ErrUnreadable
// it returns those it could read.
func (s *Store) deliveriesAt(ctx context.Context, keys []webhook.DeliveryKey, match func(webhook.Delivery) bool) ([]webhook.Delivery, error) {
	places := keySet{}
	for _, k := range keys {
		if place, ok := deliveryKey(k); ok {
			places.add(place)
		}
	}
	found := newRowSet()
	if err := s.batchGet(ctx, places, true, found); err != nil {
		return nil, err
	}
	var deliveries []webhook.Delivery
	var spoiled []error
	for _, k := range keys {
		place, _ := deliveryKey(k)
		row := found.rows[place]
		if row == nil || row.expired(s.now()) {
			continue
		}
		switch d, err := decodeDelivery(k.Tenant, row); {
		case err != nil:
			spoiled = append(spoiled, err)
		case match(d):
			deliveries = append(deliveries, d)
		}
	}
	return deliveries, errors.Join(spoiled...)
}
