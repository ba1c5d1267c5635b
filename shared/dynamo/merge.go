package dynamo

import "context"

// source is one of several ordered sequences; query and groupSource are.
type source[T any] interface {
	// peek returns the next element, or the zero T at the end.
	peek(ctx context.Context) (T, error)
	// drop discards the element that peek returned.
	drop()
}

// mergeNext takes the next element of all sources together, in the order that
// the sources share, and reports false when all are at their end.
func mergeNext[T any, S source[T]](ctx context.Context, sources []S, exists func(T) bool, before func(a, b T) bool) (next T, ok bool, err error) {
	var from S
	for _, s := range sources {
		head, err := s.peek(ctx)
		if err != nil {
			return next, false, err
		}
		if exists(head) && (!ok || before(head, next)) {
			next, from, ok = head, s, true
		}
	}
	if ok {
		from.drop()
	}
	return next, ok, nil
}
