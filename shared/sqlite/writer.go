package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"webhookrelay/shared/webhook"
)

// maxGroup bounds the writes of one transaction, so that the first of them
// does not wait long for the last.
const maxGroup = 512

// maxRows bounds the rows of one transaction, all its writes together, but for the
// last of them: a request may write a thousand times what another does.
const maxRows = 2_000

// write is one change waiting for its group.
type write struct {
	// run makes the change. It checks all it has to check before it changes
	// anything, so one that returns a refusal has changed nothing. It may be run
	// twice, the first time undone.
	run func(*conn) error
	// rows is about how many rows it writes.
	rows int
	took atomic.Bool
	done chan struct{}
	err  error
}

// take claims w for whoever calls first: the writer, to run it, or the caller
// whose context ended, to withdraw it.
func (w *write) take() bool { return w.took.CompareAndSwap(false, true) }

// write has the writer run the change, and returns once it is on disk. If ctx
// ends before the change has begun, it returns ctx's error and the change never
// happens; one that has begun runs to its end whatever becomes of ctx.
func (s *Store) write(ctx context.Context, run func(*conn) error) error {
	return s.writeRows(ctx, 1, run)
}

// writeRows is write for a change of about so many rows.
func (s *Store) writeRows(ctx context.Context, rows int, run func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &write{run: run, rows: rows, done: make(chan struct{})}
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		if w.take() {
			return ctx.Err()
		}
	case <-s.stopped:
		if w.take() {
			return ErrClosed
		}
	}
	<-w.done
	return w.err
}

func (s *Store) writeLoop() {
	defer close(s.stopped)
	group := make([]*write, 0, maxGroup)
	for {
		select {
		case w := <-s.writes:
			group = s.gatherAll(append(group[:0], w))
		case <-s.closing:
			if group = s.gather(group[:0]); len(group) == 0 {
				return
			}
		}
		now := s.now() // before those who wait go on, and a test moves the clock
		s.commit(group)
		s.boundLog(now)
	}
}

// gather adds the writes that wait right now. While a group syncs to disk the
// next one collects by itself, so nobody waits for company.
func (s *Store) gather(group []*write) []*write {
	rows := 0
	for _, w := range group {
		rows += w.rows
	}
	for len(group) < maxGroup && rows < maxRows {
		select {
		case w := <-s.writes:
			group, rows = append(group, w), rows+w.rows
		default:
			return group
		}
	}
	return group
}

// gatherAll also lets those go first who are about to write, for as long as that
// brings more: a commit costs as much as many changes. Where nobody is, it
// returns at once.
func (s *Store) gatherAll(group []*write) []*write {
	for had := 0; had < len(group) && len(group) < maxGroup; {
		had = len(group)
		runtime.Gosched()
		group = s.gather(group)
	}
	return group
}

// commit runs the group in one transaction and answers its writes. When the
// engine fails one of them, all are undone and run again one by one, so that
// only the culprit's caller hears of it. That costs nothing while all goes
// well, where a savepoint per write would cost two statements.
func (s *Store) commit(group []*write) {
	if s.gate != nil {
		s.gate.Lock()
		defer s.gate.Unlock()
	}
	running := group[:0]
	for _, w := range group {
		if w.take() {
			running = append(running, w)
		}
	}
	if len(running) == 0 {
		return
	}
	if !s.transact(running) && len(running) > 1 {
		for i := range running {
			s.transact(running[i : i+1])
		}
	}
	if s.writer.changesKnown {
		s.known.forget()
	}
	if s.writer.changesRecent {
		s.recent.clear()
	}
	s.writer.changesKnown, s.writer.changesRecent = false, false
	for _, w := range running {
		close(w.done)
	}
}

// transact runs the writes in one transaction and sets their errors. It
// returns false when it had to undo them all because one failed.
func (s *Store) transact(writes []*write) bool {
	if _, err := s.writer.exec("BEGIN IMMEDIATE"); err != nil {
		fail(writes, fmt.Errorf("begin: %w", err))
		return true
	}
	for _, w := range writes {
		w.err = w.run(s.writer)
		if w.err != nil && !refusal(w.err) {
			s.rollback()
			return false
		}
	}
	if _, err := s.writer.exec("COMMIT"); err != nil {
		s.rollback()
		fail(writes, fmt.Errorf("commit: %w", err))
	}
	for _, f := range s.writer.committed {
		f()
	}
	s.writer.committed = s.writer.committed[:0]
	return true
}

// rollback ends the transaction. SQLite has ended it already after some
// errors, such as a full disk; then this fails, and nothing is amiss.
func (s *Store) rollback() {
	_, _ = s.writer.exec("ROLLBACK")
	s.writer.committed = s.writer.committed[:0]
	s.lanes.spoil()
}

func fail(writes []*write, err error) {
	for _, w := range writes {
		w.err = err
	}
}

// refusal reports whether err is a write's own answer rather than a fault.
func refusal(err error) bool {
	return errors.Is(err, webhook.ErrConflict) || errors.Is(err, webhook.ErrExists) || errors.Is(err, webhook.ErrNotFound)
}
