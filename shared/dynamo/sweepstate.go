package dynamo

import (
	"context"
	"fmt"

	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// Attributes of the sweeper's row.
const (
	sweepDay     = "day"
	sweepTenants = "ta"
	sweepTenant  = "t"
	sweepAfter   = "af"
	sweepDone    = "d"
)

// SweepState returns what SaveSweepState stored last, for 1 read unit.
func (s *Store) SweepState(ctx context.Context) (sweep.State, error) {
	row, err := s.get(ctx, sweepKey, "")
	if err != nil {
		return sweep.State{}, fmt.Errorf("read: %w", err)
	}
	return sweep.State{
		Day: row.str(sweepDay), TenantsAfter: row.str(sweepTenants),
		Tenant: webhook.TenantID(row.str(sweepTenant)), After: row.str(sweepAfter), Done: row.bool(sweepDone),
	}, nil
}

// SaveSweepState stores st, for 1 write unit.
func (s *Store) SaveSweepState(ctx context.Context, st sweep.State) error {
	row := newItem(sweepKey)
	row.setStr(sweepDay, st.Day)
	row.setStr(sweepTenants, st.TenantsAfter)
	row.setStr(sweepTenant, string(st.Tenant))
	row.setStr(sweepAfter, st.After)
	row.setBool(sweepDone, st.Done)
	if err := s.put(ctx, row, "", nil); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
