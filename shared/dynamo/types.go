package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/webhook"
)

// Attributes of an event type's row.
const (
	typeDescription = "ds"
	typeSchema      = "js"
	typeExample     = "ex"
	typeDeprecated  = "dp"
	typeCreated     = "a"
	typeUpdated     = "m"
)

// PutEventType stores t in place of what there is under its name, for 2 write
// units per KB and 4 per line.
func (s *Store) PutEventType(ctx context.Context, t webhook.TypeEntry, lines ...audit.Line) error {
	row := newItem(typeKey(t.Name))
	row.setStr(typeDescription, t.Description)
	row.setBytes(typeSchema, t.Schema)
	row.setBytes(typeExample, t.Example)
	row.setBool(typeDeprecated, t.Deprecated)
	row.setTime(typeCreated, t.CreatedAt)
	row.setTime(typeUpdated, t.UpdatedAt)
	put := types.TransactWriteItem{Put: &types.Put{TableName: s.table, Item: row}}
	if _, err := s.transact(ctx, s.with(lines, put)...); err != nil {
		return fmt.Errorf("put event type %s: %w", t.Name, err)
	}
	return nil
}

// EventType returns one type, or ErrNotFound, for 1 read unit per 4 KB.
func (s *Store) EventType(ctx context.Context, name webhook.EventType) (webhook.TypeEntry, error) {
	row, err := s.get(ctx, typeKey(name), "")
	if err == nil && row == nil {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.TypeEntry{}, fmt.Errorf("event type %s: %w", name, err)
	}
	return decodeType(row), nil
}

// EventTypes lists types by name without their schemas and examples, for 1 read
// unit per 4 KB, of those too.
func (s *Store) EventTypes(ctx context.Context, prefix webhook.EventType, p webhook.Page) ([]webhook.TypeEntry, string, error) {
	limit := max(p.Limit, 1)
	q := s.query(typesPK).pageSize(limit + 1).
		attributes(attrSK + ", " + typeDescription + ", " + typeDeprecated + ", " + typeCreated + ", " + typeUpdated)
	if prefix != "" {
		// "/" follows "." and precedes letters and digits; "." itself comes last
		// of what a name can hold before them.
		q.between(string(prefix), string(prefix)+"/")
	}
	if p.After != "" {
		if webhook.CheckEventType("after", p.After) != nil {
			return nil, "", webhook.ErrBadCursor
		}
		q.after(typeKey(webhook.EventType(p.After)))
	}
	rows, err := q.atMost(ctx, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list event types: %w", err)
	}
	next := ""
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].str(attrSK)
	}
	found := make([]webhook.TypeEntry, 0, len(rows))
	for _, row := range rows {
		found = append(found, decodeType(row))
	}
	return found, next, nil
}

// DeleteEventType removes a type, for 6 write units. ErrNotFound: there is none.
func (s *Store) DeleteEventType(ctx context.Context, name webhook.EventType, lines ...audit.Line) error {
	refused, err := s.transact(ctx, s.with(lines, s.deleteIf(typeKey(name), rowExists))...)
	if err == nil && refused != none {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("delete event type %s: %w", name, err)
	}
	return nil
}

func decodeType(row item) webhook.TypeEntry {
	return webhook.TypeEntry{
		Name:        webhook.EventType(row.str(attrSK)),
		Description: row.str(typeDescription),
		Schema:      row.bytes(typeSchema),
		Example:     row.bytes(typeExample),
		Deprecated:  row.bool(typeDeprecated),
		CreatedAt:   row.time(typeCreated),
		UpdatedAt:   row.time(typeUpdated),
	}
}
