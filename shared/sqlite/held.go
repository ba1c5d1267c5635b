package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/webhook"
)

const listHeld = "SELECT " + deliveryColumns + " FROM deliveries WHERE held_until > 0 AND held_until <= ? ORDER BY held_until LIMIT ?"

// Held returns at most limit deliveries whose HeldUntil is not after until, the
// earliest first. Of what was on hold for an endpoint that has come back, some falls
// due with each new until.
// With ErrUnreadable it returns those it could read.
func (s *Store) Held(ctx context.Context, until time.Time, limit int) (held []webhook.Delivery, err error) {
	if err := s.hasten(ctx, until); err != nil {
		return nil, fmt.Errorf("list held deliveries: %w", err)
	}
	now := s.now()
	var spoiled []error
	err = s.read(ctx, func(c *conn) error {
		return c.each(listHeld, []any{millis(until), limit}, func(row scanner) (bool, error) {
			switch d, err := scanDelivery(row); {
			case errors.Is(err, webhook.ErrUnreadable):
				spoiled = append(spoiled, err)
			case err != nil:
				return false, err
			case now.Before(d.ExpiresAt):
				held = append(held, d)
			}
			return true, nil
		})
	})
	if err = errors.Join(append(spoiled, err)...); err != nil {
		return held, fmt.Errorf("list held deliveries: %w", err)
	}
	return held, nil
}
