package dynamo

import (
	"context"
	"fmt"

	"webhookrelay/shared/history"
	"webhookrelay/shared/webhook"
)

// Records lists a tenant's events that f lets through, newest first, with bodies and
// deliveries, in a walk as Events makes it. A page ends early at history.MaxRecordBytes.
func (s *Store) Records(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) ([]history.Record, string, error) {
	from, err := parsePosition(p.After)
	if err != nil {
		return nil, "", err
	}
	from.endpoint = ""
	var records []history.Record
	size := 0
	next, err := s.walk(ctx, tenant, from.notAfter(f.Until), f.Since, everyAttribute, func(g group) bool {
		if g.event != nil && f.MatchEvent(*g.event) {
			r := history.Record{Event: *g.event, Deliveries: g.expand(), Behind: position{ref: g.ref}.String()}
			records, size = append(records, r), size+r.Size()
		}
		return len(records) < p.Limit && size < history.MaxRecordBytes
	})
	if err != nil {
		return nil, "", fmt.Errorf("list records of tenant %s: %w", tenant, err)
	}
	return records, next, nil
}
