package seal

import (
	"context"
	"fmt"
	"time"

	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

// SealSecret seals a secret that deliveries to the endpoint are signed with.
func (s *Sealer) SealSecret(ctx context.Context, tenant webhook.TenantID, endpoint webhook.EndpointID, secret signature.Secret) ([]byte, error) {
	return s.Seal(ctx, Place{tenant, endpoint, Signing}, []byte(secret))
}

// OpenSecret opens one of e's stored secrets.
func (s *Sealer) OpenSecret(ctx context.Context, e webhook.Endpoint, stored webhook.Secret) (signature.Secret, error) {
	value, err := s.Open(ctx, Place{e.Tenant, e.ID, Signing}, stored.Sealed)
	if err != nil {
		return "", fmt.Errorf("open a secret of endpoint %s: %w", e.ID, err)
	}
	return signature.Secret(value), nil
}

// Secrets opens all that sign e's deliveries at now, newest first. It fails when
// one of them does not open.
func (s *Sealer) Secrets(ctx context.Context, e webhook.Endpoint, now time.Time) ([]signature.Secret, error) {
	active := e.ActiveSecrets(now)
	secrets := make([]signature.Secret, len(active))
	for i, stored := range active {
		secret, err := s.OpenSecret(ctx, e, stored)
		if err != nil {
			return nil, err
		}
		secrets[i] = secret
	}
	return secrets, nil
}
