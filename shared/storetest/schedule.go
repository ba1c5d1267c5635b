package storetest

import (
	"errors"
	"testing"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/webhook"
)

var scheduleRules = []rule{
	{"AScheduledEventRoundTrips", func(t *testing.T, s *bench) {
		e := s.event(0, "ep")
		e.DeliverAt, e.Held = s.clock.Now().Add(30*24*time.Hour+3*time.Millisecond), true
		s.put(e)
		s.expectEvent(t, e)
		expect(t, "events", []webhook.Event{e}, s.allEvents(t), noBody)
		want := webhook.NewDelivery(e, "ep")
		if want.NextAttemptAt != e.DeliverAt || want.NextCause != webhook.NextScheduled {
			t.Errorf("its delivery is due at %s because of %s", want.NextAttemptAt, want.NextCause)
		}
		expect(t, "deliveries", []webhook.Delivery{want}, walk(t, s.deliveryList(t, history.Filter{State: webhook.Queued}), fixed(10)))
	}},

	{"WhatIsHeldIsListedWhenItIsDueAndNoLongerOnceItWasSent", func(t *testing.T, s *bench) {
		// Long ago, so that no other subtest's rows crowd the page.
		base := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		var all []webhook.Event
		for i := range 5 {
			e := s.event(time.Minute, "ep_1", "ep_2")
			e.DeliverAt, e.Held = base.Add(time.Duration(i)*time.Second), true
			all = append(all, s.put(e))
		}
		sent := s.event(time.Minute, "ep")
		sent.DeliverAt = base
		s.put(sent)
		until := base.Add(3 * time.Second)
		eventually(t, func() string { return diff("due", refsOf(all[:4]), refsOf(s.dueHere(t, until))) })
		expect(t, "due events", all[:4], s.dueHere(t, until), noBody)
		for _, e := range all[:2] {
			if err := s.EventSent(t.Context(), e.Tenant, e.Ref); err != nil {
				t.Fatal(err)
			}
			e.Held = false
			s.expectEvent(t, e)
		}
		eventually(t, func() string { return diff("due", refsOf(all[2:4]), refsOf(s.dueHere(t, until))) })
		if err := s.EventSent(t.Context(), s.tenant, s.ids.EventRef(base)); err != nil {
			t.Errorf("an absent event: %v", err)
		}
	}},

	{"ADueEventIsShownAsItIs", func(t *testing.T, s *bench) {
		base := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		e := s.event(time.Minute, "ep")
		e.DeliverAt, e.Held = base, true
		s.put(e)
		eventually(t, func() string { return diff("due", 1, len(s.dueHere(t, base))) })
		if err := s.CancelEvent(t.Context(), e.Tenant, e.Ref, s.clock.Now()); err != nil {
			t.Fatal(err)
		}
		expect(t, "due events", 0, len(s.dueHere(t, base))) // at once: also an index that lags must not send it
	}},

	{"AnEventIsCancelledOnce", func(t *testing.T, s *bench) {
		e := s.event(0, "ep")
		e.DeliverAt, e.Held = s.clock.Now().Add(time.Hour), true
		s.put(e)
		at := s.clock.Now()
		wins := 0
		for _, err := range race(5, func(int) error {
			return s.CancelEvent(t.Context(), e.Tenant, e.Ref, at)
		}) {
			if err == nil {
				wins++
			} else if !errors.Is(err, webhook.ErrConflict) {
				t.Error(err)
			}
		}
		if wins != 1 {
			t.Errorf("%d of concurrent calls cancelled it", wins)
		}
		e.CancelledAt, e.Held = at, false
		s.expectEvent(t, e)
		if err := s.CancelEvent(t.Context(), e.Tenant, s.ids.EventRef(at), at); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("an absent event: %v", err)
		}
		want := webhook.NewDelivery(e, "ep")
		if want.State != webhook.Cancelled || want.Reason != webhook.ReasonEventCancelled {
			t.Errorf("its delivery is %s because of %s", want.State, want.Reason)
		}
		expect(t, "deliveries", []webhook.Delivery{want}, walk(t, s.deliveryList(t, history.Filter{}), fixed(10)))
	}},

	{"AnExpungedEventHasNoPayloadAndStaysOnRecord", func(t *testing.T, s *bench) {
		for name, body := range map[string][]byte{"small": []byte(`{"a":1}`), "deflated": make([]byte, 100_000), "large": noise(100_000)} {
			e := s.event(0, "ep")
			e.Body, e.DeliverAt, e.Held = body, s.clock.Now().Add(time.Hour), true
			s.put(e)
			at := s.clock.Now()
			if err := s.ExpungeEvent(t.Context(), e.Tenant, e.Ref, at); err != nil {
				t.Fatal(err)
			}
			if err := s.ExpungeEvent(t.Context(), e.Tenant, e.Ref, at.Add(time.Hour)); !errors.Is(err, webhook.ErrConflict) {
				t.Errorf("%s, again: %v", name, err)
			}
			e.Body, e.ExpungedAt, e.Held = nil, at, false
			s.expectEvent(t, e)
			key := webhook.DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: "ep"}
			loaded, err := s.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: key, Fresh: true}})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, name+" as it is loaded", &e, loaded[0].Event)
		}
		if err := s.ExpungeEvent(t.Context(), s.tenant, s.ids.EventRef(s.clock.Now()), s.clock.Now()); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("an absent event: %v", err)
		}
	}},

	{"ADeliveryKeepsItsTagsAndThatItWasExpunged", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep"))
		d := s.save(s.in(webhook.Dead, e, "ep").Expunge(s.clock.Now()))
		got, err := s.Delivery(t.Context(), d.DeliveryKey)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "delivery", d, got)
		if !got.Expunged || len(got.Tags) != 2 || got.Attempts[0].Response != nil {
			t.Errorf("got %+v", got)
		}
	}},

	{"WhatMayNotBeReplayedIsNotFoundToBeWithoutDelivery", func(t *testing.T, s *bench) {
		now := s.clock.Now()
		want := s.put(s.event(4*time.Minute, "other"))
		for i, change := range []func(e *webhook.Event){
			func(e *webhook.Event) { e.DeliverAt, e.Held = now.Add(time.Hour), true },
			func(e *webhook.Event) { e.CancelledAt = now },
			func(e *webhook.Event) { e.ExpungedAt = now },
		} {
			e := s.event(time.Duration(i)*time.Minute, "other")
			change(&e)
			s.put(e)
		}
		got := walk(t, func(p webhook.Page) ([]webhook.Event, string, error) {
			return s.EventsWithoutDelivery(t.Context(), s.tenant, history.Filter{Endpoint: "ep"}, p)
		}, fixed(10))
		expect(t, "events", []webhook.Event{want}, got, noBody)
	}},
}

// dueHere lists the due events of the subtest's own tenant.
func (s *bench) dueHere(t *testing.T, until time.Time) (mine []webhook.Event) {
	t.Helper()
	due, err := s.DueEvents(t.Context(), until, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range due {
		if e.Tenant == s.tenant {
			mine = append(mine, e)
		}
	}
	return mine
}

func refsOf(events []webhook.Event) []webhook.EventRef {
	refs := make([]webhook.EventRef, len(events))
	for i, e := range events {
		refs[i] = e.Ref
	}
	return refs
}
