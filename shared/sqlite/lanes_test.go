package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/webhook"
)

// sendTo sends n messages for the endpoint.
func sendTo(t testing.TB, q *Queue, endpoint string, n int) {
	t.Helper()
	keys := make([]webhook.DeliveryKey, n)
	for i := range keys {
		keys[i] = newKey(endpoint)
	}
	if err := q.Send(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
}

// drain receives until nothing more comes, and counts the messages by endpoint.
func drain(t testing.TB, q *Queue) (got []dispatch.Message, count map[string]int) {
	t.Helper()
	count = map[string]int{}
	for none := 0; none < 10; { // a receive may have moved messages only
		some, err := q.Receive(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		none++
		if len(some) > 0 {
			none = 0
		}
		for _, m := range some {
			count[endpointIn(t, m)]++
		}
		got = append(got, some...)
	}
	return got, count
}

func endpointIn(t testing.TB, m dispatch.Message) string {
	t.Helper()
	e, err := envelope.Decode(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Endpoint)
}

func wantCount(t *testing.T, got map[string]int, want map[string]int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	const places = 60
	rule := func(name string, check func(t *testing.T, q *timedQueue)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &timedQueue{now: time.Now()}
			q.Queue = openAt(t, Config{Path: filepath.Join(t.TempDir(), "relay.db"), Now: q.Now, Places: places}).Queue()
			check(t, q)
		})
	}
	rule("OneEndpointGetsHalfOfThem", func(t *testing.T, q *timedQueue) {
		sendTo(t, q.Queue, "a", 10*places)
		_, got := drain(t, q.Queue)
		wantCount(t, got, map[string]int{"a": places / 2})
	})
	rule("WhoHasNoneGetsOne", func(t *testing.T, q *timedQueue) {
		for hanging := range 16 {
			endpoint := fmt.Sprint(hanging)
			sendTo(t, q.Queue, endpoint, places)
			if _, got := drain(t, q.Queue); got[endpoint] == 0 {
				t.Fatalf("beside %d that hang nothing is received", hanging)
			}
		}
	})
	rule("AFreedPlaceIsTheNextMessages", func(t *testing.T, q *timedQueue) {
		const all = 5 * places
		sendTo(t, q.Queue, "a", all)
		seen := map[string]int{}
		for len(seen) < all {
			some, err := q.Receive(t.Context(), 10)
			must(t, err)
			for _, m := range some {
				seen[string(m.Body)]++
				q.Settled(m)
			}
			must(t, q.Delete(t.Context(), some))
		}
		sendTo(t, q.Queue, "a", 1)
		receive(t, q.Queue, 1)
	})
	rule("HidingAMessageFreesItsPlace", func(t *testing.T, q *timedQueue) {
		sendTo(t, q.Queue, "a", places)
		first, _ := drain(t, q.Queue)
		q.Hide(t.Context(), hidings(first, time.Hour))
		_, got := drain(t, q.Queue)
		wantCount(t, got, map[string]int{"a": places / 2})
	})
	rule("TheVisibilityTimeoutFreesThem", func(t *testing.T, q *timedQueue) {
		sendTo(t, q.Queue, "a", places)
		drain(t, q.Queue)
		q.Advance(DefaultVisibility + time.Millisecond)
		must(t, q.Wait(t.Context()))
		_, got := drain(t, q.Queue)
		wantCount(t, got, map[string]int{"a": places / 2})
	})
	rule("AStaleReceiptFreesNone", func(t *testing.T, q *timedQueue) {
		sendTo(t, q.Queue, "a", places)
		first, _ := drain(t, q.Queue)
		q.Advance(DefaultVisibility + time.Millisecond)
		drain(t, q.Queue)
		for _, m := range first {
			q.Settled(m)
		}
		_, got := drain(t, q.Queue)
		wantCount(t, got, map[string]int{})
	})
	rule("NeitherLaneWaitsForTheOther", func(t *testing.T, q *timedQueue) {
		sendTo(t, q.Queue, "a", 4*places)
		working, _ := drain(t, q.Queue)
		for _, m := range working {
			q.Settled(m)
		}
		sendTo(t, q.Queue, "b", 4*places)
		var a, b int
		for range 10 {
			some, err := q.Receive(t.Context(), 10)
			must(t, err)
			for _, m := range some {
				if endpointIn(t, m) == "a" {
					a++
				} else {
					b++
				}
				q.Settled(m)
			}
		}
		if a == 0 || b == 0 {
			t.Errorf("received %d of the endpoint with a lane of its own, %d of the other", a, b)
		}
	})
	rule("WhoSendsMoreThanIsHandledKeepsNobodyWaiting", func(t *testing.T, q *timedQueue) {
		const flood = 1000
		sendTo(t, q.Queue, "a", flood)
		q.Advance(2 * lateAfter)
		one := func() (found string) {
			some, err := q.Receive(t.Context(), 10)
			must(t, err)
			for _, m := range some {
				found += endpointIn(t, m)
			}
			must(t, q.Delete(t.Context(), some))
			return found
		}
		for range 2 * (flood/maxMoved + 1) { // every other serves the own lanes first
			one()
		}
		sendTo(t, q.Queue, "a", 10)
		sendTo(t, q.Queue, "b", 1)
		if got := one() + one(); !strings.Contains(got, "b") || !strings.Contains(got, "a") {
			t.Errorf("received %s, want some of both", got)
		}
	})
	rule("WaitSleepsWhileThereIsNoPlace", func(t *testing.T, q *timedQueue) {
		sendTo(t, q.Queue, "a", places)
		working, _ := drain(t, q.Queue)
		at, err := q.s.nextMessageAt(t.Context())
		must(t, err)
		if at.Before(q.Now().Add(time.Minute)) {
			t.Fatalf("the next message is expected in %s", at.Sub(q.Now()))
		}
		woken := make(chan error)
		go func() { woken <- q.Wait(t.Context()) }()
		for !q.s.bell.heard() {
			runtime.Gosched()
		}
		q.Settled(working[0])
		must(t, <-woken)
		receive(t, q.Queue, 1)
	})
	rule("AMessageNobodyCanReadIsReceivedAllTheSame", func(t *testing.T, q *timedQueue) {
		must(t, q.send(t.Context(), []outgoing{{body: []byte("not JSON")}, {body: []byte("nor this")}}))
		receive(t, q.Queue, 2)
	})
}

