package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/webhook"
)

// noBody leaves events' bodies out of a comparison: lists may omit them.
var noBody = cmpopts.IgnoreFields(webhook.Event{}, "Body")

var eventRules = []rule{
	{"AnEventRoundTrips", func(t *testing.T, s *bench) {
		own := s.event(0, "ep_1", "ep-2", "Z")
		own.ID, own.Timestamp = "order_2024-1", time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, e := range []webhook.Event{s.event(0), s.event(time.Hour, "ep"), own} {
			s.put(e)
			s.expectEvent(t, e)
		}
	}},

	{"ManyEventsRoundTripAtOnce", func(t *testing.T, s *bench) {
		var all []webhook.Event
		for i := range 60 {
			e := s.event(time.Duration(i)*time.Minute, "ep")
			e.Body = fmt.Appendf(nil, `{"n":%d}`, i)
			all = append(all, e)
		}
		if err := s.PutEvents(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		if err := s.PutEvents(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			s.expectEvent(t, e)
		}
	}},

	{"ABodyIsKeptToTheByte", func(t *testing.T, s *bench) {
		for name, body := range map[string][]byte{
			"empty":        {},
			"one zero":     {0},
			"json":         []byte(`{"data":{"a":[1,2.50,"\u00e9 é"]}}` + "\n"),
			"no text":      []byte("\x00\xff\xfe\xc3\x28\xed\xa0\x80\r\n\x1a"),
			"compressible": bytes.Repeat([]byte(`{"k":"v"},`), webhook.MaxDataBytes/10),
			"largest":      bytes.Repeat([]byte{'a'}, webhook.MaxDataBytes+512),
			"noise":        noise(webhook.MaxDataBytes),
			"short noise":  noise(3000),
		} {
			e := s.event(0, "ep")
			e.Body = body
			s.put(e)
			got, err := s.EventByRef(t.Context(), e.Tenant, e.Ref)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Body, body) {
				t.Errorf("%s: got another body, of %d bytes instead of %d", name, len(got.Body), len(body))
			}
			loaded, err := s.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: webhook.DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: "ep"}}})
			if err != nil {
				t.Fatal(err)
			}
			if loaded[0].Event == nil || !bytes.Equal(loaded[0].Event.Body, body) {
				t.Errorf("%s: Load returned another body", name)
			}
		}
	}},

	{"AnEventWithManyTargetsRoundTrips", func(t *testing.T, s *bench) {
		e := s.event(0)
		for i := range 500 {
			e.Targets = append(e.Targets, webhook.EndpointID(fmt.Sprintf("ep_%d_%032d", 500-i, i)))
		}
		s.put(e)
		s.expectEvent(t, e)
	}},

	{"AnAbsentEventIsNotFound", func(t *testing.T, s *bench) {
		s.expectGone(t, s.event(0, "ep"))
		if _, err := s.EventByRef(t.Context(), s.tenant, "not-a-ulid"); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
	}},

	{"StoringAnEventAgainIsHarmless", func(t *testing.T, s *bench) {
		e := s.event(0, "ep")
		s.put(e)
		s.put(e)
		s.expectEvent(t, e)
		expect(t, "events", []webhook.Event{e}, s.allEvents(t), noBody)
	}},

	{"AnUnsentEventIsMarkedUntilItIsStoredAgain", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep"))
		if err := s.MarkUnsent(t.Context(), e.Tenant, e.Ref); err != nil {
			t.Fatal(err)
		}
		unsent := e
		unsent.Unsent = true
		s.expectEvent(t, unsent)
		expect(t, "events", []webhook.Event{unsent}, s.allEvents(t), noBody)
		s.put(e)
		s.expectEvent(t, e)
	}},

	{"MarkingAnAbsentEventStoresNothing", func(t *testing.T, s *bench) {
		e := s.event(0, "ep")
		_ = s.MarkUnsent(t.Context(), e.Tenant, e.Ref) // an error is as good as none
		s.expectGone(t, e)
	}},

	{"AnExpiredEventIsGone", func(t *testing.T, s *bench) {
		e := s.event(0, "ep", "ep_queued")
		e.ExpiresAt = s.clock.Now().Add(10 * time.Second)
		s.put(e)
		s.save(s.in(webhook.Dead, e, "ep"))
		kept := s.put(s.event(time.Minute, "ep"))
		s.clock.advance(8 * time.Second)
		s.expectEvent(t, e)
		expect(t, "events", []webhook.Event{e, kept}, s.allEvents(t), noBody)
		s.clock.advance(4 * time.Second)
		s.expectGone(t, e)
		expect(t, "events", []webhook.Event{kept}, s.allEvents(t), noBody)
	}},

	{"EventsAreListedNewestFirst", func(t *testing.T, s *bench) {
		const n = 257
		want := make([]string, n)
		for i := range n { // over the last days, for a store may file them by day
			e := s.event(time.Duration(i) * 20 * time.Minute)
			want[i] = string(s.put(e).Ref)
		}
		expectPaged(t, s.eventList(t), func(e webhook.Event) string { return string(e.Ref) }, want)
	}},

	{"EventsOfOneMillisecondAreAllListed", func(t *testing.T, s *bench) {
		const n = 23
		want := make([]string, n)
		for i := range n {
			e := s.event(0)
			e.Ref = s.ids.EventRef(s.clock.Now())
			want[n-1-i] = string(s.put(e).Ref)
		}
		expectPaged(t, s.eventList(t), func(e webhook.Event) string { return string(e.Ref) }, want)
		expectBadCursor(t, s.eventList(t))
	}},

	{"ATenantSeesOnlyItsEvents", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep"))
		d := s.save(s.in(webhook.Retrying, e, "ep"))
		mine := s.tenant
		s.tenant = s.newTenant()
		other := e
		other.Tenant = s.tenant
		s.expectGone(t, other)
		expect(t, "events", []webhook.Event{}, s.allEvents(t))
		other.Body = []byte("other")
		s.put(other)
		s.expectEvent(t, other)
		s.expectEvent(t, e)
		if rows, err := s.EventDeliveries(t.Context(), s.tenant, e.Ref); err != nil || len(rows) != 0 {
			t.Errorf("EventDeliveries: got %d rows, error %v; want none", len(rows), err)
		}
		s.tenant = mine
		got, err := s.Delivery(t.Context(), d.DeliveryKey)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "delivery", d, got)
	}},
}

