package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"webhookrelay/shared/webhook"
)

// Secret is a key in its serialized form: "whsec_…" for v1, "whsk_…" for v1a,
// or "whpk_…", the public half of the latter. Printed, logged or marshalled it
// says "[secret]": only string(s) gives it away.
type Secret string

const hidden = "[secret]"

// Format implements fmt.Formatter, for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the secret from JSON and from slog.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// CheckSecret refuses a caller's own secret that scheme cannot sign with, or
// that another library might read as another key. The error completes
// "secret …" and does not quote it.
func CheckSecret(scheme webhook.Scheme, s Secret) error {
	want := fmt.Sprintf("must be %s followed by %d to %d bytes in base64", PrefixHMAC, MinSecretBytes, MaxSecretBytes)
	prefix := PrefixHMAC
	if scheme == webhook.SchemeEd25519 {
		want = fmt.Sprintf("must be %s followed by the %d bytes of a private key in base64", PrefixPrivate, ed25519.SeedSize)
		prefix = PrefixPrivate
	}
	encoded, ok := strings.CutPrefix(string(s), prefix)
	if !ok {
		return errors.New(want + ": it begins with something else")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || base64.StdEncoding.EncodeToString(raw) != encoded {
		return errors.New(want + ": it is not padded standard base64")
	}
	if _, err := parseKey(s); err != nil {
		return fmt.Errorf("%s: it has %d", want, len(raw))
	}
	return nil
}
