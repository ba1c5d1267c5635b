package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// PutEvents stores the events durably before it returns, all or none, each in
// place of an event stored under the same reference before.
func (s *Store) PutEvents(ctx context.Context, events []webhook.Event) error {
	err := s.write(ctx, func(c *conn) error { return s.putEvents(c, events) })
	if err != nil {
		return fmt.Errorf("put %d events: %w", len(events), err)
	}
	return nil
}

func (s *Store) putEvents(c *conn, events []webhook.Event) error {
	for _, e := range events {
		added, err := putEvent(c, e)
		if err != nil {
			return fmt.Errorf("put event %s: %w", e.Ref, err)
		}
		if added {
			c.onCommit(func() { s.recent.add(e) })
		}
	}
	return nil
}

const (
	addEvent = `
		INSERT INTO events (tenant, ref, id, type, timestamp, targets, accepted_at, expires_at, unsent, body, channels,
			tags, deliver_at, held, cancelled_at, expunged_at, trace, undecided)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
		ON CONFLICT DO NOTHING`
	replaceEvent = `
		UPDATE events SET id = ?3, type = ?4, timestamp = ?5, targets = ?6,
			accepted_at = ?7, expires_at = ?8, unsent = ?9, body = ?10, channels = ?11,
			tags = ?12, deliver_at = ?13, held = ?14, cancelled_at = ?15, expunged_at = ?16, trace = ?17, undecided = ?18
		WHERE tenant = ?1 AND ref = ?2`
)

// putEvent reports whether there was none under the reference.
func putEvent(c *conn, e webhook.Event) (added bool, err error) {
	body := e.Body
	if body == nil {
		body = []byte{}
	}
	values := []any{
		string(e.Tenant), string(e.Ref), string(e.ID), string(e.Type), millis(e.Timestamp), joinNames(e.Targets),
		millis(e.AcceptedAt), millis(e.ExpiresAt), e.Unsent, body, joinNames(e.Channels),
		joinNames(e.Tags), millis(e.DeliverAt), e.Held, millis(e.CancelledAt), millis(e.ExpungedAt),
		strings.TrimSpace(e.Trace.Parent + " " + e.Trace.State), joinNames(e.Undecided),
	}
	n, err := c.exec(addEvent, values...)
	if err == nil && n == 0 {
		_, err = c.exec(replaceEvent, values...)
	}
	return n == 1, err
}

// MarkUnsent records that the event's messages may not have been sent.
// webhook.ErrNotFound: there is no such event.
func (s *Store) MarkUnsent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error {
	err := s.write(ctx, func(c *conn) error {
		marked, err := c.exec("UPDATE events SET unsent = 1 WHERE tenant = ? AND ref = ?", string(tenant), string(ref))
		if err == nil && marked == 0 {
			return webhook.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("mark event %s unsent: %w", ref, err)
	}
	return nil
}

// EventByRef returns one event with its body, or webhook.ErrNotFound.
func (s *Store) EventByRef(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (webhook.Event, error) {
	var e webhook.Event
	var ok bool
	err := s.read(ctx, func(c *conn) (err error) {
		e, ok, err = event(c, tenant, ref, s.now())
		return err
	})
	if err == nil && !ok {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.Event{}, fmt.Errorf("event %s: %w", ref, err)
	}
	return e, nil
}

// Events lists a tenant's events that f lets through, newest first, without their
// bodies. It examines at most 1,000 a call.
func (s *Store) Events(ctx context.Context, tenant webhook.TenantID, f history.Filter, p webhook.Page) (events []webhook.Event, next string, err error) {
	after, err := parsePosition(p.After, atEvent, "event")
	if err != nil {
		return nil, "", fmt.Errorf("list events: %w", err)
	}
	before := untilRef(f)
	if after != nil {
		before = min(before, after[0])
	}
	now := s.now()
	err = s.read(ctx, func(c *conn) (err error) {
		events, next, err = page(c, p.Limit, listBetween, []any{string(tenant), before, string(id.First(f.Since))},
			func(row scanner) (webhook.Event, string, bool, error) {
				e, err := scanEvent(row, tenant)
				return e, position(atEvent, e.Ref), f.MatchEvent(e) && now.Before(e.ExpiresAt), err
			})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list events: %w", err)
	}
	return events, next, nil
}

// beyond sorts after every id.
const beyond = "\x7f"

const (
	eventColumns = "ref, id, type, timestamp, targets, accepted_at, expires_at, unsent, channels, tags, deliver_at, held, cancelled_at, expunged_at, trace, undecided"
	listEvents   = "SELECT " + eventColumns + " FROM events WHERE tenant = ? AND ref < ? ORDER BY ref DESC LIMIT ?"
	listBetween  = "SELECT " + eventColumns + " FROM events WHERE tenant = ? AND ref < ? AND ref >= ? ORDER BY ref DESC LIMIT ?"
	oneEvent     = "SELECT " + eventColumns + ", body FROM events WHERE tenant = ? AND ref = ?"
)

// event returns one event with its body, and false when there is none or it has expired.
func event(c *conn, tenant webhook.TenantID, ref webhook.EventRef, now time.Time) (e webhook.Event, ok bool, err error) {
	err = c.each(oneEvent, []any{string(tenant), string(ref)}, func(row scanner) (bool, error) {
		var body []byte
		e, err = scanEvent(row, tenant, &body)
		e.Body = body
		ok = now.Before(e.ExpiresAt)
		return false, err
	})
	return e, ok && err == nil, err
}

func scanEvent(row scanner, tenant webhook.TenantID, more ...any) (webhook.Event, error) {
	e := webhook.Event{Tenant: tenant}
	var timestamp, accepted, expires, deliver, cancelled, expunged int64
	var targets, channels, tags, from, undecided string
	dest := append([]any{&e.Ref, &e.ID, &e.Type, &timestamp, &targets, &accepted, &expires, &e.Unsent, &channels,
		&tags, &deliver, &e.Held, &cancelled, &expunged, &from, &undecided}, more...)
	if err := row.Scan(dest...); err != nil {
		return webhook.Event{}, err
	}
	e.Timestamp, e.AcceptedAt, e.ExpiresAt = instant(timestamp), instant(accepted), instant(expires)
	e.Targets, e.Channels = splitNames[webhook.EndpointID](targets), splitNames[webhook.Channel](channels)
	e.Trace.Parent, e.Trace.State, _ = strings.Cut(from, " ")
	e.Tags, e.DeliverAt, e.CancelledAt, e.ExpungedAt = splitNames[webhook.Tag](tags), instant(deliver), instant(cancelled), instant(expunged)
	e.Undecided = splitNames[webhook.EndpointID](undecided)
	return e, nil
}

// Ids hold no commas, nor does what has their form.

func joinNames[T ~string](names []T) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = string(name)
	}
	return strings.Join(parts, ",")
}

func splitNames[T ~string](text string) []T {
	if text == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	names := make([]T, len(parts))
	for i, part := range parts {
		names[i] = T(part)
	}
	return names
}
