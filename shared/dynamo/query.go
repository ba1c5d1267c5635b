package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"webhookrelay/shared/webhook"
)

// query reads the rows under one partition key in the order of their sort
// keys, page by page as they are asked for.
type query struct {
	client *dynamodb.Client
	in     dynamodb.QueryInput
	rows   []item
	done   bool
}

// query returns the strong, ascending query for all rows under pk.
func (s *Store) query(pk string) *query {
	return &query{client: s.client, in: dynamodb.QueryInput{
		TableName:                 s.table,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String(attrPK + " = :pk"),
		ExpressionAttributeValues: item{":pk": strValue(pk)},
	}}
}

// queryFailed returns the query for the index rows of one state and shard whose
// sort keys lie between low and high, both included. An index read is eventual.
func (s *Store) queryFailed(state webhook.State, shard int, low, high string) *query {
	return s.queryIndex(indexFailed, attrFailedPK+" = :pk AND "+attrFailedSK+" BETWEEN :low AND :high", item{
		":pk": strValue(failedPK(state, shard)), ":low": strValue(low), ":high": strValue(high),
	})
}

// queryHeld returns the query for the index rows under pk that are held until then
// at most.
func (s *Store) queryHeld(pk string, until time.Time) *query {
	return s.queryIndex(indexHeld, attrHeldPK+" = :pk AND "+attrHeldSK+" < :high", item{
		":pk": strValue(pk), ":high": strValue(heldBound(until.Add(time.Millisecond))),
	})
}

func (s *Store) queryIndex(index, condition string, values item) *query {
	return &query{client: s.client, in: dynamodb.QueryInput{
		TableName:                 s.table,
		IndexName:                 aws.String(index),
		KeyConditionExpression:    aws.String(condition),
		ExpressionAttributeValues: values,
	}}
}

// withPrefix keeps to sort keys that begin with prefix.
func (q *query) withPrefix(prefix string) *query {
	return q.where("begins_with("+attrSK+", :sk)", prefix)
}

// below keeps to sort keys before bound.
func (q *query) below(bound string) { q.where(attrSK+" < :sk", bound) }

// between keeps to sort keys from low to high, both included.
func (q *query) between(low, high string) {
	q.where(attrSK+" BETWEEN :sk AND :high", low)
	q.in.ExpressionAttributeValues[":high"] = strValue(high)
}

func (q *query) where(condition, sk string) *query {
	q.in.KeyConditionExpression = aws.String(*q.in.KeyConditionExpression + " AND " + condition)
	q.in.ExpressionAttributeValues[":sk"] = strValue(sk)
	return q
}

// after begins behind the place of k, whether or not a row is there.
func (q *query) after(k key) { q.in.ExclusiveStartKey = keyItem(k) }

// attributes names the attributes to return; it does not make the read cheaper.
func (q *query) attributes(projection string) *query {
	if projection == everyAttribute {
		return q
	}
	q.in.ProjectionExpression = aws.String(projection)
	return q
}

func (q *query) descending() *query {
	q.in.ScanIndexForward = aws.Bool(false)
	return q
}

func (q *query) pageSize(n int) *query {
	q.in.Limit = aws.Int32(int32(n))
	return q
}

// peek returns the next row, reading a page when the last one is used up, and
// nil at the end.
func (q *query) peek(ctx context.Context) (item, error) {
	for len(q.rows) == 0 {
		if q.done {
			return nil, nil
		}
		if err := q.read(ctx); err != nil {
			return nil, err
		}
	}
	return q.rows[0], nil
}

// drop discards the row that peek returned.
func (q *query) drop() { q.rows = q.rows[1:] }

func (q *query) read(ctx context.Context) error {
	out, err := q.client.Query(ctx, &q.in)
	if err != nil {
		return err
	}
	for _, row := range out.Items {
		q.rows = append(q.rows, row)
	}
	q.in.ExclusiveStartKey = out.LastEvaluatedKey
	q.done = len(out.LastEvaluatedKey) == 0
	return nil
}

// all returns every row that is left.
func (q *query) all(ctx context.Context) ([]item, error) {
	for !q.done {
		if err := q.read(ctx); err != nil {
			return nil, err
		}
	}
	return q.rows, nil
}

// atMost returns up to n rows.
func (q *query) atMost(ctx context.Context, n int) ([]item, error) {
	for !q.done && len(q.rows) < n {
		if err := q.read(ctx); err != nil {
			return nil, err
		}
	}
	return q.rows[:min(n, len(q.rows))], nil
}

// openShards begins to read one query per shard of an index.
func openShards(ctx context.Context, open func(shard int) *query) ([]*query, error) {
	queries := make([]*query, Shards)
	for shard := range Shards {
		queries[shard] = open(shard)
	}
	return queries, readFirstPages(ctx, queries)
}

// readFirstPages reads the first page of each query, all at once.
func readFirstPages(ctx context.Context, queries []*query) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, q := range queries {
		group.Go(func() error { return q.read(ctx) })
	}
	return group.Wait()
}

// list returns one page of the rows under pk whose sort keys are prefix and an
// id, in the ids' order. A position is the last id of the page.
func (s *Store) list(ctx context.Context, pk, prefix string, p webhook.Page) ([]item, string, error) {
	limit := max(p.Limit, 1)
	// One row more than asked for tells whether this is the last page.
	q := s.query(pk).pageSize(limit + 1)
	if prefix != "" {
		q.withPrefix(prefix)
	}
	if p.After != "" {
		if webhook.CheckID("after", p.After) != nil {
			return nil, "", webhook.ErrBadCursor
		}
		q.after(key{pk, prefix + p.After})
	}
	rows, err := q.atMost(ctx, limit+1)
	if err != nil || len(rows) <= limit {
		return rows, "", err
	}
	return rows[:limit], rows[limit-1].str(attrSK)[len(prefix):], nil
}
