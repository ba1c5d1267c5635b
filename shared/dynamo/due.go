package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"webhookrelay/shared/webhook"
)

// DueEvents returns at most limit held events whose DeliverAt is not after until,
// the earliest first by an index that may lag by moments: 1 read unit per 4 KB of
// each event, and 8 small index queries. With ErrUnreadable it returns those it
// could read.
func (s *Store) DueEvents(ctx context.Context, until time.Time, limit int) ([]webhook.Event, error) {
	queries, err := openShards(ctx, func(shard int) *query {
		return s.queryHeld(duePK(shard), until).pageSize(min(limit, bucketPage))
	})
	if err != nil {
		return nil, fmt.Errorf("list due events: %w", err)
	}
	exists := func(row item) bool { return row != nil }
	before := func(a, b item) bool { return a.str(attrHeldSK) < b.str(attrHeldSK) }
	tenants := make(map[key]webhook.TenantID)
	var places []key
	for len(places) < limit {
		row, ok, err := mergeNext(ctx, queries, exists, before)
		if err != nil {
			return nil, fmt.Errorf("list due events: %w", err)
		}
		if !ok {
			break
		}
		tenant, ref := splitDueSK(row.str(attrHeldSK))
		if place, ok := eventKey(tenant, ref); ok {
			places, tenants[place] = append(places, place), tenant
		}
	}
	events, err := s.eventsAt(ctx, places, tenants)
	if err != nil {
		err = fmt.Errorf("list due events: %w", err)
	}
	return events, err
}

// eventsAt reads the events at places strongly and returns those that are held, in
// the same order. With ErrUnreadable it returns those it could read.
func (s *Store) eventsAt(ctx context.Context, places []key, tenants map[key]webhook.TenantID) ([]webhook.Event, error) {
	keys, found := keySet{}, newRowSet()
	for _, place := range places {
		keys.add(place)
	}
	if err := s.batchGet(ctx, keys, true, found); err != nil {
		return nil, err
	}
	var events []webhook.Event
	var spoiled []error
	for _, place := range places {
		row := found.rows[place]
		if row == nil || row.expired(s.now()) {
			continue
		}
		switch e, err := decodeEvent(tenants[place], row); {
		case err != nil:
			spoiled = append(spoiled, err)
		case e.Held:
			e.Body = nil // so that a page of large ones is not kept in memory
			events = append(events, e)
		}
	}
	return events, errors.Join(spoiled...)
}

// EventSent records that the event is held no more, for the write units of the
// whole row and 1 of the index. One that is gone is no error.
func (s *Store) EventSent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error {
	err := s.changeEvent(ctx, tenant, ref, "REMOVE "+attrHeldPK+", "+attrHeldSK, rowExists, nil)
	if err != nil && !errors.Is(err, webhook.ErrConflict) {
		return fmt.Errorf("mark event %s sent: %w", ref, err)
	}
	return nil
}

// CancelEvent records that the event was taken back at then, for the write units of
// the whole row and 1 of the index. ErrConflict: it was before, or it is gone.
func (s *Store) CancelEvent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, at time.Time) error {
	values := item{}
	values.setTime(":at", at)
	err := s.changeEvent(ctx, tenant, ref, "SET "+eventCancelled+" = :at REMOVE "+attrHeldPK+", "+attrHeldSK,
		rowExists+" AND attribute_not_exists("+eventCancelled+")", values)
	if err != nil {
		return fmt.Errorf("cancel event %s: %w", ref, err)
	}
	return nil
}

// ExpungeEvent removes the event's payload and records when, for the write units of
// the whole row. ErrConflict: it was removed before, or it is gone.
func (s *Store) ExpungeEvent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, at time.Time) error {
	values := item{}
	values.setTime(":at", at)
	err := s.changeEvent(ctx, tenant, ref,
		"SET "+eventExpunged+" = :at REMOVE "+eventBody+", "+eventDeflated+", "+attrHeldPK+", "+attrHeldSK,
		rowExists+" AND attribute_not_exists("+eventExpunged+")", values)
	if err != nil {
		return fmt.Errorf("expunge event %s: %w", ref, err)
	}
	return nil
}

// changeEvent updates the event's row, or returns ErrConflict where the condition
// does not hold.
func (s *Store) changeEvent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, update, condition string, values item) error {
	k, ok := eventKey(tenant, ref)
	if !ok {
		return webhook.ErrConflict
	}
	in := &dynamodb.UpdateItemInput{
		TableName: s.table, Key: keyItem(k), UpdateExpression: aws.String(update), ConditionExpression: aws.String(condition),
	}
	if len(values) > 0 {
		in.ExpressionAttributeValues = values
	}
	_, err := s.client.UpdateItem(ctx, in)
	if isConditional(err) {
		return webhook.ErrConflict
	}
	return err
}
