// Package signature signs webhooks by Standard Webhooks 1.0.0: the signed
// content is "<id>.<timestamp>.<body>", v1 is HMAC-SHA256 and v1a is ed25519,
// and a header may hold several signatures, so a secret can be rotated.
package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/webhook"
)

// Header names of Standard Webhooks.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// Prefixes of serialized keys.
const (
	PrefixHMAC    = "whsec_"
	PrefixPrivate = "whsk_"
	PrefixPublic  = "whpk_"
)

// Bounds of an HMAC secret in bytes, and the size the relay makes.
const (
	MinSecretBytes = 24
	MaxSecretBytes = 64
	newSecretBytes = 32
)

// Tolerance is how far a webhook's timestamp may be from the receiver's clock:
// what the reference libraries use; the specification leaves it open.
const Tolerance = 5 * time.Minute

// Errors of Verify.
var (
	ErrMissingHeader = errors.New("a webhook-* header is missing or malformed")
	ErrTooOld        = errors.New("timestamp is too old")
	ErrTooNew        = errors.New("timestamp is too far in the future")
	ErrNoMatch       = errors.New("no signature matches")
)

// NewSecret draws a secret for scheme from random, which must be
// cryptographically secure.
func NewSecret(scheme webhook.Scheme, random io.Reader) (Secret, error) {
	prefix, size := PrefixHMAC, newSecretBytes
	if scheme == webhook.SchemeEd25519 {
		prefix, size = PrefixPrivate, ed25519.SeedSize
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("draw a secret: %w", err)
	}
	return Secret(prefix + base64.StdEncoding.EncodeToString(raw)), nil
}

// PublicKey returns the "whpk_…" key that verifies what a "whsk_…" secret signs.
func PublicKey(secret Secret) (Secret, error) {
	key, err := parseKey(secret)
	if err != nil {
		return "", err
	}
	if key.private == nil {
		return "", errors.New("an HMAC secret has no public key")
	}
	public := key.private.Public().(ed25519.PublicKey)
	return Secret(PrefixPublic + base64.StdEncoding.EncodeToString(public)), nil
}

// Sign returns the webhook-signature header over id, timestamp and body: one
// signature per secret, in order. It fails when there is no secret, or one is
// malformed; the error does not quote it.
func Sign(id webhook.EventID, timestamp time.Time, body []byte, secrets []Secret) (string, error) {
	if len(secrets) == 0 {
		return "", errors.New("no secret to sign with")
	}
	content := signedContent(string(id), strconv.FormatInt(timestamp.Unix(), 10), body)
	var header strings.Builder
	for i, secret := range secrets {
		key, err := parseKey(secret)
		if err != nil {
			return "", fmt.Errorf("secret %d: %w", i+1, err)
		}
		if i > 0 {
			header.WriteByte(' ')
		}
		header.WriteString(key.sign(content))
	}
	return header.String(), nil
}

// Verify checks a received webhook against secrets ("whsec_…" or "whpk_…"),
// any of which may match, and its timestamp against now.
func Verify(header http.Header, body []byte, secrets []Secret, now time.Time) error {
	id, timestamp, signatures := header.Get(HeaderID), header.Get(HeaderTimestamp), header.Get(HeaderSignature)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || signatures == "" || err != nil {
		return ErrMissingHeader
	}
	sent := time.Unix(seconds, 0)
	if sent.Before(now.Add(-Tolerance)) {
		return ErrTooOld
	}
	if sent.After(now.Add(Tolerance)) {
		return ErrTooNew
	}
	content := signedContent(id, timestamp, body)
	for _, secret := range secrets {
		key, err := parseKey(secret)
		if err != nil {
			return err
		}
		for have := range strings.FieldsSeq(signatures) {
			if key.verify(content, have) {
				return nil
			}
		}
	}
	return ErrNoMatch
}

func signedContent(id, timestamp string, body []byte) []byte {
	content := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	content = append(content, id...)
	content = append(content, '.')
	content = append(content, timestamp...)
	content = append(content, '.')
	return append(content, body...)
}

// key is one parsed secret: exactly one field is set.
type key struct {
	hmac    []byte
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

func parseKey(serialized Secret) (key, error) {
	prefix, encoded, _ := strings.Cut(string(serialized), "_")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return key{}, errors.New("a key is not base64 after its prefix")
	}
	switch prefix + "_" {
	case PrefixHMAC:
		if len(raw) < MinSecretBytes || len(raw) > MaxSecretBytes {
			return key{}, fmt.Errorf("an HMAC secret has %d bytes, not %d to %d", len(raw), MinSecretBytes, MaxSecretBytes)
		}
		return key{hmac: raw}, nil
	case PrefixPrivate:
		if len(raw) != ed25519.SeedSize {
			return key{}, fmt.Errorf("an ed25519 private key has %d bytes, not %d", len(raw), ed25519.SeedSize)
		}
		return key{private: ed25519.NewKeyFromSeed(raw)}, nil
	case PrefixPublic:
		if len(raw) != ed25519.PublicKeySize {
			return key{}, fmt.Errorf("an ed25519 public key has %d bytes, not %d", len(raw), ed25519.PublicKeySize)
		}
		return key{public: ed25519.PublicKey(raw)}, nil
	}
	return key{}, errors.New("a key must begin with whsec_, whsk_ or whpk_")
}

func (k key) sign(content []byte) string {
	if k.private != nil {
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, content))
	}
	return "v1," + base64.StdEncoding.EncodeToString(k.digest(content))
}

func (k key) verify(content []byte, signature string) bool {
	version, encoded, _ := strings.Cut(signature, ",")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	switch {
	case version == "v1" && k.hmac != nil:
		return hmac.Equal(raw, k.digest(content))
	case version == "v1a" && k.public != nil:
		return ed25519.Verify(k.public, content, raw)
	}
	return false
}

func (k key) digest(content []byte) []byte {
	mac := hmac.New(sha256.New, k.hmac)
	mac.Write(content)
	return mac.Sum(nil)
}
