// Command source is the Lambda function that publishes events which AWS itself
// brings: messages of a queue, and EventBridge's.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"webhookrelay/shared/awsenv"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/intake"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/telemetry"
)

func main() {
	awsenv.SpendMemory()
	env := config.FromEnvironment()
	log := telemetry.NewFunctionLogger(os.Stdout, slog.LevelInfo, env.Stack())
	table, retention, tenant, types := env.Table(), env.Retention(), env.SourceTenant(), env.EventTypes()
	deliveries := sqsqueue.Config{URL: env.QueueURL(), Fair: env.FairQueues()}
	aws, err := awsenv.Config()
	if err := errors.Join(env.Err(), err); err != nil {
		log.Error("start failed", "error", err.Error())
		os.Exit(1)
	}
	store := dynamo.New(dynamodb.NewFromConfig(aws), table, time.Now)
	in := intake.Intake{Tenant: tenant, Log: log, Types: catalogue.NewEnforcer(types, store, time.Now), Ingester: ingest.New(ingest.Config{
		Store:     store,
		Queue:     sqsqueue.New(sqs.NewFromConfig(aws), deliveries),
		IDs:       id.NewSource(),
		Retention: retention,
		Now:       time.Now,
		Sleep:     ingest.Sleep,
		Log:       log,
	})}
	lambda.Start(func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		messages := make([]intake.Message, len(batch.Records))
		for i, record := range batch.Records {
			messages[i] = intake.Message{ID: record.MessageId, Body: []byte(record.Body)}
		}
		return sqsqueue.Response(in.Handle(ctx, messages)), nil
	})
}
