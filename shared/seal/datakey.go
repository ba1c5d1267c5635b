package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// DataKeySize is the length of a data key in bytes.
const DataKeySize = 32

// dataKey encrypts, and binds what it encrypts to a place.
type dataKey struct{ gcm cipher.AEAD }

// newDataKey makes a key of raw, which it wipes.
func newDataKey(raw []byte) (dataKey, error) {
	defer clear(raw)
	if len(raw) != DataKeySize {
		return dataKey{}, fmt.Errorf("a key of %d bytes, not %d", len(raw), DataKeySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return dataKey{}, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	return dataKey{gcm}, err
}

// seal appends nonce, ciphertext and tag of value to dst.
func (k dataKey) seal(dst, value []byte, at Place) []byte {
	return k.gcm.Seal(dst, nil, value, at.bytes()) //nolint:gosec // G407: this cipher takes no nonce, it draws one
}

// open returns what seal encrypted, or ErrBroken.
func (k dataKey) open(box []byte, at Place) ([]byte, error) {
	value, err := k.gcm.Open(nil, nil, box, at.bytes())
	if err != nil {
		return nil, ErrBroken
	}
	return value, nil
}
