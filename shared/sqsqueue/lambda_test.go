package sqsqueue_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/sqsqueue"
)

// The bytes matter: to Lambda, a misspelt or missing name means that the whole
// batch has succeeded and is to be deleted, or has failed.
func TestResponseBytes(t *testing.T) {
	for _, test := range []struct {
		keep []string
		want string
	}{
		{nil, `{"batchItemFailures":[]}`},
		{[]string{}, `{"batchItemFailures":[]}`},
		{[]string{"059f36b4"}, `{"batchItemFailures":[{"itemIdentifier":"059f36b4"}]}`},
		{[]string{"a", "b"}, `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}`},
	} {
		got, err := json.Marshal(sqsqueue.Response(test.keep))
		if err != nil || string(got) != test.want {
			t.Errorf("keep %q: %s, %v; want %s", test.keep, got, err, test.want)
		}
	}
}

func TestFromLambdaKeepsEveryMessage(t *testing.T) {
	const event = `{"Records":[
		{"messageId":"m1","receiptHandle":"r1","body":"{}","attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1764000000123","ApproximateFirstReceiveTimestamp":"1764000000456"}},
		{"messageId":"m2","receiptHandle":"r2","body":"not ours","attributes":{"ApproximateReceiveCount":"x","SentTimestamp":""}},
		{"messageId":"m3","receiptHandle":"r3","body":""}]}`
	var in events.SQSEvent
	if err := json.Unmarshal([]byte(event), &in); err != nil {
		t.Fatal(err)
	}
	want := []dispatch.Message{
		{ID: "m1", Receipt: "r1", Body: []byte("{}"), SentAt: time.UnixMilli(1764000000123).UTC(),
			FirstReceivedAt: time.UnixMilli(1764000000456).UTC(), Receives: 3},
		{ID: "m2", Receipt: "r2", Body: []byte("not ours")},
		{ID: "m3", Receipt: "r3", Body: []byte{}},
	}
	if diff := cmp.Diff(want, sqsqueue.FromLambda(in)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}
