package signature_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

// FuzzSecret takes for a secret what someone brings along.
func FuzzSecret(f *testing.F) {
	for _, seed := range []string{
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=", "whpk_", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8I\nLPZIo2LaLaSw",
	} {
		f.Add(seed, []byte(`{"type":"a"}`))
	}
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		secret, now := signature.Secret(text), time.Unix(1_700_000_000, 0)
		for _, scheme := range []webhook.Scheme{webhook.SchemeHMAC, webhook.SchemeEd25519} {
			if err := signature.CheckSecret(scheme, secret); err != nil {
				if len(text) > 20 && strings.Contains(err.Error(), text) {
					t.Fatalf("an error quotes the secret: %v", err)
				}
				continue
			}
			signed, err := signature.Sign("evt_1", now, body, []signature.Secret{secret})
			if err != nil {
				t.Fatalf("a secret that passed does not sign: %v", err)
			}
			verifier := secret
			if scheme == webhook.SchemeEd25519 {
				if verifier, err = signature.PublicKey(secret); err != nil {
					t.Fatal(err)
				}
			}
			header := http.Header{}
			header.Set(signature.HeaderID, "evt_1")
			header.Set(signature.HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
			header.Set(signature.HeaderSignature, signed)
			if err := signature.Verify(header, body, []signature.Secret{verifier}, now); err != nil {
				t.Fatalf("what was signed is not verified: %v", err)
			}
		}
		// What a row holds may be anything.
		_, _ = signature.Sign("evt_1", now, body, []signature.Secret{secret})
		_, _ = signature.PublicKey(secret)
	})
}
