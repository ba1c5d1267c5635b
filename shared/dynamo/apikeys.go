package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

// Attributes of an API key's row, which expires with the key, and of the row of
// the key that signs portal tokens.
const (
	apiKeyScope     = "sc"
	apiKeyName      = "n"
	apiKeyDigest    = "d"
	apiKeyCreated   = "a"
	apiKeyCreatedBy = "by"

	portalPublic = "p"
	portalSealed = "k"
)

// CreateKey stores a new key and its audit line, for 6 write units.
func (s *Store) CreateKey(ctx context.Context, k auth.Key, line audit.Line) error {
	refused, err := s.transact(ctx, s.with([]audit.Line{line}, s.putIf(encodeAPIKey(k), rowAbsent, nil))...)
	if err == nil && refused != none {
		err = webhook.ErrExists
	}
	if err != nil {
		return fmt.Errorf("create key %s: %w", k.ID, err)
	}
	return nil
}

// DeleteKey removes a key and writes the audit line, for 6 write units.
// ErrNotFound: there is none, or it has expired.
func (s *Store) DeleteKey(ctx context.Context, tenant webhook.TenantID, id auth.KeyID, line audit.Line) error {
	gone := types.TransactWriteItem{Delete: &types.Delete{
		TableName: s.table, Key: keyItem(apiKeyKey(tenant, id)),
		ConditionExpression:       aws.String(rowExists + " AND (attribute_not_exists(" + attrExpires + ") OR " + attrExpires + " > :now)"),
		ExpressionAttributeValues: item{":now": numValue(s.now().UnixMilli())},
	}}
	refused, err := s.transact(ctx, s.with([]audit.Line{line}, gone)...)
	if err == nil && refused != none {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("delete key %s: %w", id, err)
	}
	return nil
}

// Key returns one key, or ErrNotFound, for 1 read unit.
func (s *Store) Key(ctx context.Context, tenant webhook.TenantID, id auth.KeyID) (auth.Key, error) {
	row, err := s.get(ctx, apiKeyKey(tenant, id), "")
	if err == nil && (row == nil || row.expired(s.now())) {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return auth.Key{}, fmt.Errorf("key %s: %w", id, err)
	}
	return decodeAPIKey(tenant, row), nil
}

// Keys lists the keys of a tenant by id, for 1 read unit per 4 KB.
func (s *Store) Keys(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]auth.Key, string, error) {
	rows, next, err := s.list(ctx, apiKeyPK(tenant), "", p)
	if err != nil {
		return nil, "", fmt.Errorf("list keys of tenant %q: %w", tenant, err)
	}
	keys := make([]auth.Key, 0, len(rows))
	for _, row := range rows {
		if !row.expired(s.now()) {
			keys = append(keys, decodeAPIKey(tenant, row))
		}
	}
	return keys, next, nil
}

// PortalKey returns the key that signs portal tokens, storing fresh as such when
// there is none, for 1 read unit and, once ever, 1 write unit.
func (s *Store) PortalKey(ctx context.Context, fresh *auth.PortalKey) (auth.PortalKey, error) {
	row, err := s.get(ctx, portalKey, "")
	if err == nil && row == nil {
		row, err = s.createPortalKey(ctx, fresh)
	}
	if err != nil {
		return auth.PortalKey{}, fmt.Errorf("key of portal tokens: %w", err)
	}
	return auth.PortalKey{Public: row.bytes(portalPublic), Sealed: row.bytes(portalSealed)}, nil
}

func (s *Store) createPortalKey(ctx context.Context, fresh *auth.PortalKey) (item, error) {
	if fresh == nil {
		return nil, webhook.ErrNotFound
	}
	row := newItem(portalKey)
	row.setBytes(portalPublic, fresh.Public)
	row.setBytes(portalSealed, fresh.Sealed)
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: s.table, Item: row, ConditionExpression: aws.String(rowAbsent),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var there *types.ConditionalCheckFailedException
	if errors.As(err, &there) && len(there.Item) > 0 {
		return there.Item, nil
	}
	return row, err
}

func encodeAPIKey(k auth.Key) item {
	row := newItem(apiKeyKey(k.Tenant, k.ID))
	row.setStr(apiKeyScope, string(k.Scope))
	row.setStr(apiKeyName, k.Name)
	row.setBytes(apiKeyDigest, k.Digest[:])
	row.setTime(apiKeyCreated, k.CreatedAt)
	row.setStr(apiKeyCreatedBy, string(k.CreatedBy))
	row.setExpiry(k.ExpiresAt)
	return row
}

func decodeAPIKey(tenant webhook.TenantID, row item) auth.Key {
	k := auth.Key{
		Tenant:    tenant,
		ID:        auth.KeyID(row.str(attrSK)),
		Scope:     auth.Scope(row.str(apiKeyScope)),
		Name:      row.str(apiKeyName),
		CreatedAt: row.time(apiKeyCreated),
		CreatedBy: auth.KeyID(row.str(apiKeyCreatedBy)),
		ExpiresAt: row.time(attrExpires),
	}
	copy(k.Digest[:], row.bytes(apiKeyDigest))
	return k
}
