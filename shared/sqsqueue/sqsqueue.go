// Package sqsqueue carries deliveries on Amazon SQS: the delivery queue and its
// dead-letter queue. It is the only package that imports the SQS SDK.
package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"webhookrelay/shared/envelope"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

const (
	// maxEntries is SQS's limit per batch call.
	maxEntries = 10

	// maxCalls bounds the calls one Send or Hide makes at once: enough that an
	// event with a thousand endpoints is enqueued within a second, few enough
	// to leave connections to others.
	maxCalls = 8
)

// Config names the queues. A Queue that only sends needs no dead-letter queue.
type Config struct {
	// URL of the delivery queue.
	URL string
	// DeadLetterURL and DeadLetterARN of its dead-letter queue.
	DeadLetterURL string
	DeadLetterARN string
	// Fair marks each message with its tenant; see group.
	Fair bool
}

// Queue is the delivery queue with its dead-letter queue. Its methods keep the
// promises of the Queue interfaces of ingest, dispatch and replay. Errors are
// SQS's, after the client's own retries. Safe for concurrent use.
type Queue struct {
	client *sqs.Client
	config Config
}

// New returns the Queue that config names.
func New(client *sqs.Client, config Config) *Queue {
	return &Queue{client: client, config: config}
}

// Send enqueues a message for each key, ten per request, and returns when SQS
// has stored all of them. On an error, which says how many are not known to be
// stored, the others are.
func (q *Queue) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	if len(keys) == 1 {
		return q.SendEnvelope(ctx, envelope.Envelope{DeliveryKey: keys[0]})
	}
	messages := make([]sweep.Delayed, len(keys))
	for i, k := range keys {
		messages[i].DeliveryKey = k
	}
	return q.SendDelayed(ctx, messages)
}

// maxDelay is the longest that SQS delays a message.
const maxDelay = 15 * time.Minute

// SendDelayed is Send with messages that stay invisible for a while, rounded up
// to seconds and 15 minutes at most. A delayed message is not in flight.
func (q *Queue) SendDelayed(ctx context.Context, messages []sweep.Delayed) error {
	var mu sync.Mutex
	var unsent int
	var reason error
	var group errgroup.Group
	group.SetLimit(maxCalls)
	for chunk := range slices.Chunk(messages, maxEntries) {
		group.Go(func() error {
			n, err := q.sendBatch(ctx, chunk)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				unsent, reason = unsent+n, err
			}
			return nil
		})
	}
	_ = group.Wait() // the goroutines report through unsent and reason
	if unsent > 0 {
		return fmt.Errorf("%d of %d messages not enqueued: %w", unsent, len(messages), reason)
	}
	return nil
}

// SendEnvelope enqueues one message.
func (q *Queue) SendEnvelope(ctx context.Context, e envelope.Envelope) error {
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl:       aws.String(q.config.URL),
		MessageBody:    aws.String(envelope.Encode(e)),
		MessageGroupId: q.group(e.DeliveryKey),
	})
	if err != nil {
		return fmt.Errorf("enqueue delivery %s: %w", e.ID(), err)
	}
	return nil
}

// group makes the queue a fair one (SQS Developer Guide, "Amazon SQS fair
// queues"): while one tenant's messages crowd it, those of the others are
// received first. It orders nothing on a standard queue.
func (q *Queue) group(k webhook.DeliveryKey) *string {
	if !q.config.Fair {
		return nil
	}
	return aws.String(string(k.Tenant))
}

// sendBatch sends up to ten messages. A batch call succeeds when a part of it
// fails, so the failed entries are read and sent once more.
func (q *Queue) sendBatch(ctx context.Context, messages []sweep.Delayed) (unsent int, err error) {
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{
			Id:             aws.String(strconv.Itoa(i)),
			MessageBody:    aws.String(envelope.Encode(envelope.Envelope{DeliveryKey: m.DeliveryKey})),
			MessageGroupId: q.group(m.DeliveryKey),
			DelaySeconds:   int32((min(max(0, m.Delay), maxDelay) + time.Second - 1) / time.Second),
		}
	}
	var failed []types.BatchResultErrorEntry
	for range 2 {
		out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{
			QueueUrl: aws.String(q.config.URL), Entries: entries,
		})
		if err != nil {
			return len(entries), err
		}
		if failed = out.Failed; len(failed) == 0 {
			return 0, nil
		}
		entries = slices.DeleteFunc(entries, func(e types.SendMessageBatchRequestEntry) bool {
			return !names(failed, e.Id)
		})
	}
	return len(failed), entryError(failed[0])
}

// names reports whether entry id is among the failed ones.
func names(failed []types.BatchResultErrorEntry, id *string) bool {
	return slices.ContainsFunc(failed, func(f types.BatchResultErrorEntry) bool {
		return aws.ToString(f.Id) == aws.ToString(id)
	})
}

func entryError(f types.BatchResultErrorEntry) error {
	return errors.New("SQS refused an entry: " + aws.ToString(f.Code) + " " + aws.ToString(f.Message))
}
