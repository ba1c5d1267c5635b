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
	"webhookrelay/shared/auth"
	"webhookrelay/shared/awsenv"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/gateway"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/throttle"
)

func main() {
	awsenv.SpendMemory()
	env := config.FromEnvironment()
	log := telemetry.NewFunctionLogger(os.Stdout, slog.LevelInfo, env.Stack())
	table, retention := env.Table(), env.Retention()
	adminKey, tenantRate, types := env.AdminKey(), env.TenantRate(), env.EventTypes()
	deliveries := sqsqueue.Config{URL: env.QueueURL(), Fair: env.FairQueues()}
	aws, err := awsenv.Config()
	if err := errors.Join(env.Err(), err); err != nil {
		log.Error("start failed", "error", err.Error())
		os.Exit(1)
	}
	ids := id.NewSource()
	store := dynamo.New(dynamodb.NewFromConfig(aws), table, time.Now)
	ingester := ingest.New(ingest.Config{
		Store:     store,
		Queue:     sqsqueue.New(sqs.NewFromConfig(aws), deliveries),
		IDs:       ids,
		Retention: retention,
		Now:       time.Now,
		Sleep:     ingest.Sleep,
		Log:       log,
	})
	handler := api.Handler(api.Config{
		Auth: auth.New(auth.Config{Store: store, Admin: adminKey, Now: time.Now}), IDs: ids, Now: time.Now, Log: log,
	}, api.Accept{
		Ingester: ingester, Rate: throttle.New(tenantRate, time.Now), Types: catalogue.NewEnforcer(types, store, time.Now),
	})
	lambda.Start(gateway.Serve(handler))
}
