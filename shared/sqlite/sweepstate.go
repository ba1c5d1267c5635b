package sqlite

import (
	"context"
	"fmt"

	"webhookrelay/shared/sweep"
)

// SweepState returns what SaveSweepState stored last.
func (s *Store) SweepState(ctx context.Context) (st sweep.State, err error) {
	err = s.read(ctx, func(c *conn) error {
		_, err := c.row("SELECT day, tenants_after, tenant, after, done FROM sweep_state WHERE id = 1", nil,
			&st.Day, &st.TenantsAfter, &st.Tenant, &st.After, &st.Done)
		return err
	})
	if err != nil {
		return sweep.State{}, fmt.Errorf("read: %w", err)
	}
	return st, nil
}

// SaveSweepState stores st.
func (s *Store) SaveSweepState(ctx context.Context, st sweep.State) error {
	err := s.write(ctx, func(c *conn) error {
		_, err := c.exec("INSERT OR REPLACE INTO sweep_state (id, day, tenants_after, tenant, after, done) VALUES (1, ?, ?, ?, ?, ?)",
			st.Day, st.TenantsAfter, string(st.Tenant), st.After, st.Done)
		return err
	})
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
