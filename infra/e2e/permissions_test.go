package e2e

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"webhookrelay/infra/permissions"
)

// spare lists what the roles allow and these tests need not show.
var spare = []permissions.Spare{
	{Action: "logs:CreateLogStream", Why: "Lambda writes the log, with the function's role"},
	{Action: "logs:PutLogEvents", Why: "Lambda writes the log, with the function's role"},
	{Function: dispatcherFunction, Action: "sqs:ReceiveMessage", Why: "the event source mapping receives, with the function's role"},
	{Function: dispatcherFunction, Action: "sqs:DeleteMessage", Why: "the event source mapping deletes, with the function's role"},
	{Function: dispatcherFunction, Action: "sqs:GetQueueAttributes", Why: "the event source mapping asks, with the function's role"},
	{Function: sourceFunction, Action: "sqs:ReceiveMessage", Why: "the event source mapping receives, with the function's role"},
	{Function: sourceFunction, Action: "sqs:DeleteMessage", Why: "the event source mapping deletes, with the function's role"},
	{Function: sourceFunction, Action: "sqs:GetQueueAttributes", Why: "the event source mapping asks, with the function's role"},
	{Function: sourceFunction, Action: "dynamodb:BatchWriteItem", Why: "several events of a tenant in one batch, which takes messages that come together"},
	{Function: sourceFunction, Action: "dynamodb:UpdateItem", Why: "marks an event whose messages could not be sent, which takes a failing queue"},
	{Function: ingestFunction, Action: "dynamodb:UpdateItem", Why: "marks an event whose messages could not be sent, which takes a failing queue"},
	{Function: "SweeperFunction", Action: "dynamodb:Query", Resource: "Table", Why: "the daily walk, which a fresh stack makes before it is recorded"},
	{Function: "ApiFunction", Action: "sqs:GetQueueAttributes", Resource: "DeliveryQueue", Why: "a redrive needs it of its caller (SQS Developer Guide)"},
}

// callRecord compares the calls of a deployment's functions with their roles.
// Without a deployment on LocalStack it does nothing.
type callRecord struct {
	recorder *permissions.Recorder
	stack    string
}

// recordCalls leads all functions past a recorder, those that run already by
// ending them.
func recordCalls() (callRecord, error) {
	file, stack := os.Getenv("RELAY_E2E_ENDPOINT_FILE"), os.Getenv("RELAY_E2E_STACK")
	if file == "" {
		return callRecord{}, nil
	}
	recorder, err := permissions.Record(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		return callRecord{}, err
	}
	if err := os.WriteFile(file, []byte(recorder.URL), 0o600); err != nil {
		return callRecord{}, err
	}
	if _, err := killAll(stack + "-"); err != nil {
		return callRecord{}, err
	}
	return callRecord{recorder, stack}, nil
}

// compare returns an error that names each call which no role allows and, when
// all tests ran, each permission that nothing used.
func (c callRecord) compare() error {
	if c.recorder == nil {
		return nil
	}
	defer c.recorder.Close()
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		return err
	}
	grants, err := permissions.Grants(template)
	if err != nil {
		return err
	}
	recorded, err := c.recorder.Used()
	if err != nil {
		return err
	}
	used := make(map[string][]permissions.Use)
	names := permissions.Names{
		os.Getenv("RELAY_E2E_TABLE"):     "Table",
		os.Getenv("RELAY_E2E_QUEUE_URL"): "DeliveryQueue",
		os.Getenv("RELAY_E2E_DLQ_URL"):   "DeadLetterQueue",
		os.Getenv("RELAY_E2E_DLQ_ARN"):   "DeadLetterQueue",
	}
	for function, uses := range recorded {
		name, _, _ := strings.Cut(strings.TrimPrefix(function, c.stack+"-"), "-")
		used[name] = append(used[name], uses...)
		for _, use := range uses {
			if strings.HasPrefix(use.Action, "kms:") && use.Resource != "" {
				names[use.Resource] = "SecretsKey" // the stack has one
			}
		}
	}
	allowances := spare
	if flag.Lookup("test.run").Value.String() != "" {
		for _, all := range grants {
			for _, g := range all {
				allowances = append(allowances, permissions.Spare{Action: g.Action, Why: "not all tests ran"})
			}
		}
	}
	if found := permissions.Compare(grants, used, names, allowances); len(found) > 0 {
		return fmt.Errorf("permissions:\n  %s", strings.Join(found, "\n  "))
	}
	calls := 0
	for _, uses := range used {
		calls += len(uses)
	}
	fmt.Printf("permissions: %d kinds of calls by %d functions, all allowed\n", calls, len(used))
	return nil
}
