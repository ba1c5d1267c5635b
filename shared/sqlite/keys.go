package sqlite

import (
	"context"
	"errors"
	"fmt"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

// A key that does not expire has expires_at 0.

func expiryOf(k auth.Key) int64 {
	if k.ExpiresAt.IsZero() {
		return 0
	}
	return millis(k.ExpiresAt)
}

// CreateKey stores a new key and its audit line.
func (s *Store) CreateKey(ctx context.Context, k auth.Key, line audit.Line) error {
	err := s.write(ctx, func(c *conn) error {
		created, err := c.exec(`INSERT INTO keys (tenant, id, scope, name, digest, created_at, created_by, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, string(k.Tenant), string(k.ID), string(k.Scope), k.Name,
			k.Digest[:], millis(k.CreatedAt), string(k.CreatedBy), expiryOf(k))
		if err != nil {
			return err
		}
		if created == 0 {
			return webhook.ErrExists
		}
		return appendLines(c, []audit.Line{line})
	})
	if err != nil {
		return fmt.Errorf("create key %s: %w", k.ID, err)
	}
	return nil
}

// DeleteKey removes a key and writes the audit line. webhook.ErrNotFound: there
// is none, or it has expired.
func (s *Store) DeleteKey(ctx context.Context, tenant webhook.TenantID, id auth.KeyID, line audit.Line) error {
	now := millis(s.now())
	err := s.write(ctx, func(c *conn) error {
		deleted, err := c.exec("DELETE FROM keys WHERE tenant = ? AND id = ? AND (expires_at = 0 OR expires_at > ?)", string(tenant), string(id), now)
		if err != nil {
			return err
		}
		if deleted == 0 {
			return webhook.ErrNotFound
		}
		return appendLines(c, []audit.Line{line})
	})
	if err != nil {
		return fmt.Errorf("delete key %s: %w", id, err)
	}
	return nil
}

const keyColumns = "SELECT id, scope, name, digest, created_at, created_by, expires_at FROM keys"

// Key returns one key, or webhook.ErrNotFound.
func (s *Store) Key(ctx context.Context, tenant webhook.TenantID, id auth.KeyID) (k auth.Key, err error) {
	found := false
	err = s.read(ctx, func(c *conn) error {
		return c.each(keyColumns+" WHERE tenant = ? AND id = ?", []any{string(tenant), string(id)}, func(row scanner) (_ bool, err error) {
			k, found, err = s.scanKey(row, tenant)
			return false, err
		})
	})
	if err == nil && !found {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return auth.Key{}, fmt.Errorf("key %s: %w", id, err)
	}
	return k, nil
}

// Keys lists the keys of a tenant by id.
func (s *Store) Keys(ctx context.Context, tenant webhook.TenantID, p webhook.Page) (keys []auth.Key, next string, err error) {
	after, err := parsePosition(p.After, atKey, "key")
	if err != nil {
		return nil, "", fmt.Errorf("list keys: %w", err)
	}
	first := ""
	if after != nil {
		first = after[0]
	}
	err = s.read(ctx, func(c *conn) (err error) {
		keys, next, err = page(c, p.Limit, keyColumns+" WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?", []any{string(tenant), first},
			func(row scanner) (auth.Key, string, bool, error) {
				k, live, err := s.scanKey(row, tenant)
				return k, position(atKey, k.ID), live, err
			})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list keys: %w", err)
	}
	return keys, next, nil
}

// scanKey reads a key and reports whether it has not expired.
func (s *Store) scanKey(row scanner, tenant webhook.TenantID) (k auth.Key, live bool, err error) {
	k.Tenant = tenant
	var digest []byte
	var created, expires int64
	if err := row.Scan(&k.ID, &k.Scope, &k.Name, &digest, &created, &k.CreatedBy, &expires); err != nil {
		return auth.Key{}, false, err
	}
	copy(k.Digest[:], digest)
	k.CreatedAt = instant(created)
	if expires == 0 {
		return k, true, nil
	}
	k.ExpiresAt = instant(expires)
	return k, s.now().Before(k.ExpiresAt), nil
}

// PortalKey returns the key that signs portal tokens, storing fresh as such when
// there is none. webhook.ErrNotFound: fresh is nil too.
func (s *Store) PortalKey(ctx context.Context, fresh *auth.PortalKey) (auth.PortalKey, error) {
	key, err := s.portalKey(ctx)
	if errors.Is(err, webhook.ErrNotFound) && fresh != nil {
		err = s.write(ctx, func(c *conn) error {
			_, err := c.exec("INSERT INTO portal_key (id, public, sealed) VALUES (1, ?, ?) ON CONFLICT DO NOTHING", fresh.Public, fresh.Sealed)
			return err
		})
		if err == nil {
			key, err = s.portalKey(ctx)
		}
	}
	if err != nil {
		return auth.PortalKey{}, fmt.Errorf("key of portal tokens: %w", err)
	}
	return key, nil
}

func (s *Store) portalKey(ctx context.Context) (key auth.PortalKey, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.row("SELECT public, sealed FROM portal_key WHERE id = 1", nil, &key.Public, &key.Sealed)
		if err == nil && !found {
			return webhook.ErrNotFound
		}
		return err
	})
	return key, err
}
