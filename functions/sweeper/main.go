// Command sweeper is the Lambda function that a schedule runs every minute.
package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"webhookrelay/shared/awsenv"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/telemetry"
)

// reserve is kept of each invocation to note how far the walk got.
const reserve = 10 * time.Second

// jobTime is how much of each invocation goes to jobs at most.
const jobTime = 20 * time.Second

// interval is that of the schedule in template.yaml.
const interval = time.Minute

func main() {
	awsenv.SpendMemory()
	env := config.FromEnvironment()
	log := telemetry.NewFunctionLogger(os.Stdout, slog.LevelInfo, env.Stack())
	table := env.Table()
	deliveries := sqsqueue.Config{URL: env.QueueURL(), Fair: env.FairQueues()}
	breaker, lifetime := env.Breaker(), env.Lifetime(env.Schedule())
	aws, err := awsenv.Config()
	if err := errors.Join(env.Err(), err); err != nil {
		log.Error("start failed", "error", err.Error())
		os.Exit(1)
	}
	breaker.Rand = rand.Float64
	store := dynamo.New(dynamodb.NewFromConfig(aws), table, time.Now)
	worker := replay.Worker{Store: store, Interval: interval, Matcher: filter.NewMatcher(), Now: time.Now, Log: log}
	sweeper := sweep.Sweeper{
		Store:   store,
		Queue:   sqsqueue.New(sqs.NewFromConfig(aws), deliveries),
		Breaker: breaker, Lifetime: lifetime, Interval: interval, Rate: sweep.DefaultRate,
		Now: time.Now,
		Log: log,
	}
	lambda.Start(func(ctx context.Context) error {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
			defer cancel()
		}
		_, err := sweeper.Release(ctx)
		return errors.Join(err, advance(ctx, worker), sweeper.Run(ctx))
	})
}

// advance goes on with the jobs for so long that time is left for the walk.
func advance(ctx context.Context, worker replay.Worker) error {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	return worker.Advance(ctx)
}
