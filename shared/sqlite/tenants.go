package sqlite

import (
	"context"
	"fmt"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/webhook"
)

// ConfigVersion returns a number that rises with every change to the tenant's
// endpoints, or webhook.ErrNotFound when there is no such tenant.
func (s *Store) ConfigVersion(ctx context.Context, tenant webhook.TenantID) (version int64, err error) {
	if version, ok := s.known.version(tenant); ok {
		return version, nil
	}
	age := s.known.now()
	err = s.read(ctx, func(c *conn) error {
		ok, err := c.row("SELECT config_version FROM tenants WHERE id = ?", []any{string(tenant)}, &version)
		if err == nil && !ok {
			return webhook.ErrNotFound
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("config version of tenant %s: %w", tenant, err)
	}
	s.known.keepVersion(age, tenant, version)
	return version, nil
}

// PutTenant creates t, or gives the existing tenant t's name.
func (s *Store) PutTenant(ctx context.Context, t webhook.Tenant, lines ...audit.Line) (stored webhook.Tenant, created bool, err error) {
	err = s.write(ctx, func(c *conn) (err error) {
		stored, created, err = putTenant(c, t, lines)
		return err
	})
	if err != nil {
		return webhook.Tenant{}, false, fmt.Errorf("put tenant %s: %w", t.ID, err)
	}
	return stored, created, nil
}

func putTenant(c *conn, t webhook.Tenant, lines []audit.Line) (stored webhook.Tenant, created bool, err error) {
	stored, found, err := tenant(c, t.ID)
	if err != nil || found && stored.Name == t.Name {
		return stored, false, err
	}
	if found {
		_, err = c.exec("UPDATE tenants SET name = ? WHERE id = ?", t.Name, string(t.ID))
		stored.Name = t.Name
	} else {
		_, err = c.exec("INSERT INTO tenants (id, name, created_at, config_version) VALUES (?, ?, ?, 1)", string(t.ID), t.Name, millis(t.CreatedAt))
		stored = t
	}
	if err != nil {
		return webhook.Tenant{}, false, err
	}
	return stored, !found, appendLines(c, lines)
}

// Tenant returns one tenant, or webhook.ErrNotFound.
func (s *Store) Tenant(ctx context.Context, id webhook.TenantID) (t webhook.Tenant, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, ok, err := tenant(c, id)
		if err == nil && !ok {
			return webhook.ErrNotFound
		}
		t = found
		return err
	})
	if err != nil {
		return webhook.Tenant{}, fmt.Errorf("tenant %s: %w", id, err)
	}
	return t, nil
}

// Tenants lists tenants by id.
func (s *Store) Tenants(ctx context.Context, p webhook.Page) (tenants []webhook.Tenant, next string, err error) {
	after, err := parsePosition(p.After, atTenant, "tenant")
	if err != nil {
		return nil, "", fmt.Errorf("list tenants: %w", err)
	}
	first := ""
	if after != nil {
		first = after[0]
	}
	err = s.read(ctx, func(c *conn) (err error) {
		tenants, next, err = page(c, p.Limit, "SELECT id, name, created_at FROM tenants WHERE id > ? ORDER BY id LIMIT ?",
			[]any{first}, func(row scanner) (webhook.Tenant, string, bool, error) {
				t, err := scanTenant(row)
				return t, position(atTenant, t.ID), true, err
			})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list tenants: %w", err)
	}
	return tenants, next, nil
}

func tenant(c *conn, id webhook.TenantID) (t webhook.Tenant, ok bool, err error) {
	err = c.each("SELECT id, name, created_at FROM tenants WHERE id = ?", []any{string(id)}, func(row scanner) (bool, error) {
		t, err = scanTenant(row)
		ok = err == nil
		return false, err
	})
	return t, ok, err
}

func scanTenant(row scanner) (t webhook.Tenant, err error) {
	var created int64
	err = row.Scan(&t.ID, &t.Name, &created)
	t.CreatedAt = instant(created)
	return t, err
}
