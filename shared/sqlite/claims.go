package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

// Claim stores claim and returns it as stored, its times to the millisecond,
// unless an unexpired claim on the same tenant and key exists: then that one
// is returned and nothing is stored.
func (s *Store) Claim(ctx context.Context, claim ingest.Claim) (ingest.Claim, error) {
	held := claim
	err := s.write(ctx, func(c *conn) error {
		stored, err := c.exec(`
			INSERT INTO claims (tenant, key, ref, fingerprint, at, done, expires_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
			ON CONFLICT (tenant, key) DO UPDATE SET ref = ?3, fingerprint = ?4, at = ?5, done = ?6, expires_at = ?7
			WHERE expires_at <= ?8`,
			append(claimValues(claim), millis(s.now()))...)
		if err != nil {
			return err
		}
		if stored == 1 {
			held = claim
			held.At, held.ExpiresAt = instant(millis(claim.At)), instant(millis(claim.ExpiresAt))
			return nil
		}
		var at, expires int64
		_, err = c.row("SELECT ref, fingerprint, at, done, expires_at FROM claims WHERE tenant = ? AND key = ?",
			[]any{string(claim.Tenant), claim.Key}, &held.Ref, &held.Fingerprint, &at, &held.Done, &expires)
		if err == nil && !held.Done && s.abandoned(claim, at) {
			at, err = 0, letGo(c, claim)
		}
		held.At, held.ExpiresAt = instant(at), instant(expires)
		return err
	})
	if err != nil {
		return ingest.Claim{}, fmt.Errorf("claim %s: %w", claim.Key, err)
	}
	s.unreleased.Delete(claimKey{claim.Tenant, claim.Key})
	return held, nil
}

type claimKey struct {
	tenant webhook.TenantID
	key    string
}

// abandoned reports whether nobody works any more on what was claimed at that
// time: by an earlier process, which has ended, for a file has one at a time; or
// by a request that could not say so because the store failed it.
func (s *Store) abandoned(claim ingest.Claim, at int64) bool {
	_, failed := s.unreleased.Load(claimKey{claim.Tenant, claim.Key})
	return failed || at < s.opened
}

// letGo ends the lease of a claim.
func letGo(c *conn, claim ingest.Claim) error {
	_, err := c.exec("UPDATE claims SET at = 0 WHERE tenant = ? AND key = ?", string(claim.Tenant), claim.Key)
	return err
}

// UpdateClaim gives the claim old the values of claim, or returns
// webhook.ErrConflict when the stored claim is no longer old.
func (s *Store) UpdateClaim(ctx context.Context, old, claim ingest.Claim) error {
	values := append(claimValues(old), string(claim.Ref), claim.Fingerprint, millis(claim.At), claim.Done, millis(claim.ExpiresAt))
	err := s.write(ctx, func(c *conn) error {
		changed, err := c.exec(`
			UPDATE claims SET ref = ?8, fingerprint = ?9, at = ?10, done = ?11, expires_at = ?12
			WHERE tenant = ?1 AND key = ?2 AND ref = ?3 AND fingerprint = ?4 AND at = ?5 AND done = ?6 AND expires_at = ?7`,
			values...)
		if err == nil && changed == 0 {
			return webhook.ErrConflict
		}
		return err
	})
	if err != nil {
		if !claim.Done && !errors.Is(err, webhook.ErrConflict) {
			s.noteUnreleased(claimKey{old.Tenant, old.Key}, old.ExpiresAt)
		}
		return fmt.Errorf("update claim %s: %w", old.Key, err)
	}
	return nil
}

// noteUnreleased notes a claim whose holder failed to let go, and forgets those
// that have expired since.
func (s *Store) noteUnreleased(key claimKey, expires time.Time) {
	s.unreleased.Range(func(noted, until any) bool {
		if t, ok := until.(time.Time); ok && !s.now().Before(t) {
			s.unreleased.Delete(noted)
		}
		return true
	})
	s.unreleased.Store(key, expires)
}

// EventRef returns where the event with a caller's own id is kept, or
// webhook.ErrNotFound. The claim on the id says where; it may precede the event.
func (s *Store) EventRef(ctx context.Context, tenant webhook.TenantID, id webhook.EventID) (ref webhook.EventRef, err error) {
	err = s.read(ctx, func(c *conn) error {
		ok, err := c.row("SELECT ref FROM claims WHERE tenant = ? AND key = ? AND expires_at > ?",
			[]any{string(tenant), ingest.ClaimByID + string(id), millis(s.now())}, &ref)
		if err == nil && !ok {
			return webhook.ErrNotFound
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("event %s: %w", id, err)
	}
	return ref, nil
}

func claimValues(c ingest.Claim) []any {
	return []any{string(c.Tenant), c.Key, string(c.Ref), c.Fingerprint, millis(c.At), c.Done, millis(c.ExpiresAt)}
}
