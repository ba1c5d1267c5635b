package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/webhook"
)

const (
	// DefaultLinkLifetime is how long a portal link works when nobody says.
	DefaultLinkLifetime = time.Hour
	// MinLinkLifetime is the shortest that may be said.
	MinLinkLifetime = time.Minute
	// MaxLinkLifetime is the longest.
	MaxLinkLifetime = 24 * time.Hour
)

// PortalLink is an issued link with its token.
type PortalLink struct {
	ID        auth.KeyID
	Token     string
	ExpiresAt time.Time
}

// Issue makes a portal link to a tenant or, for an empty one, an operator's to the
// whole installation. *webhook.Invalid, ErrNotFound (tenant), auth.ErrForbidden or
// seal.ErrUnavailable when it cannot.
func (k *Keyring) Issue(ctx context.Context, tenant webhook.TenantID, lifetime time.Duration) (PortalLink, error) {
	if lifetime < MinLinkLifetime || lifetime > MaxLinkLifetime {
		return PortalLink{}, &webhook.Invalid{Field: "expires_in_seconds", Reason: fmt.Sprintf(
			"must be between %d and %d", int(MinLinkLifetime.Seconds()), int(MaxLinkLifetime.Seconds()))}
	}
	if audit.Of(ctx).Key.IsLink() {
		// A link ends with the key that issued it, and at its time: it makes no other.
		return PortalLink{}, auth.ErrForbidden
	}
	if err := k.exists(ctx, tenant); err != nil {
		return PortalLink{}, err
	}
	private, err := k.portalKey(ctx)
	if err != nil {
		return PortalLink{}, fmt.Errorf("key of portal tokens: %w", err)
	}
	now, caller := k.now(), audit.Of(ctx)
	link := auth.Link{
		Tenant: tenant, ID: auth.KeyID(auth.LinkIDPrefix + k.Trail.IDs.ULID(now)),
		Issuer: caller.Key, ByAdmin: caller.Scope == auth.ScopeAdmin, ExpiresAt: now.Add(lifetime).Truncate(time.Second),
	}
	err = k.Trail.Record(ctx, audit.Entry{
		Tenant: tenant, Action: audit.LinkIssued, Target: string(link.ID), Detail: map[string]string{"expires_at": stamp(link.ExpiresAt)},
	})
	if err != nil {
		return PortalLink{}, err
	}
	return PortalLink{link.ID, link.Token(private, k.Admin), link.ExpiresAt}, nil
}

// portalPlace is where the portal's key is sealed for. No tenant's or endpoint's
// id may be "~".
var portalPlace = seal.Place{Tenant: "~", Endpoint: "~", Purpose: seal.Portal}

// portalKey returns the key that signs portal tokens, made at the first call ever.
func (k *Keyring) portalKey(ctx context.Context) (ed25519.PrivateKey, error) {
	stored, err := k.Store.PortalKey(ctx, nil)
	if errors.Is(err, webhook.ErrNotFound) {
		stored, err = k.makePortalKey(ctx)
	}
	if err != nil {
		return nil, err
	}
	seed, err := k.Sealer.Open(ctx, portalPlace, stored.Sealed)
	if errors.Is(err, seal.ErrBroken) || err == nil && len(seed) != ed25519.SeedSize {
		// Not for the caller to mend, unlike an endpoint's secret.
		return nil, errors.New("it cannot be opened; remove its row to have another made")
	}
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// makePortalKey stores a new key, unless someone else did meanwhile, and returns
// the one that is stored.
func (k *Keyring) makePortalKey(ctx context.Context) (auth.PortalKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return auth.PortalKey{}, err
	}
	sealed, err := k.Sealer.Seal(ctx, portalPlace, private.Seed())
	if err != nil {
		return auth.PortalKey{}, err
	}
	return k.Store.PortalKey(ctx, &auth.PortalKey{Public: public, Sealed: sealed})
}
