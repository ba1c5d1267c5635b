// Command ingest is the Lambda function that accepts events over HTTP.
package main

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"webhookrelay/shared/api"
	"webhookrelay/shared/awsenv"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/gateway"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/telemetry"
)

func main() {
	log := telemetry.NewLogger(os.Stdout, slog.LevelInfo)
	env := config.FromEnvironment()
	table, keys, retention := env.Table(), env.Keys(), env.Retention()
	deliveries := sqsqueue.Config{URL: env.QueueURL(), Fair: env.FairQueues()}
	aws, err := awsenv.Config()
	if err := errors.Join(env.Err(), err); err != nil {
		log.Error("start failed", "error", err.Error())
		os.Exit(1)
	}
	ids := id.NewSource()
	ingester := ingest.New(ingest.Config{
		Store:     dynamo.New(dynamodb.NewFromConfig(aws), table, time.Now),
		Queue:     sqsqueue.New(sqs.NewFromConfig(aws), deliveries),
		IDs:       ids,
		Retention: retention,
		Now:       time.Now,
		Sleep:     ingest.Sleep,
		Log:       log,
	})
	handler := api.Handler(api.Config{Keys: keys, IDs: ids, Now: time.Now, Log: log}, api.Accept{Ingester: ingester})
	lambda.Start(gateway.Serve(handler))
}
