package sqlite

import (
	"context"
	"fmt"
	"time"

	"webhookrelay/shared/webhook"
)

const listHeld = "SELECT " + deliveryColumns + " FROM deliveries WHERE held_until > 0 AND held_until <= ? ORDER BY held_until LIMIT ?"

// Held returns at most limit deliveries whose HeldUntil is not after until, the
// earliest first.
func (s *Store) Held(ctx context.Context, until time.Time, limit int) (held []webhook.Delivery, err error) {
	now := s.now()
	err = s.read(ctx, func(c *conn) error {
		return c.each(listHeld, []any{millis(until), limit}, func(row scanner) (bool, error) {
			d, err := scanDelivery(row)
			if now.Before(d.ExpiresAt) {
				held = append(held, d)
			}
			return true, err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list held deliveries: %w", err)
	}
	return held, nil
}