// What waits in front of a message costs it nothing once it has a lane of its own.
func TestABlockedBacklogIsPassedOnce(t *testing.T) {
	t.Parallel()
	const backlog = 10_000
	s := openFile(t)
	q := s.Queue()
	sendTo(t, q, "hanging", backlog)
	sendTo(t, q, "b", 1)
	receives := 0
	for found := false; !found; receives++ {
		got, err := q.Receive(t.Context(), 10)
		must(t, err)
		for _, m := range got {
			found = found || endpointIn(t, m) == "b"
		}
	}
	if most := backlog/maxMoved + DefaultPlaces/2/10 + 2; receives > most {
		t.Errorf("it took %d receives, want at most %d", receives, most)
	}
	for range backlog/maxMoved + DefaultPlaces/10 { // until all of it has been passed
		_, err := q.Receive(t.Context(), 10)
		must(t, err)
	}
	sendTo(t, q, "hanging", 100)
	sendTo(t, q, "b", 1)
	before := changes(t, s)
	if got := receive(t, q, 1); endpointIn(t, got[0]) != "b" {
		t.Errorf("received a message for %s", endpointIn(t, got[0]))
	}
	if n := changes(t, s) - before; n > 1 {
		t.Errorf("receiving one message changed %d rows", n)
	}
}

// changes is how many rows the store has written.
func changes(t *testing.T, s *Store) (n int) {
	t.Helper()
	must(t, s.write(t.Context(), func(c *conn) error {
		stmt, _, err := c.raw.PrepareTransient("SELECT total_changes()")
		if err != nil {
			return err
		}
		_, err = stmt.Step()
		n = stmt.ColumnInt(0)
		return errors.Join(err, stmt.Finalize())
	}))
	return n
}

