// Package seal keeps an endpoint's secrets unreadable at rest. Each is encrypted
// with AES-256-GCM under a data key of its own, which lies beside it, wrapped by
// a key service. Both are bound to the tenant, the endpoint and the purpose, so
// that what is copied to another place opens nowhere.
package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sync/singleflight"

	"webhookrelay/shared/webhook"
)

// Why something cannot be opened, or sealed.
var (
	// ErrBroken: it was altered, sealed for another place or under another key.
	// It never opens, however often it is tried.
	ErrBroken = errors.New("it was altered, or sealed for another place or under another key")
	// ErrUnavailable: the key service does not answer, or refuses this relay.
	// That says nothing of what is sealed; try again later.
	ErrUnavailable = errors.New("the key service is not available")
)

// DataKeys is a key service. Safe for concurrent use.
type DataKeys interface {
	// NewDataKey returns a fresh data key, and the same wrapped for at.
	NewDataKey(ctx context.Context, at Place) (key, wrapped []byte, err error)
	// Unwrap returns the data key that NewDataKey wrapped for at. ErrBroken: it
	// wrapped no such thing. Any other error is one of the service.
	Unwrap(ctx context.Context, wrapped []byte, at Place) (key []byte, err error)
}

// Purpose is what a sealed value is for.
type Purpose string

// Purposes.
const (
	// Signing is that of the secrets that deliveries are signed with.
	Signing Purpose = "signing"
	// Sending is that of the headers that are sent along with deliveries.
	Sending Purpose = "sending"
	// Portal is that of the key that portal tokens are signed with.
	Portal Purpose = "portal"
)

// Place is where a sealed value belongs; elsewhere it does not open. Without the
// purpose, who can write to the store but not open what is in it could have the
// relay send a signing secret as something that is meant to be sent.
type Place struct {
	Tenant   webhook.TenantID
	Endpoint webhook.EndpointID
	Purpose  Purpose
}

// bytes encodes p as no other place is encoded.
func (p Place) bytes() (b []byte) {
	for _, part := range []string{string(p.Tenant), string(p.Endpoint), string(p.Purpose)} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

// unwrapTimeout bounds one call to unwrap a data key, with the key service's own
// repetitions. Whoever waits for it may give up sooner.
const unwrapTimeout = 10 * time.Second

// Sealer seals and opens. It keeps the data keys of the last hour, so that the
// deliveries to one endpoint ask the key service once. Safe for concurrent use.
type Sealer struct {
	keys       DataKeys
	opened     *cache
	unwrapping singleflight.Group
}

// New returns a Sealer over a key service.
func New(keys DataKeys, now func() time.Time) *Sealer {
	return &Sealer{keys: keys, opened: newCache(now)}
}

// What sealed bytes begin with. Then come the length of the wrapped data key in
// two bytes, that key, and what GCM makes of the value: nonce, ciphertext, tag.
const (
	version    = 1
	headerSize = 3
)

// Seal encrypts value for its place, under a fresh data key. The same value
// never seals to the same bytes. ErrUnavailable when it cannot.
func (s *Sealer) Seal(ctx context.Context, at Place, value []byte) ([]byte, error) {
	plain, wrapped, err := s.keys.NewDataKey(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("new data key: %w: %w", ErrUnavailable, err)
	}
	if len(wrapped) == 0 || len(wrapped) > math.MaxUint16 {
		return nil, fmt.Errorf("new data key: %w: %d bytes when wrapped", ErrUnavailable, len(wrapped))
	}
	key, err := newDataKey(plain)
	if err != nil {
		return nil, fmt.Errorf("new data key: %w: %w", ErrUnavailable, err)
	}
	s.opened.put(nameOf(wrapped, at), key)
	sealed := binary.BigEndian.AppendUint16([]byte{version}, uint16(len(wrapped)))
	return key.seal(append(sealed, wrapped...), value, at), nil
}

// Open returns the value that was sealed for at. ErrBroken: there is none, ever.
// ErrUnavailable: not now.
func (s *Sealer) Open(ctx context.Context, at Place, sealed []byte) ([]byte, error) {
	wrapped, box, ok := split(sealed)
	if !ok {
		return nil, ErrBroken
	}
	key, err := s.key(ctx, wrapped, at)
	if err != nil {
		return nil, err
	}
	return key.open(box, at)
}

func split(sealed []byte) (wrapped, box []byte, ok bool) {
	if len(sealed) < headerSize || sealed[0] != version {
		return nil, nil, false
	}
	end := headerSize + int(binary.BigEndian.Uint16(sealed[1:]))
	if end == headerSize || end > len(sealed) {
		return nil, nil, false
	}
	return sealed[headerSize:end], sealed[end:], true
}

// key returns the data key, from memory or by one call, however many ask at once.
func (s *Sealer) key(ctx context.Context, wrapped []byte, at Place) (dataKey, error) {
	name := nameOf(wrapped, at)
	if key, ok := s.opened.get(name); ok {
		return key, nil
	}
	unwrapped := s.unwrapping.DoChan(name, func() (any, error) {
		// The first to ask must not end the call for the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unwrapTimeout)
		defer cancel()
		plain, err := s.keys.Unwrap(ctx, wrapped, at)
		if err != nil {
			return nil, err
		}
		key, err := newDataKey(plain)
		if err != nil {
			return nil, err
		}
		s.opened.put(name, key)
		return key, nil
	})
	select {
	case <-ctx.Done():
		return dataKey{}, fmt.Errorf("unwrap data key: %w: %w", ErrUnavailable, ctx.Err())
	case got := <-unwrapped:
		if errors.Is(got.Err, ErrBroken) {
			return dataKey{}, got.Err
		}
		if got.Err != nil {
			return dataKey{}, fmt.Errorf("unwrap data key: %w: %w", ErrUnavailable, got.Err)
		}
		return got.Val.(dataKey), nil
	}
}

// nameOf names a wrapped key together with its place: only there does the key
// service unwrap it, and so does memory.
func nameOf(wrapped []byte, at Place) string { return string(append(at.bytes(), wrapped...)) }
