// Command api is the Lambda function that serves the management API.
package main

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"webhookrelay/shared/api"
	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/awsenv"
	"webhookrelay/shared/awskms"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/gateway"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/portal"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/throttle"
)

func main() {
	awsenv.SpendMemory()
	env := config.FromEnvironment()
	log := telemetry.NewFunctionLogger(os.Stdout, slog.LevelInfo, env.Stack())
	table, queueURL, fair := env.Table(), env.QueueURL(), env.FairQueues()
	adminKey, keyRate, retention := env.AdminKey(), env.KeyRate(), env.Retention()
	deadLetterURL, deadLetterARN := env.DeadLetters()
	outbound, overlap, secretsKey := env.Outbound(), env.Overlap(), env.SecretsKey()
	embedders, operator := env.Embedders(), env.OperatorTenant()
	aws, err := awsenv.Config()
	if err := errors.Join(env.Err(), err); err != nil {
		log.Error("start failed", "error", err.Error())
		os.Exit(1)
	}
	ids := id.NewSource()
	store := dynamo.New(dynamodb.NewFromConfig(aws), table, time.Now)
	queue := sqsqueue.New(sqs.NewFromConfig(aws), sqsqueue.Config{
		URL: queueURL, DeadLetterURL: deadLetterURL, DeadLetterARN: deadLetterARN, Fair: fair,
	})
	ingester := ingest.New(ingest.Config{
		Store: store, Queue: queue, IDs: ids, Retention: retention, Now: time.Now, Sleep: ingest.Sleep, Log: log,
	})
	past := history.History{Store: store}
	trail := audit.Trail{Store: store, IDs: ids, Now: time.Now}
	callers := auth.New(auth.Config{Store: store, Admin: adminKey, Now: time.Now})
	sealer := seal.New(awskms.New(kms.NewFromConfig(aws), secretsKey), time.Now)
	handler := api.Handler(api.Config{
		Auth: callers, IDs: ids, Now: time.Now, Log: log, KeyRate: throttle.New(keyRate, time.Now),
	}, api.Manage{
		Registry: registry.New(registry.Config{
			Store: store, Sealer: sealer, IDs: ids,
			CheckURL: outbound.CheckURL, Overlap: overlap, Now: time.Now,
		}),
		Ingester:   ingester,
		History:    past,
		Replayer:   replay.Replayer{Deliveries: past, Rows: store, Queue: queue, DeadLetters: queue, Trail: trail, Now: time.Now},
		Withdrawer: replay.Withdrawer{Events: past, Store: store, Trail: trail, Now: time.Now},
		Jobs:       replay.Jobs{Store: store, Past: store, Endpoints: store, IDs: ids, Matcher: filter.NewMatcher(), Now: time.Now},
		Keyring: keyring.New(keyring.Config{
			Store: store, Tenants: store, Auth: callers, Sealer: sealer, Admin: adminKey, Trail: trail,
		}),
		Trail: trail,
		Types: catalogue.Catalogue{Store: store, IDs: ids, Now: time.Now},
	})
	pages := portal.New(portal.Config{
		API: handler, Now: time.Now, Log: log, Embedders: embedders, OperatorTenant: string(operator),
	})
	lambda.Start(gateway.Serve(pages.Beside(handler)))
}
