package sqlite

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/webhook"
)

// crash opens a copy of what a killed process leaves: its file and its log.
func crash(t *testing.T, path string) *Store {
	t.Helper()
	to := filepath.Join(t.TempDir(), "relay.db")
	for _, suffix := range []string{"", "-wal"} {
		copyFile(t, path+suffix, to+suffix)
	}
	return openAt(t, Config{Path: to, MaxReceives: 1})
}

func TestMessagesInMemoryOutliveTheirProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.db")
	q := openAt(t, Config{Path: path}).Queue()
	keys := []webhook.DeliveryKey{newKey("waiting"), newKey("received"), newKey("deleted"), newKey("hidden")}
	must(t, q.Send(t.Context(), keys))
	var received []dispatch.Message
	for _, m := range receive(t, q, 4) {
		switch endpointIn(t, m) {
		case "deleted":
			must(t, q.Delete(t.Context(), []dispatch.Message{m}))
		case "hidden":
			q.Hide(t.Context(), hidings([]dispatch.Message{m}, time.Hour))
		default:
			received = append(received, m)
		}
	}
	must(t, q.Send(t.Context(), []webhook.DeliveryKey{newKey("waiting")}))
	got, count := drain(t, crash(t, path).Queue())
	wantCount(t, count, map[string]int{"received": 1, "waiting": 2})
	for _, m := range got {
		if m.Receives != 1 {
			t.Errorf("received for the %d. time", m.Receives)
		}
	}
	if len(received) != 2 {
		t.Errorf("received %d", len(received))
	}
}

func TestASettledMessageComesBackUnlessItIsDeleted(t *testing.T) {
	t.Parallel()
	q := &timedQueue{now: time.Now()}
	s := openAt(t, Config{Path: Memory, Now: q.Now})
	q.Queue = s.Queue()
	sendTo(t, q.Queue, "a", 1)
	m := receive(t, q.Queue, 1)[0]
	q.Settled(m)
	q.Advance(DefaultVisibility + time.Millisecond)
	must(t, q.Wait(t.Context()))
	again := receive(t, q.Queue, 1)[0]
	if again.ID != m.ID || again.Receives != 2 {
		t.Errorf("received %+v", again)
	}
}

// Beyond what memory takes, and in whatever turn, all come.
func TestMoreThanMemoryTakes(t *testing.T) {
	t.Parallel()
	const beyond = 50
	q := &timedQueue{now: time.Now()}
	s := openAt(t, Config{Path: Memory, Now: q.Now})
	q.Queue = s.Queue()
	sendTo(t, q.Queue, "a", maxFreshOfOne+beyond)
	if s.fresh.count != maxFreshOfOne {
		t.Errorf("memory has %d messages, want %d", s.fresh.count, maxFreshOfOne)
	}
	seen := map[string]bool{}
	for len(seen) < maxFreshOfOne+beyond {
		must(t, q.Wait(t.Context()))
		got, err := q.Receive(t.Context(), 10)
		must(t, err)
		for _, m := range got {
			if seen[m.ID] {
				t.Fatalf("message %s was received twice", m.ID)
			}
			seen[m.ID] = true
		}
		must(t, q.Delete(t.Context(), got))
	}
	if s.fresh.count != 0 || len(s.fresh.lines) != 0 || len(s.fresh.leases) != 0 {
		t.Errorf("memory still has %d messages, %d lines, %d leases", s.fresh.count, len(s.fresh.lines), len(s.fresh.leases))
	}
}

// Whoever receives one message at a time gets those in the file and those in
// memory in turn.
func TestNeitherFileNorMemoryWaitsForTheOther(t *testing.T) {
	t.Parallel()
	const each = 20
	for _, limit := range []int{1, 2, 3} {
		path := filepath.Join(t.TempDir(), "relay.db")
		s, err := Open(Config{Path: path})
		must(t, err)
		sendTo(t, s.Queue(), "file", each)
		must(t, s.Close())
		s = openAt(t, Config{Path: path})
		q := s.Queue()
		sendTo(t, q, "memory", each)
		seen := map[string]int{}
		for range each / limit {
			got, err := q.Receive(t.Context(), limit)
			must(t, err)
			for _, m := range got {
				seen[endpointIn(t, m)]++
			}
			if apart := seen["file"] - seen["memory"]; len(got) != limit || apart < -1 || apart > 1 {
				t.Fatalf("limit %d: received %d, in all %v", limit, len(got), seen)
			}
			must(t, q.Delete(t.Context(), got))
		}
	}
}

// Memory whose endpoint has no room takes no turn.
func TestOneAtATimeFromTheFileWhileMemoryHasNoneToGive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.db")
	s, err := Open(Config{Path: path})
	must(t, err)
	sendTo(t, s.Queue(), "file", 4)
	must(t, s.Close())
	s = openAt(t, Config{Path: path, Places: 8})
	q := s.Queue()
	sendTo(t, q, "memory", 10)
	for seen := map[string]int{}; seen["file"] < 4; {
		got, err := q.Receive(t.Context(), 1)
		must(t, err)
		if len(got) != 1 {
			t.Fatalf("received nothing after %v", seen)
		}
		seen[endpointIn(t, got[0])]++
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, content, 0o600))
}
