package seal

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
)

// LocalKeySize is the length of a LocalKey's key in bytes.
const LocalKeySize = 32

// LocalKey is a key service that is nothing but a key in memory, for a relay that
// has no other.
type LocalKey struct{ key cipher.AEAD }

var _ DataKeys = LocalKey{}

// NewLocalKey returns a LocalKey over LocalKeySize random bytes, which it wipes.
func NewLocalKey(random []byte) (LocalKey, error) {
	if len(random) != LocalKeySize {
		return LocalKey{}, fmt.Errorf("a key of %d bytes, not %d", len(random), LocalKeySize)
	}
	key, err := newKey(random)
	return LocalKey{key}, err
}

// NewDataKey implements DataKeys.
func (k LocalKey) NewDataKey(_ context.Context, at Place) (key, wrapped []byte, err error) {
	key = make([]byte, DataKeySize)
	_, _ = rand.Read(key) // never fails
	return key, k.key.Seal(nil, nil, key, at.append(nil)), nil
}

// Unwrap implements DataKeys.
func (k LocalKey) Unwrap(_ context.Context, wrapped []byte, at Place) ([]byte, error) {
	key, err := k.key.Open(nil, nil, wrapped, at.append(nil))
	if err != nil {
		return nil, ErrBroken
	}
	return key, nil
}
