package sqsqueue_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/id"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/storetest"
)

// emulatorDiffers names the rules that LocalStack 4.14 breaks by itself,
// against what the SQS Developer Guide says.
var emulatorDiffers = map[string]string{
	"AMovedMessageIsSentAnew": "LocalStack keeps a moved message's id, time and receive count",
}

func TestConformance(t *testing.T) {
	endpoint := os.Getenv("RELAY_TEST_AWS_ENDPOINT")
	if endpoint == "" {
		if os.Getenv("RELAY_TEST_REQUIRED") == "1" {
			t.Fatal("RELAY_TEST_AWS_ENDPOINT is not set, and RELAY_TEST_REQUIRED=1 demands it")
		}
		t.Skip("RELAY_TEST_AWS_ENDPOINT is not set")
	}
	client := newClient(endpoint)
	storetest.Queue(t, func(t *testing.T) storetest.QueueUnderTest {
		if why := emulatorDiffers[path.Base(t.Name())]; why != "" {
			t.Skip(why)
		}
		return openQueue(t, client)
	})
}

func newClient(endpoint string, options ...func(*sqs.Options)) *sqs.Client {
	return sqs.New(sqs.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}, options...)
}

// consumed is a Queue with the consumer's side, which Lambda is otherwise.
type consumed struct {
	*sqsqueue.Queue
	client *sqs.Client
	url    *string
}

func openQueue(t *testing.T, client *sqs.Client) consumed {
	t.Helper()
	name := "test-" + id.NewSource().ULID(time.Now())
	deadURL, deadARN := createQueue(t, client, name+"-dead", nil)
	url, _ := createQueue(t, client, name, map[string]string{
		"VisibilityTimeout": strconv.Itoa(int(storetest.Visibility.Seconds())),
		"RedrivePolicy":     fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, deadARN, storetest.MaxReceives),
	})
	queue := sqsqueue.New(client, sqsqueue.Config{URL: url, DeadLetterURL: deadURL, DeadLetterARN: deadARN, Fair: true})
	return consumed{queue, client, aws.String(url)}
}

func createQueue(t *testing.T, client *sqs.Client, name string, attributes map[string]string) (url, arn string) {
	t.Helper()
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's context has ended by now.
		if _, err := client.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: made.QueueUrl}); err != nil {
			t.Errorf("delete queue %s: %v", name, err)
		}
	})
	got, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *made.QueueUrl, got.Attributes["QueueArn"]
}

// Receive hands messages over in the form Lambda gives them.
func (q consumed) Receive(ctx context.Context, limit int) ([]dispatch.Message, error) {
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: q.url, MaxNumberOfMessages: int32(limit),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, err
	}
	var event events.SQSEvent
	for _, m := range out.Messages {
		if strings.Trim(*m.Body, asciiText) != "" {
			return nil, fmt.Errorf("body %q is not ASCII", *m.Body)
		}
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
		})
	}
	return sqsqueue.FromLambda(event), nil
}

const asciiText = ` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`abcdefghijklmnopqrstuvwxyz{|}~"

func (q consumed) Delete(ctx context.Context, messages []dispatch.Message) error {
	for _, m := range messages {
		if _, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: aws.String(m.Receipt)}); err != nil {
			return err
		}
	}
	return nil
}

func (q consumed) Advance(d time.Duration) { time.Sleep(d) }
