package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

// Attributes of a claim's row.
const (
	claimRef         = "i"
	claimFingerprint = "f"
	claimAt          = "a"
	claimDone        = "d"
)

// Claim stores c and returns it, unless an unexpired claim on the same tenant
// and key exists: then it returns that one. Either way it costs 1 write unit:
// a refused write returns the row that refused it.
func (s *Store) Claim(ctx context.Context, c ingest.Claim) (ingest.Claim, error) {
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           s.table,
		Item:                                encodeClaim(c),
		ConditionExpression:                 aws.String(rowAbsent + " OR " + attrExpires + " <= :now"),
		ExpressionAttributeValues:           item{":now": numValue(s.now().UnixMilli())},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var held *types.ConditionalCheckFailedException
	if errors.As(err, &held) && len(held.Item) > 0 {
		return decodeClaim(c.Tenant, c.Key, held.Item), nil
	}
	if err != nil {
		return ingest.Claim{}, fmt.Errorf("claim for event %s: %w", c.Ref, err)
	}
	return c, nil
}

// UpdateClaim replaces old with the values of c, for 1 write unit.
// ErrConflict: the stored claim is no longer old.
func (s *Store) UpdateClaim(ctx context.Context, old, c ingest.Claim) error {
	condition, values := isClaim(old)
	err := s.put(ctx, encodeClaim(c), condition, values)
	if isConditional(err) {
		err = webhook.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("update claim for event %s: %w", c.Ref, err)
	}
	return nil
}

// isClaim is the condition that the stored claim is c in every attribute.
func isClaim(c ingest.Claim) (condition string, values item) {
	want, values := encodeClaim(c), item{}
	terms := []string{rowExists}
	for _, name := range []string{claimRef, claimFingerprint, claimAt, claimDone, attrExpires} {
		if v, ok := want[name]; ok {
			terms = append(terms, name+" = :"+name)
			values[":"+name] = v
		} else {
			terms = append(terms, "attribute_not_exists("+name+")")
		}
	}
	return strings.Join(terms, " AND "), values
}

// EventRef returns where the event with a caller's own id is kept, or
// ErrNotFound, for 1 read unit.
func (s *Store) EventRef(ctx context.Context, tenant webhook.TenantID, id webhook.EventID) (webhook.EventRef, error) {
	row, err := s.get(ctx, claimKey(tenant, eventIDClaim(id)), "")
	if err == nil && (row == nil || row.expired(s.now())) {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("event %s: %w", id, err)
	}
	return webhook.EventRef(row.str(claimRef)), nil
}

func encodeClaim(c ingest.Claim) item {
	row := newItem(claimKey(c.Tenant, c.Key))
	row.setStr(claimRef, string(c.Ref))
	row.setStr(claimFingerprint, c.Fingerprint)
	row.setTime(claimAt, c.At)
	row.setBool(claimDone, c.Done)
	row.setExpiry(c.ExpiresAt)
	return row
}

func decodeClaim(tenant webhook.TenantID, claim string, row item) ingest.Claim {
	return ingest.Claim{
		Tenant:      tenant,
		Key:         claim,
		Ref:         webhook.EventRef(row.str(claimRef)),
		Fingerprint: row.str(claimFingerprint),
		At:          row.time(claimAt),
		Done:        row.bool(claimDone),
		ExpiresAt:   row.time(attrExpires),
	}
}
