package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

// dead returns a queue with n messages in its dead-letter queue.
func dead(t *testing.T, n int) *timedQueue {
	t.Helper()
	q := &timedQueue{now: time.Now().UTC().Truncate(time.Millisecond)}
	q.Queue = openAt(t, Config{Path: filepath.Join(t.TempDir(), "relay.db"), Now: q.Now}).Queue()
	must(t, q.s.write(t.Context(), func(c *conn) error { // as having been received takes long
		r := receiving{s: q.s, c: c, now: q.Now()}
		for i := range n {
			if err := r.bury(messageRow{seq: int64(i + 1), body: fmt.Append(nil, i)}); err != nil {
				return err
			}
		}
		return nil
	}))
	wantDepth(t, q.Queue, n)
	return q
}

func wantDepth(t *testing.T, q *Queue, want int) {
	t.Helper()
	depth, err := q.Depth(t.Context())
	must(t, err)
	if depth != want {
		t.Errorf("the dead-letter queue holds %d messages, want %d", depth, want)
	}
}

func wantMove(t *testing.T, q *Queue, want replay.Move) {
	t.Helper()
	got, ok, err := q.LatestMove(t.Context())
	must(t, err)
	if (want.Failure == "") != (got.Failure == "") {
		t.Errorf("failure is %q", got.Failure)
	}
	got.Failure, want.Failure = "", ""
	if !ok || got != want {
		t.Errorf("latest move is %+v, %v; want %+v", got, ok, want)
	}
}

// bodies returns those of the delivery queue's messages, in their order.
func bodies(t *testing.T, q *Queue) (found []string) {
	t.Helper()
	must(t, q.s.read(t.Context(), func(c *conn) error {
		return c.each("SELECT body FROM messages WHERE own = 0 AND visible_at > 0 ORDER BY visible_at, seq", nil, func(row scanner) (bool, error) {
			var body []byte
			err := row.Scan(&body)
			found = append(found, string(body))
			return true, err
		})
	}))
	return found
}

func TestDeadMessagesAreKeptFor14Days(t *testing.T) {
	t.Parallel()
	const n = sweepChunk + 20
	q := dead(t, n)
	sweep := func(want int) {
		t.Helper()
		deleted, err := q.s.Sweep(t.Context(), 10_000)
		must(t, err)
		if deleted != want {
			t.Errorf("swept %d rows, want %d", deleted, want)
		}
		wantDepth(t, q.Queue, n-want)
	}
	q.Advance(14*24*time.Hour - time.Millisecond)
	sweep(0)
	q.Advance(time.Millisecond)
	sweep(n)
}

// What died under an earlier release did so when the file was brought up to date.
func TestDeadMessagesOfAnEarlierFileAreKeptFor14Days(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.db")
	script(t, path, strings.Join(migrations[:9], "")+`
		PRAGMA user_version = 9; INSERT INTO dead_messages (seq, body) VALUES (1, 'a'); INSERT INTO moves (id, started_at, moved) VALUES (1, 5, 7)`)
	q := &timedQueue{now: time.Now()}
	q.Queue = openAt(t, Config{Path: path, Now: q.Now}).Queue()
	wantMove(t, q.Queue, replay.Move{Status: "COMPLETED", Moved: 7, ToMove: 7, StartedAt: instant(5)})
	for _, want := range []int{1, 0} {
		q.Advance(13 * 24 * time.Hour)
		_, err := q.s.Sweep(t.Context(), 10)
		must(t, err)
		wantDepth(t, q.Queue, want)
	}
}

func TestAMoveOfManyKeepsTheirOrder(t *testing.T) {
	t.Parallel()
	const n = 2*moveChunk + 10
	q := dead(t, n)
	began := q.Now()
	must(t, q.StartMove(t.Context()))
	wantDepth(t, q.Queue, 0)
	wantMove(t, q.Queue, replay.Move{Status: "COMPLETED", Moved: n, ToMove: n, StartedAt: began})
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	if got := bodies(t, q.Queue); !slices.Equal(got, want) {
		t.Errorf("moved are %v", got)
	}
	must(t, q.StartMove(t.Context()))
	wantMove(t, q.Queue, replay.Move{Status: "COMPLETED", StartedAt: began})
}

func TestAMoveThatWasCutShort(t *testing.T) {
	t.Parallel()
	const n = moveChunk + 10
	q := dead(t, n)
	began := q.Now()
	m := move{q: q.Queue, started: millis(began), last: n, toMove: n}
	must(t, q.s.write(t.Context(), func(c *conn) error {
		_, err := m.chunk(c)
		return err
	}))
	wantDepth(t, q.Queue, 10)
	q.s.moving.Store(true)
	wantMove(t, q.Queue, replay.Move{Status: "RUNNING", Moved: moveChunk, ToMove: n, StartedAt: began})
	q.s.moving.Store(false)
	wantMove(t, q.Queue, replay.Move{Status: "FAILED", Moved: moveChunk, ToMove: n, StartedAt: began, Failure: "any"})
	q.Advance(time.Second)
	must(t, q.StartMove(t.Context()))
	wantMove(t, q.Queue, replay.Move{Status: "COMPLETED", Moved: 10, ToMove: 10, StartedAt: began.Add(time.Second)})
	wantDepth(t, q.Queue, 0)
	if got := bodies(t, q.Queue); len(got) != n {
		t.Errorf("%d messages were moved, want %d", len(got), n)
	}
}

func TestAMoveGoesOnWithoutWhoeverBeganIt(t *testing.T) {
	t.Parallel()
	q := dead(t, moveChunk+10)
	release := hold(t, q.s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- q.StartMove(ctx) }()
	for len(q.s.writes) == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := q.StartMove(t.Context()); !errors.Is(err, webhook.ErrMoveRunning) {
		t.Errorf("a second move: got error %v, want ErrMoveRunning", err)
	}
	release()
	must(t, <-done)
	wantDepth(t, q.Queue, 0)
}
