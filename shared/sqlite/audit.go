package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

// lineDoc is what an audit line's row holds as JSON; see documents.go.
type lineDoc struct {
	At        int64             `json:"at"`
	Action    audit.Action      `json:"action"`
	Target    string            `json:"target,omitempty"`
	Detail    map[string]string `json:"detail,omitempty"`
	Scope     auth.Scope        `json:"scope,omitempty"`
	Key       auth.KeyID        `json:"key,omitempty"`
	RequestID string            `json:"request,omitempty"`
	Address   string            `json:"ip,omitempty"`
}

// appendLines adds lines to the audit trail.
func appendLines(c *conn, lines []audit.Line) error {
	for _, l := range lines {
		doc := encode(lineDoc{
			millis(l.At), l.Action, l.Target, l.Detail, l.Actor.Scope, l.Actor.Key, l.Actor.RequestID, l.Actor.Address,
		})
		_, err := c.exec("INSERT INTO audit (id, tenant, doc, expires_at) VALUES (?, ?, ?, ?)", l.ID, string(l.Tenant), doc, millis(l.ExpiresAt()))
		if err != nil {
			return fmt.Errorf("audit line %s: %w", l.ID, err)
		}
	}
	return nil
}

// Append stores a line.
func (s *Store) Append(ctx context.Context, l audit.Line) error {
	return s.write(ctx, func(c *conn) error { return appendLines(c, []audit.Line{l}) })
}

// Lines lists a tenant's lines, newest first.
func (s *Store) Lines(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]audit.Line, string, error) {
	return s.lines(ctx, "SELECT id, tenant, doc, expires_at FROM audit WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?", p, string(tenant))
}

// AllLines lists all lines, newest first.
func (s *Store) AllLines(ctx context.Context, p webhook.Page) ([]audit.Line, string, error) {
	return s.lines(ctx, "SELECT id, tenant, doc, expires_at FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?", p)
}

// afterAllLines follows every line's id.
const afterAllLines = "~"

func (s *Store) lines(ctx context.Context, query string, p webhook.Page, args ...any) (lines []audit.Line, next string, err error) {
	after, err := parsePosition(p.After, atLine, "event")
	if err != nil {
		return nil, "", fmt.Errorf("list audit lines: %w", err)
	}
	before := afterAllLines
	if after != nil {
		before = after[0]
	}
	now := millis(s.now())
	err = s.read(ctx, func(c *conn) (err error) {
		lines, next, err = page(c, p.Limit, query, append(args, before), func(row scanner) (audit.Line, string, bool, error) {
			l, expires, err := scanLine(row)
			return l, position(atLine, l.ID), expires > now, err
		})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list audit lines: %w", err)
	}
	return lines, next, nil
}

func scanLine(row scanner) (l audit.Line, expires int64, err error) {
	var text []byte
	if err := row.Scan(&l.ID, &l.Tenant, &text, &expires); err != nil {
		return audit.Line{}, 0, err
	}
	var doc lineDoc
	if err := json.Unmarshal(text, &doc); err != nil {
		return audit.Line{}, 0, fmt.Errorf("document of audit line %s: %w", l.ID, err)
	}
	l.At, l.Action, l.Target, l.Detail = instant(doc.At), doc.Action, doc.Target, doc.Detail
	l.Actor = audit.Actor{Scope: doc.Scope, Key: doc.Key, RequestID: doc.RequestID, Address: doc.Address}
	return l, expires, nil
}
