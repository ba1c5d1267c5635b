package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"webhookrelay/shared/webhook"
)

// PortalPrefix begins every portal token, so that a leaked one is recognised.
const PortalPrefix = "portal_"

// portalSecretSize is the length of the secret that signs portal tokens, in bytes.
const portalSecretSize = 32

// Link is a portal link: for one tenant, for a while.
type Link struct {
	Tenant webhook.TenantID
	ID     KeyID
	// Issuer is the key that asked for it, and with which it ends; ByAdmin says
	// that it is an admin key.
	Issuer    KeyID
	ByAdmin   bool
	ExpiresAt time.Time
}

// A token is "portal_" and, joined by dots: the tenant, the link's id, the
// issuing key, the expiry in seconds since 1970, and the HMAC-SHA256 of all
// before in base64. The issuing key begins with "~" when it is an admin key.

// SignPortal returns the token of a link. The secret it is signed with is made
// at the first call ever.
func (a *Authenticator) SignPortal(ctx context.Context, l Link) (string, error) {
	secret, err := a.portalSecret(ctx, true)
	if err != nil {
		return "", err
	}
	issuer := string(l.Issuer)
	if l.ByAdmin {
		issuer = everywhere + issuer
	}
	text := PortalPrefix + strings.Join([]string{
		string(l.Tenant), string(l.ID), issuer, strconv.FormatInt(l.ExpiresAt.Unix(), 10),
	}, ".")
	return text + "." + a.portalMAC(secret, text, l.Issuer), nil
}

// visitor returns whom a portal token stands for, or ErrNotFound.
func (a *Authenticator) visitor(ctx context.Context, token string) (Principal, error) {
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 {
		return Principal{}, webhook.ErrNotFound
	}
	text, mac := token[:cut], token[cut+1:]
	parts := strings.Split(strings.TrimPrefix(text, PortalPrefix), ".")
	if len(parts) != 4 {
		return Principal{}, webhook.ErrNotFound
	}
	tenant, id, issuer := webhook.TenantID(parts[0]), KeyID(parts[1]), place{webhook.TenantID(parts[0]), KeyID(parts[2])}
	if rest, admin := strings.CutPrefix(parts[2], everywhere); admin {
		issuer = place{"", KeyID(rest)}
	}
	secret, err := a.portalSecret(ctx, false)
	if err != nil {
		return Principal{}, err
	}
	if !hmac.Equal([]byte(mac), []byte(a.portalMAC(secret, text, issuer.id))) {
		return Principal{}, webhook.ErrNotFound
	}
	// From here on it is a token that the relay made.
	expires, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || a.Now().Unix() >= expires {
		return Principal{}, webhook.ErrNotFound
	}
	if issuer.id != Bootstrap {
		if _, err := a.keys.key(ctx, issuer); err != nil {
			return Principal{}, err
		}
	}
	return Principal{Tenant: tenant, Scope: ScopePortal, Key: id}, nil
}

// portalMAC signs a token's text. The bootstrap key is in no store, so its
// digest goes in: links that it issued end when another takes its place.
func (a *Authenticator) portalMAC(secret []byte, text string, issuer KeyID) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	if issuer == Bootstrap {
		mac.Write(a.Admin[:])
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// heldSecret is what this process remembers of the secret.
type heldSecret struct {
	mu sync.Mutex
	cached[[]byte]
}

// portalSecret returns the secret that signs portal tokens, making it if asked
// to. It is the only place that handles it. A secret that was removed from the store, to
// end all links at once, is forgotten within 30 seconds.
func (a *Authenticator) portalSecret(ctx context.Context, create bool) ([]byte, error) {
	now := wall(a.Now())
	a.portal.mu.Lock()
	held := a.portal.cached
	a.portal.mu.Unlock()
	if now.Before(held.until) {
		return held.value, nil
	}
	var fresh []byte
	if create {
		fresh = newPortalSecret()
	}
	secret, err := a.Store.PortalSecret(ctx, fresh)
	if err != nil {
		return nil, err
	}
	if len(secret) < portalSecretSize {
		return nil, errors.New("the secret that signs portal tokens is too short")
	}
	a.portal.mu.Lock()
	a.portal.cached = cached[[]byte]{secret, now.Add(maxAge)}
	a.portal.mu.Unlock()
	return secret, nil
}

func newPortalSecret() []byte {
	secret := make([]byte, portalSecretSize)
	_, _ = rand.Read(secret) // never fails
	return secret
}
