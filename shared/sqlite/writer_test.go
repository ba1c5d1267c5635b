package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

// hold keeps the writer busy until release is called, so that the writes that
// come meanwhile form one group.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	began, end, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.write(context.Background(), func(*conn) error {
			close(began)
			<-end
			return nil
		})
	}()
	<-began
	return func() {
		close(end)
		must(t, <-done)
	}
}

// group runs the writes as one group and returns their errors.
func group(t *testing.T, s *Store, runs ...func(*conn) error) []error {
	t.Helper()
	release := hold(t, s)
	writes := make([]*write, len(runs))
	for i, run := range runs {
		writes[i] = &write{run: run, done: make(chan struct{})}
		s.writes <- writes[i]
	}
	release()
	errs := make([]error, len(runs))
	for i, w := range writes {
		<-w.done
		errs[i] = w.err
	}
	return errs
}

func addTenant(name string) func(*conn) error {
	return func(c *conn) error {
		_, err := c.exec("INSERT INTO tenants (id, name, created_at, config_version) VALUES (?, '', 0, 1)", name)
		return err
	}
}

func tenants(t *testing.T, s *Store) (ids []string) {
	t.Helper()
	found, _, err := s.Tenants(t.Context(), webhook.Page{Limit: 100})
	must(t, err)
	for _, tenant := range found {
		ids = append(ids, string(tenant.ID))
	}
	return ids
}

func TestAFailingWriteSparesItsGroup(t *testing.T) {
	s := openFile(t)
	errs := group(t, s,
		addTenant("a"),
		func(c *conn) error { // fails half-way
			if err := addTenant("half")(c); err != nil {
				return err
			}
			return addTenant("a")(c)
		},
		func(*conn) error { return webhook.ErrConflict },
		addTenant("b"),
	)
	if errs[0] != nil || errs[1] == nil || !errors.Is(errs[2], webhook.ErrConflict) || errs[3] != nil {
		t.Errorf("got errors %v", errs)
	}
	if got := tenants(t, s); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("stored are %v, want a and b", got)
	}
}

func TestAFailedCommitIsEverybodysError(t *testing.T) {
	s := openFile(t)
	errs := group(t, s,
		addTenant("a"),
		func(c *conn) error { // as SQLite does by itself on a full disk
			_, err := c.exec("ROLLBACK")
			return err
		},
	)
	for i, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "commit") {
			t.Errorf("write %d: got error %v, want that of the commit", i, err)
		}
	}
	if got := tenants(t, s); len(got) != 0 {
		t.Errorf("stored are %v, want none", got)
	}
	must(t, s.write(t.Context(), addTenant("a"))) // the writer goes on
}

func TestAWriteDoesNotWaitForMoreRowsThanATransactionIsGiven(t *testing.T) {
	s := openFile(t)
	release := hold(t, s)
	var before []string
	runs := []func(*conn) error{
		addTenant("many"), addTenant("too many"),
		func(*conn) error { before = tenants(t, s); return nil },
	}
	var writes []*write
	for _, run := range runs {
		w := &write{run: run, rows: maxRows, done: make(chan struct{})}
		s.writes <- w
		writes = append(writes, w)
	}
	release()
	for _, w := range writes {
		<-w.done
		must(t, w.err)
	}
	if len(before) != 2 {
		t.Errorf("the third write finds %v committed", before)
	}
}

func TestEventsOfMoreRowsThanATransactionIsGivenAreAllSent(t *testing.T) {
	s := openFile(t)
	var events []webhook.Event
	var sent int
	for range 7 {
		e := newEvent(time.Now())
		for n := range maxRows / 3 {
			e.Targets = append(e.Targets, webhook.EndpointID(fmt.Sprint("ep", n)))
		}
		events, sent = append(events, e), sent+len(e.Targets)
	}
	must(t, s.PutAndSend(t.Context(), events))
	for _, e := range events {
		_, err := s.EventByRef(t.Context(), e.Tenant, e.Ref)
		must(t, err)
	}
	queued := 0
	for {
		got, err := s.Queue().Receive(t.Context(), sent)
		must(t, err)
		if len(got) == 0 {
			break
		}
		queued += len(got)
		must(t, s.Queue().Delete(t.Context(), got))
	}
	if queued != sent {
		t.Errorf("%d messages, want %d", queued, sent)
	}
}

func TestAWriteWhoseContextEndsFirstNeverHappens(t *testing.T) {
	s := openFile(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.write(ctx, addTenant("a")) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	release()
	must(t, s.write(t.Context(), addTenant("b")))
	if got := tenants(t, s); !slices.Equal(got, []string{"b"}) {
		t.Errorf("stored are %v, want b alone", got)
	}
}

func TestCloseAnswersEveryone(t *testing.T) {
	s, err := Open(Config{Path: Memory})
	must(t, err)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for n := 0; ; n++ {
				err := s.write(context.Background(), addTenant(fmt.Sprintf("t-%d-%d", i, n)))
				if err == nil {
					_, err = s.Tenant(context.Background(), webhook.TenantID(fmt.Sprintf("t-%d-%d", i, n)))
				}
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("got error %v, want ErrClosed", err)
					return
				}
			}
		})
	}
	waited := make(chan error)
	go func() { waited <- s.Queue().Wait(context.Background()) }()
	time.AfterFunc(20*time.Millisecond, func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if err := <-waited; !errors.Is(err, ErrClosed) {
		t.Errorf("Wait: got error %v, want ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
