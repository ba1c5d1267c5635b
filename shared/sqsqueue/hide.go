package sqsqueue

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"webhookrelay/shared/dispatch"
)

// SQS hides a message for at most 12 hours (43,200 s) from its receive, and
// refuses a longer time instead of shortening it (SQS API Reference,
// "ChangeMessageVisibility"). A message that waits longer is received in
// between and hidden again.
const (
	// longestHide leaves 30 s for the time since the receive, enough for all
	// but a slow batch.
	longestHide = 43_170
	// surestHide is what a refused message is hidden for at most: the receive
	// cannot be longer ago than the queue's visibility timeout, 6 minutes, or
	// the message would be visible again.
	surestHide = 43_200 - 6*60
)

// Hide makes each message invisible for its wait, whole seconds rounded up and
// at most 43,170, ten per request. Entries that SQS refuses are tried once
// more; it returns the ids of messages that could not be hidden.
func (q *Queue) Hide(ctx context.Context, hidings []dispatch.Hiding) (failed []string) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(maxCalls)
	for chunk := range slices.Chunk(hidings, maxEntries) {
		group.Go(func() error {
			left := q.hideBatch(ctx, hideEntries(chunk))
			mu.Lock()
			defer mu.Unlock()
			for _, entry := range left {
				i, _ := strconv.Atoi(*entry.Id) // as hideEntries made it
				failed = append(failed, chunk[i].MessageID)
			}
			return nil
		})
	}
	_ = group.Wait() // the goroutines report through failed
	return failed
}

func hideEntries(hidings []dispatch.Hiding) []types.ChangeMessageVisibilityBatchRequestEntry {
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(hidings))
	for i, h := range hidings {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
			Id:                aws.String(strconv.Itoa(i)),
			ReceiptHandle:     aws.String(h.Receipt),
			VisibilityTimeout: hideSeconds(h.Wait),
		}
	}
	return entries
}

// hideSeconds rounds up: an early return would cost a receive for nothing.
func hideSeconds(wait time.Duration) int32 {
	if wait >= longestHide*time.Second {
		return longestHide
	}
	return int32((max(wait, 0) + time.Second - 1) / time.Second)
}

// hideBatch returns the entries that could not be hidden.
func (q *Queue) hideBatch(ctx context.Context, entries []types.ChangeMessageVisibilityBatchRequestEntry) []types.ChangeMessageVisibilityBatchRequestEntry {
	for range 2 {
		out, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{
			QueueUrl: aws.String(q.config.URL), Entries: entries,
		})
		if err != nil {
			return entries
		}
		entries = slices.DeleteFunc(entries, func(e types.ChangeMessageVisibilityBatchRequestEntry) bool {
			return !names(out.Failed, e.Id)
		})
		if len(entries) == 0 {
			return nil
		}
		for i := range entries {
			entries[i].VisibilityTimeout = min(entries[i].VisibilityTimeout, surestHide)
		}
	}
	return entries
}
