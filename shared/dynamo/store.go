// Package dynamo keeps tenants, endpoints, claims, events, deliveries, API keys
// and the audit trail in one DynamoDB table. It is the only package that imports the DynamoDB SDK.
// keys.go holds the table's layout.
//
// An event costs two writes on the way through: one row when it is accepted,
// one per delivery when its first attempt has ended.
package dynamo

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"webhookrelay/shared/id"
)

// Store is the relay's memory on DynamoDB. Its methods keep the promises of
// the Store interfaces of ingest, dispatch, registry, history, auth, keyring and
// audit. Errors other
// than webhook's sentinels are DynamoDB's, after the client's own retries.
// Times are kept to the millisecond. Safe for concurrent use.
type Store struct {
	client *dynamodb.Client
	table  *string
	now    func() time.Time
	ids    *id.Source
}

// New returns a Store on a table made to TableSchema. now says which rows have
// expired and where lists begin.
func New(client *dynamodb.Client, table string, now func() time.Time) *Store {
	return &Store{client: client, table: aws.String(table), now: now, ids: id.NewSource()}
}

// get returns the row at k, or nil when there is none, seeing every finished
// write. attributes, unless empty, is a projection expression.
func (s *Store) get(ctx context.Context, k key, attributes string) (item, error) {
	in := &dynamodb.GetItemInput{TableName: s.table, Key: keyItem(k), ConsistentRead: aws.Bool(true)}
	if attributes != "" {
		in.ProjectionExpression = aws.String(attributes)
	}
	out, err := s.client.GetItem(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// put stores row if the condition holds; values are the condition's.
func (s *Store) put(ctx context.Context, row item, condition string, values item) error {
	in := &dynamodb.PutItemInput{TableName: s.table, Item: row}
	if condition != "" {
		in.ConditionExpression = aws.String(condition)
	}
	if len(values) > 0 {
		in.ExpressionAttributeValues = values
	}
	_, err := s.client.PutItem(ctx, in)
	return err
}

const (
	rowExists = "attribute_exists(" + attrPK + ")"
	rowAbsent = "attribute_not_exists(" + attrPK + ")"
)

// isConditional reports whether err says that a write's condition did not hold.
func isConditional(err error) bool {
	var failed *types.ConditionalCheckFailedException
	return errors.As(err, &failed)
}

// Bounds of the waits between tries that the SDK does not make itself.
const (
	firstPause = 20 * time.Millisecond
	longPause  = time.Second
	// maxTries ends a loop that makes no progress when ctx has no deadline.
	maxTries = 10
)

// pause waits after the try-th try (from 0) for a random part of a doubling
// time, or until ctx ends.
func pause(ctx context.Context, try int) error {
	longest := min(firstPause<<try, longPause)
	timer := time.NewTimer(longest/2 + rand.N(longest/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
