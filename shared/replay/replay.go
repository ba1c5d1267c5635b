// Package replay puts deliveries back to work: one by hand, those of an endpoint
// by a job, or all dead letters by a redrive of the dead-letter queue.
package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/webhook"
)

// Queue is what replay asks of the delivery queue.
type Queue interface {
	// SendEnvelope enqueues one message, durably, before it returns.
	SendEnvelope(ctx context.Context, e envelope.Envelope) error
}

// DeadLetterQueue is where SQS moves messages that failed for good.
type DeadLetterQueue interface {
	// Depth returns about how many messages lie in the dead-letter queue.
	Depth(ctx context.Context) (int, error)
	// StartMove begins to move every message back to the delivery queue and
	// returns at once. ErrMoveRunning: a move is under way.
	StartMove(ctx context.Context) error
	// LatestMove returns the newest move, and false when there was none lately.
	LatestMove(ctx context.Context) (Move, bool, error)
}

// Move is a redrive of the whole dead-letter queue, as SQS reports it: the
// numbers are approximate.
type Move struct {
	Status    string
	Moved     int
	ToMove    int
	StartedAt time.Time
	// Failure says why a failed move ended.
	Failure string
}

// Deliveries finds the delivery to retry or cancel.
type Deliveries interface {
	// Delivery returns one delivery, queued ones included, or ErrNotFound.
	Delivery(ctx context.Context, key webhook.DeliveryKey) (webhook.Delivery, error)
}

// Rows stores what a delivery has come to.
type Rows interface {
	// SaveDelivery stores d as dispatch.Store does.
	SaveDelivery(ctx context.Context, d webhook.Delivery) error
}

// Trail records what is about to happen.
type Trail interface {
	// Record stores e as a line of whoever acts in ctx.
	Record(ctx context.Context, e audit.Entry) error
}

// Replayer puts deliveries back to work, on behalf of whoever ctx names (see
// package audit).
type Replayer struct {
	Deliveries  Deliveries
	Rows        Rows
	Queue       Queue
	DeadLetters DeadLetterQueue
	Trail       Trail
	Now         func() time.Time
}

// Retry makes an attempt of the delivery now. A dead delivery gets a fresh
// retry budget; any other one attempt beside its schedule, also when it has
// been delivered. ErrNotFound: there is no such delivery. ErrCancelled: it
// was cancelled, or its event was expunged. ErrNotDue: its event is scheduled.
func (r Replayer) Retry(ctx context.Context, key webhook.DeliveryKey) (webhook.Delivery, error) {
	delivery, err := r.Deliveries.Delivery(ctx, key)
	if err != nil {
		return webhook.Delivery{}, err
	}
	if delivery.State == webhook.Cancelled || delivery.Expunged {
		return webhook.Delivery{}, ErrCancelled
	}
	if delivery.NextCause == webhook.NextScheduled && r.Now().Before(delivery.NextAttemptAt) {
		return webhook.Delivery{}, ErrNotDue
	}
	entry := audit.Entry{Tenant: key.Tenant, Action: audit.DeliveryRetried, Target: string(key.ID())}
	if err := r.Trail.Record(ctx, entry); err != nil {
		return webhook.Delivery{}, err
	}
	// A new message to a dead delivery is what a redrive sends: it carries the
	// delivery on. So does one to a queued delivery, whose own message may never
	// have been sent. Any other is still carried by its own message, or the store.
	once := delivery.State != webhook.Dead && delivery.State != webhook.Queued
	message := envelope.Envelope{DeliveryKey: key, Once: once}
	if err := r.Queue.SendEnvelope(ctx, message); err != nil {
		return webhook.Delivery{}, err
	}
	return delivery, nil
}

// cancelTries bounds how often a delivery is cancelled anew that attempts keep changing.
const cancelTries = 5

// Cancel ends a delivery that is still to be made; an attempt under way may still
// deliver it. One that is cancelled already stays as it is. ErrNotFound: there is
// no such delivery. ErrSettled: it is delivered or dead.
func (r Replayer) Cancel(ctx context.Context, key webhook.DeliveryKey) (webhook.Delivery, error) {
	recorded := false
	for range cancelTries {
		delivery, err := r.Deliveries.Delivery(ctx, key)
		if err != nil || delivery.State == webhook.Cancelled {
			return delivery, err
		}
		if !delivery.Pending() {
			return webhook.Delivery{}, ErrSettled
		}
		if !recorded {
			entry := audit.Entry{Tenant: key.Tenant, Action: audit.DeliveryCancelled, Target: string(key.ID())}
			if err := r.Trail.Record(ctx, entry); err != nil {
				return webhook.Delivery{}, err
			}
			recorded = true
		}
		delivery = delivery.Cancel(webhook.ReasonUnwanted, r.Now())
		err = r.Rows.SaveDelivery(ctx, delivery)
		if !errors.Is(err, webhook.ErrConflict) {
			return delivery, err
		}
	}
	return webhook.Delivery{}, fmt.Errorf("cancel %s: %w", key.ID(), webhook.ErrConflict)
}

// Redrive begins to move every dead letter back to the delivery queue: the same
// move as the button of the SQS console. ErrMoveRunning: one is under way.
func (r Replayer) Redrive(ctx context.Context) error {
	if err := r.Trail.Record(ctx, audit.Entry{Action: audit.Redriven}); err != nil {
		return err
	}
	return r.DeadLetters.StartMove(ctx)
}

// Errors of Retry and Cancel.
var (
	// ErrCancelled says that the delivery was cancelled, by hand or because its
	// endpoint or its event's payload is gone.
	ErrCancelled = errors.New("the delivery was cancelled")
	// ErrSettled says that the delivery is delivered or dead: nothing is left to cancel.
	ErrSettled = errors.New("the delivery has ended")
)
