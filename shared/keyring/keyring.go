// Package keyring makes and revokes API keys and issues portal links.
package keyring

import (
	"context"
	"fmt"
	"slices"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/webhook"
)

// Limits.
const (
	// MaxKeys is how many keys a tenant may have at a time, and how many admin
	// keys there may be. Keys made at the very same moment may exceed it.
	MaxKeys = 100
	// MaxLifetime bounds how far off a key's expiry may lie.
	MaxLifetime = 10 * 365 * 24 * time.Hour
)

// Store keeps keys, by their digests. In each method an empty tenant is that of
// the admin keys. What a method is given as a line goes to the audit trail in
// the same transaction.
type Store interface {
	// CreateKey stores a new key. Its id is fresh.
	CreateKey(ctx context.Context, k auth.Key, line audit.Line) error
	// Keys lists the keys that have not expired by id, oldest first, seeing every
	// finished write; see Page.
	Keys(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]auth.Key, string, error)
	// DeleteKey removes a key. ErrNotFound: there is none, or it has expired.
	DeleteKey(ctx context.Context, tenant webhook.TenantID, key auth.KeyID, line audit.Line) error
	// PortalKey is that of auth.Store.
	PortalKey(ctx context.Context, fresh *auth.PortalKey) (auth.PortalKey, error)
}

// Tenants says which tenants there are.
type Tenants interface {
	// Tenant returns one tenant, or ErrNotFound.
	Tenant(ctx context.Context, tenant webhook.TenantID) (webhook.Tenant, error)
}

// Authenticator goes by the keys.
type Authenticator interface {
	// Forget ends a revoked key in this process at once.
	Forget(tenant webhook.TenantID, key auth.KeyID)
}

// Config holds what a Keyring works with. Every field is required.
type Config struct {
	Store   Store
	Tenants Tenants
	Auth    Authenticator
	// Sealer seals the key that signs portal tokens.
	Sealer *seal.Sealer
	// Admin is the digest of the bootstrap admin key.
	Admin auth.Digest
	Trail audit.Trail
}

// Keyring manages keys and portal links, on behalf of whoever ctx names (see
// package audit). Safe for concurrent use.
type Keyring struct{ Config }

// New returns a Keyring over c.
func New(c Config) *Keyring { return &Keyring{c} }

// NewKey is what a caller says of a key to make.
type NewKey struct {
	// Tenant is whom it is for; empty for an admin key.
	Tenant webhook.TenantID
	Scope  auth.Scope
	Name   string
	// ExpiresAt is when it ends; zero for never.
	ExpiresAt time.Time
}

// TenantScopes are the scopes that a tenant's keys may have.
var TenantScopes = []auth.Scope{auth.ScopeTenant, auth.ScopePublish, auth.ScopeRead}

// Create makes a key and returns it with its text, which nobody can find out
// later. *webhook.Invalid, ErrFull or ErrNotFound (tenant) when it cannot.
func (k *Keyring) Create(ctx context.Context, n NewKey) (auth.Key, string, error) {
	now := k.now()
	if err := n.check(now); err != nil {
		return auth.Key{}, "", err
	}
	if err := k.hasRoom(ctx, n.Tenant); err != nil {
		return auth.Key{}, "", err
	}
	key := auth.Key{
		Tenant: n.Tenant, ID: auth.KeyID(auth.KeyIDPrefix + k.Trail.IDs.ULID(now)), Scope: n.Scope, Name: n.Name,
		CreatedAt: now, CreatedBy: audit.Of(ctx).Key, ExpiresAt: n.ExpiresAt.UTC().Truncate(time.Millisecond),
	}
	text := auth.NewKey(key.Tenant, key.ID)
	key.Digest = auth.DigestOf(text)
	if err := k.Store.CreateKey(ctx, key, k.line(ctx, audit.KeyCreated, key)); err != nil {
		return auth.Key{}, "", err
	}
	return key, text, nil
}

func (n NewKey) check(now time.Time) error {
	switch {
	case n.Tenant == "" && n.Scope != auth.ScopeAdmin:
		return &webhook.Invalid{Field: "scope", Reason: `must be "admin"`}
	case n.Tenant != "" && n.Scope == "":
		return &webhook.Invalid{Field: "scope", Reason: fmt.Sprintf("is required: one of %v", TenantScopes)}
	case n.Tenant != "" && !slices.Contains(TenantScopes, n.Scope):
		return &webhook.Invalid{Field: "scope", Reason: fmt.Sprintf("must be one of %v", TenantScopes)}
	case !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now):
		return &webhook.Invalid{Field: "expires_at", Reason: "must lie in the future"}
	case n.ExpiresAt.Sub(now) > MaxLifetime:
		return &webhook.Invalid{Field: "expires_at", Reason: "must lie within ten years; leave it out for a key that does not expire"}
	}
	return webhook.CheckText("name", n.Name, webhook.MaxNameLength)
}

// hasRoom returns ErrFull when the tenant may have no more keys.
func (k *Keyring) hasRoom(ctx context.Context, tenant webhook.TenantID) error {
	if err := k.exists(ctx, tenant); err != nil {
		return err
	}
	count, p := 0, webhook.Page{Limit: MaxKeys}
	for {
		keys, next, err := k.Store.Keys(ctx, tenant, p)
		if err != nil {
			return err
		}
		if count += len(keys); count >= MaxKeys {
			return webhook.ErrFull
		}
		if next == "" {
			return nil
		}
		p.After = next
	}
}

func (k *Keyring) exists(ctx context.Context, tenant webhook.TenantID) error {
	if tenant == "" {
		return nil
	}
	_, err := k.Tenants.Tenant(ctx, tenant)
	return err
}

// List lists the keys of a tenant, or the admin keys. ErrNotFound (tenant).
func (k *Keyring) List(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]auth.Key, string, error) {
	if err := k.exists(ctx, tenant); err != nil {
		return nil, "", err
	}
	return k.Store.Keys(ctx, tenant, p)
}

// Revoke ends a key: in this process at once, in others within 30 seconds. ErrNotFound.
func (k *Keyring) Revoke(ctx context.Context, tenant webhook.TenantID, key auth.KeyID) error {
	line := k.line(ctx, audit.KeyRevoked, auth.Key{Tenant: tenant, ID: key})
	if err := k.Store.DeleteKey(ctx, tenant, key, line); err != nil {
		return err
	}
	k.Auth.Forget(tenant, key)
	return nil
}

// line is the audit line of a change to key.
func (k *Keyring) line(ctx context.Context, action audit.Action, key auth.Key) audit.Line {
	detail := map[string]string{}
	for name, value := range map[string]string{"scope": string(key.Scope), "name": key.Name} {
		if value != "" {
			detail[name] = value
		}
	}
	if !key.ExpiresAt.IsZero() {
		detail["expires_at"] = stamp(key.ExpiresAt)
	}
	entry := audit.Entry{Tenant: key.Tenant, Action: action, Target: string(key.ID), Detail: detail}
	return entry.Line(ctx, k.Trail.IDs, k.now())
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (k *Keyring) now() time.Time { return k.Trail.Now().UTC().Truncate(time.Millisecond) }
