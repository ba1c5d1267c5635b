package dynamo

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// Attributes of an event's row. The first two are in a delivery's row as well;
// the rest of either has other names, for lists read both kinds at once.
const (
	eventID        = "i" // left out when it is made of the ref
	eventType      = "t"
	eventTimestamp = "ts"
	eventChannels  = "ch" // joined by commas, which they cannot hold
	eventAccepted  = "a"
	eventTargets   = "g"  // endpoint ids, joined by commas, which they cannot hold
	eventUndecided = "ud" // joined as targets are
	eventUnsent    = "u"
	eventTrace     = "tr" // the traceparent, and after a space the tracestate
	eventTags      = "tg" // joined by commas; a delivery's as well
	eventDeliver   = "da"
	eventCancelled = "ca"
	eventExpunged  = "xa"
	eventBody      = "b"
	eventDeflated  = "z" // the body, where that saves a write unit
)

// maxBodyBytes bounds an event's body, its data and what is wrapped around it,
// deflated or not.
const maxBodyBytes = 2 * webhook.MaxDataBytes

// PutEvents stores the events, 25 per request, for 1 write unit per KB of each
// row; a body is deflated when that saves one. Each replaces what is stored
// under the same ref.
func (s *Store) PutEvents(ctx context.Context, events []webhook.Event) error {
	rows := make([]item, len(events))
	for i, e := range events {
		k, ok := eventKey(e.Tenant, e.Ref)
		if !ok {
			return fmt.Errorf("store event %s: the reference is not a ULID", e.Ref)
		}
		if len(e.Body) > maxBodyBytes {
			return fmt.Errorf("store event %s: body of %d bytes, at most %d are kept", e.Ref, len(e.Body), maxBodyBytes)
		}
		rows[i] = encodeEvent(k, e)
	}
	if len(rows) == 1 {
		if err := s.put(ctx, rows[0], "", nil); err != nil {
			return fmt.Errorf("store event %s: %w", events[0].Ref, err)
		}
		return nil
	}
	if err := s.batchPut(ctx, rows); err != nil {
		return fmt.Errorf("store %d events: %w", len(events), err)
	}
	return nil
}

// MarkUnsent records that the event's messages may not have been sent, for the
// write units of the whole row. ErrNotFound: there is no such event.
func (s *Store) MarkUnsent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error {
	k, ok := eventKey(tenant, ref)
	if !ok {
		return fmt.Errorf("mark event %s unsent: %w", ref, webhook.ErrNotFound)
	}
	values := item{}
	values.setBool(":true", true)
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 s.table,
		Key:                       keyItem(k),
		UpdateExpression:          aws.String("SET " + eventUnsent + " = :true"),
		ConditionExpression:       aws.String(rowExists),
		ExpressionAttributeValues: values,
	})
	if isConditional(err) {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("mark event %s unsent: %w", ref, err)
	}
	return nil
}

// EventByRef returns one event with its body, or ErrNotFound, for 1 read unit
// per 4 KB.
func (s *Store) EventByRef(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (webhook.Event, error) {
	e, err := s.eventByRef(ctx, tenant, ref)
	if err != nil {
		return webhook.Event{}, fmt.Errorf("event %s: %w", ref, err)
	}
	return e, nil
}

func (s *Store) eventByRef(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (webhook.Event, error) {
	k, ok := eventKey(tenant, ref)
	if !ok {
		return webhook.Event{}, webhook.ErrNotFound
	}
	row, err := s.get(ctx, k, "")
	if err != nil {
		return webhook.Event{}, err
	}
	if row == nil || row.expired(s.now()) {
		return webhook.Event{}, webhook.ErrNotFound
	}
	return decodeEvent(tenant, row)
}

func encodeEvent(k key, e webhook.Event) item {
	row := newItem(k)
	row.setEvent(e.Ref, e.ID, e.Type)
	row.setStr(eventChannels, joinStrings(e.Channels))
	row.setTime(eventTimestamp, e.Timestamp)
	row.setTime(eventAccepted, e.AcceptedAt)
	row.setStr(eventTargets, joinStrings(e.Targets))
	row.setStr(eventTags, joinStrings(e.Tags))
	row.setTime(eventDeliver, e.DeliverAt)
	row.setTime(eventCancelled, e.CancelledAt)
	row.setTime(eventExpunged, e.ExpungedAt)
	if e.Held {
		_, shard, _ := placeOf(e.Ref)
		row.setStr(attrHeldPK, duePK(shard))
		row.setStr(attrHeldSK, dueSK(e))
	}
	row.setStr(eventUndecided, joinStrings(e.Undecided))
	row.setBool(eventUnsent, e.Unsent)
	row.setStr(eventTrace, strings.TrimSpace(e.Trace.Parent+" "+e.Trace.State))
	row.setExpiry(e.ExpiresAt)
	row.setPacked(eventBody, eventDeflated, e.Body)
	return row
}

// decodeEvent returns the event in row; its Body is nil when row was read
// without it.
func decodeEvent(tenant webhook.TenantID, row item) (webhook.Event, error) {
	ref, _ := splitBucketSK(row.str(attrSK))
	body, err := row.packed(eventBody, eventDeflated, maxBodyBytes)
	if err != nil {
		return webhook.Event{}, unreadable("event", string(ref), err)
	}
	parent, state, _ := strings.Cut(row.str(eventTrace), " ")
	return webhook.Event{
		Tenant:      tenant,
		Ref:         ref,
		ID:          row.eventID(ref),
		Type:        webhook.EventType(row.str(eventType)),
		Channels:    splitStrings[webhook.Channel](row.str(eventChannels)),
		Tags:        splitStrings[webhook.Tag](row.str(eventTags)),
		Timestamp:   row.time(eventTimestamp),
		Body:        body,
		Targets:     splitStrings[webhook.EndpointID](row.str(eventTargets)),
		Undecided:   splitStrings[webhook.EndpointID](row.str(eventUndecided)),
		AcceptedAt:  row.time(eventAccepted),
		ExpiresAt:   row.time(attrExpires),
		DeliverAt:   row.time(eventDeliver),
		Held:        row.str(attrHeldPK) != "",
		CancelledAt: row.time(eventCancelled),
		ExpungedAt:  row.time(eventExpunged),
		Unsent:      row.bool(eventUnsent),
		Trace:       webhook.Trace{Parent: parent, State: state},
	}, nil
}

func (it item) setEvent(ref webhook.EventRef, event webhook.EventID, t webhook.EventType) {
	if event != id.EventID(ref) {
		it.setStr(eventID, string(event))
	}
	it.setStr(eventType, string(t))
}

func (it item) eventID(ref webhook.EventRef) webhook.EventID {
	if own := it.str(eventID); own != "" {
		return webhook.EventID(own)
	}
	return id.EventID(ref)
}
