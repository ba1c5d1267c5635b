package dynamo

import (
	"context"
	"errors"
	"fmt"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/webhook"
)

// Attributes of a tenant's row. Its listing row holds the keys only.
const (
	tenantName    = "n"
	tenantCreated = "a"
	// tenantVersion is the config version: it starts at 1 and rises with every
	// change to the tenant's endpoints, in the same transaction.
	tenantVersion = "ver"
)

// PutTenant creates t, or gives the existing tenant t's name. It costs 1 read
// unit when nothing changes, 4 write units more to create (two rows in a
// transaction) and 2 to rename, and then 4 per line.
func (s *Store) PutTenant(ctx context.Context, t webhook.Tenant, lines ...audit.Line) (stored webhook.Tenant, created bool, err error) {
	// A second round is needed only when another caller creates t in between.
	for range 2 {
		stored, err = s.Tenant(ctx, t.ID)
		if err == nil {
			stored, err = s.renameTenant(ctx, stored, t.Name, lines)
			return stored, false, err
		}
		if !errors.Is(err, webhook.ErrNotFound) {
			return webhook.Tenant{}, false, err
		}
		refused, err := s.transact(ctx, s.with(lines,
			s.putIf(encodeTenant(t), rowAbsent, nil),
			s.putIf(newItem(listingKey(t.ID)), rowAbsent, nil))...)
		if err != nil {
			return webhook.Tenant{}, false, fmt.Errorf("create tenant %s: %w", t.ID, err)
		}
		if refused == none {
			return t, true, nil
		}
	}
	return webhook.Tenant{}, false, fmt.Errorf("create tenant %s: one of its rows exists without the other", t.ID)
}

func (s *Store) renameTenant(ctx context.Context, t webhook.Tenant, name string, lines []audit.Line) (webhook.Tenant, error) {
	if t.Name == name {
		return t, nil
	}
	refused, err := s.transact(ctx, s.with(lines, s.updateIf(tenantKey(t.ID),
		"SET "+tenantName+" = :name", rowExists, item{":name": strValue(name)}))...)
	if err == nil && refused != none {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.Tenant{}, fmt.Errorf("rename tenant %s: %w", t.ID, err)
	}
	t.Name = name
	return t, nil
}

// Tenant returns one tenant, or ErrNotFound, for 1 read unit.
func (s *Store) Tenant(ctx context.Context, tenant webhook.TenantID) (webhook.Tenant, error) {
	row, err := s.get(ctx, tenantKey(tenant), "")
	if err == nil && row == nil {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.Tenant{}, fmt.Errorf("tenant %s: %w", tenant, err)
	}
	return decodeTenant(tenant, row), nil
}

// ConfigVersion returns the number that every change to the tenant's endpoints
// raises, or ErrNotFound, for 1 read unit.
func (s *Store) ConfigVersion(ctx context.Context, tenant webhook.TenantID) (int64, error) {
	row, err := s.get(ctx, tenantKey(tenant), tenantVersion)
	if err == nil && row == nil {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("config version of tenant %s: %w", tenant, err)
	}
	return row.num(tenantVersion), nil
}

// Tenants lists tenants by id. The listing names them; their rows are read
// beside it, so that a name is kept in one place only: 1 read unit per tenant.
func (s *Store) Tenants(ctx context.Context, p webhook.Page) ([]webhook.Tenant, string, error) {
	rows, next, err := s.list(ctx, listingPK, "", p)
	if err != nil {
		return nil, "", fmt.Errorf("list tenants: %w", err)
	}
	keys := keySet{}
	for _, row := range rows {
		keys.add(tenantKey(webhook.TenantID(row.str(attrSK))))
	}
	found := newRowSet()
	if err := s.batchGet(ctx, keys, true, found); err != nil {
		return nil, "", fmt.Errorf("list tenants: %w", err)
	}
	tenants := make([]webhook.Tenant, 0, len(rows))
	for _, row := range rows {
		tenant := webhook.TenantID(row.str(attrSK))
		if meta, ok := found.rows[tenantKey(tenant)]; ok {
			tenants = append(tenants, decodeTenant(tenant, meta))
		}
	}
	return tenants, next, nil
}

func encodeTenant(t webhook.Tenant) item {
	row := newItem(tenantKey(t.ID))
	row.setStr(tenantName, t.Name)
	row.setTime(tenantCreated, t.CreatedAt)
	row.setNum(tenantVersion, 1)
	return row
}

func decodeTenant(tenant webhook.TenantID, row item) webhook.Tenant {
	return webhook.Tenant{ID: tenant, Name: row.str(tenantName), CreatedAt: row.time(tenantCreated)}
}
