package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"webhookrelay/shared/webhook"
)

// Store is what authentication asks of a store.
type Store interface {
	// Key returns one key, seeing every finished write, or ErrNotFound when there
	// is none or it has expired. An empty tenant is that of admin keys.
	Key(ctx context.Context, tenant webhook.TenantID, id KeyID) (Key, error)
	// PortalKey returns the key that signs portal tokens, seeing every finished
	// write. Without one it first stores fresh, of concurrent callers exactly
	// one's, or returns ErrNotFound when fresh is nil.
	PortalKey(ctx context.Context, fresh *PortalKey) (PortalKey, error)
}

// maxText bounds what is looked at as a key or token, in bytes.
const maxText = 512

// Config holds what an Authenticator works with. Every field is required.
type Config struct {
	Store Store
	// Admin is the digest of the bootstrap admin key.
	Admin Digest
	Now   func() time.Time
}

// Authenticator knows callers by their keys and tokens. It asks the store for a
// key at most once in 30 seconds, and goes by a key's expiry at once. Safe for
// concurrent use.
type Authenticator struct {
	Config
	keys   *keyCache
	portal heldKey
}

// New returns an Authenticator over c.
func New(c Config) *Authenticator {
	return &Authenticator{Config: c, keys: newKeyCache(c.Store, c.Now)}
}

// Authenticate returns who the request's bearer key or token stands for, or
// ErrUnauthenticated. Any other error is the store's.
func (a *Authenticator) Authenticate(r *http.Request) (Principal, error) {
	text, ok := bearer(r)
	if !ok {
		return Principal{}, ErrUnauthenticated
	}
	digest := DigestOf(text)
	if digest.Equal(a.Admin) {
		return Principal{Scope: ScopeAdmin, Key: Bootstrap}, nil
	}
	caller, err := a.stored(r.Context(), text, digest)
	if errors.Is(err, webhook.ErrNotFound) {
		return Principal{}, ErrUnauthenticated
	}
	if err != nil {
		return Principal{}, fmt.Errorf("authenticate: %w", err)
	}
	return caller, nil
}

// stored finds the caller in the store, by key or by token, or returns ErrNotFound.
func (a *Authenticator) stored(ctx context.Context, text string, digest Digest) (Principal, error) {
	if strings.HasPrefix(text, PortalPrefix) {
		return a.visitor(ctx, text)
	}
	at, ok := placeOf(text)
	if !ok {
		return Principal{}, webhook.ErrNotFound
	}
	key, err := a.keys.key(ctx, at)
	if err != nil {
		return Principal{}, err
	}
	bound := key.Tenant != ""
	if !key.Digest.Equal(digest) || bound == (key.Scope == ScopeAdmin) {
		return Principal{}, webhook.ErrNotFound
	}
	return Principal{Tenant: key.Tenant, Scope: key.Scope, Key: key.ID}, nil
}

// Forget ends a revoked key in this process at once. Others go on for up to 30 seconds.
func (a *Authenticator) Forget(tenant webhook.TenantID, id KeyID) { a.keys.forget(place{tenant, id}) }

func bearer(r *http.Request) (string, bool) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	text = strings.TrimSpace(text)
	return text, strings.EqualFold(scheme, "Bearer") && text != "" && len(text) <= maxText
}
