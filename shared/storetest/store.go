// Package storetest holds the rules every store and queue must keep, as tests
// an adapter's own tests call. Each subtest is named for its rule.
//
// The suites share one table or file with others: tenants get random ids, and
// what they leave behind disturbs nobody.
package storetest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// StoreUnderTest is all that the relay asks of a store.
type StoreUnderTest interface {
	ingest.Store
	dispatch.Store
	registry.Store
	history.Store
	sweep.Store
	auth.Store
	keyring.Store
	audit.Store
	replay.WorkStore
	catalogue.Store
	replay.EventStore
}

// OpenStore returns a store that takes its time from now. The suite calls it
// once per subtest, from parallel subtests; all may share one table. Whatever
// needs closing is closed by t.Cleanup.
type OpenStore func(t *testing.T, now func() time.Time) StoreUnderTest

// Store runs the rules for stores.
func Store(t *testing.T, open OpenStore) {
	for _, r := range slices.Concat(tenantRules, endpointRules, claimRules, eventRules, deliveryRules, listRules, heldRules, scheduleRules, turnRules, keyRules, auditRules, jobRules, typeRules) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s := &bench{StoreUnderTest: open(t, c.Now), t: t, clock: c, ids: id.NewSource()}
			s.tenant = s.newTenant()
			r.check(t, s)
		})
	}
}

type rule struct {
	name  string
	check func(t *testing.T, s *bench)
}

// clock is the store's time: near the real one, for a store may file events by
// date, moved by hand. Whole milliseconds, which is what stores keep.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().UTC().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is one subtest's store, with a tenant of its own.
type bench struct {
	StoreUnderTest
	t      *testing.T
	clock  *clock
	ids    *id.Source
	tenant webhook.TenantID
}

const retention = 30 * 24 * time.Hour

// newTenant creates a tenant with a random id.
func (s *bench) newTenant() webhook.TenantID {
	s.t.Helper()
	// Older than its events: a store may end its lists at the tenant's creation.
	created := s.clock.Now().Add(-5 * 24 * time.Hour)
	tenant := webhook.Tenant{ID: webhook.TenantID("t_" + s.ids.ULID(s.clock.Now())), CreatedAt: created}
	if _, _, err := s.PutTenant(s.t.Context(), tenant); err != nil {
		s.t.Fatal(err)
	}
	return tenant.ID
}

// event returns an event of the subtest's tenant, accepted age ago, not yet stored.
func (s *bench) event(age time.Duration, targets ...webhook.EndpointID) webhook.Event {
	at := s.clock.Now().Add(-age)
	ref := id.NewSource().EventRef(at)
	return webhook.Event{
		Tenant: s.tenant, Ref: ref, ID: id.EventID(ref), Type: "invoice.paid", Channels: []webhook.Channel{"eu", "b-2"},
		Tags: []webhook.Tag{"vip", "batch_7"}, Trace: webhook.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "rojo=00f067aa0ba902b7,congo=a b"}, Timestamp: at.Add(-1234 * time.Millisecond),
		Body: []byte(`{"type":"invoice.paid"}`), Targets: targets, Undecided: targets[:len(targets)/2], AcceptedAt: at.Add(7 * time.Millisecond),
		ExpiresAt: at.Truncate(time.Second).Add(retention),
	}
}

func (s *bench) put(e webhook.Event) webhook.Event {
	s.t.Helper()
	if err := s.PutEvents(s.t.Context(), []webhook.Event{e}); err != nil {
		s.t.Fatal(err)
	}
	return e
}