func TestAnEndpointThatIsDownGetsItsMessagesSlowly(t *testing.T) {
	t.Parallel()
	q := &timedQueue{now: time.Now().Truncate(time.Millisecond)}
	s := openAt(t, Config{Path: Memory, Now: q.Now})
	q.Queue = s.Queue()
	open := func(open bool) {
		t.Helper()
		_, _, err := s.PutTenant(t.Context(), webhook.Tenant{ID: "t", CreatedAt: q.Now()})
		must(t, err)
		h := webhook.Health{}
		if open {
			must(t, s.CreateEndpoint(t.Context(), webhook.Endpoint{Tenant: "t", ID: "a", State: webhook.EndpointEnabled}))
			h.OpenedAt = q.Now()
		}
		e, err := s.Endpoint(t.Context(), "t", "a")
		must(t, err)
		h.Rev = e.Health.Rev
		must(t, s.SaveHealth(t.Context(), "t", "a", h))
		_, err = s.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: newKey("a")}}) // as the dispatcher does
		must(t, err)
	}
	open(true)
	sendTo(t, q.Queue, "a", 1000)
	sendTo(t, q.Queue, "b", 7)
	settle := func(want map[string]int) {
		t.Helper()
		got, count := drain(t, q.Queue)
		wantCount(t, count, want)
		must(t, q.Delete(t.Context(), got))
	}
	first, _ := drain(t, q.Queue)
	q.Hide(t.Context(), hidings(first, 0)) // what was received before comes back at once
	settle(map[string]int{"a": downBurst, "b": 7})
	at, err := q.s.nextMessageAt(t.Context())
	must(t, err)
	if wait := at.Sub(q.Now()); wait != downPace {
		t.Errorf("the next message is expected in %s, want %s", wait, downPace)
	}
	q.Advance(10 * downPace)
	settle(map[string]int{"a": 10})
	open(false)
	settle(map[string]int{"a": DefaultPlaces / 2})
}

func TestLanesSurviveAReopening(t *testing.T) {
	t.Parallel()
	cfg := Config{Path: filepath.Join(t.TempDir(), "relay.db"), Places: 20}
	s, err := Open(cfg)
	must(t, err)
	sendTo(t, s.Queue(), "a", 100)
	sendTo(t, s.Queue(), "b", 100)
	drain(t, s.Queue())
	must(t, s.Close())
	q := openAt(t, cfg).Queue()
	seen := map[string]bool{}
	for len(seen) < 200 {
		some, _ := drain(t, q)
		if len(some) == 0 {
			t.Fatalf("%d of 200 messages came", len(seen))
		}
		for _, m := range some {
			seen[string(m.Body)] = true
		}
		must(t, q.Delete(t.Context(), some))
	}
}

// An engine's fault in one write undoes those of its group, and the lanes with them.
func TestLanesSurviveARollback(t *testing.T) {
	t.Parallel()
	s := openAt(t, Config{Path: Memory, Places: 20})
	q := s.Queue()
	sendTo(t, q, "a", 100)
	fault := errors.New("the disk is full")
	seen := map[string]bool{}
	for round := 0; len(seen) < 100; round++ {
		if round > 1000 {
			t.Fatalf("%d of 100 messages came", len(seen))
		}
		release := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { _ = s.write(context.Background(), func(*conn) error { <-release; return nil }) })
		group.Go(func() { _ = s.write(context.Background(), func(*conn) error { return fault }) })
		group.Go(func() {
			got, err := q.Receive(context.Background(), 10)
			if err != nil {
				t.Error(err)
			}
			for _, m := range got {
				seen[string(m.Body)] = true
			}
			if err := q.Delete(context.Background(), got); err != nil {
				t.Error(err)
			}
		})
		close(release)
		group.Wait()
	}
	if n := len(s.lanes.taken); n > 0 {
		t.Errorf("%d places were not given back", n)
	}
}

