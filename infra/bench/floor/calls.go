package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// recorded is a call as it went over the wire.
type recorded struct {
	Target string          `json:"target"`
	Body   json.RawMessage `json:"body"`
}

// call makes one request to AWS.
type call struct {
	operation string
	make      func(context.Context) error
}

type services struct {
	database *dynamodb.Client
	queue    *sqs.Client
}

func newServices(c aws.Config) services {
	return services{dynamodb.NewFromConfig(c), sqs.NewFromConfig(c)}
}

// steps reads the calls, those of one operation in a row as one step.
func (s services) steps(all []recorded) (steps [][]call, err error) {
	for _, r := range all {
		_, operation, _ := strings.Cut(r.Target, ".")
		made := call{operation: operation}
		if made.make, err = s.call(operation, r.Body); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Target, err)
		}
		if n := len(steps); n > 0 && steps[n-1][0].operation == operation {
			steps[n-1] = append(steps[n-1], made)
			continue
		}
		steps = append(steps, []call{made})
	}
	return steps, nil
}

func (s services) call(operation string, body []byte) (func(context.Context) error, error) {
	switch operation {
	case "GetItem", "PutItem", "BatchGetItem", "BatchWriteItem":
		return s.databaseCall(operation, body)
	case "SendMessage":
		var in sqs.SendMessageInput
		return func(ctx context.Context) error {
			_, err := s.queue.SendMessage(ctx, &in)
			return err
		}, json.Unmarshal(body, &in)
	case "SendMessageBatch":
		var in sqs.SendMessageBatchInput
		return func(ctx context.Context) error {
			_, err := s.queue.SendMessageBatch(ctx, &in)
			return err
		}, json.Unmarshal(body, &in)
	}
	return nil, fmt.Errorf("is not among what the floor makes")
}

func (s services) databaseCall(operation string, body []byte) (func(context.Context) error, error) {
	var in struct {
		TableName                 *string
		Item, Key                 row
		ConsistentRead            *bool
		ProjectionExpression      *string
		ConditionExpression       *string
		ExpressionAttributeNames  map[string]string
		ExpressionAttributeValues row
		RequestItems              map[string]json.RawMessage
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	switch operation {
	case "GetItem":
		get := &dynamodb.GetItemInput{
			TableName: in.TableName, Key: in.Key.values(), ConsistentRead: in.ConsistentRead,
			ProjectionExpression: in.ProjectionExpression, ExpressionAttributeNames: in.ExpressionAttributeNames,
		}
		return func(ctx context.Context) error { _, err := s.database.GetItem(ctx, get); return err }, nil
	case "PutItem":
		put := &dynamodb.PutItemInput{
			TableName: in.TableName, Item: in.Item.values(), ConditionExpression: in.ConditionExpression,
			ExpressionAttributeNames: in.ExpressionAttributeNames, ExpressionAttributeValues: in.ExpressionAttributeValues.values(),
		}
		return func(ctx context.Context) error { _, err := s.database.PutItem(ctx, put); return err }, nil
	case "BatchGetItem":
		get, err := batchGet(in.RequestItems)
		return func(ctx context.Context) error { _, err := s.database.BatchGetItem(ctx, get); return err }, err
	default:
		write, err := batchWrite(in.RequestItems)
		return func(ctx context.Context) error { _, err := s.database.BatchWriteItem(ctx, write); return err }, err
	}
}

func batchGet(tables map[string]json.RawMessage) (*dynamodb.BatchGetItemInput, error) {
	in := &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{}}
	for table, raw := range tables {
		var wanted struct {
			Keys           []row
			ConsistentRead *bool
		}
		if err := json.Unmarshal(raw, &wanted); err != nil {
			return nil, err
		}
		keys := types.KeysAndAttributes{ConsistentRead: wanted.ConsistentRead}
		for _, key := range wanted.Keys {
			keys.Keys = append(keys.Keys, key.values())
		}
		in.RequestItems[table] = keys
	}
	return in, nil
}

func batchWrite(tables map[string]json.RawMessage) (*dynamodb.BatchWriteItemInput, error) {
	in := &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{}}
	for table, raw := range tables {
		var writes []struct{ PutRequest struct{ Item row } }
		if err := json.Unmarshal(raw, &writes); err != nil {
			return nil, err
		}
		for _, write := range writes {
			in.RequestItems[table] = append(in.RequestItems[table], types.WriteRequest{
				PutRequest: &types.PutRequest{Item: write.PutRequest.Item.values()},
			})
		}
	}
	return in, nil
}

// row is an item of DynamoDB in its JSON form.
type row map[string]attribute

func (r row) values() map[string]types.AttributeValue {
	if r == nil {
		return nil
	}
	values := make(map[string]types.AttributeValue, len(r))
	for name, a := range r {
		values[name] = a.value
	}
	return values
}

type attribute struct{ value types.AttributeValue }

// UnmarshalJSON reads one attribute, such as {"S":"text"}.
func (a *attribute) UnmarshalJSON(raw []byte) error {
	var in struct {
		S, N *string
		B    []byte
		BOOL *bool
		M    row
		L    []attribute
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	switch {
	case in.S != nil:
		a.value = &types.AttributeValueMemberS{Value: *in.S}
	case in.N != nil:
		a.value = &types.AttributeValueMemberN{Value: *in.N}
	case in.B != nil:
		a.value = &types.AttributeValueMemberB{Value: in.B}
	case in.BOOL != nil:
		a.value = &types.AttributeValueMemberBOOL{Value: *in.BOOL}
	case in.M != nil:
		a.value = &types.AttributeValueMemberM{Value: in.M.values()}
	case in.L != nil:
		list := &types.AttributeValueMemberL{}
		for _, element := range in.L {
			list.Value = append(list.Value, element.value)
		}
		a.value = list
	default:
		return fmt.Errorf("no attribute of DynamoDB: %.100s", raw)
	}
	return nil
}
