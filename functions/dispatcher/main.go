// Command dispatcher is the Lambda function that consumes the delivery queue.
package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"webhookrelay/shared/announce"
	"webhookrelay/shared/awsenv"
	"webhookrelay/shared/awskms"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sender"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/telemetry"
)

func main() {
	awsenv.SpendMemory()
	env := config.FromEnvironment()
	log, metrics := telemetry.NewGatheringLogger(os.Stdout, slog.LevelInfo, env.Stack())
	table, schedule, outbound := env.Table(), env.Schedule(), env.Outbound()
	deliveries := sqsqueue.Config{URL: env.QueueURL(), Fair: env.FairQueues()}
	breaker, lifetime := env.Breaker(), env.Lifetime(schedule)
	breaker.Rand, breaker.DisableAfter = rand.Float64, env.DisableAfter()
	operator, retention, secretsKey := env.OperatorTenant(), env.Retention(), env.SecretsKey()
	env.CheckQueue(schedule)
	aws, err := awsenv.Config()
	if err := errors.Join(env.Err(), err); err != nil {
		log.Error("start failed", "error", err.Error())
		os.Exit(1)
	}
	store := dynamo.New(dynamodb.NewFromConfig(aws), table, time.Now)
	queue := sqsqueue.New(sqs.NewFromConfig(aws), deliveries)
	sealer := seal.New(awskms.New(kms.NewFromConfig(aws), secretsKey), time.Now)
	announcer := announce.Announcer{Tenant: operator, Ingester: ingest.New(ingest.Config{
		Store: store, Queue: queue, IDs: id.NewSource(), Retention: retention, Now: time.Now, Sleep: ingest.Sleep, Log: log,
	})}
	dispatcher := dispatch.New(dispatch.Config{
		Store: store, Queue: queue, Announcer: announcer,
		Sender:  sender.New(sender.Config{Policy: outbound, Sealer: sealer, Now: time.Now}),
		Policy:  retry.Policy{Schedule: schedule, Rand: rand.Float64},
		Breaker: breaker, Lifetime: lifetime,
		Now: time.Now,
		Log: log,
	})
	lambda.Start(func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		defer metrics.Write()
		return sqsqueue.Response(dispatcher.Handle(ctx, sqsqueue.FromLambda(batch))), nil
	})
}
