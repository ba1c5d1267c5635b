package auth

import (
	"cmp"
	"context"
	"crypto/ed25519"
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

// PortalKey is the key pair that signs portal tokens, as it is stored. Whoever
// checks tokens needs its public half only.
type PortalKey struct {
	// Public is an ed25519 public key.
	Public []byte
	// Sealed is the private key's seed; see package seal.
	Sealed []byte
}

// Link is a portal link: for one tenant, or for all, for a while.
type Link struct {
	// Tenant is whom the link is for; empty for an operator's, which opens the
	// whole installation.
	Tenant webhook.TenantID
	ID     KeyID
	// Issuer is the key that asked for it, and with which it ends; ByAdmin says
	// that it is an admin key.
	Issuer    KeyID
	ByAdmin   bool
	ExpiresAt time.Time
}

// A token is "portal_" and, joined by dots: the tenant, the link's id, the
// issuing key, the expiry in seconds since 1970, and the ed25519 signature of all
// before in base64. The issuing key begins with "~" when it is an admin key, and
// "~" stands in the tenant's place in an operator's token.

// signatureText is how a signature is written: one text for each, so that a
// token cannot be altered and stay valid.
var signatureText = base64.RawURLEncoding.Strict()

// signatureLength is how many characters a signature takes.
var signatureLength = signatureText.EncodedLen(ed25519.SignatureSize)

// Token returns the link's token. Admin is the digest of the bootstrap key.
func (l Link) Token(private ed25519.PrivateKey, admin Digest) string {
	issuer := string(l.Issuer)
	if l.ByAdmin {
		issuer = everywhere + issuer
	}
	text := PortalPrefix + strings.Join([]string{
		cmp.Or(string(l.Tenant), everywhere), string(l.ID), issuer, strconv.FormatInt(l.ExpiresAt.Unix(), 10),
	}, ".")
	signature := ed25519.Sign(private, signed(text, l.Issuer, admin))
	return text + "." + signatureText.EncodeToString(signature)
}

// signed is what a token's signature is over. The bootstrap key is in no store,
// so its digest goes in: links that it issued end when another takes its place.
func signed(text string, issuer KeyID, admin Digest) []byte {
	message := []byte(text)
	if issuer == Bootstrap {
		message = append(message, admin[:]...)
	}
	return message
}

// parseToken takes a token apart, and returns false for a text of another form.
func parseToken(token string) (l Link, text string, signature []byte, ok bool) {
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || len(token)-cut-1 != signatureLength {
		return Link{}, "", nil, false
	}
	text = token[:cut]
	signature, err := signatureText.DecodeString(token[cut+1:])
	parts := strings.Split(strings.TrimPrefix(text, PortalPrefix), ".")
	if err != nil || len(parts) != 4 {
		return Link{}, "", nil, false
	}
	seconds, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil {
		return Link{}, "", nil, false
	}
	l = Link{Tenant: webhook.TenantID(parts[0]), ID: KeyID(parts[1]), ExpiresAt: time.Unix(seconds, 0)}
	issuer, byAdmin := strings.CutPrefix(parts[2], everywhere)
	l.Issuer, l.ByAdmin = KeyID(issuer), byAdmin
	if parts[0] == everywhere {
		l.Tenant = ""
	}
	return l, text, signature, true
}

// ReadToken returns what a portal token says of its link, and false for a text
// of another form. Whether the relay made it, Authenticate says.
func ReadToken(token string) (Link, bool) {
	if !strings.HasPrefix(token, PortalPrefix) || len(token) > maxText {
		return Link{}, false
	}
	l, _, _, ok := parseToken(token)
	return l, ok
}

// visitor returns whom a portal token stands for, or ErrNotFound.
func (a *Authenticator) visitor(ctx context.Context, token string) (Principal, error) {
	l, text, signature, ok := parseToken(token)
	if !ok {
		return Principal{}, webhook.ErrNotFound
	}
	public, err := a.portalKey(ctx)
	if err != nil {
		return Principal{}, err
	}
	if !ed25519.Verify(public, signed(text, l.Issuer, a.Admin), signature) {
		return Principal{}, webhook.ErrNotFound
	}
	// From here on it is a token that the relay made.
	if !a.Now().Before(l.ExpiresAt) {
		return Principal{}, webhook.ErrNotFound
	}
	if l.Issuer != Bootstrap {
		issuer := place{l.Tenant, l.Issuer}
		if l.ByAdmin {
			issuer.tenant = ""
		}
		if _, err := a.keys.key(ctx, issuer); err != nil {
			return Principal{}, err
		}
	}
	if l.Tenant == "" {
		return Principal{Scope: ScopeAdmin, Key: l.ID}, nil
	}
	return Principal{Tenant: l.Tenant, Scope: ScopePortal, Key: l.ID}, nil
}

// heldKey is what this process remembers of the key that signs portal tokens.
type heldKey struct {
	mu sync.Mutex
	cached[ed25519.PublicKey]
}

// portalKey returns the public half of the key that signs portal tokens, or
// ErrNotFound. A key that was removed from the store, to end all links at once,
// is forgotten within 30 seconds.
func (a *Authenticator) portalKey(ctx context.Context) (ed25519.PublicKey, error) {
	now := wall(a.Now())
	a.portal.mu.Lock()
	held := a.portal.cached
	a.portal.mu.Unlock()
	if now.Before(held.until) {
		return held.value, nil
	}
	key, err := a.Store.PortalKey(ctx, nil)
	if err != nil {
		return nil, err
	}
	if len(key.Public) != ed25519.PublicKeySize {
		return nil, errors.New("the key of portal tokens is not one of ed25519")
	}
	a.portal.mu.Lock()
	a.portal.cached = cached[ed25519.PublicKey]{key.Public, now.Add(maxAge)}
	a.portal.mu.Unlock()
	return key.Public, nil
}