func (s *bench) expectEvent(t *testing.T, want webhook.Event) {
	t.Helper()
	got, err := s.EventByRef(t.Context(), want.Tenant, want.Ref)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "event", want, got)
}

// expectGone checks that no read finds e or its deliveries.
func (s *bench) expectGone(t *testing.T, e webhook.Event) {
	t.Helper()
	if _, err := s.EventByRef(t.Context(), e.Tenant, e.Ref); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("EventByRef: got error %v, want ErrNotFound", err)
	}
	if rows, err := s.EventDeliveries(t.Context(), e.Tenant, e.Ref); err != nil || len(rows) != 0 {
		t.Errorf("EventDeliveries: got %d rows, error %v; want none", len(rows), err)
	}
	for _, target := range e.Targets {
		key := webhook.DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: target}
		if _, err := s.Delivery(t.Context(), key); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("Delivery: got error %v, want ErrNotFound", err)
		}
		for _, fresh := range []bool{false, true} {
			loaded, err := s.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: key, Fresh: fresh}})
			if err != nil {
				t.Fatal(err)
			}
			if loaded[0].Event != nil {
				t.Errorf("Load with fresh %v found the event", fresh)
			}
		}
	}
	for _, state := range append([]webhook.State{""}, webhook.States...) {
		for _, d := range walk(t, s.deliveryList(t, history.Filter{State: state}), fixed(100)) {
			if d.Event == e.Ref {
				t.Errorf("Deliveries with state %q lists %s", state, d.ID())
			}
		}
	}
	for _, d := range s.deadLetters(t) {
		if d.Event == e.Ref {
			t.Errorf("DeadLetters lists %s", d.ID())
		}
	}
}

func (s *bench) eventList(t *testing.T) list[webhook.Event] {
	return func(p webhook.Page) ([]webhook.Event, string, error) {
		return s.Events(t.Context(), s.tenant, history.Filter{}, p)
	}
}

func (s *bench) allEvents(t *testing.T) []webhook.Event {
	t.Helper()
	return walk(t, s.eventList(t), fixed(100))
}
