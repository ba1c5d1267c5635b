package storetest

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"webhookrelay/shared/webhook"
)

// list is a list call with all but its page set.
type list[T any] func(p webhook.Page) ([]T, string, error)

// maxPages ends a walk that does not end by itself.
const maxPages = 20_000

// walk reads a whole list, with the limits that limit returns.
func walk[T any](t interface {
	Helper()
	Fatalf(string, ...any)
}, call list[T], limit func() int) (all []T) {
	t.Helper()
	var after string
	for range maxPages {
		n := limit()
		items, next, err := call(webhook.Page{Limit: n, After: after})
		if err != nil {
			t.Fatalf("page after %q: %v", after, err)
		}
		if len(items) > n {
			t.Fatalf("page after %q holds %d items, the limit is %d", after, len(items), n)
		}
		if all = append(all, items...); next == "" {
			return all
		}
		if next == after {
			t.Fatalf("the page after %q ends where it began", after)
		}
		after = next
	}
	t.Fatalf("the list does not end after %d pages", maxPages)
	return nil
}

func fixed(limit int) func() int { return func() int { return limit } }

// expectPaged checks that the list holds the wanted names in order, whatever
// the limits of its pages.
func expectPaged[T any](t *testing.T, call list[T], name func(T) string, want []string) {
	t.Helper()
	for _, limit := range []int{1, 7, 1000} {
		if limit == 1 && len(want) > 50 {
			continue // tells no more than with few items, and takes long
		}
		expect(t, "list", want, names(walk(t, call, fixed(limit)), name))
	}
	if len(want) > 50 {
		return
	}
	rapid.Check(t, func(r *rapid.T) {
		limits := rapid.IntRange(1, len(want)+3)
		got := names(walk(r, call, func() int { return limits.Draw(r, "limit") }), name)
		if len(got) != len(want) {
			r.Fatalf("got %d items, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				r.Fatalf("item %d is %s, want %s", i, got[i], want[i])
			}
		}
	})
}

func names[T any](items []T, name func(T) string) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = name(item)
	}
	return out
}

// noPositions are no list's positions: none is made of id characters alone.
var noPositions = []string{
	"no position", "é", "\x00", "\xff", "..", "/", `{"after":"x"}`, "a=b", "t.", " ", "%00",
}

// expectBadCursor checks that the list refuses what it never handed out.
func expectBadCursor[T any](t *testing.T, call list[T]) {
	t.Helper()
	for _, after := range noPositions {
		if _, _, err := call(webhook.Page{Limit: 10, After: after}); !errors.Is(err, webhook.ErrBadCursor) {
			t.Errorf("position %q: got error %v, want ErrBadCursor", after, err)
		}
	}
}
