package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/webhook"
)

var deliveryRules = []rule{
	{"ADeliveryRoundTrips", func(t *testing.T, s *bench) {
		e := s.event(time.Minute, "ep")
		e.ID = "order-7"
		s.put(e)
		now := s.clock.Now()
		d := webhook.NewDelivery(e, "ep")
		change := func(changed webhook.Delivery) {
			t.Helper()
			d = s.save(changed)
			got, err := s.Delivery(t.Context(), d.DeliveryKey)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "delivery", d, got)
		}
		change(d.Retry(attempt(now.Add(3*time.Millisecond)), now.Add(5001*time.Millisecond), webhook.NextRetryAfter))
		manual := attempt(now.Add(time.Second))
		manual.Trigger, manual.Reason, manual.StatusCode, manual.Response = webhook.TriggerManual, webhook.ReasonTimeout, 0, nil
		change(d.Fail(manual))
		change(d.GiveUp(attempt(now.Add(2*time.Second)), webhook.ReasonExhausted))
		d.Untold = true
		change(d)
		change(d.Reopen().Succeed(webhook.Attempt{
			At: now.Add(time.Hour), Trigger: webhook.TriggerRedrive, StatusCode: 200, Duration: 2 * time.Millisecond,
			Response: []byte{0, 255, 'o', 'k'},
		}))
	}},

	{"AWholeHistoryOfAttemptsRoundTrips", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep"))
		d := webhook.NewDelivery(e, "ep")
		for i := range webhook.MaxAttemptsKept + 5 {
			a := attempt(s.clock.Now().Add(time.Duration(i) * time.Second))
			a.Response = noise(webhook.MaxResponseKept)
			d = d.Retry(a, a.At.Add(time.Second), webhook.NextSlowDown)
		}
		d = s.save(d)
		got, err := s.Delivery(t.Context(), d.DeliveryKey)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "delivery", d, got)
	}},

	{"ADeliveryWithoutAttemptIsNotFound", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep"))
		_, err := s.Delivery(t.Context(), webhook.NewDelivery(e, "ep").DeliveryKey)
		if !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
	}},

	{"AConditionalSaveRefusesAStaleRevision", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep"))
		first := s.in(webhook.Retrying, e, "ep")
		ahead := first
		ahead.Rev = 1
		if err := s.SaveDelivery(t.Context(), ahead); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("revision 1 without a row: got error %v, want ErrConflict", err)
		}
		stored := s.save(first)
		if err := s.SaveDelivery(t.Context(), first); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("revision 0 on a row: got error %v, want ErrConflict", err)
		}
		second := s.save(stored.Succeed(webhook.Attempt{At: s.clock.Now(), Trigger: webhook.TriggerSchedule, StatusCode: 200}))
		if err := s.SaveDelivery(t.Context(), stored.Die(webhook.ReasonExhausted, s.clock.Now())); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("stale revision: got error %v, want ErrConflict", err)
		}
		got, err := s.Delivery(t.Context(), first.DeliveryKey)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "delivery", second, got)
	}},

	{"OfConcurrentSavesExactlyOneWins", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep"))
		d := webhook.NewDelivery(e, "ep")
		for range 3 {
			s.expectOneWinner(t, race(8, func(i int) error {
				mine := d.Retry(attempt(s.clock.Now()), s.clock.Now().Add(time.Duration(i)*time.Second), webhook.NextSchedule)
				return s.SaveDelivery(t.Context(), mine)
			}), webhook.ErrConflict)
			var err error
			if d, err = s.Delivery(t.Context(), d.DeliveryKey); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, "revision", int64(3), d.Rev)
	}},

	{"EventDeliveriesReturnsTheStoredRows", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep_1", "ep_2", "ep_3"))
		neighbour := s.event(0, "ep_1")
		neighbour.Ref = s.ids.EventRef(s.clock.Now())
		s.save(s.in(webhook.Dead, s.put(neighbour), "ep_1"))
		want := map[webhook.EndpointID]webhook.Delivery{
			"ep_1": s.save(s.in(webhook.Retrying, e, "ep_1")),
			"ep_3": s.save(s.in(webhook.Delivered, e, "ep_3")),
		}
		rows, err := s.EventDeliveries(t.Context(), e.Tenant, e.Ref)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[webhook.EndpointID]webhook.Delivery)
		for _, d := range rows {
			got[d.Endpoint] = d
		}
		expect(t, "rows", want, got)
		expect(t, "number of rows", len(want), len(rows))
	}},

	{"LoadAnswersEachLookupInOrder", func(t *testing.T, s *bench) {
		ep := s.create(s.endpoint("ep"))
		tried, untried := s.put(s.event(time.Minute, "ep", "ep_gone")), s.put(s.event(0, "ep"))
		row := s.save(s.in(webhook.Retrying, tried, "ep"))
		absent := s.event(0, "ep")
		lookups := []dispatch.Lookup{
			{DeliveryKey: webhook.NewDelivery(untried, "ep").DeliveryKey},
			{DeliveryKey: row.DeliveryKey},
			{DeliveryKey: webhook.NewDelivery(tried, "ep_gone").DeliveryKey},
			{DeliveryKey: webhook.NewDelivery(absent, "ep").DeliveryKey},
			{DeliveryKey: row.DeliveryKey}, // a duplicate
			{DeliveryKey: webhook.NewDelivery(absent, "ep_gone").DeliveryKey},
			{DeliveryKey: webhook.NewDelivery(untried, "ep").DeliveryKey},
		}
		want := []dispatch.Loaded{
			{Event: &untried, Endpoint: &ep},
			{Event: &tried, Endpoint: &ep, Delivery: &row},
			{Event: &tried},
			{Endpoint: &ep},
			{Event: &tried, Endpoint: &ep, Delivery: &row},
			{},
			{Event: &untried, Endpoint: &ep},
		}
		for _, fresh := range []string{"none", "all", "some"} {
			for i := range lookups {
				lookups[i].Fresh = fresh == "all" || fresh == "some" && i%2 == 0
			}
			// Without Fresh rows may lag.
			eventually(t, func() string {
				got, err := s.Load(t.Context(), lookups)
				if err != nil {
					t.Fatal(err)
				}
				return diff("loaded, fresh "+fresh, want, got)
			})
		}
		got, err := s.Load(t.Context(), nil)
		if err != nil || len(got) != 0 {
			t.Errorf("no lookups: got %d answers, error %v", len(got), err)
		}
	}},

	{"AFreshLoadSeesEveryFinishedWrite", func(t *testing.T, s *bench) {
		ep := s.create(s.endpoint("ep"))
		e := s.put(s.event(0, "ep"))
		d := webhook.NewDelivery(e, "ep")
		for i := range 5 {
			d = s.save(d.Retry(attempt(s.clock.Now()), s.clock.Now().Add(time.Minute), webhook.NextSchedule))
			ep.Description = fmt.Sprint(i)
			if err := s.UpdateEndpoint(t.Context(), ep); err != nil {
				t.Fatal(err)
			}
			ep.Rev++
			got, err := s.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: d.DeliveryKey, Fresh: true}})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "loaded", []dispatch.Loaded{{Event: &e, Endpoint: &ep, Delivery: &d}}, got)
		}
	}},

	{"LoadTakesAFullBatch", func(t *testing.T, s *bench) {
		const n = 60 // three rows each are more than DynamoDB answers at once
		s.create(s.endpoint("ep"))
		lookups := make([]dispatch.Lookup, n)
		bodies := make([][]byte, n)
		for i := range n {
			e := s.event(time.Duration(i)*time.Hour, "ep")
			e.Body = noise(1000 + i)
			s.put(e)
			s.save(s.in(webhook.Retrying, e, "ep"))
			bodies[i], lookups[i].DeliveryKey = e.Body, webhook.NewDelivery(e, "ep").DeliveryKey
		}
		got, err := s.Load(t.Context(), lookups)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range got {
			if l.Event == nil || l.Endpoint == nil || l.Delivery == nil || !bytes.Equal(l.Event.Body, bodies[i]) || l.Delivery.Event != lookups[i].Event {
				t.Fatalf("lookup %d of %d got another answer: %+v", i, n, l)
			}
		}
	}},
}
