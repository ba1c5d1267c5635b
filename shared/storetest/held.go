package storetest

import (
	"errors"
	"testing"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

var heldRules = []rule{
	{"HealthRoundTripsAndTouchesNothingElse", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		version := s.version(t)
		now := s.clock.Now()
		h := webhook.Health{Failures: 7, FailingSince: now.Add(-time.Hour), LastFailureAt: now, OpenedAt: now, OpenUntil: now.Add(time.Minute), Warned: 2}
		s.mustSaveHealth(t, e.ID, h)
		h.Rev, e.Health = 1, h
		e.Health.Rev = 1
		s.expectEndpoint(t, e)
		s.mustSaveHealth(t, e.ID, h.Recovered())
		e.Health = webhook.Health{Rev: 2}
		s.expectEndpoint(t, e)
		if got := s.version(t); got != version {
			t.Errorf("the config version went from %d to %d", version, got)
		}
		loaded, err := s.Load(t.Context(), []dispatch.Lookup{{
			DeliveryKey: webhook.DeliveryKey{Tenant: s.tenant, Event: s.ids.EventRef(now), Endpoint: e.ID}, Fresh: true,
		}})
		if err != nil || loaded[0].Endpoint == nil || loaded[0].Endpoint.Health != e.Health {
			t.Errorf("loaded %+v, %v", loaded, err)
		}
	}},

	{"AStaleHealthIsRefused", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		wins := 0
		for _, err := range race(6, func(n int) error {
			return s.SaveHealth(t.Context(), s.tenant, e.ID, webhook.Health{Failures: n + 1, FailingSince: s.clock.Now()})
		}) {
			switch {
			case err == nil:
				wins++
			case !errors.Is(err, webhook.ErrConflict):
				t.Errorf("got error %v", err)
			}
		}
		if wins != 1 {
			t.Errorf("%d of concurrent writes took effect", wins)
		}
		if err := s.SaveHealth(t.Context(), s.tenant, e.ID, webhook.Health{Rev: 5}); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("a later revision: %v", err)
		}
		if err := s.SaveHealth(t.Context(), s.tenant, "nobody", webhook.Health{}); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("an absent endpoint: %v", err)
		}
	}},

	{"AnUpdateOfAnEndpointKeepsItsHealth", func(t *testing.T, s *bench) {
		e := s.create(s.endpoint("ep"))
		s.mustSaveHealth(t, e.ID, webhook.Health{Failures: 1, FailingSince: s.clock.Now()})
		e, err := s.Endpoint(t.Context(), s.tenant, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		e.Description = "changed"
		if err := s.UpdateEndpoint(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		e.Rev++
		s.expectEndpoint(t, e)
	}},

	{"WhatIsHeldUntilThenIsListedAndNothingElse", func(t *testing.T, s *bench) {
		// Long ago, so that no other subtest's rows crowd the page.
		base := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		var want []webhook.DeliveryKey
		for i := range 6 {
			e := s.event(time.Minute, "ep")
			d := webhook.NewDelivery(e, "ep").Park(base.Add(time.Duration(i)*time.Second), s.clock.Now(), webhook.NextBreaker)
			s.save(d)
			if i < 4 {
				want = append(want, d.DeliveryKey)
			}
		}
		s.save(webhook.NewDelivery(s.event(time.Minute, "ep"), "ep").Retry(webhook.Attempt{At: base}, base, webhook.NextSchedule))
		until := base.Add(3 * time.Second)
		eventually(t, func() string { return diff("held", want, s.heldHere(t, until)) })

		// One that is sent, or settled, leaves the list.
		first, err := s.Delivery(t.Context(), want[0])
		if err != nil {
			t.Fatal(err)
		}
		s.save(first.Hold(base.Add(time.Hour)))
		second, err := s.Delivery(t.Context(), want[1])
		if err != nil {
			t.Fatal(err)
		}
		s.save(second.Succeed(webhook.Attempt{At: base}))
		eventually(t, func() string { return diff("held", want[2:], s.heldHere(t, until)) })
	}},

	{"TheSweepersStateRoundTrips", func(t *testing.T, s *bench) {
		for _, state := range []sweep.State{
			{Day: "2026-01-31", TenantsAfter: "x", Tenant: "t", After: "y"}, {Day: "2026-02-01", Done: true},
		} {
			if err := s.SaveSweepState(t.Context(), state); err != nil {
				t.Fatal(err)
			}
			got, err := s.SweepState(t.Context())
			if err != nil || got != state {
				t.Errorf("got %+v, %v, want %+v", got, err, state)
			}
		}
	}},
}

func (s *bench) mustSaveHealth(t *testing.T, endpoint webhook.EndpointID, h webhook.Health) {
	t.Helper()
	if err := s.SaveHealth(t.Context(), s.tenant, endpoint, h); err != nil {
		t.Fatal(err)
	}
}

// heldHere lists what is held of the subtest's own tenant.
func (s *bench) heldHere(t *testing.T, until time.Time) []webhook.DeliveryKey {
	t.Helper()
	held, err := s.Held(t.Context(), until, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var keys []webhook.DeliveryKey
	for _, d := range held {
		if d.Tenant == s.tenant {
			keys = append(keys, d.DeliveryKey)
		}
	}
	return keys
}