// endpoint returns an endpoint of the subtest's tenant with every field set,
// not yet stored.
func (s *bench) endpoint(name webhook.EndpointID) webhook.Endpoint {
	now := s.clock.Now()
	return webhook.Endpoint{
		Tenant: s.tenant, ID: name, URL: "https://example.com/hooks?a=1&b=<2>", Description: "Größe \"M\"",
		EventTypes: []webhook.Pattern{"invoice.*", "user.created"}, State: webhook.EndpointEnabled, Scheme: webhook.SchemeHMAC,
		Headers:  webhook.SealedHeaders{Names: []string{"Authorization", "X-Api_Key.1|~"}, Sealed: []byte("\x01\xffsealed\x00")},
		Channels: []webhook.Channel{"eu", "project_1"}, Filter: "data.total > 1.0\n && type != \"ü\"", Tags: []webhook.Tag{"beta"}, Metadata: map[string]string{"owner": "Zoë, \"QA\"", "empty": ""},
		Terms: webhook.Terms{
			Timeout: 7 * time.Second, Schedule: []time.Duration{0, 5 * time.Second, 10 * time.Hour},
			Rate: webhook.Rate{Count: 10, Window: time.Minute}, Concurrency: 3,
		},
		Secrets: []webhook.Secret{
			{Sealed: []byte("\x01\x00new"), CreatedAt: now.Add(-time.Hour).Add(5 * time.Millisecond)},
			{Sealed: []byte("\xffold\x00"), CreatedAt: now.Add(-2 * time.Hour), ExpiresAt: now.Add(24*time.Hour + 3*time.Millisecond)},
		},
		CreatedAt: now.Add(-2 * time.Hour), UpdatedAt: now.Add(-time.Hour),
	}
}

func (s *bench) create(e webhook.Endpoint) webhook.Endpoint {
	s.t.Helper()
	if err := s.CreateEndpoint(s.t.Context(), e); err != nil {
		s.t.Fatal(err)
	}
	e.Rev = 1
	return e
}

// save stores d and returns it as it is then stored.
func (s *bench) save(d webhook.Delivery) webhook.Delivery {
	s.t.Helper()
	if err := s.SaveDelivery(s.t.Context(), d); err != nil {
		s.t.Fatal(err)
	}
	d.Rev++
	return d
}

// attempt is a failed attempt with every field set.
func attempt(at time.Time) webhook.Attempt {
	return webhook.Attempt{
		At: at, Trigger: webhook.TriggerSchedule, Reason: webhook.ReasonHTTP5xx, StatusCode: 503,
		Detail: "the endpoint answered 503 Service Unavailable", Response: []byte("\x00\xff\xfe not text \x80"),
		Duration: 231 * time.Millisecond,
	}
}

// in returns e's delivery to target, brought into the given state by one attempt.
func (s *bench) in(state webhook.State, e webhook.Event, target webhook.EndpointID) webhook.Delivery {
	d, at := webhook.NewDelivery(e, target), s.clock.Now()
	switch state {
	case webhook.Retrying:
		return d.Retry(attempt(at), at.Add(5*time.Second), webhook.NextSchedule)
	case webhook.Delivered:
		return d.Succeed(webhook.Attempt{At: at, Trigger: webhook.TriggerSchedule, StatusCode: 204, Duration: time.Millisecond})
	case webhook.Dead:
		return d.GiveUp(attempt(at), webhook.ReasonExhausted)
	case webhook.Cancelled:
		return d.Cancel(webhook.ReasonEndpointDeleted, at)
	}
	return d
}

// same compares what stores return: empty and nil slices mean the same.
var same = cmp.Options{cmpopts.EquateEmpty()}

func expect(t *testing.T, what string, want, got any, opts ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, append(opts, same)...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// eventually calls check until it returns an empty string, for some seconds,
// and otherwise ends the subtest with what it returned last. For reads that may lag.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	var wrong string
	for try := range 60 {
		if try > 0 {
			time.Sleep(50 * time.Millisecond)
		}
		if wrong = check(); wrong == "" {
			return
		}
	}
	t.Fatal(wrong)
}

// race calls f n times at once and returns the errors, nils included.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// noise returns n bytes that do not compress.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = r.Read(b) // never fails
	return b
}
