package main

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/filter"
	"webhookrelay/shared/id"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// stuck is a store whose look at what is on hold does not end, and that says which
// scheduled events were sent.
type stuck struct {
	sweep.Store
	sent chan webhook.EventRef
}

func (stuck) Held(ctx context.Context, _ time.Time, _ int) ([]webhook.Delivery, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s stuck) EventSent(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) error {
	s.sent <- ref
	return s.Store.EventSent(ctx, tenant, ref)
}

func TestScheduledEventsDoNotWaitForTheLookAtWhatIsOnHold(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory})
	if err != nil {
		t.Fatal(err)
	}
	now, log := time.Now(), slog.New(slog.DiscardHandler)
	sweeper := stuck{store, make(chan webhook.EventRef, 2)}
	r := &relay{
		store: store, log: log,
		sweeper: sweep.Sweeper{Store: sweeper, Queue: store.Queue(), Interval: time.Millisecond, Rate: releaseRate, Now: time.Now, Log: log},
		worker:  replay.Worker{Store: store, Interval: time.Millisecond, Matcher: filter.NewMatcher(), Now: time.Now, Log: log},
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
		_ = store.Close()
	})
	running.Go(func() { r.background(ctx) })
	ids := id.NewSource()
	for range 2 { // the first may come before the look begins
		e := webhook.Event{
			Tenant: "t", Ref: ids.EventRef(now), Type: "a", Timestamp: now, Body: []byte("{}"), Targets: []webhook.EndpointID{"e"},
			AcceptedAt: now, ExpiresAt: now.Add(time.Hour), DeliverAt: now, Held: true,
		}
		if err := store.PutEvents(t.Context(), []webhook.Event{e}); err != nil {
			t.Fatal(err)
		}
		select {
		case ref := <-sweeper.sent:
			if ref != e.Ref {
				t.Fatalf("%s was sent, want %s", ref, e.Ref)
			}
		case <-time.After(time.Minute):
			t.Fatal("a scheduled event is not sent as long as others' deliveries are looked at")
		}
	}
}
