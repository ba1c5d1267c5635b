package sqlite

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/storetest"
)

// openAt opens a store that is closed with the test. The plans of all it ran
// are checked then.
func openAt(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		checkPlans(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openFile(t *testing.T) *Store {
	t.Helper()
	return openAt(t, Config{Path: filepath.Join(t.TempDir(), "relay.db")})
}

func paths(t *testing.T, run func(t *testing.T, path func(t *testing.T) string)) {
	t.Run("File", func(t *testing.T) {
		run(t, func(t *testing.T) string { return filepath.Join(t.TempDir(), "relay.db") })
	})
	t.Run("Memory", func(t *testing.T) {
		run(t, func(*testing.T) string { return Memory })
	})
}

func TestStoreKeepsTheRules(t *testing.T) {
	paths(t, func(t *testing.T, path func(*testing.T) string) {
		storetest.Store(t, func(t *testing.T, now func() time.Time) storetest.StoreUnderTest {
			return openAt(t, Config{Path: path(t), Now: now})
		})
	})
}

// The file is searched as it lies on disk, with the log of what is not in it yet.
func TestNoSecretIsStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	storetest.NoSecretIsStored(t, openAt(t, Config{Path: path}), func() (all []byte) {
		for _, suffix := range []string{"", "-wal"} {
			part, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, part...)
		}
		return all
	})
}

// timedQueue is a queue whose time the suite moves.
type timedQueue struct {
	*Queue
	mu  sync.Mutex
	now time.Time
}

func (q *timedQueue) Now() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.now
}

func (q *timedQueue) Advance(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.now = q.now.Add(d)
}

func TestQueueKeepsTheRules(t *testing.T) {
	paths(t, func(t *testing.T, path func(*testing.T) string) {
		storetest.Queue(t, func(t *testing.T) storetest.QueueUnderTest {
			q := &timedQueue{now: time.Now()}
			q.Queue = openAt(t, Config{
				Path: path(t), Now: q.Now, Visibility: storetest.Visibility, MaxReceives: storetest.MaxReceives, Places: storetest.Places,
			}).Queue()
			return q
		})
	})
}

// mayScan are the statements that read a whole table, and what makes that right.
var mayScan = []string{
	"SELECT count(*) FROM dead_messages",             // they are few
	"FROM sqlite_master",                             // once, on opening
	"UPDATE messages SET visible_at = sent_at WHERE", // the same
}

// checkPlans fails when a statement that s has run reads a table from end to
// end or sorts what it read: with millions of rows, it would take seconds.
func checkPlans(t *testing.T, s *Store) {
	t.Helper()
	conns := []*conn{s.writer}
	for range readers {
		conns = append(conns, <-s.readers)
	}
	queries := make(map[string]bool)
	for _, c := range conns {
		for query := range c.stmts {
			queries[query] = true
		}
	}
	for _, query := range slices.Sorted(maps.Keys(queries)) {
		if !strings.Contains(query, " ") || strings.HasPrefix(query, "BEGIN") || strings.HasPrefix(query, "PRAGMA") ||
			slices.ContainsFunc(mayScan, func(part string) bool { return strings.Contains(query, part) }) {
			continue
		}
		for _, step := range plan(t, conns[1], query) {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("plan of %s: %s", query, step)
			}
		}
	}
	for _, c := range conns[1:] {
		s.readers <- c
	}
}

func plan(t *testing.T, c *conn, query string) (steps []string) {
	t.Helper()
	stmt, _, err := c.raw.PrepareTransient("EXPLAIN QUERY PLAN " + query) // its parameters are nulls
	if err != nil {
		t.Fatalf("plan of %s: %v", query, err)
	}
	for {
		more, err := stmt.Step()
		if err != nil {
			t.Fatalf("plan of %s: %v", query, err)
		}
		if !more {
			must(t, stmt.Finalize())
			return steps
		}
		steps = append(steps, stmt.GetText("detail"))
	}
}
