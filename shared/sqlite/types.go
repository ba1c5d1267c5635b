package sqlite

import (
	"context"
	"fmt"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/webhook"
)

// PutEventType stores t in place of what there is under its name.
func (s *Store) PutEventType(ctx context.Context, t webhook.TypeEntry, lines ...audit.Line) error {
	err := s.write(ctx, func(c *conn) error {
		_, err := c.exec(`
			INSERT INTO event_types (name, description, schema, example, deprecated, created_at, updated_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
			ON CONFLICT (name) DO UPDATE SET description = ?2, schema = ?3, example = ?4, deprecated = ?5, created_at = ?6, updated_at = ?7`,
			string(t.Name), t.Description, t.Schema, t.Example, t.Deprecated, millis(t.CreatedAt), millis(t.UpdatedAt))
		if err != nil {
			return err
		}
		return appendLines(c, lines)
	})
	if err != nil {
		return fmt.Errorf("put event type %s: %w", t.Name, err)
	}
	return nil
}

// EventType returns one type, or webhook.ErrNotFound.
func (s *Store) EventType(ctx context.Context, name webhook.EventType) (t webhook.TypeEntry, err error) {
	found := false
	err = s.read(ctx, func(c *conn) error {
		return c.each("SELECT name, description, deprecated, created_at, updated_at, schema, example FROM event_types WHERE name = ?",
			[]any{string(name)}, func(row scanner) (bool, error) {
				var schema, example []byte
				t, err = scanType(row, &schema, &example)
				t.Schema, t.Example, found = schema, example, err == nil
				return false, err
			})
	})
	if err == nil && !found {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.TypeEntry{}, fmt.Errorf("event type %s: %w", name, err)
	}
	return t, nil
}

// EventTypes lists types by name, without their schemas and examples.
func (s *Store) EventTypes(ctx context.Context, prefix webhook.EventType, p webhook.Page) (found []webhook.TypeEntry, next string, err error) {
	if p.After != "" && webhook.CheckEventType("after", p.After) != nil {
		return nil, "", fmt.Errorf("list event types: position %.80q: %w", p.After, webhook.ErrBadCursor)
	}
	// "/" follows "." and precedes letters and digits, so between a prefix and the
	// prefix with it lie that name and those that go on with a dot. All names lie
	// before "~".
	end := "~"
	if prefix != "" {
		end = string(prefix) + "/"
	}
	err = s.read(ctx, func(c *conn) (err error) {
		found, next, err = page(c, p.Limit, `SELECT name, description, deprecated, created_at, updated_at FROM event_types
			WHERE name > ? AND name >= ? AND name < ? ORDER BY name LIMIT ?`, []any{p.After, string(prefix), end},
			func(row scanner) (webhook.TypeEntry, string, bool, error) {
				t, err := scanType(row)
				return t, string(t.Name), true, err
			})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list event types: %w", err)
	}
	return found, next, nil
}

// DeleteEventType removes a type. webhook.ErrNotFound: there is none.
func (s *Store) DeleteEventType(ctx context.Context, name webhook.EventType, lines ...audit.Line) error {
	err := s.write(ctx, func(c *conn) error {
		deleted, err := c.exec("DELETE FROM event_types WHERE name = ?", string(name))
		if err == nil && deleted == 0 {
			err = webhook.ErrNotFound
		}
		if err != nil {
			return err
		}
		return appendLines(c, lines)
	})
	if err != nil {
		return fmt.Errorf("delete event type %s: %w", name, err)
	}
	return nil
}

func scanType(row scanner, more ...any) (t webhook.TypeEntry, err error) {
	var created, updated int64
	err = row.Scan(append([]any{&t.Name, &t.Description, &t.Deprecated, &created, &updated}, more...)...)
	t.CreatedAt, t.UpdatedAt = instant(created), instant(updated)
	return t, err
}
