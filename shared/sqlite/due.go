package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/webhook"
)

const listDue = "SELECT " + eventColumns + ", tenant FROM events WHERE held = 1 AND deliver_at <= ? ORDER BY deliver_at LIMIT ?"

// DueEvents returns at most limit held events whose DeliverAt is not after until,
// the earliest first, without their bodies.
func (s *Store) DueEvents(ctx context.Context, until time.Time, limit int) (events []webhook.Event, err error) {
	now := s.now()
	err = s.read(ctx, func(c *conn) error {
		return c.each(listDue, []any{millis(until), limit}, func(row scanner) (bool, error) {
			var tenant webhook.TenantID
			e, err := scanEvent(row, "", &tenant)
			if e.Tenant = tenant; err == nil && now.Before(e.ExpiresAt) {
				events = append(events, e)
			}
			return true, err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list due events: %w", err)
	}
	return events, nil
}

// EventSent records that the event is held no more. One that is gone is no error.
func (s *Store) EventSent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error {
	_, err := s.changeEvent(ctx, "UPDATE events SET held = 0 WHERE tenant = ? AND ref = ?", string(tenant), string(ref))
	if err != nil {
		return fmt.Errorf("mark event %s sent: %w", ref, err)
	}
	return nil
}

// A time that is not set is the zero time, long before 1970.

// CancelEvent records that the event was taken back at then, and is held no more.
// webhook.ErrConflict: it was before, or it is gone.
func (s *Store) CancelEvent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, at time.Time) error {
	changed, err := s.changeEvent(ctx,
		"UPDATE events SET cancelled_at = ?, held = 0 WHERE tenant = ? AND ref = ? AND cancelled_at < 0", millis(at), string(tenant), string(ref))
	if err == nil && changed == 0 {
		err = webhook.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("cancel event %s: %w", ref, err)
	}
	return nil
}

// ExpungeEvent overwrites the event's payload and records when; the event is held
// no more. webhook.ErrConflict: it was removed before, or it is gone.
func (s *Store) ExpungeEvent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef, at time.Time) error {
	changed, err := s.eraseEvent(ctx,
		"UPDATE events SET expunged_at = ?, held = 0, body = x'' WHERE tenant = ? AND ref = ? AND expunged_at < 0", millis(at), string(tenant), string(ref))
	if err == nil && changed == 0 {
		err = webhook.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("expunge event %s: %w", ref, err)
	}
	return nil
}

// eraseEvent is changeEvent that overwrites what it removes, instead of leaving it
// in the file's free space.
func (s *Store) eraseEvent(ctx context.Context, query string, args ...any) (changed int64, err error) {
	err = s.write(ctx, func(c *conn) error {
		return c.erasing(func() (err error) {
			changed, err = c.exec(query, args...)
			return err
		})
	})
	return changed, err
}

// erasing overwrites with zeros what the statements of do free.
func (c *conn) erasing(do func() error) error {
	if err := c.script("PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, c.script("PRAGMA secure_delete = OFF"))
}

func (s *Store) changeEvent(ctx context.Context, query string, args ...any) (changed int64, err error) {
	err = s.write(ctx, func(c *conn) (err error) {
		changed, err = c.exec(query, args...)
		return err
	})
	return changed, err
}
