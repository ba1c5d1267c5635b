package registry

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

// MaxOverlap bounds how long an old secret may go on signing.
const MaxOverlap = 7 * 24 * time.Hour

// Rotation is what a caller says of the secret that replaces the present one.
type Rotation struct {
	// Secret is the caller's own; empty means a fresh one.
	Secret signature.Secret
	// Overlap is how long the ones before it go on signing beside it; nil means
	// the configured time.
	Overlap *time.Duration
}

// RotateSecret gives the endpoint a new secret.
func (r *Registry) RotateSecret(ctx context.Context, tenant webhook.TenantID, endpoint webhook.EndpointID, n Rotation) (webhook.Endpoint, error) {
	keep := r.Overlap
	if n.Overlap != nil {
		keep = *n.Overlap
	}
	if keep < 0 || keep > MaxOverlap {
		return webhook.Endpoint{}, &webhook.Invalid{Field: "overlap_seconds", Reason: fmt.Sprintf("must be between 0 and %d", int(MaxOverlap.Seconds()))}
	}
	entry := audit.Entry{Action: audit.SecretRotated, Detail: map[string]string{"overlap_seconds": strconv.Itoa(int(keep.Seconds()))}}
	return r.update(ctx, tenant, endpoint, &entry, func(e *webhook.Endpoint) error {
		now := r.now()
		old := expiring(e.ActiveSecrets(now), now, keep)
		if len(old) >= webhook.MaxSecrets {
			return &webhook.Invalid{Field: "secret", Reason: fmt.Sprintf(
				"cannot be rotated again yet: %d secrets sign at once; wait for one to expire or rotate with overlap_seconds 0", webhook.MaxSecrets)}
		}
		secret, err := r.secretFor(ctx, *e, n.Secret, now)
		if err != nil {
			return err
		}
		e.Secrets = append([]webhook.Secret{secret}, old...)
		return nil
	})
}

// expiring returns the secrets that go on signing, each for keep at most.
func expiring(secrets []webhook.Secret, now time.Time, keep time.Duration) []webhook.Secret {
	var kept []webhook.Secret
	for _, s := range secrets {
		expires := now.Add(keep)
		if s.ExpiresAt.IsZero() || expires.Before(s.ExpiresAt) {
			s.ExpiresAt = expires
		}
		if s.ExpiresAt.After(now) {
			kept = append(kept, s)
		}
	}
	return kept
}

// secretFor seals own, once checked, or a fresh secret for e.
func (r *Registry) secretFor(ctx context.Context, e webhook.Endpoint, own signature.Secret, now time.Time) (webhook.Secret, error) {
	secret := own
	if own == "" {
		fresh, err := signature.NewSecret(e.Scheme, rand.Reader)
		if err != nil {
			return webhook.Secret{}, err
		}
		secret = fresh
	} else if err := signature.CheckSecret(e.Scheme, own); err != nil {
		return webhook.Secret{}, &webhook.Invalid{Field: "secret", Reason: err.Error()}
	}
	sealed, err := r.Sealer.SealSecret(ctx, e.Tenant, e.ID, secret)
	if err != nil {
		return webhook.Secret{}, fmt.Errorf("seal a secret of endpoint %s: %w", e.ID, err)
	}
	return webhook.Secret{Sealed: sealed, CreatedAt: now}, nil
}

// VerifyingKey returns what e's receiver verifies with: the newest HMAC secret, or
// the public half of the newest ed25519 key. ErrNotFound: nothing signs.
// seal.ErrBroken or ErrUnavailable: it does not open.
func (r *Registry) VerifyingKey(ctx context.Context, e webhook.Endpoint) (signature.Secret, error) {
	active := e.ActiveSecrets(r.Now())
	if len(active) == 0 {
		return "", webhook.ErrNotFound
	}
	secret, err := r.Sealer.OpenSecret(ctx, e, active[0])
	if err != nil || e.Scheme != webhook.SchemeEd25519 {
		return secret, err
	}
	return signature.PublicKey(secret)
}
