package storetest

import (
	"bytes"
	"errors"
	"testing"

	"webhookrelay/shared/seal"
)

// DataKeys runs the rules for key services.
func DataKeys(t *testing.T, keys seal.DataKeys) {
	shop := seal.Place{Tenant: "acme", Endpoint: "shop", Purpose: seal.Signing}
	fresh := func(t *testing.T) (key, wrapped []byte) {
		t.Helper()
		key, wrapped, err := keys.NewDataKey(t.Context(), shop)
		if err != nil {
			t.Fatal(err)
		}
		return key, wrapped
	}

	t.Run("AWrappedKeyUnwrapsToItself", func(t *testing.T) {
		key, wrapped := fresh(t)
		got, err := keys.Unwrap(t.Context(), wrapped, shop)
		if err != nil || !bytes.Equal(got, key) || len(key) != seal.DataKeySize {
			t.Errorf("a key of %d bytes unwraps to one of %d, equal: %t, %v", len(key), len(got), bytes.Equal(got, key), err)
		}
		if bytes.Contains(wrapped, key) {
			t.Error("the wrapped key shows the key")
		}
	})
	t.Run("NoTwoKeysAreEqual", func(t *testing.T) {
		key, wrapped := fresh(t)
		other, otherWrapped := fresh(t)
		if bytes.Equal(key, other) || bytes.Equal(wrapped, otherWrapped) {
			t.Error("they are")
		}
	})
	t.Run("AKeyUnwrapsInItsPlaceOnly", func(t *testing.T) {
		_, wrapped := fresh(t)
		for _, elsewhere := range []seal.Place{
			{Tenant: "acme", Endpoint: "shop", Purpose: "other"},
			{Tenant: "acme", Endpoint: "crm", Purpose: seal.Signing},
			{Tenant: "bolt", Endpoint: "shop", Purpose: seal.Signing},
		} {
			if _, err := keys.Unwrap(t.Context(), wrapped, elsewhere); !errors.Is(err, seal.ErrBroken) {
				t.Errorf("in %v: got error %v, want ErrBroken", elsewhere, err)
			}
		}
	})
	t.Run("AnAlteredKeyIsRefused", func(t *testing.T) {
		_, wrapped := fresh(t)
		last := len(wrapped) - 1
		altered := bytes.Clone(wrapped)
		altered[last] ^= 1
		for what, bad := range map[string][]byte{"a flipped bit": altered, "a missing byte": wrapped[:last]} {
			if _, err := keys.Unwrap(t.Context(), bad, shop); !errors.Is(err, seal.ErrBroken) {
				t.Errorf("%s: got error %v, want ErrBroken", what, err)
			}
		}
		// A key service may look at its first bytes to find the key, and report that
		// it has no such one.
		for i := range wrapped {
			altered := bytes.Clone(wrapped)
			altered[i] ^= 1
			if _, err := keys.Unwrap(t.Context(), altered, shop); err == nil {
				t.Errorf("with byte %d altered it unwraps", i)
			}
		}
	})
}
