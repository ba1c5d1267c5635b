package dynamo

import (
	"context"
	"fmt"

	"webhookrelay/shared/webhook"
)

// Attributes of a delivery's row, besides those it shares with its event's.
const (
	deliveryState    = "s"
	deliveryReason   = "r"
	deliveryAttempts = "h"  // see attempts.go
	deliveryDeflated = "hz" // the attempts, where that saves a write unit
	deliveryCount    = "n"
	deliveryBudget   = "bs"
	deliveryNext     = "d"
	deliveryCause    = "c"
	deliveryDied     = "e"
	deliveryUpdated  = "m"
	deliveryWriter   = "w"
	deliveryHeld     = "hu"
	deliveryParked   = "pa"
	deliveryUntold   = "ut"
	deliveryExpunged = "xp"
)

// SaveDelivery stores d as revision d.Rev+1, or returns ErrConflict when the
// stored revision is not d.Rev. It costs 1 write unit per KB of the row, and 1
// more where the delivery enters or leaves the index of failed deliveries, 2
// where it moves within it. A first-time success whose answer is short fits
// one unit in all.
//
// A write whose reply was lost is repeated by the client and then refused for
// being stored already: a conflict may be with oneself.
func (s *Store) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	k, ok := deliveryKey(d.DeliveryKey)
	if !ok {
		return fmt.Errorf("save delivery %s: the event's reference is not a ULID", d.ID())
	}
	condition, values := atRevision(d.Rev)
	d.Rev++
	err := s.put(ctx, encodeDelivery(k, d), condition, values)
	if isConditional(err) {
		err = webhook.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("save delivery %s: %w", d.ID(), err)
	}
	return nil
}

// Delivery returns one delivery row, or ErrNotFound, for 1 read unit per 4 KB.
func (s *Store) Delivery(ctx context.Context, k webhook.DeliveryKey) (webhook.Delivery, error) {
	d, err := s.delivery(ctx, k)
	if err != nil {
		return webhook.Delivery{}, fmt.Errorf("delivery %s: %w", k.ID(), err)
	}
	return d, nil
}

func (s *Store) delivery(ctx context.Context, k webhook.DeliveryKey) (webhook.Delivery, error) {
	place, ok := deliveryKey(k)
	if !ok {
		return webhook.Delivery{}, webhook.ErrNotFound
	}
	row, err := s.get(ctx, place, "")
	if err != nil {
		return webhook.Delivery{}, err
	}
	if row == nil || row.expired(s.now()) {
		return webhook.Delivery{}, webhook.ErrNotFound
	}
	return decodeDelivery(k.Tenant, row)
}

// EventDeliveries returns the stored delivery rows of one event, by endpoint,
// for 1 read unit per 4 KB of all of them together.
func (s *Store) EventDeliveries(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) ([]webhook.Delivery, error) {
	k, ok := eventKey(tenant, ref)
	if !ok {
		return nil, nil
	}
	rows, err := s.query(k.pk).withPrefix(k.sk + separator).all(ctx)
	if err != nil {
		return nil, fmt.Errorf("deliveries of event %s: %w", ref, err)
	}
	deliveries := make([]webhook.Delivery, 0, len(rows))
	for _, row := range rows {
		if row.expired(s.now()) {
			continue
		}
		d, err := decodeDelivery(tenant, row)
		if err != nil {
			return nil, err
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, nil
}

// isFailed reports whether deliveries in state s are in the index.
func isFailed(s webhook.State) bool {
	return s == webhook.Retrying || s == webhook.Parked || s == webhook.Dead || s == webhook.Cancelled
}

func encodeDelivery(k key, d webhook.Delivery) item {
	row := newItem(k)
	_, shard, _ := placeOf(d.Event)
	if isFailed(d.State) {
		row.setStr(attrFailedPK, failedPK(d.State, shard))
		row.setStr(attrFailedSK, failedSK(d.DeliveryKey))
	}
	if !d.HeldUntil.IsZero() {
		row.setStr(attrHeldPK, heldPK(shard))
		row.setStr(attrHeldSK, heldSK(d.HeldUntil, d.DeliveryKey))
	}
	row.setEvent(d.Event, d.EventID, d.EventType)
	row.setStr(deliveryState, string(d.State))
	row.setStr(deliveryReason, string(d.Reason))
	row.setNum(deliveryCount, int64(d.AttemptCount))
	row.setNum(deliveryBudget, int64(d.BudgetStart))
	row.setTime(deliveryNext, d.NextAttemptAt)
	row.setStr(deliveryCause, string(d.NextCause))
	row.setTime(deliveryDied, d.DiedAt)
	row.setTime(deliveryUpdated, d.UpdatedAt)
	row.setExpiry(d.ExpiresAt)
	row.setNum(attrRev, d.Rev)
	row.setStr(deliveryWriter, d.Writer)
	row.setTime(deliveryHeld, d.HeldUntil)
	row.setTime(deliveryParked, d.ParkedAt)
	if d.Untold {
		row.setNum(deliveryUntold, 1)
	}
	row.setStr(eventTags, joinStrings(d.Tags))
	row.setBool(deliveryExpunged, d.Expunged)
	row.setPacked(deliveryAttempts, deliveryDeflated, encodeAttempts(d.Attempts))
	return row
}

func decodeDelivery(tenant webhook.TenantID, row item) (webhook.Delivery, error) {
	ref, endpoint := splitBucketSK(row.str(attrSK))
	k := webhook.DeliveryKey{Tenant: tenant, Event: ref, Endpoint: endpoint}
	packed, err := row.packed(deliveryAttempts, deliveryDeflated, maxAttemptsBytes)
	if err != nil {
		return webhook.Delivery{}, unreadable("delivery", string(k.ID()), err)
	}
	attempts, err := decodeAttempts(packed)
	if err != nil {
		return webhook.Delivery{}, unreadable("delivery", string(k.ID()), err)
	}
	return webhook.Delivery{
		DeliveryKey:   k,
		EventID:       row.eventID(ref),
		EventType:     webhook.EventType(row.str(eventType)),
		State:         webhook.State(row.str(deliveryState)),
		Reason:        webhook.Reason(row.str(deliveryReason)),
		Attempts:      attempts,
		AttemptCount:  int(row.num(deliveryCount)),
		BudgetStart:   int(row.num(deliveryBudget)),
		NextAttemptAt: row.time(deliveryNext),
		NextCause:     webhook.NextCause(row.str(deliveryCause)),
		DiedAt:        row.time(deliveryDied),
		UpdatedAt:     row.time(deliveryUpdated),
		ExpiresAt:     row.time(attrExpires),
		Rev:           row.num(attrRev),
		Writer:        row.str(deliveryWriter),
		HeldUntil:     row.time(deliveryHeld),
		ParkedAt:      row.time(deliveryParked),
		Untold:        row.num(deliveryUntold) == 1,
		Tags:          splitStrings[webhook.Tag](row.str(eventTags)),
		Expunged:      row.bool(deliveryExpunged),
	}, nil
}

func unreadable(kind, id string, err error) error {
	return fmt.Errorf("%s %s: %w: %w", kind, id, webhook.ErrUnreadable, err)
}
