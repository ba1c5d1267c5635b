package sqsqueue_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"webhookrelay/shared/sqsqueue"
)

func FuzzLambdaEvent(f *testing.F) {
	for _, seed := range []string{
		`{"Records":[{"messageId":"m1","receiptHandle":"r1","body":"{}","attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1764000000123","ApproximateFirstReceiveTimestamp":"1764000000456"}}]}`,
		`{"Records":[{"messageId":"m","attributes":{"ApproximateReceiveCount":"-3","SentTimestamp":"99999999999999999999"}},{}]}`,
		`{"Records":null}`, `{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		var in events.SQSEvent
		if json.Unmarshal(event, &in) != nil {
			return // Lambda's own runtime answers
		}
		messages := sqsqueue.FromLambda(in)
		if len(messages) != len(in.Records) {
			t.Fatalf("%d messages of %d records", len(messages), len(in.Records))
		}
		var ids []string
		for i, m := range messages {
			if m.ID != in.Records[i].MessageId || string(m.Body) != in.Records[i].Body || m.Receives < 0 {
				t.Fatalf("%+v of %+v", m, in.Records[i])
			}
			ids = append(ids, m.ID)
		}
		reply, err := json.Marshal(sqsqueue.Response(ids))
		var read events.SQSEventResponse
		if err != nil || json.Unmarshal(reply, &read) != nil || len(read.BatchItemFailures) != len(ids) {
			t.Fatalf("reply %s, %v", reply, err)
		}
		if !slices.EqualFunc(read.BatchItemFailures, ids, func(f events.SQSBatchItemFailure, id string) bool { return f.ItemIdentifier == id }) {
			t.Fatalf("reply %s to %q", reply, ids)
		}
	})
}