// Whatever is sent, received, freed, hidden and deleted in whatever order: no
// message is lost or stuck, and none is in two hands.
func TestEveryMessageComesThrough(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := &timedQueue{now: time.Now()}
		s, err := Open(Config{Path: Memory, Now: q.Now, Places: rapid.IntRange(1, 12).Draw(rt, "places"), MaxReceives: 1 << 20})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		q.Queue = s.Queue()
		sent, done := 0, map[string]bool{}
		var working []dispatch.Message
		check := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		finish := func() {
			m := working[0]
			working = working[1:]
			if done[string(m.Body)] {
				rt.Fatalf("message %s was received after it was deleted", m.ID)
			}
			done[string(m.Body)] = true
			check(q.Delete(context.Background(), []dispatch.Message{m}))
		}
		take := func() int {
			got, err := q.Receive(context.Background(), rapid.IntRange(1, 10).Draw(rt, "limit"))
			check(err)
			for _, m := range got {
				for _, w := range working {
					if w.ID == m.ID {
						rt.Fatalf("message %s is in two hands", m.ID)
					}
				}
			}
			working = append(working, got...)
			return len(got)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"send": func(rt *rapid.T) {
				n := rapid.IntRange(1, 15).Draw(rt, "messages")
				sendTo(t, q.Queue, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "endpoint"), n)
				sent += n
			},
			"receive": func(*rapid.T) { take() },
			"down": func(rt *rapid.T) {
				s.lanes.note("t", "a", rapid.Bool().Draw(rt, "down"))
			},
			"finish": func(*rapid.T) {
				if len(working) > 0 {
					finish()
				}
			},
			"settle": func(*rapid.T) {
				if len(working) > 0 {
					q.Settled(working[0])
				}
			},
			"hide": func(rt *rapid.T) {
				if len(working) > 0 {
					q.Hide(context.Background(), hidings(working[:1], time.Duration(rapid.IntRange(0, 5).Draw(rt, "seconds"))*time.Second))
					working = working[1:]
				}
			},
			"pass": func(rt *rapid.T) { q.Advance(time.Duration(rapid.IntRange(1, 5000).Draw(rt, "ms")) * time.Millisecond) },
		})
		for idle := 0; len(done) < sent; {
			for len(working) > 0 {
				finish()
			}
			if idle++; take() > 0 {
				idle = 0
			}
			if idle > 20 {
				rt.Fatalf("%d of %d messages came", len(done), sent)
			}
			q.Advance(time.Second)
		}
	})
}

func TestAFileOfTheFirstSchemaGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.db")
	key := newKey("a")
	script(t, path, fmt.Sprintf(`%s
		INSERT INTO messages (seq, sent_at, visible_at, receives, leased, body) VALUES (7, 1, 1, 2, 0, CAST('%s' AS BLOB));
		PRAGMA user_version = 1`, migrations[0], envelope.Encode(envelope.Envelope{DeliveryKey: key})))
	s := openAt(t, Config{Path: path, Places: 4})
	sendTo(t, s.Queue(), "a", 10)
	got, count := drain(t, s.Queue())
	wantCount(t, count, map[string]int{"a": 4}) // the old message counts as one of its endpoint
	if got[0].ID != "7" || got[0].Receives != 3 {
		t.Errorf("received %+v first", got[0])
	}
	var version int
	_, err := s.writer.row("PRAGMA user_version", nil, &version)
	must(t, err)
	if version != len(migrations) {
		t.Errorf("the file's schema is %d, want %d", version, len(migrations))
	}
}

// BenchmarkReceiveBesideABacklog receives and deletes one message beside
// thousands of an endpoint that has no room.
func BenchmarkReceiveBesideABacklog(b *testing.B) {
	for _, backlog := range []int{0, 10_000} {
		b.Run(fmt.Sprint(backlog), func(b *testing.B) {
			s, err := Open(Config{Path: Memory})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			q := s.Queue()
			sendTo(b, q, "hanging", max(1, backlog))
			for range backlog/maxMoved + 100 {
				if _, err := q.Receive(b.Context(), 10); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				sendTo(b, q, "b", 1)
				got, err := q.Receive(b.Context(), 10)
				if err != nil || len(got) != 1 {
					b.Fatalf("received %d messages, error %v", len(got), err)
				}
				if err := q.Delete(b.Context(), got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// heard reports whether anybody listens.
func (b *bell) heard() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung != nil
}
