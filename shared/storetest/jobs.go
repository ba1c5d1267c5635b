package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

var jobRules = []rule{
	{"AJobRoundTrips", func(t *testing.T, s *bench) {
		now := s.clock.Now()
		full := s.job()
		full.State, full.Reason, full.Matched, full.Changed = replay.JobFailed, webhook.ReasonEndpointDeleted, 7, 5
		full.After, full.Reached, full.PacedUntil = "x.y", now.Add(-time.Minute), now.Add(3*time.Millisecond)
		bare := s.job()
		bare.EventTypes, bare.Channels = nil, nil
		for _, j := range []replay.Job{full, bare} {
			s.expectJob(t, s.saveJob(j))
		}
	}},

	{"AStaleJobIsRefused", func(t *testing.T, s *bench) {
		j := s.job()
		for range 2 { // at the first and at the second revision
			wins := 0
			for _, err := range race(6, func(n int) error {
				changed := j
				changed.Matched = n
				return s.SaveJob(t.Context(), changed)
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
			j.Rev++
		}
		line, later := s.line(audit.JobCancelled), s.job()
		later.Rev = 7
		if err := s.SaveJob(t.Context(), later, line); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("a later revision: %v", err)
		}
		s.expectNoLine(t, line)
	}},

	{"AJobIsOfItsTenantOnly", func(t *testing.T, s *bench) {
		j := s.saveJob(s.job())
		if _, err := s.Job(t.Context(), s.newTenant(), j.ID); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
	}},

	{"JobsAreListedNewestFirst", func(t *testing.T, s *bench) {
		var want []string
		for range 23 {
			want = append(want, string(s.saveJob(s.job()).ID))
		}
		slices.Reverse(want)
		expectPaged(t, s.jobs(), jobName, want)
		expectBadCursor(t, s.jobs())
	}},

	{"AnExpiredJobIsGone", func(t *testing.T, s *bench) {
		j := s.saveJob(s.job())
		s.clock.advance(replay.JobRetention)
		if _, err := s.Job(t.Context(), s.tenant, j.ID); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
		expectPaged(t, s.jobs(), jobName, nil)
	}},

	{"RunningJobsAreNamedAndNoOthers", func(t *testing.T, s *bench) {
		ended, running := s.saveJob(s.job()), s.saveJob(s.job())
		eventually(t, func() string { return diff("running", []replay.Job{ended, running}, s.runningHere(t)) })
		ended.State = replay.JobDone
		s.saveJob(ended)
		running.Matched = 3
		running = s.saveJob(running)
		eventually(t, func() string { return diff("running", []replay.Job{running}, s.runningHere(t)) })
		held, err := s.Held(t.Context(), s.clock.Now().Add(100*365*24*time.Hour), 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range held {
			if d.Tenant == s.tenant {
				t.Errorf("a job is held as the delivery %+v", d)
			}
		}
	}},

	{"EventsWithoutADeliveryToAnEndpointAreListed", func(t *testing.T, s *bench) {
		var want []string
		var times []time.Time
		for i := range 40 {
			age := time.Duration(i) * 3 * time.Hour
			e := s.event(age, "ep_other")
			switch i % 5 {
			case 0: // missing
			case 1:
				e.Targets = []webhook.EndpointID{"ep_other", "ep"}
			case 2:
				e.Unsent = true
			case 3:
				e.Type = "user.created"
			case 4:
				s.save(s.in(webhook.Delivered, e, "ep"))
			}
			s.put(e)
			accepted, _ := id.Time(e.Ref)
			if times = append(times, accepted); i%5 == 0 && i >= 5 && i <= 30 {
				want = append(want, string(e.Ref))
			}
		}
		f := history.Filter{Endpoint: "ep", Types: []webhook.Pattern{"invoice.*"}, Since: times[30], Until: times[4]}
		list := func(p webhook.Page) ([]webhook.Event, string, error) {
			return s.EventsWithoutDelivery(t.Context(), s.tenant, f, p)
		}
		expectPaged(t, list, func(e webhook.Event) string { return string(e.Ref) }, want)
		expectBadCursor(t, list)
	}},

	{"AReplayedDeliveryIsListedWithItsEvent", func(t *testing.T, s *bench) {
		e := s.put(s.event(time.Hour, "ep_b"))
		due := s.clock.Now().Add(time.Minute)
		replayed := s.save(webhook.NewDelivery(e, "ep_a").Replay(due, s.clock.Now()))
		another := s.save(webhook.NewDelivery(e, "ep_c").Replay(due, s.clock.Now()))
		first := webhook.NewDelivery(e, "ep_b")
		for _, limit := range []int{1, 2, 10} {
			got := walk(t, s.deliveryList(t, history.Filter{}), fixed(limit))
			expect(t, fmt.Sprint("deliveries, limit ", limit), []webhook.Delivery{first, replayed, another}, got)
		}
		expect(t, "of the endpoint", []webhook.Delivery{another}, walk(t, s.deliveryList(t, history.Filter{Endpoint: "ep_c", State: webhook.Queued}), fixed(5)))
	}},
}

// job returns a running job of the subtest's tenant, not yet stored.
func (s *bench) job() replay.Job {
	now := s.clock.Now()
	return replay.Job{
		Tenant: s.tenant, ID: replay.JobID(replay.JobIDPrefix + s.ids.ULID(now)), Kind: replay.Replay, Endpoint: "ep",
		Since: now.Add(-24 * time.Hour).Add(3 * time.Millisecond), Until: now, EventTypes: []webhook.Pattern{"invoice.*", "a"}, Channels: []webhook.Channel{"eu", "b"}, Filter: `data.n == "ü"`,
		Rate: 17, State: replay.JobRunning, CreatedAt: now.Add(-time.Hour), UpdatedAt: now,
	}
}

func (s *bench) saveJob(j replay.Job) replay.Job {
	s.t.Helper()
	if err := s.SaveJob(s.t.Context(), j, s.line(audit.JobStarted)); err != nil {
		s.t.Fatal(err)
	}
	j.Rev++
	return j
}

func (s *bench) expectJob(t *testing.T, want replay.Job) {
	t.Helper()
	got, err := s.Job(t.Context(), s.tenant, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "job", want, got)
}

func (s *bench) jobs() list[replay.Job] {
	return func(p webhook.Page) ([]replay.Job, string, error) { return s.Jobs(s.t.Context(), s.tenant, p) }
}

func jobName(j replay.Job) string { return string(j.ID) }

// runningHere returns the running jobs of the subtest's tenant, by id.
func (s *bench) runningHere(t *testing.T) (mine []replay.Job) {
	t.Helper()
	all, err := s.RunningJobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range all {
		if j.Tenant == s.tenant {
			mine = append(mine, j)
		}
	}
	slices.SortFunc(mine, func(a, b replay.Job) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return mine
}
