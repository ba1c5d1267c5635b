// Package auth tells callers apart by their API key. Keys are random, and only
// their SHA-256 digests are known to the relay: with 256 random bits no slower
// hash is needed.
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// KeyPrefix begins every API key, so that a leaked one is recognised.
const KeyPrefix = "relay_"

// ErrUnauthenticated says that the request carries no key, or one that is not known.
var ErrUnauthenticated = errors.New("no valid API key")

// NewKey returns a fresh API key of 256 random bits.
func NewKey() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand since Go 1.24)
	return KeyPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// Digest is the SHA-256 of an API key.
type Digest [sha256.Size]byte

// DigestOf returns the digest of key.
func DigestOf(key string) Digest { return sha256.Sum256([]byte(key)) }

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

// Keys knows the keys that may call the relay.
type Keys struct {
	Admin Digest
}

// Authenticate checks the request's Authorization header and returns
// ErrUnauthenticated unless it bears the admin key.
func (k Keys) Authenticate(r *http.Request) error {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ErrUnauthenticated
	}
	have := DigestOf(strings.TrimSpace(key))
	if subtle.ConstantTimeCompare(have[:], k.Admin[:]) != 1 {
		return ErrUnauthenticated
	}
	return nil
}
