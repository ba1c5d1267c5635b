package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"webhookrelay/shared/awskms"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/id"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/webhook"
)

// cloud is a table and a queue of the bench's own on an emulator of AWS, and
// the two functions that carry an event, as processes. Each function, and the
// bench in the place of Lambda's event source mapping, has its own proxy.
type cloud struct {
	tally      tally
	database   *dynamodb.Client
	queue      *sqs.Client // by the mapping's proxy
	quiet      *sqs.Client // past it, for receives that may find nothing
	endpoints  *registry.Registry
	name       string
	queueURL   string
	secretsKey string
	ingest     *function
	dispatcher *function
	servers    []*http.Server
	undo       []func() error
}

var credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
})

// openCloud makes all of it; close takes it away again, even after an error.
func openCloud(ctx context.Context, endpoint, receiverURL string) (c *cloud, err error) {
	ids := id.NewSource()
	c = &cloud{name: "bench-" + ids.ULID(time.Now())}
	c.tally.take()
	c.database = dynamodb.New(dynamodb.Options{Region: region, BaseEndpoint: &endpoint, Credentials: credentials})
	if err := c.createTable(ctx); err != nil {
		return c, err
	}
	mapping, err := c.proxy(endpoint, "mapping")
	if err != nil {
		return c, err
	}
	c.queue = sqs.New(sqs.Options{Region: region, BaseEndpoint: &mapping, Credentials: credentials})
	c.quiet = sqs.New(sqs.Options{Region: region, BaseEndpoint: &endpoint, Credentials: credentials})
	if err := c.createQueue(ctx); err != nil {
		return c, err
	}
	keys := kms.New(kms.Options{Region: region, BaseEndpoint: &endpoint, Credentials: credentials})
	if err := c.createKey(ctx, keys); err != nil {
		return c, err
	}
	c.endpoints = registry.New(registry.Config{
		Store: dynamo.New(c.database, c.name, time.Now), Sealer: seal.New(awskms.New(keys, c.secretsKey), time.Now),
		IDs: ids, CheckURL: func(string) error { return nil }, // the dispatcher's environment decides
		Overlap: config.DefaultOverlap, Now: time.Now,
	})
	return c, c.subscribe(ctx, tenantID, receiverURL)
}

// subscribe makes a tenant whose events go to each of the URLs.
func (c *cloud) subscribe(ctx context.Context, tenant webhook.TenantID, urls ...string) error {
	if _, _, err := c.endpoints.PutTenant(ctx, tenant, "Bench"); err != nil {
		return err
	}
	for i, url := range urls {
		id := webhook.EndpointID(fmt.Sprintf("receiver-%d", i))
		if _, err := c.endpoints.CreateEndpoint(ctx, tenant, registry.NewEndpoint{ID: id, URL: url}); err != nil {
			return err
		}
	}
	return nil
}

// proxy starts a counting proxy for one caller.
func (c *cloud) proxy(endpoint, caller string) (string, error) {
	address, server, err := proxy(endpoint, caller, &c.tally)
	if err == nil {
		c.servers = append(c.servers, server)
	}
	return address, err
}

// startFunctions starts both functions afresh, so that their next event is the
// first of an execution environment.
func (c *cloud) startFunctions(work, architecture, endpoint string) error {
	for name, place := range map[string]**function{"ingest": &c.ingest, "dispatcher": &c.dispatcher} {
		binary, err := buildFunction(work, name, architecture)
		if err != nil {
			return err
		}
		address, err := c.proxy(endpoint, name)
		if err != nil {
			return err
		}
		if *place, _, err = launch(binary, functionEnvironment(address, c.name, c.queueURL, c.secretsKey)...); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	return nil
}

func (c *cloud) close() error {
	for _, f := range []*function{c.ingest, c.dispatcher} {
		if f != nil {
			f.stop()
		}
	}
	var failed []error
	for _, undo := range c.undo {
		failed = append(failed, undo())
	}
	for _, server := range c.servers {
		_ = server.Close()
	}
	return errors.Join(failed...)
}

func (c *cloud) createTable(ctx context.Context) error {
	_, err := c.database.CreateTable(ctx, dynamo.TableSchema.CreateTable(c.name))
	if err != nil {
		return fmt.Errorf("create a table: %w", err)
	}
	c.undo = append(c.undo, func() error {
		_, err := c.database.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &c.name})
		return err
	})
	return dynamodb.NewTableExistsWaiter(c.database).Wait(ctx, &dynamodb.DescribeTableInput{TableName: &c.name}, time.Minute)
}

func (c *cloud) createQueue(ctx context.Context) error {
	made, err := c.queue.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: &c.name, Attributes: map[string]string{"VisibilityTimeout": "360"},
	})
	if err != nil {
		return fmt.Errorf("create a queue: %w", err)
	}
	c.queueURL = *made.QueueUrl
	c.undo = append(c.undo, func() error {
		_, err := c.queue.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: made.QueueUrl})
		return err
	})
	return nil
}

func (c *cloud) createKey(ctx context.Context, client *kms.Client) error {
	made, err := client.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return fmt.Errorf("create a key: %w", err)
	}
	c.secretsKey = *made.KeyMetadata.Arn
	c.undo = append(c.undo, func() error {
		_, err := client.ScheduleKeyDeletion(context.Background(), &kms.ScheduleKeyDeletionInput{KeyId: made.KeyMetadata.KeyId})
		return err
	})
	return nil
}

// post has ingest accept an event.
func (c *cloud) post(request []byte) error {
	return c.postTo(eventsPath, request)
}

func (c *cloud) postTo(path string, request []byte) error { return c.ingest.post(path, request) }

// dispatch receives one batch of exactly size messages, has the dispatcher
// handle it, and deletes what that does not keep, as the event source mapping
// does. It returns how many were kept.
func (c *cloud) dispatch(ctx context.Context, size int) (kept int, err error) {
	var batch events.SQSEvent
	receipts := map[string]string{}
	deadline := time.Now().Add(30 * time.Second)
	for len(batch.Records) < size {
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%d messages came, %d were expected", len(batch.Records), size)
		}
		out, err := c.queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &c.queueURL, MaxNumberOfMessages: int32(size - len(batch.Records)), WaitTimeSeconds: 10,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			return 0, err
		}
		for _, m := range out.Messages {
			receipts[*m.MessageId] = *m.ReceiptHandle
			batch.Records = append(batch.Records, events.SQSMessage{
				MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
			})
		}
	}
	return c.hand(ctx, batch, receipts)
}

// hand has the dispatcher handle a batch, and deletes what that does not keep.
func (c *cloud) hand(ctx context.Context, batch events.SQSEvent, receipts map[string]string) (kept int, err error) {
	var answer events.SQSEventResponse
	if err := c.dispatcher.invoke(batch, &answer); err != nil {
		return 0, err
	}
	for _, failure := range answer.BatchItemFailures {
		delete(receipts, failure.ItemIdentifier)
	}
	return len(answer.BatchItemFailures), c.remove(ctx, receipts)
}

func (c *cloud) remove(ctx context.Context, receipts map[string]string) error {
	if len(receipts) == 0 {
		return nil
	}
	var entries []types.DeleteMessageBatchRequestEntry
	for message, receipt := range receipts {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(message), ReceiptHandle: aws.String(receipt)})
	}
	out, err := c.queue.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &c.queueURL, Entries: entries})
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%d of %d messages not deleted", len(out.Failed), len(entries))
	}
	return err
}
