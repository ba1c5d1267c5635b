package sqlite

import (
	"context"
	"fmt"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/webhook"
)

// CreateEndpoint stores a new endpoint as revision 1. webhook.ErrExists: the
// id is taken. webhook.ErrNotFound: there is no such tenant.
func (s *Store) CreateEndpoint(ctx context.Context, e webhook.Endpoint, lines ...audit.Line) error {
	doc := encodeEndpoint(e)
	err := s.write(ctx, func(c *conn) error {
		if _, ok, err := tenant(c, e.Tenant); err != nil {
			return err
		} else if !ok {
			return fmt.Errorf("tenant %s: %w", e.Tenant, webhook.ErrNotFound)
		}
		created, err := c.exec("INSERT INTO endpoints (tenant, id, rev, doc) VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING",
			string(e.Tenant), string(e.ID), doc)
		if err == nil && created == 0 {
			return webhook.ErrExists
		}
		return changed(c, e.Tenant, lines, err)
	})
	if err != nil {
		return fmt.Errorf("create endpoint %s: %w", e.ID, err)
	}
	return nil
}

// UpdateEndpoint stores e as revision e.Rev+1 if the stored revision is e.Rev,
// and returns webhook.ErrConflict otherwise.
func (s *Store) UpdateEndpoint(ctx context.Context, e webhook.Endpoint, lines ...audit.Line) error {
	err := s.write(ctx, func(c *conn) error { return updateEndpoint(c, e, lines) })
	if err != nil {
		return fmt.Errorf("update endpoint %s: %w", e.ID, err)
	}
	switch key := (endpointKey{e.Tenant, e.ID}); {
	case e.State == webhook.EndpointPaused:
		s.back.forget(key)
	case e.State == webhook.EndpointEnabled && !e.Health.Open():
		s.back.note(key, s.now()) // it may have been paused
	}
	return nil
}

// DeleteEndpoint removes an endpoint. webhook.ErrNotFound: there is none.
func (s *Store) DeleteEndpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, lines ...audit.Line) error {
	err := s.write(ctx, func(c *conn) error {
		deleted, err := c.exec("DELETE FROM endpoints WHERE tenant = ? AND id = ?", string(tenant), string(id))
		if err == nil && deleted == 0 {
			return webhook.ErrNotFound
		}
		return changed(c, tenant, lines, err)
	})
	if err != nil {
		return fmt.Errorf("delete endpoint %s: %w", id, err)
	}
	return nil
}

// DisableEndpoint sets the endpoint disabled for reason, with the audit line. One that is disabled
// already keeps the reason it has; one that is gone is no error.
func (s *Store) DisableEndpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, reason webhook.Reason, now time.Time) error {
	lines := []audit.Line{audit.Disabled(tenant, id, reason).Line(ctx, s.ids, now)}
	err := s.write(ctx, func(c *conn) error {
		e, ok, err := endpoint(c, tenant, id)
		if err != nil || !ok || e.State == webhook.EndpointDisabled {
			return err
		}
		e.State, e.DisabledReason, e.UpdatedAt = webhook.EndpointDisabled, reason, now
		return updateEndpoint(c, e, lines)
	})
	if err != nil {
		return fmt.Errorf("disable endpoint %s: %w", id, err)
	}
	return nil
}

// Endpoint returns one endpoint, seeing every finished write, or webhook.ErrNotFound.
func (s *Store) Endpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID) (e webhook.Endpoint, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, ok, err := endpoint(c, tenant, id)
		if err == nil && !ok {
			return webhook.ErrNotFound
		}
		e = found
		return err
	})
	if err != nil {
		return webhook.Endpoint{}, fmt.Errorf("endpoint %s: %w", id, err)
	}
	return e, nil
}

// Endpoints lists a tenant's endpoints by id.
func (s *Store) Endpoints(ctx context.Context, tenant webhook.TenantID, p webhook.Page) (endpoints []webhook.Endpoint, next string, err error) {
	after, err := parsePosition(p.After, atEndpoint, "endpoint")
	if err != nil {
		return nil, "", fmt.Errorf("list endpoints: %w", err)
	}
	first := ""
	if after != nil {
		first = after[0]
	}
	err = s.read(ctx, func(c *conn) (err error) {
		endpoints, next, err = page(c, p.Limit, listEndpoints, []any{string(tenant), first},
			func(row scanner) (webhook.Endpoint, string, bool, error) {
				e, err := scanEndpoint(row, tenant)
				return e, position(atEndpoint, e.ID), true, err
			})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list endpoints: %w", err)
	}
	return endpoints, next, nil
}

// AllEndpoints returns the tenant's endpoints, seeing every finished write.
func (s *Store) AllEndpoints(ctx context.Context, tenant webhook.TenantID) (endpoints []webhook.Endpoint, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(listEndpoints, []any{string(tenant), "", -1}, func(row scanner) (bool, error) {
			e, err := scanEndpoint(row, tenant)
			endpoints = append(endpoints, e)
			return true, err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("endpoints of tenant %s: %w", tenant, err)
	}
	return endpoints, nil
}

const (
	listEndpoints = "SELECT id, rev, doc, health_rev, health FROM endpoints WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?"
	oneEndpoint   = "SELECT id, rev, doc, health_rev, health FROM endpoints WHERE tenant = ? AND id = ?"
)

func endpoint(c *conn, tenant webhook.TenantID, id webhook.EndpointID) (e webhook.Endpoint, ok bool, err error) {
	err = c.each(oneEndpoint, []any{string(tenant), string(id)}, func(row scanner) (bool, error) {
		e, err = scanEndpoint(row, tenant)
		ok = err == nil
		return false, err
	})
	return e, ok, err
}

func scanEndpoint(row scanner, tenant webhook.TenantID) (webhook.Endpoint, error) {
	e := webhook.Endpoint{Tenant: tenant}
	var doc, health []byte
	var healthRev int64
	if err := row.Scan(&e.ID, &e.Rev, &doc, &healthRev, &health); err != nil {
		return webhook.Endpoint{}, err
	}
	e, err := decodeEndpoint(e, doc)
	if err != nil {
		return webhook.Endpoint{}, err
	}
	if healthRev == 0 {
		return e, nil // never failed
	}
	if e.Health, err = decodeHealth(health); err != nil {
		return webhook.Endpoint{}, fmt.Errorf("health of endpoint %s: %w: %w", e.ID, webhook.ErrUnreadable, err)
	}
	e.Health.Rev = healthRev
	return e, nil
}

func updateEndpoint(c *conn, e webhook.Endpoint, lines []audit.Line) error {
	updated, err := c.exec("UPDATE endpoints SET rev = rev + 1, doc = ? WHERE tenant = ? AND id = ? AND rev = ?",
		encodeEndpoint(e), string(e.Tenant), string(e.ID), e.Rev)
	if err == nil && updated == 0 {
		return webhook.ErrConflict
	}
	return changed(c, e.Tenant, lines, err)
}

// changed raises the tenant's config version and writes the audit lines, unless
// the change before it failed.
func changed(c *conn, tenant webhook.TenantID, lines []audit.Line, failed error) error {
	if failed != nil {
		return failed
	}
	if _, err := c.exec("UPDATE tenants SET config_version = config_version + 1 WHERE id = ?", string(tenant)); err != nil {
		return err
	}
	return appendLines(c, lines)
}
