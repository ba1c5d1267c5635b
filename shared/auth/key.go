package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"webhookrelay/shared/webhook"
)

// KeyPrefix begins every API key, so that a leaked one is recognised.
const KeyPrefix = "relay_"

// everywhere stands in a key's text where the tenant would: no tenant's id may
// hold it.
const everywhere = "~"

// KeyID names an API key: "key_" and a ULID, or Bootstrap.
type KeyID string

// Bootstrap is the id of the admin key that the deployment names by its digest.
// It is in no store.
const Bootstrap KeyID = "bootstrap"

// KeyIDPrefix begins the id of every key in the store.
const KeyIDPrefix = "key_"

// Key is what the store knows of an API key; the key itself it does not.
type Key struct {
	// Tenant is whom the key belongs to; empty for an admin key.
	Tenant webhook.TenantID
	ID     KeyID
	Scope  Scope
	// Name says what the key is for, in its maker's words.
	Name      string
	Digest    Digest
	CreatedAt time.Time
	// CreatedBy is the key, or portal link, that asked for it.
	CreatedBy KeyID
	// ExpiresAt is when it ends; zero for never.
	ExpiresAt time.Time
}

// Prefix is the part of the key's text that is no secret.
func (k Key) Prefix() string { return place{k.Tenant, k.ID}.prefix() }

// expired reports whether the key has ended by now.
func (k Key) expired(now time.Time) bool {
	return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
}

// place is where a key lies in the store. A key's text names it, so that one
// read finds the key.
type place struct {
	tenant webhook.TenantID
	id     KeyID
}

func (p place) prefix() string {
	owner := string(p.tenant)
	if owner == "" {
		owner = everywhere
	}
	return KeyPrefix + owner + "." + string(p.id)
}

// secretLength is how many characters 256 random bits take in base64.
const secretLength = 43

// NewKey returns the text of a fresh key with 256 random bits: "relay_", the
// tenant (or "~" for an admin key), its id and the random bits, joined by dots.
// All of it are characters that a bearer token may hold (RFC 6750, section 2.1).
func NewKey(tenant webhook.TenantID, id KeyID) string {
	raw := make([]byte, sha256.Size)
	_, _ = rand.Read(raw) // never fails (crypto/rand since Go 1.24)
	return place{tenant, id}.prefix() + "." + base64.RawURLEncoding.EncodeToString(raw)
}

// placeOf returns the place that a key's text names, and false for a text that
// no key in the store can have.
func placeOf(text string) (place, bool) {
	rest, ok := strings.CutPrefix(text, KeyPrefix)
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != 3 || len(parts[2]) != secretLength {
		return place{}, false
	}
	p := place{webhook.TenantID(parts[0]), KeyID(parts[1])}
	if parts[0] == everywhere {
		p.tenant = ""
	} else if webhook.CheckID("tenant", parts[0]) != nil {
		return place{}, false
	}
	return p, strings.HasPrefix(parts[1], KeyIDPrefix) && webhook.CheckID("key", parts[1]) == nil
}

// Digest is the SHA-256 of an API key's text. With 256 random bits in the text
// no slower hash is needed.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a key's text.
func DigestOf(key string) Digest { return sha256.Sum256([]byte(key)) }

// Equal compares in constant time.
func (d Digest) Equal(other Digest) bool { return subtle.ConstantTimeCompare(d[:], other[:]) == 1 }

// String returns the digest as 64 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads 64 hexadecimal digits.
func ParseDigest(text string) (Digest, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return Digest{}, fmt.Errorf("must be the SHA-256 of a key as %d hexadecimal digits", 2*sha256.Size)
	}
	return Digest(raw), nil
}
