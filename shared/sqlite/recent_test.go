package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/webhook"
)

func load(t *testing.T, s *Store, key webhook.DeliveryKey) dispatch.Loaded {
	t.Helper()
	loaded, err := s.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: key}})
	must(t, err)
	return loaded[0]
}

// What memory answers must be what the file says, after whatever writes.
func TestMemorySaysWhatTheFileSays(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := openAt(t, Config{Path: filepath.Join(t.TempDir(), "relay.db"), Now: func() time.Time { return now }})
	ctx := t.Context()
	_, _, err := s.PutTenant(ctx, webhook.Tenant{ID: "t", CreatedAt: now})
	must(t, err)
	e := newEvent(now, "ep", "other")
	e.AcceptedAt = e.AcceptedAt.In(time.FixedZone("elsewhere", 3600)) // comes back in UTC
	key := webhook.DeliveryKey{Tenant: "t", Event: e.Ref, Endpoint: "ep"}
	compare := func(step string) (fromMemory bool) {
		t.Helper()
		_, _, fromMemory = s.remembered(key, now)
		got := load(t, s, key)
		version, versionErr := s.ConfigVersion(ctx, "t")
		s.recent.clear()
		s.known.forget()
		fileVersion, fileErr := s.ConfigVersion(ctx, "t")
		if diff := cmp.Diff(load(t, s, key), got); diff != "" || version != fileVersion || !errors.Is(versionErr, fileErr) {
			t.Errorf("%s: memory differs from the file (-file +memory):\n%s\nversions %d, %d", step, diff, fileVersion, version)
		}
		return fromMemory
	}
	endpoint := func() webhook.Endpoint {
		t.Helper()
		to, err := s.Endpoint(ctx, "t", "ep")
		must(t, err)
		return to
	}
	put := func() {
		t.Helper()
		must(t, s.PutEvents(ctx, []webhook.Event{e}))
		load(t, s, key) // from now on the endpoint is known
	}
	created := webhook.Endpoint{Tenant: "t", ID: "ep", URL: "https://example.com", State: webhook.EndpointEnabled, CreatedAt: now, UpdatedAt: now}
	must(t, s.CreateEndpoint(ctx, created))
	put()
	if !compare("a new event") {
		t.Error("a new event was not loaded from memory")
	}
	e = newEvent(now, "ep")
	key.Event = e.Ref
	for _, step := range []struct {
		name   string
		change func() error
	}{
		{"the endpoint changed", func() error {
			to := endpoint()
			to.URL = "https://example.org"
			return s.UpdateEndpoint(ctx, to)
		}},
		{"its health changed", func() error {
			return s.SaveHealth(ctx, "t", "ep", webhook.Health{Failures: 1, Rev: endpoint().Health.Rev})
		}},
		{"it was disabled", func() error { return s.DisableEndpoint(ctx, "t", "ep", webhook.ReasonHTTP410, now) }},
		{"the event was put again", func() error {
			e.Body = []byte(`{"again":true}`)
			return s.PutEvents(ctx, []webhook.Event{e})
		}},
		{"it was marked unsent", func() error { return s.MarkUnsent(ctx, "t", e.Ref) }},
		{"the delivery was saved", func() error {
			return s.SaveDelivery(ctx, webhook.NewDelivery(e, "ep").Die(webhook.ReasonExhausted, now))
		}},
		{"the event expired", func() error { now = e.ExpiresAt; return nil }},
		{"the endpoint was deleted", func() error { return s.DeleteEndpoint(ctx, "t", "ep") }},
	} {
		put()
		must(t, step.change())
		compare(step.name)
		e = newEvent(now, "ep")
		key.Event = e.Ref
	}
}

func TestPutAndSendIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	e := newEvent(time.Now(), "ep")
	release := hold(t, s)
	done := make(chan error)
	go func() { done <- s.PutAndSend(context.Background(), []webhook.Event{e}) }()
	for len(s.writes) == 0 {
		runtime.Gosched()
	}
	s.writes <- &write{run: func(c *conn) error { return c.script("ROLLBACK") }, done: make(chan struct{})}
	release()
	if err := <-done; err == nil {
		t.Fatal("a commit that failed was answered as done")
	}
	key := webhook.DeliveryKey{Tenant: "t", Event: e.Ref, Endpoint: "ep"}
	if l := load(t, s, key); l.Event != nil {
		t.Errorf("the event was stored: %+v", l.Event)
	}
	receive(t, s.Queue(), 0)
	must(t, s.PutAndSend(t.Context(), []webhook.Event{e}))
	if l := load(t, s, key); l.Event == nil {
		t.Error("the event was not stored")
	}
	receive(t, s.Queue(), 1)
}

func TestRecentEventsTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	var r recent
	for i := range 100 {
		e := newEvent(time.Now(), "ep")
		e.Ref, e.Body = webhook.EventRef(fmt.Sprint(i)), make([]byte, maxRecent/10)
		r.add(e)
		if r.size > maxRecent || r.event(webhook.DeliveryKey{Tenant: "t", Event: e.Ref, Endpoint: "ep"}, time.Now()) == nil {
			t.Fatalf("%d events: %d bytes are kept, or not the latest", i+1, r.size)
		}
	}
	for ref := range r.events {
		r.begun(webhook.DeliveryKey{Tenant: "t", Event: ref.ref, Endpoint: "ep"})
	}
	if len(r.events) > 0 || r.size != 0 {
		t.Errorf("%d events, %d bytes are kept once all are begun", len(r.events), r.size)
	}
}

func TestTargetsOfRecentEventsCountAsMemory(t *testing.T) {
	t.Parallel()
	var r recent
	e := newEvent(time.Now(), "ep")
	e.Targets = slices.Repeat(e.Targets, 1000)
	for i := range 1000 {
		e.Ref = webhook.EventRef(fmt.Sprint(i))
		r.add(e)
	}
	if most := maxRecent / (2 * 1000 * 16); len(r.events) > most { // each target stands in two lists, 16 bytes in each
		t.Errorf("%d events of 1,000 targets are kept, want %d at most", len(r.events), most)
	}
}
