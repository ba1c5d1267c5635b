package sqsqueue

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

// Depth returns about how many messages lie in the dead-letter queue; SQS's
// count may lag by a minute.
func (q *Queue) Depth(ctx context.Context) (int, error) {
	name := types.QueueAttributeNameApproximateNumberOfMessages
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(q.config.DeadLetterURL), AttributeNames: []types.QueueAttributeName{name},
	})
	if err != nil {
		return 0, fmt.Errorf("depth of the dead-letter queue: %w", err)
	}
	depth, err := strconv.Atoi(out.Attributes[string(name)])
	if err != nil {
		return 0, fmt.Errorf("depth of the dead-letter queue: %w", err)
	}
	return depth, nil
}

// StartMove begins to move every message of the dead-letter queue back to the
// queue it came from, which SQS remembers, and returns at once.
// ErrMoveRunning: a move is under way.
func (q *Queue) StartMove(ctx context.Context) error {
	_, err := q.client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{
		SourceArn: aws.String(q.config.DeadLetterARN),
	})
	if err == nil {
		return nil
	}
	// SQS has no error code of its own for a running task. Its words tell, and
	// when they change, the list of tasks does.
	if strings.Contains(err.Error(), "already a task running") || q.moveRuns(ctx) {
		err = webhook.ErrMoveRunning
	}
	return fmt.Errorf("redrive the dead-letter queue: %w", err)
}

func (q *Queue) moveRuns(ctx context.Context) bool {
	move, ok, err := q.LatestMove(ctx)
	return err == nil && ok && (move.Status == "RUNNING" || move.Status == "CANCELLING")
}

// LatestMove returns the newest move of the dead-letter queue, by whomever it
// was started, and false when SQS remembers none.
func (q *Queue) LatestMove(ctx context.Context) (replay.Move, bool, error) {
	out, err := q.client.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{
		SourceArn: aws.String(q.config.DeadLetterARN), MaxResults: aws.Int32(1),
	})
	if err != nil {
		return replay.Move{}, false, fmt.Errorf("latest redrive of the dead-letter queue: %w", err)
	}
	if len(out.Results) == 0 {
		return replay.Move{}, false, nil
	}
	task := out.Results[0] // newest first
	return replay.Move{
		Status:    aws.ToString(task.Status),
		Moved:     int(task.ApproximateNumberOfMessagesMoved),
		ToMove:    int(aws.ToInt64(task.ApproximateNumberOfMessagesToMove)),
		StartedAt: time.UnixMilli(task.StartedTimestamp).UTC(),
		Failure:   aws.ToString(task.FailureReason),
	}, true, nil
}
