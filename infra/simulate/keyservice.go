package simulate

import (
	"context"
	"fmt"

	"webhookrelay/shared/seal"
)

// keyService is the key service as a process sees it: every call may fail.
type keyService struct{ *host }

var _ seal.DataKeys = keyService{}

// NewDataKey implements seal.DataKeys.
func (k keyService) NewDataKey(ctx context.Context, at seal.Place) (key, wrapped []byte, err error) {
	type made struct{ key, wrapped []byte }
	got, err := keyCall(ctx, k.host, opNewDataKey, at, func() (m made, err error) {
		m.key, m.wrapped, err = k.p.w.sealing.NewDataKey(ctx, at)
		return m, err
	})
	return got.key, got.wrapped, err
}

// Unwrap implements seal.DataKeys.
func (k keyService) Unwrap(ctx context.Context, wrapped []byte, at seal.Place) ([]byte, error) {
	return keyCall(ctx, k.host, opUnwrap, at, func() ([]byte, error) { return k.p.w.sealing.Unwrap(ctx, wrapped, at) })
}

// keyCall says in the trace whether it succeeded, and not with which bytes: they
// are drawn anew in each run.
func keyCall[T any](ctx context.Context, h *host, op *Op, at seal.Place, effect func() (T, error)) (T, error) {
	a := ask(ctx, h.p, op, fmt.Sprint(at.Tenant, "/", at.Endpoint), func(*call) (a answer[T]) {
		if a.err = ctx.Err(); a.err == nil {
			a.value, a.err = effect()
		}
		return a
	}, func(Fault) answer[T] {
		return answer[T]{err: fmt.Errorf("%s: %w", op.Name, errInjected)}
	}, func(a answer[T]) string { return describe(a.err) })
	return a.value, a.err
}
