package sqsqueue

import (
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"webhookrelay/shared/dispatch"
)

// FromLambda returns the messages of a Lambda SQS event, in order. An attribute
// that is missing or malformed becomes a zero value: a message is never dropped
// for it.
func FromLambda(event events.SQSEvent) []dispatch.Message {
	messages := make([]dispatch.Message, len(event.Records))
	for i, record := range event.Records {
		messages[i] = dispatch.Message{
			ID:              record.MessageId,
			Receipt:         record.ReceiptHandle,
			Body:            []byte(record.Body),
			SentAt:          fromMilliseconds(record.Attributes["SentTimestamp"]),
			FirstReceivedAt: fromMilliseconds(record.Attributes["ApproximateFirstReceiveTimestamp"]),
			Receives:        max(0, atoi(record.Attributes["ApproximateReceiveCount"])),
		}
	}
	return messages
}

// Response is the function's reply that leaves the messages with the given ids
// in the queue; Lambda deletes the rest of the batch. (Lambda Developer Guide,
// "Implementing partial batch responses".) A reply of another form would make
// Lambda delete or repeat the whole batch.
func Response(keep []string) events.SQSEventResponse {
	failures := make([]events.SQSBatchItemFailure, len(keep)) // never nil: it must be [], not null
	for i, id := range keep {
		failures[i].ItemIdentifier = id
	}
	return events.SQSEventResponse{BatchItemFailures: failures}
}

func fromMilliseconds(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
