package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

func hidings(messages []dispatch.Message, wait time.Duration) (out []dispatch.Hiding) {
	for _, m := range messages {
		out = append(out, dispatch.Hiding{MessageID: m.ID, Receipt: m.Receipt, Wait: wait})
	}
	return out
}

func newKey(endpoint string) webhook.DeliveryKey {
	return webhook.DeliveryKey{Tenant: "t", Event: id.NewSource().EventRef(time.Now()), Endpoint: webhook.EndpointID(endpoint)}
}

func receive(t *testing.T, q *Queue, want int) []dispatch.Message {
	t.Helper()
	got, err := q.Receive(t.Context(), 10)
	must(t, err)
	if len(got) != want {
		t.Fatalf("received %d messages, want %d", len(got), want)
	}
	return got
}

func TestAStaleReceiptDoesNothing(t *testing.T) {
	q := openFile(t).Queue()
	must(t, q.Send(t.Context(), []webhook.DeliveryKey{newKey("ep")}))
	first := receive(t, q, 1)
	q.Hide(t.Context(), hidings(first, 0))
	second := receive(t, q, 1)
	must(t, q.Delete(t.Context(), first))
	if failed := q.Hide(t.Context(), hidings(first, 0)); len(failed) != 1 {
		t.Errorf("a stale receipt hid the message")
	}
	receive(t, q, 0)
	q.Hide(t.Context(), hidings(second, 0))
	third := receive(t, q, 1)
	must(t, q.Delete(t.Context(), third))
	must(t, q.Delete(t.Context(), []dispatch.Message{{Receipt: ""}, {Receipt: "x.y"}, {Receipt: third[0].ID}}))
	q.Hide(t.Context(), hidings(third, 0))
	receive(t, q, 0)
}

func TestAMessageBearsTheTimeItWasSent(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_123).UTC()
	q := openAt(t, Config{Path: Memory, Now: func() time.Time { return now }}).Queue()
	must(t, q.Send(t.Context(), []webhook.DeliveryKey{newKey("ep")}))
	if m := receive(t, q, 1)[0]; !m.SentAt.Equal(now) {
		t.Errorf("sent at %s, want %s", m.SentAt, now)
	}
}

func TestReceiveLooksPastTheDead(t *testing.T) {
	s := openAt(t, Config{Path: Memory, MaxReceives: 1})
	q := s.Queue()
	var keys []webhook.DeliveryKey
	for i := range 10 {
		keys = append(keys, newKey(fmt.Sprint(i)))
	}
	must(t, q.Send(t.Context(), keys))
	q.Hide(t.Context(), hidings(receive(t, q, 10), 0))
	must(t, q.Send(t.Context(), keys[:1]))
	receive(t, q, 1)
	depth, err := q.Depth(t.Context())
	must(t, err)
	if depth != 10 {
		t.Errorf("depth is %d, want 10", depth)
	}
	move, ok, err := q.LatestMove(t.Context())
	if err != nil || ok {
		t.Errorf("latest move is %+v, %v, error %v; want none", move, ok, err)
	}
	must(t, q.StartMove(t.Context()))
	receive(t, q, 10)
	move, ok, err = q.LatestMove(t.Context())
	if err != nil || !ok || move.Status != "COMPLETED" || move.Moved != 10 || move.ToMove != 10 {
		t.Errorf("latest move is %+v, %v, error %v; want 10 moved", move, ok, err)
	}
}

func TestWaitEndsWhenAMessageComes(t *testing.T) {
	q := openFile(t).Queue()
	for name, send := range map[string]func() error{
		"send":          func() error { return q.Send(t.Context(), []webhook.DeliveryKey{newKey("ep")}) },
		"send envelope": func() error { return q.SendEnvelope(t.Context(), envelope.Envelope{DeliveryKey: newKey("ep")}) },
	} {
		done := make(chan error)
		go func() { done <- q.Wait(t.Context()) }()
		must(t, send())
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		must(t, q.Wait(t.Context())) // at once, for the message is still there
		must(t, q.Delete(t.Context(), receive(t, q, 1)))
	}
}

func TestWaitEndsWhenAHiddenMessageComesBack(t *testing.T) {
	q := openFile(t).Queue()
	must(t, q.Send(t.Context(), []webhook.DeliveryKey{newKey("ep")}))
	m := receive(t, q, 1)
	done := make(chan error)
	go func() { done <- q.Wait(t.Context()) }()
	began := time.Now()
	const wait = 30 * time.Millisecond
	q.Hide(t.Context(), hidings(m, wait)) // earlier than the visibility timeout
	must(t, <-done)
	if took := time.Since(began); took < wait-time.Millisecond {
		t.Errorf("Wait ended after %s, want %s", took, wait)
	}
	receive(t, q, 1)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	q := openFile(t).Queue()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- q.Wait(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
}

func TestConcurrentConsumersShareTheMessages(t *testing.T) {
	q := openFile(t).Queue()
	const senders, each, consumers = 8, 40, 4
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	seen := make(map[string]int)
	var consuming, sending sync.WaitGroup
	for range consumers {
		consuming.Go(func() {
			for q.Wait(ctx) == nil {
				got, err := q.Receive(t.Context(), 10)
				if err == nil {
					err = q.Delete(t.Context(), got)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, m := range got {
					seen[string(m.Body)]++
				}
				if len(seen) == senders*each {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for i := range senders {
		sending.Go(func() {
			for j := range each {
				if err := q.Send(t.Context(), []webhook.DeliveryKey{newKey(fmt.Sprintf("ep-%d-%d", i, j))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	consuming.Wait()
	for body, n := range seen {
		if n != 1 {
			t.Errorf("message %s was received %d times", body, n)
		}
	}
}

// BenchmarkSendToReceive measures how long a waiting consumer takes to hold
// the message that was just sent.
func BenchmarkSendToReceive(b *testing.B) {
	s, err := Open(Config{Path: filepath.Join(b.TempDir(), "relay.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	q, sent, woken := s.Queue(), make(chan time.Time), make(chan error)
	go func() {
		for range sent {
			err := q.Wait(context.Background())
			woken <- err
		}
	}()
	var total time.Duration
	for b.Loop() {
		sent <- time.Time{}
		if err := q.Send(b.Context(), []webhook.DeliveryKey{newKey("ep")}); err != nil {
			b.Fatal(err)
		}
		at := time.Now()
		if err := <-woken; err != nil {
			b.Fatal(err)
		}
		total += time.Since(at)
		got, err := q.Receive(b.Context(), 10)
		if err != nil || len(got) != 1 {
			b.Fatalf("received %d messages, error %v", len(got), err)
		}
		if err := q.Delete(b.Context(), got); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "wake-µs")
}

// A process that was killed works on nothing any more, so the next one need not
// wait for the visibility timeout; what was hidden on purpose stays hidden.
func TestReopeningShowsWhatWasReceivedButNotWhatWasHidden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s, err := Open(Config{Path: path})
	must(t, err)
	q := s.Queue()
	must(t, q.Send(t.Context(), []webhook.DeliveryKey{newKey("received"), newKey("hidden")}))
	messages := receive(t, q, 2)
	q.Hide(t.Context(), hidings(messages[1:], time.Hour))
	must(t, s.Close())

	again := receive(t, openAt(t, Config{Path: path}).Queue(), 1)
	if again[0].ID != messages[0].ID || again[0].Receives != 2 {
		t.Errorf("received %+v", again[0])
	}
}
