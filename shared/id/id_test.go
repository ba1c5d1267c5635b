package id_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

func TestULIDsIncreaseWhateverTheClockDoes(t *testing.T) {
	t.Parallel()
	source, now := id.NewSource(), time.Unix(1_700_000_000, 0)
	var made []string
	for i := range 2000 {
		if i == 1000 {
			now = now.Add(-time.Hour)
		}
		made = append(made, source.ULID(now))
	}
	if !slices.IsSorted(made) || len(slices.Compact(slices.Clone(made))) != len(made) {
		t.Fatal("not strictly increasing")
	}
}

func TestConcurrentULIDsDiffer(t *testing.T) {
	t.Parallel()
	source := id.NewSource()
	var mu sync.Mutex
	seen := map[string]bool{}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 500 {
				made := source.ULID(time.Now())
				mu.Lock()
				seen[made] = true
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if len(seen) != 4000 {
		t.Fatalf("%d distinct", len(seen))
	}
}

func TestRefOf(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_123).UTC()
	ref := id.NewSource().EventRef(now)
	if got, ok := id.RefOf(id.EventID(ref)); !ok || got != ref {
		t.Fatalf("got %s, %t", got, ok)
	}
	if got, ok := id.Time(ref); !ok || !got.Equal(now) {
		t.Fatalf("made at %s", got)
	}
	if first := id.First(now); first > ref || first <= id.First(now.Add(-time.Millisecond)) || id.First(now.Add(time.Millisecond)) <= ref {
		t.Errorf("the first ref at %s is %s", now, first)
	}
	for _, own := range []webhook.EventID{"", "order-1", "evt_1", webhook.EventID(ref), "evt_" + "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"} {
		if _, ok := id.RefOf(own); ok {
			t.Errorf("%q is taken as the relay's own id", own)
		}
	}
}
