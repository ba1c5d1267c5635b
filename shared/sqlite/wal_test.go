package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

func TestTheLogNeedNotGrow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.db")
	q := openAt(t, Config{Path: path}).Queue()
	size := func() int64 {
		info, err := os.Stat(path + "-wal")
		must(t, err)
		return info.Size()
	}
	before := size()
	for range 20 {
		must(t, q.Send(t.Context(), []webhook.DeliveryKey{newKey("a")}))
	}
	if after := size(); before < checkpointPages*logPage || after != before {
		t.Errorf("the log holds %d bytes at first and %d then, want the same and room for %d pages", before, after, checkpointPages)
	}
	_, count := drain(t, crash(t, path).Queue())
	wantCount(t, count, map[string]int{"a": 20})
}

// look reads from a snapshot that lasts until end is called.
func look(t *testing.T, s *Store) (end func()) {
	t.Helper()
	began, ending, done := make(chan error), make(chan struct{}), make(chan error)
	go func() {
		done <- s.snapshot(context.Background(), func(c *conn) error {
			var name string
			_, err := c.row("SELECT name FROM tenants WHERE id = 't'", nil, &name)
			began <- err
			<-ending
			return err
		})
	}()
	must(t, <-began)
	return func() {
		close(ending)
		must(t, <-done)
	}
}

// SQLite's own checkpoint never gets to the end here: at each commit somebody
// reads what was before it.
func TestTheLogIsBegunAgainWhileReadsOverlap(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.db")
	q := &timedQueue{now: time.Now()}
	s := openAt(t, Config{Path: path, Now: q.Now})
	end := look(t, s)
	defer func() { end() }()
	next := func() {
		earlier := end
		end = look(t, s)
		earlier()
	}
	put := func(bodies int) {
		e := newEvent(q.Now())
		e.Body = make([]byte, bodies<<20)
		must(t, s.PutEvents(t.Context(), []webhook.Event{e}))
	}
	isLong := func() bool {
		info, err := os.Stat(path + "-wal")
		must(t, err)
		return info.Size() > maxLog
	}
	for !isLong() {
		put(8)
		next()
	}
	for range 2 { // a read that lasts does not stop the writer
		q.Advance(logEvery)
		put(0)
	}
	for tries := 0; isLong(); tries++ {
		if tries == 20 {
			t.Fatal("the log was never begun again")
		}
		q.Advance(logEvery)
		put(0)
		// Now the writer waits for the reads. It has ended that when it makes the next
		// write, which changes nothing, so that SQLite has no cause for a checkpoint.
		written := make(chan error, 1)
		go func() { written <- s.write(t.Context(), func(*conn) error { return nil }) }()
		for waits := true; waits; next() {
			select {
			case err := <-written:
				must(t, err)
				waits = false
			default:
			}
		}
	}
}
