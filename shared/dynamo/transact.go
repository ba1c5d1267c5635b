package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// none is transact's answer when no condition failed.
const none = -1

// transact makes all writes or none, at twice the write units. It returns the
// index of the first write whose condition failed, or none. When another
// transaction is at work on the same rows, it tries again: a receiver that
// answers 410 to many deliveries at once makes many try to disable it at once.
func (s *Store) transact(ctx context.Context, writes ...types.TransactWriteItem) (refused int, err error) {
	for try := range maxTries {
		_, err = s.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
		var cancelled *types.TransactionCanceledException
		if err == nil {
			return none, nil
		}
		if !errors.As(err, &cancelled) {
			return none, err
		}
		if i := slices.IndexFunc(cancelled.CancellationReasons, isRefusal); i >= 0 {
			return i, nil
		}
		if !slices.ContainsFunc(cancelled.CancellationReasons, isPassing) {
			return none, err
		}
		if err := pause(ctx, try); err != nil {
			return none, err
		}
	}
	return none, fmt.Errorf("%d tries: %w", maxTries, err)
}

func isRefusal(r types.CancellationReason) bool {
	return aws.ToString(r.Code) == "ConditionalCheckFailed"
}

// isPassing picks the codes after which the same transaction may succeed
// (DynamoDB API Reference, "TransactWriteItems").
func isPassing(r types.CancellationReason) bool {
	switch aws.ToString(r.Code) {
	case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
		return true
	}
	return false
}

func (s *Store) putIf(row item, condition string, values item) types.TransactWriteItem {
	put := &types.Put{TableName: s.table, Item: row, ConditionExpression: aws.String(condition)}
	if len(values) > 0 {
		put.ExpressionAttributeValues = values
	}
	return types.TransactWriteItem{Put: put}
}

func (s *Store) updateIf(k key, update, condition string, values item) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: s.table, Key: keyItem(k),
		UpdateExpression: aws.String(update), ConditionExpression: aws.String(condition),
		ExpressionAttributeValues: values,
	}}
}

func (s *Store) deleteIf(k key, condition string) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{
		TableName: s.table, Key: keyItem(k), ConditionExpression: aws.String(condition),
	}}
}
