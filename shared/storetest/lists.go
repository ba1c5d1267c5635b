package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

var listRules = []rule{
	{"DeliveriesAreFilteredByStateAndEndpoint", func(t *testing.T, s *bench) {
		all := s.populate(t, 6)
		for _, state := range append([]webhook.State{""}, webhook.States...) {
			for _, endpoint := range []webhook.EndpointID{"", "ep_a", "ep_d", "ep_none"} {
				f := history.Filter{State: state, Endpoint: endpoint}
				var want []webhook.Delivery
				for _, d := range all {
					if f.Match(d) {
						want = append(want, d)
					}
				}
				for _, limit := range []int{1, 3, 100} {
					eventually(t, func() string {
						got := walk(t, s.deliveryList(t, f), fixed(limit))
						if !newestFirst(got) {
							return fmt.Sprintf("filter %+v, limit %d: events are not newest first", f, limit)
						}
						return diff(fmt.Sprintf("filter %+v, limit %d", f, limit), sorted(want), sorted(got))
					})
				}
			}
		}
	}},

	{"AListSinceATimeEndsThere", func(t *testing.T, s *bench) {
		all := s.populate(t, 6)
		for _, state := range append([]webhook.State{""}, webhook.States...) {
			for _, d := range all {
				accepted, _ := id.Time(d.Event)
				f := history.Filter{State: state, Since: accepted}
				var want []webhook.Delivery
				for _, d := range all {
					if f.Match(d) {
						want = append(want, d)
					}
				}
				eventually(t, func() string {
					return diff(fmt.Sprintf("filter %+v", f), sorted(want), sorted(walk(t, s.deliveryList(t, f), fixed(3))))
				})
			}
		}
	}},

	{"AListUntilATimeBeginsThere", func(t *testing.T, s *bench) {
		all := s.populate(t, 6)
		for _, state := range append([]webhook.State{""}, webhook.States...) {
			for _, d := range all {
				accepted, _ := id.Time(d.Event)
				f := history.Filter{State: state, Until: accepted}
				var want []webhook.Delivery
				for _, d := range all {
					if f.Match(d) {
						want = append(want, d)
					}
				}
				eventually(t, func() string {
					return diff(fmt.Sprintf("filter %+v", f), sorted(want), sorted(walk(t, s.deliveryList(t, f), fixed(3))))
				})
			}
		}
	}},

	{"DeliveriesAreFilteredByEventType", func(t *testing.T, s *bench) {
		want := map[webhook.State][]webhook.Delivery{}
		for i, eventType := range []webhook.EventType{"invoice.paid", "user.created", "invoice.item.added"} {
			e := s.event(time.Duration(i)*time.Hour, "ep")
			e.Type = eventType
			s.put(e)
			dead := s.save(s.in(webhook.Dead, e, "ep"))
			if i != 1 {
				want[webhook.Dead] = append(want[webhook.Dead], dead)
				want[""] = append(want[""], dead)
			}
		}
		for state, want := range want {
			f := history.Filter{State: state, Types: []webhook.Pattern{"nothing", "invoice.*"}}
			eventually(t, func() string {
				return diff(fmt.Sprintf("filter %+v", f), want, walk(t, s.deliveryList(t, f), fixed(1)))
			})
		}
	}},

	{"EventsAreFilteredByTypeTagAndTime", func(t *testing.T, s *bench) {
		var all []webhook.Event
		for i := range 12 {
			e := s.event(time.Duration(i) * 9 * time.Hour)
			e.Type = []webhook.EventType{"invoice.paid", "user.created", "invoice.item.added"}[i%3]
			e.Tags = [][]webhook.Tag{nil, {"eu", "vip"}, {"vi"}, {"vip"}}[i%4]
			all = append(all, s.put(e))
		}
		third, _ := id.Time(all[2].Ref)
		ninth, _ := id.Time(all[8].Ref)
		for _, f := range []history.Filter{
			{}, {Types: []webhook.Pattern{"invoice.*"}}, {Tag: "vip"}, {Tag: "none"}, {Since: ninth}, {Until: third}, {Since: ninth, Until: third},
			{Types: []webhook.Pattern{"nothing", "user.*"}, Tag: "vip", Since: ninth, Until: third.Add(time.Millisecond)},
		} {
			var want []webhook.EventRef
			for _, e := range all {
				if f.MatchEvent(e) {
					want = append(want, e.Ref)
				}
			}
			for _, limit := range []int{1, 5, 100} {
				got := walk(t, func(p webhook.Page) ([]webhook.Event, string, error) { return s.Events(t.Context(), s.tenant, f, p) }, fixed(limit))
				expect(t, fmt.Sprintf("filter %+v, limit %d", f, limit), want, refsOf(got))
			}
		}
	}},

	{"RecordsHoldBodiesAndAllDeliveries", func(t *testing.T, s *bench) {
		var want []history.Record
		for i := range 9 {
			e := s.event(time.Duration(i)*17*time.Hour, "ep_b", "ep_a")
			e.Body = fmt.Appendf(nil, `{"n":%d}`, i)
			s.put(e)
			row := s.save(s.in(webhook.Dead, e, "ep_a"))
			want = append(want, history.Record{Event: e, Deliveries: []webhook.Delivery{webhook.NewDelivery(e, "ep_b"), row}})
		}
		since, _ := id.Time(want[6].Event.Ref)
		for _, limit := range []int{1, 4, 100} {
			call := func(p webhook.Page) ([]history.Record, string, error) {
				return s.Records(t.Context(), s.tenant, history.Filter{Since: since}, p)
			}
			got := walk(t, call, fixed(limit))
			for i, r := range got {
				if i+1 == len(got) {
					break
				}
				rest, _, err := call(webhook.Page{Limit: 1, After: r.Behind})
				if err != nil || len(rest) != 1 || rest[0].Event.Ref != got[i+1].Event.Ref {
					t.Errorf("behind record %d: %+v, %v", i, rest, err)
				}
			}
			expect(t, fmt.Sprintf("records, limit %d", limit), want[:7], got, cmpopts.IgnoreFields(history.Record{}, "Behind"))
		}
		expectBadCursor(t, func(p webhook.Page) ([]history.Record, string, error) {
			return s.Records(t.Context(), s.tenant, history.Filter{}, p)
		})
	}},

	{"APageOfRecordsIsNotMuchLargerThanItsBound", func(t *testing.T, s *bench) {
		for i := range 30 {
			e := s.event(time.Duration(i) * time.Second)
			e.Body = noise(webhook.MaxDataBytes)
			s.put(e)
		}
		pages, all := 0, 0
		for after, more := "", true; more; more = after != "" {
			records, next, err := s.Records(t.Context(), s.tenant, history.Filter{}, webhook.Page{Limit: 1000, After: after})
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, r := range records {
				size += r.Size()
			}
			if size > history.MaxRecordBytes+2*webhook.MaxDataBytes {
				t.Errorf("a page of %d bytes", size)
			}
			pages, all, after = pages+1, all+len(records), next
		}
		if all != 30 || pages < 2 {
			t.Errorf("%d records in %d pages", all, pages)
		}
	}},

	{"DeliveriesAreFilteredByTag", func(t *testing.T, s *bench) {
		want := map[webhook.State][]webhook.Delivery{}
		for i, tags := range [][]webhook.Tag{{"vip"}, {"eu", "vip"}, {"vi"}, nil} {
			e := s.event(time.Duration(i)*time.Hour, "ep", "queued")
			e.Tags = tags
			s.put(e)
			dead := s.save(s.in(webhook.Dead, e, "ep"))
			if i < 2 {
				queued := webhook.NewDelivery(e, "queued")
				want[webhook.Dead] = append(want[webhook.Dead], dead)
				want[webhook.Queued] = append(want[webhook.Queued], queued)
				want[""] = append(want[""], dead, queued)
			}
		}
		for state, want := range want {
			f := history.Filter{State: state, Tag: "vip"}
			eventually(t, func() string {
				return diff(fmt.Sprintf("filter %+v", f), sorted(want), sorted(walk(t, s.deliveryList(t, f), fixed(1))))
			})
		}
	}},

	{"DeliveriesArePagedWhateverTheLimits", func(t *testing.T, s *bench) {
		s.populate(t, 5)
		for _, state := range []webhook.State{"", webhook.Dead, webhook.Queued} {
			call := s.deliveryList(t, history.Filter{State: state})
			var want []string
			eventually(t, func() string {
				want = names(walk(t, call, fixed(1000)), deliveryName)
				if len(want) == 0 {
					return fmt.Sprintf("no delivery in state %q", state)
				}
				return ""
			})
			expectPaged(t, call, deliveryName, want)
			expectBadCursor(t, call)
		}
		expectBadCursor(t, func(p webhook.Page) ([]webhook.Delivery, string, error) { return s.DeadLetters(t.Context(), p) })
	}},

	{"ManyDeliveriesAreListedOnce", func(t *testing.T, s *bench) {
		const events = 90
		var all []webhook.Delivery
		for i := range events {
			e := s.put(s.event(time.Duration(i)*40*time.Minute, "ep_a", "ep_b", "ep_c"))
			dead := s.save(s.in(webhook.Dead, e, "ep_b"))
			all = append(all, webhook.NewDelivery(e, "ep_a"), dead, webhook.NewDelivery(e, "ep_c"))
		}
		for _, limit := range []int{7, 101} {
			expect(t, "deliveries", sorted(all), sorted(walk(t, s.deliveryList(t, history.Filter{}), fixed(limit))))
		}
		eventually(t, func() string {
			got := walk(t, s.deliveryList(t, history.Filter{State: webhook.Dead}), fixed(13))
			if !newestFirst(got) {
				return "dead deliveries are not newest first"
			}
			return diff("number of dead deliveries", events, len(got))
		})
	}},

	{"AnUnsentEventShowsOnlyItsRows", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep_a", "ep_b"))
		row := s.save(s.in(webhook.Delivered, e, "ep_b"))
		if err := s.MarkUnsent(t.Context(), e.Tenant, e.Ref); err != nil {
			t.Fatal(err)
		}
		expect(t, "deliveries", []webhook.Delivery{row}, walk(t, s.deliveryList(t, history.Filter{}), fixed(10)))
		expect(t, "queued", []webhook.Delivery{}, walk(t, s.deliveryList(t, history.Filter{State: webhook.Queued}), fixed(10)))
	}},

	{"DeliveriesOfAnotherTenantAreNotListed", func(t *testing.T, s *bench) {
		s.populate(t, 2)
		s.tenant = s.newTenant()
		for _, state := range append([]webhook.State{""}, webhook.States...) {
			got := walk(t, s.deliveryList(t, history.Filter{State: state}), fixed(10))
			expect(t, "deliveries in state "+string(state), []webhook.Delivery{}, got)
		}
	}},

	{"DeadLettersComeByTenantOldestEventFirst", func(t *testing.T, s *bench) {
		var want []string
		tenants := []webhook.TenantID{s.tenant, s.newTenant(), s.newTenant()}
		slices.Sort(tenants)
		for _, tenant := range tenants {
			s.tenant = tenant
			for i := range 5 {
				e := s.put(s.event(time.Duration(4-i)*13*time.Hour, "ep_a", "ep_b", "ep_c"))
				s.save(s.in(webhook.Retrying, e, "ep_a"))
				want = append(want, deliveryName(s.save(s.in(webhook.Dead, e, "ep_b"))))
				s.save(s.in(webhook.Cancelled, e, "ep_c"))
			}
		}
		for _, limit := range []int{2, 7, 100} {
			eventually(t, func() string {
				var got []string
				for _, d := range walk(t, func(p webhook.Page) ([]webhook.Delivery, string, error) {
					return s.DeadLetters(t.Context(), p)
				}, fixed(limit)) {
					if slices.Contains(tenants, d.Tenant) {
						got = append(got, deliveryName(d))
					}
				}
				return diff("dead letters", want, got)
			})
		}
	}},

	{"ADeliveryThatIsNoLongerDeadLeavesTheLists", func(t *testing.T, s *bench) {
		e := s.put(s.event(0, "ep"))
		d := s.save(s.in(webhook.Dead, e, "ep"))
		dead := func(want ...webhook.Delivery) {
			t.Helper()
			eventually(t, func() string {
				return diff("dead letters", want, s.deadLetters(t)) +
					diff("dead deliveries", want, walk(t, s.deliveryList(t, history.Filter{State: webhook.Dead}), fixed(10)))
			})
		}
		dead(d)
		d = s.save(d.Reopen().Retry(attempt(s.clock.Now()), s.clock.Now().Add(time.Minute), webhook.NextSchedule))
		dead()
		d = s.save(d.GiveUp(attempt(s.clock.Now()), webhook.ReasonEndpointDisabled))
		dead(d)
		s.save(d.Succeed(webhook.Attempt{At: s.clock.Now(), Trigger: webhook.TriggerRedrive, StatusCode: 200}))
		dead()
	}},
}

