package dynamo

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

// Attributes of an audit line's rows.
const (
	lineAt      = "a"
	lineTenant  = "t"
	lineAction  = "ac"
	lineTarget  = "tg"
	lineDetail  = "d" // a JSON object of strings
	lineScope   = "sc"
	lineKey     = "by"
	lineRequest = "rq"
	lineAddress = "ip"
)

// with returns the writes with those of the audit lines behind them. Unlike the
// writes, lines are under no condition, so they are never what is refused.
func (s *Store) with(lines []audit.Line, writes ...types.TransactWriteItem) []types.TransactWriteItem {
	for _, l := range lines {
		for _, row := range encodeLine(l) {
			writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: s.table, Item: row}})
		}
	}
	return writes
}

// Append stores a line, for 4 write units.
func (s *Store) Append(ctx context.Context, l audit.Line) error {
	if _, err := s.transact(ctx, s.with([]audit.Line{l})...); err != nil {
		return fmt.Errorf("append audit line %s: %w", l.ID, err)
	}
	return nil
}

// Lines lists a tenant's lines, newest first, for 1 read unit per 4 KB.
func (s *Store) Lines(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]audit.Line, string, error) {
	lines, next, err := s.lines(ctx, p, func(int) string { return auditPK(tenant) }, 1)
	if err != nil {
		return nil, "", fmt.Errorf("audit lines of tenant %s: %w", tenant, err)
	}
	return lines, next, nil
}

// AllLines lists all lines, newest first, for 1 read unit per 4 KB, and at
// least 1 per shard.
func (s *Store) AllLines(ctx context.Context, p webhook.Page) ([]audit.Line, string, error) {
	lines, next, err := s.lines(ctx, p, allAuditPK, Shards)
	if err != nil {
		return nil, "", fmt.Errorf("audit lines: %w", err)
	}
	return lines, next, nil
}

// lines reads the lines below some partition keys merged, until a page is full,
// 1,000 were read, or all are seen. A position is the last line's id.
func (s *Store) lines(ctx context.Context, p webhook.Page, pk func(shard int) string, shards int) ([]audit.Line, string, error) {
	if p.After != "" && !isRef(p.After) {
		return nil, "", webhook.ErrBadCursor
	}
	limit := max(p.Limit, 1)
	queries := make([]*query, shards)
	for shard := range shards {
		queries[shard] = s.query(pk(shard)).descending().pageSize(min(limit+1, bucketPage))
		if p.After != "" {
			queries[shard].below(p.After)
		}
	}
	if err := readFirstPages(ctx, queries); err != nil {
		return nil, "", err
	}
	exists := func(row item) bool { return row != nil }
	newer := func(a, b item) bool { return a.str(attrSK) > b.str(attrSK) }
	var lines []audit.Line
	last := ""
	for range maxRowsPerCall {
		row, ok, err := mergeNext(ctx, queries, exists, newer)
		if err != nil || !ok {
			return lines, "", err
		}
		if len(lines) == limit {
			break
		}
		last = row.str(attrSK)
		if row.expired(s.now()) {
			continue
		}
		l, err := decodeLine(row)
		if err != nil {
			return nil, "", err
		}
		lines = append(lines, l)
	}
	return lines, last, nil
}

// encodeLine returns the rows of a line.
func encodeLine(l audit.Line) []item {
	_, shard, _ := placeOf(webhook.EventRef(l.ID)) // any shard is as good
	places := []key{{allAuditPK(shard), l.ID}}
	if l.Tenant != "" {
		places = append(places, key{auditPK(l.Tenant), l.ID})
	}
	rows := make([]item, len(places))
	for i, place := range places {
		row := newItem(place)
		row.setTime(lineAt, l.At)
		row.setStr(lineTenant, string(l.Tenant))
		row.setStr(lineAction, string(l.Action))
		row.setStr(lineTarget, l.Target)
		if len(l.Detail) > 0 {
			detail, _ := json.Marshal(l.Detail) // strings always marshal
			row.setStr(lineDetail, string(detail))
		}
		row.setStr(lineScope, string(l.Actor.Scope))
		row.setStr(lineKey, string(l.Actor.Key))
		row.setStr(lineRequest, l.Actor.RequestID)
		row.setStr(lineAddress, l.Actor.Address)
		row.setExpiry(l.ExpiresAt())
		rows[i] = row
	}
	return rows
}

func decodeLine(row item) (audit.Line, error) {
	l := audit.Line{
		ID:     row.str(attrSK),
		At:     row.time(lineAt),
		Tenant: webhook.TenantID(row.str(lineTenant)),
		Action: audit.Action(row.str(lineAction)),
		Target: row.str(lineTarget),
		Actor: audit.Actor{
			Scope:     auth.Scope(row.str(lineScope)),
			Key:       auth.KeyID(row.str(lineKey)),
			RequestID: row.str(lineRequest),
			Address:   row.str(lineAddress),
		},
	}
	if detail := row.str(lineDetail); detail != "" {
		if err := json.Unmarshal([]byte(detail), &l.Detail); err != nil {
			return audit.Line{}, fmt.Errorf("detail of audit line %s: %w", l.ID, err)
		}
	}
	return l, nil
}
