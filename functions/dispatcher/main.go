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
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"webhookrelay/shared/awsenv"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/sender"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/telemetry"
)

func main() {
	log := telemetry.NewLogger(os.Stdout, slog.LevelInfo)
	env := config.FromEnvironment()
	table, queueURL, schedule, outbound := env.Table(), env.QueueURL(), env.Schedule(), env.Outbound()
	breaker, lifetime := env.Breaker(), env.Lifetime(schedule)
	aws, err := awsenv.Config()
	if err := errors.Join(env.Err(), err); err != nil {
		log.Error("start failed", "error", err.Error())
		os.Exit(1)
	}
	breaker.Rand = rand.Float64
	dispatcher := dispatch.New(dispatch.Config{
		Store:   dynamo.New(dynamodb.NewFromConfig(aws), table, time.Now),
		Queue:   sqsqueue.New(sqs.NewFromConfig(aws), sqsqueue.Config{URL: queueURL}),
		Sender:  sender.New(outbound, sender.DefaultTimeout, time.Now),
		Policy:  retry.Policy{Schedule: schedule, Rand: rand.Float64},
		Breaker: breaker, Lifetime: lifetime,
		Now: time.Now,
		Log: log,
	})
	lambda.Start(func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		return sqsqueue.Response(dispatcher.Handle(ctx, sqsqueue.FromLambda(batch))), nil
	})
}
