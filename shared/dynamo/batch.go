package dynamo

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
)

// DynamoDB's limits per BatchGetItem and BatchWriteItem.
const (
	maxBatchKeys = 100
	maxBatchRows = 25
)

// keySet collects keys once each: BatchGetItem refuses a key named twice.
type keySet map[key]struct{}

func (s keySet) add(k key) { s[k] = struct{}{} }

// rowSet holds the rows found so far; safe for concurrent use by batchGet.
type rowSet struct {
	mu   sync.Mutex
	rows map[key]item
}

func newRowSet() *rowSet { return &rowSet{rows: map[key]item{}} }

func (r *rowSet) add(rows []map[string]types.AttributeValue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range rows {
		r.rows[item(row).key()] = row
	}
}

// batchGet reads the rows at keys into found, up to 100 per call, the calls
// side by side. A strong read sees every finished write and costs twice an
// eventual one.
func (s *Store) batchGet(ctx context.Context, keys keySet, strong bool, found *rowSet) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4) // 4 × 16 MB is all a small function should hold at once
	all := make([]map[string]types.AttributeValue, 0, len(keys))
	for k := range keys {
		all = append(all, keyItem(k))
	}
	for chunk := range slices.Chunk(all, maxBatchKeys) {
		group.Go(func() error { return s.batchGetChunk(ctx, chunk, strong, found) })
	}
	return group.Wait()
}

// batchGetChunk repeats the call for the keys that DynamoDB left unread, be it
// for the 16 MB a reply holds or for lack of throughput.
func (s *Store) batchGetChunk(ctx context.Context, keys []map[string]types.AttributeValue, strong bool, found *rowSet) error {
	for fruitless := 0; ; {
		out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{
				*s.table: {Keys: keys, ConsistentRead: aws.Bool(strong)},
			},
		})
		if err != nil {
			return err
		}
		found.add(out.Responses[*s.table])
		left := out.UnprocessedKeys[*s.table].Keys
		if len(left) == 0 {
			return nil
		}
		if len(left) < len(keys) {
			fruitless = 0
		} else if fruitless++; fruitless == maxTries {
			return fmt.Errorf("DynamoDB left %d of %d keys unread %d times", len(left), len(keys), fruitless)
		}
		if err := pause(ctx, fruitless); err != nil {
			return fmt.Errorf("%d keys still unread: %w", len(left), err)
		}
		keys = left
	}
}

// batchPut writes the rows, up to 25 per call, the calls side by side.
func (s *Store) batchPut(ctx context.Context, rows []item) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for chunk := range slices.Chunk(rows, maxBatchRows) {
		writes := make([]types.WriteRequest, len(chunk))
		for i, row := range chunk {
			writes[i] = types.WriteRequest{PutRequest: &types.PutRequest{Item: row}}
		}
		group.Go(func() error { return s.batchPutChunk(ctx, writes) })
	}
	return group.Wait()
}

// batchPutChunk repeats the call for the rows that DynamoDB left unwritten for
// lack of throughput.
func (s *Store) batchPutChunk(ctx context.Context, writes []types.WriteRequest) error {
	for fruitless := 0; ; {
		out, err := s.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{*s.table: writes},
		})
		if err != nil {
			return err
		}
		left := out.UnprocessedItems[*s.table]
		if len(left) == 0 {
			return nil
		}
		if len(left) < len(writes) {
			fruitless = 0
		} else if fruitless++; fruitless == maxTries {
			return fmt.Errorf("DynamoDB left %d of %d rows unwritten %d times", len(left), len(writes), fruitless)
		}
		if err := pause(ctx, fruitless); err != nil {
			return fmt.Errorf("%d rows still unwritten: %w", len(left), err)
		}
		writes = left
	}
}
