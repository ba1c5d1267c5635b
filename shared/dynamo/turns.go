package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"webhookrelay/shared/webhook"
)

// turnNext is the first turn of a rate that nobody has taken.
const turnNext = "n"

// turnsKept is how long the row of a rate outlasts its last turn.
const turnsKept = 24 * time.Hour

// TakeTurn takes the endpoint's next turn at rate. It costs 1 write unit while
// turns are waited for, and 2 for the first of a window that nobody took a turn
// of. The row is the endpoint's and the rate's own, so another rate begins anew.
func (s *Store) TakeTurn(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, rate webhook.Rate, now time.Time) (at time.Time, given bool, err error) {
	first, beyond := rate.First(now), rate.Beyond(now)
	k := turnsKey(tenant, id, rate)
	for range maxTries {
		turn, stored, err := s.takeNext(ctx, k, first, beyond, now)
		if err != nil {
			return time.Time{}, false, fmt.Errorf("turn of endpoint %s: %w", id, err)
		}
		switch {
		case turn >= first:
			return rate.At(turn), true, nil
		case stored >= beyond:
			return rate.At(beyond), false, nil
		}
		begun, err := s.beginTurns(ctx, k, first, now)
		if err != nil {
			return time.Time{}, false, fmt.Errorf("turn of endpoint %s: %w", id, err)
		}
		if begun {
			return rate.At(first), true, nil
		}
	}
	return time.Time{}, false, fmt.Errorf("turn of endpoint %s: %w", id, webhook.ErrConflict)
}

// takeNext takes the turn that the row has for the next, if that lies from first
// to before beyond. Otherwise turn is below first, and stored is what the row has.
func (s *Store) takeNext(ctx context.Context, k key, first, beyond int64, now time.Time) (turn, stored int64, err error) {
	out, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           s.table,
		Key:                 keyItem(k),
		UpdateExpression:    aws.String("SET " + turnNext + " = " + turnNext + " + :one, #ttl = :ttl"),
		ConditionExpression: aws.String(turnNext + " >= :first AND " + turnNext + " < :beyond"),
		ExpressionAttributeValues: item{
			":one": numValue(1), ":first": numValue(first), ":beyond": numValue(beyond), ":ttl": turnsTTL(now),
		},
		ExpressionAttributeNames:            map[string]string{"#ttl": attrTTL},
		ReturnValues:                        types.ReturnValueUpdatedNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err == nil {
		return item(out.Attributes).num(turnNext) - 1, 0, nil
	}
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return first - 1, item(failed.Item).num(turnNext), nil
	}
	return 0, 0, err
}

// beginTurns takes the turn first, unless another caller has taken it, or a later
// one, already.
func (s *Store) beginTurns(ctx context.Context, k key, first int64, now time.Time) (begun bool, err error) {
	_, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 s.table,
		Key:                       keyItem(k),
		UpdateExpression:          aws.String("SET " + turnNext + " = :next, #ttl = :ttl"),
		ConditionExpression:       aws.String(rowAbsent + " OR " + turnNext + " < :first"),
		ExpressionAttributeValues: item{":next": numValue(first + 1), ":first": numValue(first), ":ttl": turnsTTL(now)},
		ExpressionAttributeNames:  map[string]string{"#ttl": attrTTL},
	})
	if isConditional(err) {
		return false, nil
	}
	return err == nil, err
}

func turnsTTL(now time.Time) types.AttributeValue { return numValue(now.Add(turnsKept).Unix()) }