// populate stores n events over some days with deliveries in every state, and
// returns all their deliveries.
func (s *bench) populate(t *testing.T, n int) (all []webhook.Delivery) {
	t.Helper()
	for i := range n {
		e := s.put(s.event(time.Duration(i)*11*time.Hour, "ep_d", "ep_a", "ep_c", "ep_b"))
		for j, target := range e.Targets {
			d := s.in(webhook.States[(i+j)%len(webhook.States)], e, target)
			if d.State != webhook.Queued {
				d = s.save(d)
			}
			all = append(all, d)
		}
		s.put(s.event(time.Duration(i)*11*time.Hour + time.Minute)) // matched nobody
	}
	return all
}

func (s *bench) deliveryList(t *testing.T, f history.Filter) list[webhook.Delivery] {
	return func(p webhook.Page) ([]webhook.Delivery, string, error) {
		return s.Deliveries(t.Context(), s.tenant, f, p)
	}
}

// deadLetters returns the dead letters of the subtest's tenant.
func (s *bench) deadLetters(t *testing.T) (mine []webhook.Delivery) {
	t.Helper()
	for _, d := range walk(t, func(p webhook.Page) ([]webhook.Delivery, string, error) {
		return s.DeadLetters(t.Context(), p)
	}, fixed(100)) {
		if d.Tenant == s.tenant {
			mine = append(mine, d)
		}
	}
	return mine
}

func deliveryName(d webhook.Delivery) string { return string(d.Tenant) + " " + string(d.ID()) }

func newestFirst(deliveries []webhook.Delivery) bool {
	return slices.IsSortedFunc(deliveries, func(a, b webhook.Delivery) int {
		return strings.Compare(string(b.Event), string(a.Event))
	})
}

// sorted returns the deliveries by id: their order within an event is free.
func sorted(deliveries []webhook.Delivery) []webhook.Delivery {
	return slices.SortedFunc(slices.Values(deliveries), func(a, b webhook.Delivery) int {
		return strings.Compare(deliveryName(a), deliveryName(b))
	})
}

// diff returns what expect would report, or an empty string.
func diff(what string, want, got any) string {
	if d := cmp.Diff(want, got, same); d != "" {
		return what + " (-want +got):\n" + d
	}
	return ""
}
