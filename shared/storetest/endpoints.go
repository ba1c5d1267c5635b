package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

var endpointRules = []rule{
	{"AnEndpointRoundTrips", func(t *testing.T, s *bench) {
		full := s.create(s.endpoint("ep_full"))
		s.expectEndpoint(t, full)
		disabled := s.endpoint("ep_disabled")
		disabled.State, disabled.DisabledReason, disabled.Scheme = webhook.EndpointDisabled, webhook.ReasonHTTP410, webhook.SchemeEd25519
		s.expectEndpoint(t, s.create(disabled))
		s.expectEndpoint(t, s.create(webhook.Endpoint{
			Tenant: s.tenant, ID: "ep_bare", URL: "https://example.com/", State: webhook.EndpointEnabled, Scheme: webhook.SchemeHMAC,
			CreatedAt: s.clock.Now(), UpdatedAt: s.clock.Now(),
		}))
	}},

	{"AScheduleWithoutRetriesIsNotTheRelaysOwn", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		for _, schedule := range [][]time.Duration{{}, nil} {
			e.Terms.Schedule = schedule
			if err := s.UpdateEndpoint(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			e.Rev++
			got, err := s.Endpoint(t.Context(), s.tenant, e.ID)
			if err != nil || (got.Terms.Schedule == nil) != (schedule == nil) || len(got.Terms.Schedule) > 0 {
				t.Errorf("stored %#v, got %#v, %v", schedule, got.Terms.Schedule, err)
			}
		}
	}},

	{"AnAbsentEndpointIsNotFound", func(t *testing.T, s *bench) {
		if _, err := s.Endpoint(t.Context(), s.tenant, "ep"); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
		if err := s.DeleteEndpoint(t.Context(), s.tenant, "ep"); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("delete: got error %v, want ErrNotFound", err)
		}
	}},

	{"CreateEndpointRefusesATakenID", func(t *testing.T, s *bench) {
		first := s.create(s.endpoint("ep"))
		second := s.endpoint("ep")
		second.URL = "https://example.org/second"
		if err := s.CreateEndpoint(t.Context(), second); !errors.Is(err, webhook.ErrExists) {
			t.Errorf("got error %v, want ErrExists", err)
		}
		s.expectEndpoint(t, first)
	}},

	{"CreateEndpointNeedsATenant", func(t *testing.T, s *bench) {
		e := s.endpoint("ep")
		e.Tenant = webhook.TenantID("t_" + s.ids.ULID(s.clock.Now()))
		if err := s.CreateEndpoint(t.Context(), e); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
		if _, err := s.Endpoint(t.Context(), e.Tenant, e.ID); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("the endpoint was stored all the same: error %v", err)
		}
	}},

	{"OfConcurrentCreatesExactlyOneSucceeds", func(t *testing.T, s *bench) {
		s.expectOneWinner(t, race(8, func(int) error { return s.CreateEndpoint(t.Context(), s.endpoint("ep")) }), webhook.ErrExists)
	}},

	{"AnUpdateRefusesAStaleRevision", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		e.URL, e.UpdatedAt = "https://example.com/second", s.clock.Now()
		if err := s.UpdateEndpoint(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		stale := e
		stale.URL = "https://example.com/stale"
		if err := s.UpdateEndpoint(t.Context(), stale); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("got error %v, want ErrConflict", err)
		}
		e.Rev = 2
		s.expectEndpoint(t, e)
	}},

	{"AnUpdateReplacesTheHeaders", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		for _, headers := range []webhook.SealedHeaders{{Names: []string{"X-Other"}, Sealed: []byte("\x00other")}, {}} {
			e.Headers = headers
			if err := s.UpdateEndpoint(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			e.Rev++
			s.expectEndpoint(t, e)
		}
	}},

	{"OfConcurrentUpdatesExactlyOneWins", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		s.expectOneWinner(t, race(8, func(i int) error {
			mine := e
			mine.Description = fmt.Sprint(i)
			return s.UpdateEndpoint(t.Context(), mine)
		}), webhook.ErrConflict)
	}},

	{"AnUpdateRefusesAGoneEndpoint", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		if err := s.DeleteEndpoint(t.Context(), s.tenant, e.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.UpdateEndpoint(t.Context(), e); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("got error %v, want ErrConflict", err)
		}
		if _, err := s.Endpoint(t.Context(), s.tenant, e.ID); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("the update brought the endpoint back: error %v", err)
		}
		s.create(s.endpoint("ep"))
	}},

	{"AnEndpointChangeRaisesTheConfigVersion", func(t *testing.T, s *bench) {
		last := s.version(t)
		raised := func(by string, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			now := s.version(t)
			if now <= last {
				t.Errorf("%s left the config version at %d, was %d", by, now, last)
			}
			last = now
		}
		e := s.endpoint("ep")
		raised("create", s.CreateEndpoint(t.Context(), e))
		e.Rev = 1
		raised("update", s.UpdateEndpoint(t.Context(), e))
		raised("disable", s.DisableEndpoint(t.Context(), s.tenant, e.ID, webhook.ReasonHTTP410, s.clock.Now()))
		raised("delete", s.DeleteEndpoint(t.Context(), s.tenant, e.ID))
		raised("create again", s.CreateEndpoint(t.Context(), e))
	}},

	{"EveryConcurrentChangeRaisesTheConfigVersion", func(t *testing.T, s *bench) {
		before := s.version(t)
		const n = 8
		errs := race(n, func(i int) error {
			e := s.endpoint(webhook.EndpointID(fmt.Sprint("ep", i)))
			// A store may refuse writes that collide; its callers read and decide anew.
			err := s.CreateEndpoint(t.Context(), e)
			for try := 0; errors.Is(err, webhook.ErrConflict) && try < 50; try++ {
				err = s.CreateEndpoint(t.Context(), e)
			}
			return err
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if after := s.version(t); after < before+n {
			t.Errorf("%d changes raised the config version from %d to %d", n, before, after)
		}
	}},

	{"DisableEndpointSetsReasonAndTime", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		at := s.clock.Now().Add(9 * time.Millisecond)
		for range 2 {
			if err := s.DisableEndpoint(t.Context(), s.tenant, e.ID, webhook.ReasonHTTP410, at); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Endpoint(t.Context(), s.tenant, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Rev <= e.Rev {
			t.Errorf("revision is %d, want more than %d", got.Rev, e.Rev)
		}
		want := e
		want.State, want.DisabledReason, want.UpdatedAt, want.Rev = webhook.EndpointDisabled, webhook.ReasonHTTP410, at, got.Rev
		expect(t, "disabled endpoint", want, got)
		if err := s.UpdateEndpoint(t.Context(), e); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("an update from before: got error %v, want ErrConflict", err)
		}
	}},

	{"DisablingAGoneEndpointIsNoError", func(t *testing.T, s *bench) {
		for range 2 {
			if err := s.DisableEndpoint(t.Context(), s.tenant, "ep_gone", webhook.ReasonHTTP410, s.clock.Now()); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.Endpoint(t.Context(), s.tenant, "ep_gone"); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("disabling brought the endpoint into being: error %v", err)
		}
	}},

	{"EndpointsAreListedByID", func(t *testing.T, s *bench) {
		var all []webhook.Endpoint
		var want []string
		for i := range 33 {
			e := s.create(s.endpoint(webhook.EndpointID(fmt.Sprintf("ep-%02d_Z", i))))
			all, want = append(all, e), append(want, string(e.ID))
		}
		call := func(p webhook.Page) ([]webhook.Endpoint, string, error) { return s.Endpoints(t.Context(), s.tenant, p) }
		expectPaged(t, call, func(e webhook.Endpoint) string { return string(e.ID) }, want)
		expectBadCursor(t, call)
		expect(t, "list", all, walk(t, call, fixed(50)))
		got, err := s.AllEndpoints(t.Context(), s.tenant)
		if err != nil {
			t.Fatal(err)
		}
		byID := func(endpoints []webhook.Endpoint) map[webhook.EndpointID]webhook.Endpoint {
			m := make(map[webhook.EndpointID]webhook.Endpoint)
			for _, e := range endpoints {
				m[e.ID] = e
			}
			return m
		}
		expect(t, "number of endpoints", len(all), len(got))
		expect(t, "all endpoints", byID(all), byID(got))
	}},

	{"ATenantSeesOnlyItsEndpoints", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		other := s.newTenant()
		version, err := s.ConfigVersion(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Endpoint(t.Context(), other, e.ID); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("Endpoint: got error %v, want ErrNotFound", err)
		}
		if err := s.DeleteEndpoint(t.Context(), other, e.ID); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("DeleteEndpoint: got error %v, want ErrNotFound", err)
		}
		if err := s.DisableEndpoint(t.Context(), other, e.ID, webhook.ReasonManual, s.clock.Now()); err != nil {
			t.Error(err)
		}
		listed, _, err := s.Endpoints(t.Context(), other, webhook.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "Endpoints", []webhook.Endpoint{}, listed)
		all, err := s.AllEndpoints(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "AllEndpoints", []webhook.Endpoint{}, all)
		s.expectEndpoint(t, e)
		after := e
		if err := s.UpdateEndpoint(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		if now, err := s.ConfigVersion(t.Context(), other); err != nil || now != version {
			t.Errorf("one tenant's change moved the other's config version from %d to %d, error %v", version, now, err)
		}
	}},
}

func (s *bench) expectEndpoint(t *testing.T, want webhook.Endpoint) {
	t.Helper()
	got, err := s.Endpoint(t.Context(), want.Tenant, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "endpoint", want, got)
}

// expectOneWinner checks that all but one of the errors are the given one.
func (s *bench) expectOneWinner(t *testing.T, errs []error, refused error) {
	t.Helper()
	winners := 0
	for _, err := range errs {
		if err == nil {
			winners++
		} else if !errors.Is(err, refused) {
			t.Errorf("got error %v, want %v", err, refused)
		}
	}
	if winners != 1 {
		t.Errorf("%d of %d concurrent calls succeeded, want 1", winners, len(errs))
	}
}
