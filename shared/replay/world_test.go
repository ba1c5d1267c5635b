package replay_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const (
	tenant   webhook.TenantID   = "acme"
	endpoint webhook.EndpointID = "ep"
	interval                    = time.Minute
)

// world is jobs over a store in memory. Nothing delivers.
type world struct {
	t     *testing.T
	now   time.Time
	store *sqlite.Store
	ids   *id.Source
	jobs  replay.Jobs
	rows  *rows
}

// rows notes what is saved, and fails the saves numbered failAt and later.
type rows struct {
	replay.WorkStore
	mu     sync.Mutex
	saved  int
	failAt int
}

func (r *rows) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failAt > 0 && r.saved+1 >= r.failAt {
		return context.DeadlineExceeded
	}
	r.saved++
	return r.WorkStore.SaveDelivery(ctx, d)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), ids: id.NewSource()}
	clock := func() time.Time { return w.now }
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: clock})
	w.must(err)
	t.Cleanup(func() { _ = store.Close() })
	w.store, w.rows = store, &rows{WorkStore: store}
	w.jobs = replay.Jobs{Store: store, Past: store, Endpoints: store, IDs: w.ids, Matcher: filter.NewMatcher(), Now: clock}
	_, _, err = store.PutTenant(t.Context(), webhook.Tenant{ID: tenant, CreatedAt: w.now.Add(-90 * 24 * time.Hour)})
	w.must(err)
	w.must(store.CreateEndpoint(t.Context(), webhook.Endpoint{
		Tenant: tenant, ID: endpoint, State: webhook.EndpointEnabled, EventTypes: []webhook.Pattern{"order.*"},
	}))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// event stores an event accepted age ago.
func (w *world) event(age time.Duration, eventType webhook.EventType, targets ...webhook.EndpointID) webhook.Event {
	w.t.Helper()
	at := w.now.Add(-age)
	ref := id.NewSource().EventRef(at)
	e := webhook.Event{
		Tenant: tenant, Ref: ref, ID: id.EventID(ref), Type: eventType, Timestamp: at, Body: []byte("{}"), Targets: targets,
		AcceptedAt: at, ExpiresAt: at.Add(30 * 24 * time.Hour),
	}
	w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{e}))
	return e
}

// dead stores an event accepted age ago whose delivery has died after 8 attempts.
func (w *world) dead(age time.Duration) webhook.DeliveryKey {
	w.t.Helper()
	d := webhook.NewDelivery(w.event(age, "order.placed", endpoint), endpoint)
	for range 8 {
		d = d.GiveUp(webhook.Attempt{At: w.now.Add(-age), Reason: webhook.ReasonTimeout}, webhook.ReasonExhausted)
	}
	w.must(w.store.SaveDelivery(w.t.Context(), d))
	return d.DeliveryKey
}

func (w *world) delivery(key webhook.DeliveryKey) webhook.Delivery {
	w.t.Helper()
	d, err := history.History{Store: w.store}.Delivery(w.t.Context(), key)
	w.must(err)
	return d
}

func (w *world) start(n replay.NewJob) replay.Job {
	w.t.Helper()
	n.Tenant, n.Endpoint = tenant, endpoint
	j, err := w.jobs.Start(w.t.Context(), n)
	w.must(err)
	return j
}

// advance lets a worker do what may be done now.
func (w *world) advance() error {
	w.t.Helper()
	worker := replay.Worker{Matcher: filter.NewMatcher(),
		Store: w.rows, Interval: interval, Now: func() time.Time { return w.now }, Log: telemetry.NewLogger(io.Discard, 0),
	}
	return worker.Advance(w.t.Context())
}

func (w *world) job(j replay.Job) replay.Job {
	w.t.Helper()
	j, err := w.jobs.Job(w.t.Context(), tenant, j.ID)
	w.must(err)
	return j
}

// wantJob checks where the job stands.
func (w *world) wantJob(j replay.Job, state replay.JobState, matched, changed int) {
	w.t.Helper()
	if j = w.job(j); j.State != state || j.Matched != matched || j.Changed != changed {
		w.t.Fatalf("the job is %s with %d of %d, want %s with %d of %d", j.State, j.Changed, j.Matched, state, changed, matched)
	}
}

func (w *world) trail() (actions []audit.Action) {
	w.t.Helper()
	lines, _, err := w.store.Lines(w.t.Context(), tenant, webhook.Page{Limit: 100})
	w.must(err)
	for _, l := range lines {
		actions = append(actions, l.Action)
	}
	return actions
}

func (w *world) replayer() replay.Replayer {
	clock := func() time.Time { return w.now }
	return replay.Replayer{
		Deliveries: history.History{Store: w.store}, Rows: w.store, Queue: w.store.Queue(), Now: clock,
		Trail: audit.Trail{Store: w.store, IDs: w.ids, Now: clock},
	}
}
