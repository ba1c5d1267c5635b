package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"webhookrelay/infra/measure"
	"webhookrelay/shared/awskms"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/id"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/seal"
)

// rig is what the functions run on where the emulator would be in the way: a stub
// of AWS, and a tenant with one endpoint.
type rig struct {
	work string
	stub *stub
	sink *sink
	// built are the binaries by their names.
	built map[string]string
	// serial counts the events made so far.
	serial atomic.Int64
}

const rigKey = "arn:aws:kms:" + region + ":000000000000:key/bench"

func newRig(work string) (*rig, error) {
	r := &rig{work: work, built: map[string]string{}}
	var err error
	if r.stub, err = newStub(); err != nil {
		return nil, err
	}
	if r.sink, err = newSink(); err != nil {
		r.stub.close()
		return nil, err
	}
	if err := r.subscribe(context.Background()); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) close() {
	r.stub.close()
	r.sink.close()
}

func (r *rig) subscribe(ctx context.Context) error {
	database := dynamodb.New(dynamodb.Options{Region: region, BaseEndpoint: &r.stub.url, Credentials: credentials})
	keys := kms.New(kms.Options{Region: region, BaseEndpoint: &r.stub.url, Credentials: credentials})
	endpoints := registry.New(registry.Config{
		Store: dynamo.New(database, tenantID, time.Now), Sealer: seal.New(awskms.New(keys, rigKey), time.Now),
		IDs: id.NewSource(), CheckURL: func(string) error { return nil },
		Overlap: config.DefaultOverlap, Now: time.Now,
	})
	if _, _, err := endpoints.PutTenant(ctx, tenantID, "Bench"); err != nil {
		return err
	}
	_, err := endpoints.CreateEndpoint(ctx, tenantID, registry.NewEndpoint{ID: "receiver", URL: r.sink.url + "/hook"})
	return err
}

// start starts a function, held to a share of a processor if limit is not nil.
func (r *rig) start(name string, limit *quota, environment ...string) (*function, time.Duration, error) {
	if r.built[name] == "" {
		binary, err := buildFunction(r.work, name, runtime.GOARCH)
		if err != nil {
			return nil, 0, err
		}
		r.built[name] = binary
	}
	environment = append(functionEnvironment(r.stub.url, tenantID, r.stub.url+"/queue", rigKey), environment...)
	f, took, err := launchWithin(limit, r.built[name], environment...)
	if err != nil {
		return nil, 0, fmt.Errorf("start %s: %w", name, err)
	}
	return f, took, nil
}

// post has ingest take n events in one request, each as request makes it.
func (r *rig) post(ingest *function, n int, request func(int) []byte) error {
	if n == 1 {
		return ingest.post(eventsPath, request(int(r.serial.Add(1))))
	}
	var all []string
	for range n {
		all = append(all, string(request(int(r.serial.Add(1)))))
	}
	return ingest.post(eventsPath+"/batch", []byte(`{"events":[`+strings.Join(all, ",")+`]}`))
}

const eventsPath = "/v1/tenants/" + tenantID + "/events"

// post makes a request to the API.
func (f *function) post(path string, body []byte) error {
	var answer events.APIGatewayProxyResponse
	err := f.invoke(events.APIGatewayProxyRequest{
		HTTPMethod: http.MethodPost, Path: path,
		Headers: map[string]string{"Authorization": "Bearer " + measure.AdminKey, "Content-Type": "application/json"},
		Body:    string(body),
	}, &answer)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("ingest answered %d: %s", answer.StatusCode, answer.Body)
	}
	return err
}

// deliver has the dispatcher handle the n oldest messages, none of which it may keep.
func (r *rig) deliver(dispatcher *function, n int) error {
	messages, err := r.stub.take(n)
	if err != nil {
		return err
	}
	return dispatcher.handle(messages)
}

// handle hands the function a batch of messages, as the event source mapping does.
func (f *function) handle(messages []string) error {
	var batch events.SQSEvent
	sent := strconv.FormatInt(time.Now().UnixMilli(), 10)
	for i, body := range messages {
		batch.Records = append(batch.Records, events.SQSMessage{
			MessageId: strconv.Itoa(i), ReceiptHandle: "receipt", Body: body, EventSource: "aws:sqs",
			Attributes: map[string]string{
				"ApproximateReceiveCount": "1", "SentTimestamp": sent, "ApproximateFirstReceiveTimestamp": sent,
			},
		})
	}
	var answer events.SQSEventResponse
	err := f.invoke(batch, &answer)
	if err == nil && len(answer.BatchItemFailures) > 0 {
		err = fmt.Errorf("%d of %d messages kept: %s", len(answer.BatchItemFailures), len(messages), f.output.String())
	}
	return err
}
