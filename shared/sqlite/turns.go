package sqlite

import (
	"context"
	"fmt"
	"time"

	"webhookrelay/shared/webhook"
)

// turnsKept is how long the row of a rate outlasts its last turn.
const turnsKept = 24 * time.Hour

// TakeTurn takes the endpoint's next turn at rate.
func (s *Store) TakeTurn(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, rate webhook.Rate, now time.Time) (at time.Time, given bool, err error) {
	beyond := rate.Beyond(now)
	err = s.write(ctx, func(c *conn) error {
		var next int64
		if _, err := c.row("SELECT next FROM turns WHERE tenant = ? AND endpoint = ? AND rate = ?",
			[]any{string(tenant), string(id), rate.String()}, &next); err != nil {
			return err
		}
		turn := max(next, rate.First(now))
		if given = turn < beyond; !given {
			at = rate.At(beyond)
			return nil
		}
		at = rate.At(turn)
		_, err := c.exec("INSERT OR REPLACE INTO turns (tenant, endpoint, rate, next, expires_at) VALUES (?, ?, ?, ?, ?)",
			string(tenant), string(id), rate.String(), turn+1, millis(now.Add(turnsKept)))
		return err
	})
	if err != nil {
		return time.Time{}, false, fmt.Errorf("turn of endpoint %s: %w", id, err)
	}
	return at, given, nil
}
