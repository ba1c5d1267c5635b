package e2e

import (
	"context"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// A message that no relay wrote cannot come in over HTTP. On the queue itself
// anyone with the right to send can put one.
func TestAMessageThatCannotBeReadEndsInTheDeadLetterQueue(t *testing.T) {
	t.Parallel()
	queue, deadLetterQueue := os.Getenv("RELAY_E2E_QUEUE_URL"), os.Getenv("RELAY_E2E_DLQ_URL")
	if queue == "" || deadLetterQueue == "" || os.Getenv("AWS_ENDPOINT_URL") == "" {
		t.Skip("RELAY_E2E_QUEUE_URL, RELAY_E2E_DLQ_URL and AWS_ENDPOINT_URL do not name a deployment's queues")
	}
	client := sqsClient()
	for rule, body := range map[string]string{
		"NotJSON":        "not json " + randomName("poison"),
		"NoVersion":      `{"x":"` + randomName("poison") + `"}`,
		"NoDelivery":     `{"v":1,"tenant":"` + randomName("poison") + `","event":"","endpoint":""}`,
		"AWholeDelivery": `{"v":"1","tenant":"` + randomName("poison") + `"}`,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
				t.Fatal(err)
			}
			eventually(t, patience, func() (bool, string) {
				return takeMessage(t.Context(), t, client, deadLetterQueue, body), "not in the dead-letter queue"
			})
		})
	}
}

// takeMessage removes the message with the body from a queue, and says whether
// it was there: left in place it would be redriven for ever.
func takeMessage(ctx context.Context, t testing.TB, client *sqs.Client, queue, body string) bool {
	t.Helper()
	// Hidden for a second only, as little as the SDK can ask for: a redrive
	// passes hidden messages over, and other tests wait for theirs.
	batch, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &queue, MaxNumberOfMessages: 10, VisibilityTimeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range batch.Messages {
		if aws.ToString(m.Body) != body {
			continue
		}
		if _, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
		return true
	}
	return false
}

func sqsClient() *sqs.Client {
	return sqs.New(sqs.Options{
		Region:       os.Getenv("AWS_REGION"),
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{
				AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
				SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
				SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
			}, nil
		}),
	})
}
