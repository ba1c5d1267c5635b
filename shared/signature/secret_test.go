package signature_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

func secretOf(prefix string, size int) signature.Secret {
	return signature.Secret(prefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, size)))
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	const hmac, ed25519 = webhook.SchemeHMAC, webhook.SchemeEd25519
	for _, tc := range []struct {
		rule   string
		scheme webhook.Scheme
		secret signature.Secret
		// wrong is a part of the error; empty: it is accepted.
		wrong string
	}{
		{"24BytesAreEnough", hmac, secretOf("whsec_", 24), ""},
		{"64BytesAreTheMost", hmac, secretOf("whsec_", 64), ""},
		{"23BytesAreTooFew", hmac, secretOf("whsec_", 23), "it has 23"},
		{"65BytesAreTooMany", hmac, secretOf("whsec_", 65), "it has 65"},
		{"NoBytesAreTooFew", hmac, "whsec_", "it has 0"},
		{"ThePrefixIsNeeded", hmac, secretOf("", 32), "begins with"},
		{"AnotherPrefixIsRefused", hmac, secretOf("sk_", 32), "begins with"},
		{"AnHMACSecretDoesNotServeEd25519", ed25519, secretOf("whsec_", 32), "whsk_"},
		{"APrivateKeyDoesNotServeHMAC", hmac, secretOf("whsk_", 32), "whsec_"},
		{"APublicKeyCannotSign", ed25519, secretOf("whpk_", 32), "whsk_"},
		{"APrivateKeyHas32Bytes", ed25519, secretOf("whsk_", 32), ""},
		{"APrivateKeyOf64BytesIsRefused", ed25519, secretOf("whsk_", 64), "it has 64"},
		{"WhatIsNotBase64IsRefused", hmac, "whsec_" + signature.Secret(strings.Repeat("!", 40)), "base64"},
		{"TheURLAlphabetIsRefused", hmac, "whsec_" + signature.Secret(strings.Repeat("-_", 20)), "base64"},
		{"MissingPaddingIsRefused", hmac, signature.Secret(strings.TrimRight(string(secretOf("whsec_", 32)), "=")), "base64"},
		{"ALineBreakIsRefused", hmac, secretOf("whsec_", 24) + "\n", "base64"},
		{"StrayBitsAreRefused", hmac, "whsec_" + signature.Secret(strings.Repeat("A", 41)+"B=="), "base64"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			err := signature.CheckSecret(tc.scheme, tc.secret)
			switch {
			case tc.wrong == "" && err != nil:
				t.Fatal(err)
			case tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong) || !strings.HasPrefix(err.Error(), "must be wh")):
				t.Fatalf("got %v, want an error that says %q", err, tc.wrong)
			case err != nil && len(tc.secret) > 10 && strings.Contains(err.Error(), string(tc.secret[6:])):
				t.Fatalf("the error quotes the secret: %v", err)
			}
		})
	}
	t.Run("WhatTheRelayDrawsIsAccepted", func(t *testing.T) {
		t.Parallel()
		for _, scheme := range []webhook.Scheme{hmac, ed25519} {
			secret, err := signature.NewSecret(scheme, rand.Reader)
			if err == nil {
				err = signature.CheckSecret(scheme, secret)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// Whatever prints it, and whatever it lies in.
func TestASecretDoesNotPrint(t *testing.T) {
	t.Parallel()
	secret := secretOf("whsec_", 32)
	in := struct{ Secrets []signature.Secret }{[]signature.Secret{secret}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", secret, secret) // any verb, and too many arguments
		fmt.Fprintf(&out, verb+"\n", in, &in)
	}
	fmt.Fprintln(&out, secret, fmt.Errorf("with %v", secret))
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("x", "secret", secret, "in", in, "pointer", &secret)
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"secret": secret, "in": in}); err != nil {
		t.Fatal(err)
	}
	raw := strings.TrimPrefix(string(secret), "whsec_")
	for _, form := range []string{raw[:8], fmt.Sprintf("%x", string(secret))[:16], fmt.Sprintf("%X", string(secret))[:16]} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%s can be read in\n%s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Errorf("nothing says that a secret is hidden:\n%s", out.String())
	}
}
