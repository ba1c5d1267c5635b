package seal

import (
	"context"
	"crypto/rand"
)

// LocalKeySize is the length of a LocalKey's key in bytes.
const LocalKeySize = DataKeySize

// LocalKey is a key service that is nothing but a key in memory, for a relay that
// has no other.
type LocalKey struct{ key dataKey }

var _ DataKeys = LocalKey{}

// NewLocalKey returns a LocalKey over LocalKeySize random bytes, which it wipes.
func NewLocalKey(random []byte) (LocalKey, error) {
	key, err := newDataKey(random)
	return LocalKey{key}, err
}

// NewDataKey implements DataKeys.
func (k LocalKey) NewDataKey(_ context.Context, at Place) (key, wrapped []byte, err error) {
	key = make([]byte, DataKeySize)
	_, _ = rand.Read(key) // never fails
	return key, k.key.seal(nil, key, at), nil
}

// Unwrap implements DataKeys.
func (k LocalKey) Unwrap(_ context.Context, wrapped []byte, at Place) ([]byte, error) {
	return k.key.open(wrapped, at)
}
