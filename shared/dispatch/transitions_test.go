package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/breaker"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// situation is what a delivery meets: where it stands, what comes for it, how its
// endpoint is and what that answers.
type situation struct {
	// from is a state, or "redriven": dead, with a message that was sent since.
	from string
	// message is "carrying", "once" (asked for by hand), "late" (the answer comes
	// when another consumer has brought the delivery to from), "sweeper", "cancel" or "recover".
	message string
	// job: it is asked for many deliveries at once.
	job      bool
	endpoint string // "", "disabled", "deleted" or "paused"
	turn     string // by the endpoint's rate limit: "" (there is none), "later" or "none yet"
	breaker  string // "", "open" or "probe due"
	filter   string // "" (it does not matter), "refuses" or "fails", of a delivery of which that is to be told
	answer   string // "2xx", "410", "told to stop", "cut short", "not sent", "failed", "slow down" or "retry after"
	// ended: the event was cancelled, or its payload removed.
	ended bool
	// last: the schedule has no wait left; early: the attempt is not due; tooLong:
	// it has been parked for longer than its lifetime; beyond: as many were
	// released as may be.
	last, early, tooLong, beyond bool
}

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// event names what happens in words of delivery-states.md: of what applies, the first.
func (s situation) event() string {
	byMessage := s.message != "once"
	switch {
	case s.message == "cancel", s.message == "recover":
		return "asked for"
	case s.early:
		return "not due yet"
	case s.tooLong:
		return "on hold for too long"
	case s.ended:
		return "event cancelled"
	case s.endpoint != "" && (byMessage || s.endpoint == "deleted"):
		return "endpoint " + s.endpoint
	case s.filter == "refuses":
		return "filter refuses"
	case s.filter == "fails" && s.last:
		return "last failed"
	case s.filter == "fails":
		return "failed"
	case s.breaker == "open" && byMessage:
		return "breaker open"
	case s.turn != "" && byMessage:
		return "turn " + s.turn
	case s.beyond:
		return "beyond the rate"
	case slices.Contains([]string{"2xx", "410", "told to stop", "cut short", "not sent"}, s.answer):
		return s.answer
	case s.breaker == "probe due" && byMessage:
		return "probe failed"
	case s.last:
		return "last failed"
	}
	return map[string]string{"failed": "failed", "slow down": "429, 502, 504", "retry after": "Retry-After"}[s.answer]
}

// situations lists every one that can be.
func situations() (all []situation) {
	states := []string{"queued", "retrying", "parked", "delivered", "dead", "cancelled"}
	answers := []string{"2xx", "410", "told to stop", "cut short", "not sent", "failed", "slow down", "retry after"}
	add := func(s situation) {
		for _, answer := range answers {
			if s.message == "late" && answer == "not sent" {
				continue // no answer, and none that is late
			}
			for _, last := range []bool{false, true} {
				s.answer, s.last = answer, last
				all = append(all, s)
			}
		}
	}
	for _, message := range []string{"carrying", "once"} {
		for _, from := range append(states, "redriven") {
			if message == "once" && from == "redriven" {
				continue
			}
			for _, endpoint := range []string{"", "disabled", "deleted", "paused"} {
				for _, breaker := range []string{"", "open", "probe due"} {
					s := situation{from: from, message: message, endpoint: endpoint, breaker: breaker}
					add(s)
					if message == "carrying" {
						for _, s.turn = range []string{"later", "none yet"} {
							add(s)
						}
						s.turn = ""
						s.early = from == "retrying"
						s.tooLong = from == "parked"
						add(s)
						s.early, s.tooLong = from == "queued", false
						add(s)
					}
				}
			}
		}
	}
	for _, message := range []string{"carrying", "once"} {
		for _, from := range append(states, "redriven") {
			if message == "carrying" || from != "redriven" {
				add(situation{from: from, message: message, ended: true})
			}
			for _, f := range []string{"refuses", "fails"} {
				for _, endpoint := range []string{"", "deleted", "paused"} {
					if message == "carrying" || from != "redriven" && from != "delivered" { // what was sent is decided
						add(situation{from: from, message: message, endpoint: endpoint, filter: f})
					}
				}
			}
		}
	}
	for _, from := range []string{"delivered", "dead", "cancelled"} {
		add(situation{from: from, message: "late"})
	}
	for _, from := range states {
		all = append(all, situation{from: from, message: "cancel"}, situation{from: from, message: "cancel", job: true},
			situation{from: from, message: "recover", job: true})
	}
	for _, from := range []string{"queued", "retrying", "parked", "dead"} {
		for _, s := range []situation{{}, {endpoint: "disabled"}, {endpoint: "deleted"}, {endpoint: "paused"}, {breaker: "open"}, {beyond: true}, {tooLong: from == "parked"}} {
			s.from, s.message, s.answer = from, "sweeper", "2xx"
			all = append(all, s)
		}
	}
	return all
}

// memory is a store of one delivery and a queue that takes everything.
type memory struct {
	dispatch.Store
	event    webhook.Event
	endpoint *webhook.Endpoint
	row      *webhook.Delivery
	sent     int
	turn     string
}

func (m *memory) TakeTurn(context.Context, webhook.TenantID, webhook.EndpointID, webhook.Rate, time.Time) (time.Time, bool, error) {
	return now.Add(time.Minute), m.turn == "later", nil
}

func (m *memory) Load(_ context.Context, lookups []dispatch.Lookup) ([]dispatch.Loaded, error) {
	return []dispatch.Loaded{{Event: &m.event, Endpoint: m.endpoint, Delivery: m.row}}[:len(lookups)], nil
}

func (m *memory) SaveDelivery(_ context.Context, d webhook.Delivery) error {
	if d.Event != m.event.Ref {
		return nil // the one that goes first
	}
	if m.row != nil && m.row.Rev != d.Rev {
		return webhook.ErrConflict
	}
	d.Rev++
	m.row = &d
	return nil
}

func (m *memory) SaveHealth(context.Context, webhook.TenantID, webhook.EndpointID, webhook.Health) error {
	return nil
}

func (m *memory) DisableEndpoint(context.Context, webhook.TenantID, webhook.EndpointID, webhook.Reason, time.Time) error {
	return nil
}

func (m *memory) Hide(context.Context, []dispatch.Hiding) []string { return nil }

func (m *memory) SendDelayed(_ context.Context, messages []sweep.Delayed) error {
	m.sent += len(messages)
	return nil
}

func (m *memory) Send(context.Context, []webhook.DeliveryKey) error { return nil }

// held lists another delivery before the one that is watched: it takes the
// probe, and the first turn.
func (m *memory) held() []webhook.Delivery {
	first := *m.row
	first.Event, first.State, first.ParkedAt = "another", webhook.Retrying, time.Time{}
	if m.sent > 0 {
		return nil
	}
	return []webhook.Delivery{first, *m.row}
}

// row returns the delivery as it stands in a state; nil: it is queued.
func (s situation) row(e webhook.Event, state string) *webhook.Delivery {
	failed := webhook.Attempt{At: now.Add(-time.Hour), Reason: webhook.ReasonTimeout}
	if s.filter != "" {
		failed.Reason = webhook.ReasonFilterFailed
	}
	d := webhook.NewDelivery(e, endpoint)
	switch state {
	case "queued":
		if s.message != "sweeper" {
			return nil
		}
		d = d.Replay(now, now) // the only one that the store carries
	case "retrying":
		due := now.Add(-time.Second)
		if s.early {
			due = now.Add(time.Minute)
		}
		d = d.Retry(failed, due, webhook.NextSlowDown)
	case "parked":
		since := now.Add(-time.Minute)
		if s.tooLong {
			since = now.Add(-4 * 24 * time.Hour)
		}
		d = d.Park(now.Add(-time.Second), since, webhook.NextBreaker)
		if s.filter != "" {
			d = d.Fail(failed)
		}
	case "delivered":
		d = d.Succeed(webhook.Attempt{At: now.Add(-time.Hour)})
	case "cancelled":
		d = d.Cancel(webhook.ReasonManual, now.Add(-time.Minute))
	default:
		d = d.GiveUp(failed, webhook.ReasonManual) // a reason that no end has
	}
	if s.message == "sweeper" {
		d = d.Hold(now)
	}
	d.BudgetStart = d.AttemptCount // as if no retry had been spent
	d.Rev = 1
	return &d
}

// live lets the situation happen and says what became of the delivery.
func (s situation) live(t *testing.T) (to, because string) {
	t.Helper()
	ref := id.NewSource().EventRef(now.Add(-time.Hour))
	m := &memory{
		event: webhook.Event{Tenant: tenant, Ref: ref, ID: id.EventID(ref), Targets: []webhook.EndpointID{endpoint}, ExpiresAt: now.Add(time.Hour)},
	}
	if s.filter != "" {
		m.event.Undecided, m.event.Body = m.event.Targets, []byte(`{"data":{"n":1}}`)
	}
	m.row = s.row(m.event, s.from)
	if s.from == "queued" && s.early {
		m.event.DeliverAt = now.Add(time.Minute)
	}
	if s.ended {
		m.event.CancelledAt = now
	}
	if s.endpoint != "deleted" {
		m.endpoint = &webhook.Endpoint{
			Tenant: tenant, ID: endpoint, State: webhook.EndpointEnabled, Filter: map[string]string{"refuses": "data.n == 2", "fails": "data.missing == 1"}[s.filter],
		}
		if s.endpoint != "" {
			m.endpoint.State = webhook.EndpointState(s.endpoint)
		}
		if m.turn = s.turn; s.turn != "" {
			m.endpoint.Terms.Rate = webhook.Rate{Count: 1, Window: time.Minute}
		}
		switch s.breaker {
		case "open":
			m.endpoint.Health = webhook.Health{FailingSince: now, OpenedAt: now, OpenUntil: now.Add(time.Minute)}
		case "probe due":
			m.endpoint.Health = webhook.Health{FailingSince: now, OpenedAt: now, OpenUntil: now.Add(-time.Second)}
		}
	}
	switch s.message {
	case "sweeper":
		s.release(t, m)
	case "cancel", "recover":
		s.ask(t, m)
	default:
		s.deliver(t, m)
	}
	before, after := s.row(m.event, s.from), m.row
	if after == nil {
		if d := webhook.NewDelivery(m.event, endpoint); d.State != webhook.Queued {
			after = &d
		}
	}
	switch {
	case after == nil, before != nil && before.State == after.State && before.Reason == after.Reason &&
		before.NextCause == after.NextCause && before.NextAttemptAt.Equal(after.NextAttemptAt) && before.Spent() == after.Spent():
		return "unchanged", ""
	case after.Reason != "":
		return string(after.State), string(after.Reason)
	}
	return string(after.State), string(after.NextCause)
}

func (s situation) deliver(t *testing.T, m *memory) {
	t.Helper()
	answer := status(map[string]int{"2xx": 204, "410": 410, "told to stop": 500, "failed": 500, "slow down": 429, "retry after": 503}[s.answer])
	switch s.answer {
	case "told to stop":
		answer.Control = webhook.ControlAbort
	case "cut short":
		answer.Aborted = true
	case "retry after":
		answer.RetryAfter = 12 * time.Hour
	}
	sender := &script{answers: []webhook.Result{answer}}
	if s.answer == "not sent" {
		sender.fails = errors.New("secrets cannot be opened")
	}
	message := dispatch.Message{ID: "m", SentAt: now.Add(-2 * time.Hour), Receives: 1}
	switch s.message {
	case "late":
		settled := m.row
		m.row = s.row(m.event, "retrying")
		sender.during = func() {
			settled.Rev = 2
			m.row = settled
		}
	case "carrying":
		if s.from == "redriven" {
			message.SentAt = now
		}
	}
	message.Body = []byte(envelope.Encode(envelope.Envelope{
		DeliveryKey: webhook.DeliveryKey{Tenant: tenant, Event: m.event.Ref, Endpoint: endpoint}, Once: s.message == "once",
	}))
	schedule := []time.Duration{time.Hour}
	if s.last {
		schedule = nil
	}
	dispatch.New(dispatch.Config{
		Store: m, Queue: m, Sender: sender, Announcer: &listener{}, Policy: retry.Policy{Schedule: schedule}, Breaker: breaker.Policy{Failures: 5, Window: time.Minute},
		Lifetime: 72 * time.Hour, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}).Handle(t.Context(), []dispatch.Message{message})
}

// ask lets someone cancel the delivery, or a job cancel or recover all.
func (s situation) ask(t *testing.T, m *memory) {
	t.Helper()
	if !s.job {
		_, err := replay.Replayer{Deliveries: asked{memory: m}, Rows: m, Trail: asked{}, Now: func() time.Time { return now }}.
			Cancel(t.Context(), webhook.DeliveryKey{Tenant: tenant, Event: m.event.Ref, Endpoint: endpoint})
		if err != nil && !errors.Is(err, replay.ErrSettled) {
			t.Fatal(err)
		}
		return
	}
	err := replay.Worker{Matcher: filter.NewMatcher(),
		Store: asked{memory: m, kind: replay.Kind(s.message)}, Interval: time.Minute, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler),
	}.Advance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

// asked is a memory as a replayer and its jobs see it.
type asked struct {
	replay.WorkStore
	*memory
	kind replay.Kind
}

func (a asked) stored() webhook.Delivery {
	if a.row == nil {
		return webhook.NewDelivery(a.event, endpoint)
	}
	return *a.row
}

func (a asked) Delivery(context.Context, webhook.DeliveryKey) (webhook.Delivery, error) {
	return a.stored(), nil
}

func (a asked) Deliveries(_ context.Context, _ webhook.TenantID, f history.Filter, _ webhook.Page) ([]webhook.Delivery, string, error) {
	if d := a.stored(); f.Match(d) {
		return []webhook.Delivery{d}, "", nil
	}
	return nil, "", nil
}

func (a asked) RunningJobs(context.Context) ([]replay.Job, error) {
	return []replay.Job{{Tenant: tenant, Kind: a.kind, Endpoint: endpoint, Until: now, Rate: 1, State: replay.JobRunning}}, nil
}

func (a asked) SaveJob(context.Context, replay.Job, ...audit.Line) error { return nil }

func (a asked) Endpoint(context.Context, webhook.TenantID, webhook.EndpointID) (webhook.Endpoint, error) {
	return *a.endpoint, nil
}

func (a asked) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	return a.memory.SaveDelivery(ctx, d)
}

func (asked) Record(context.Context, audit.Entry) error { return nil }

// swept is a memory as the sweeper's release sees it.
type swept struct {
	sweep.Store
	*memory
}

func (s swept) Held(context.Context, time.Time, int) ([]webhook.Delivery, error) {
	return s.held(), nil
}

func (s swept) DueEvents(context.Context, time.Time, int) ([]webhook.Event, error) { return nil, nil }

func (s swept) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	return s.memory.SaveDelivery(ctx, d)
}

func (s swept) Endpoint(context.Context, webhook.TenantID, webhook.EndpointID) (webhook.Endpoint, error) {
	if s.endpoint == nil {
		return webhook.Endpoint{}, webhook.ErrNotFound
	}
	return *s.endpoint, nil
}

func (s situation) release(t *testing.T, m *memory) {
	t.Helper()
	rate := 1000.0
	if s.beyond {
		rate = 0.001
	}
	_, err := sweep.Sweeper{
		Store: swept{memory: m}, Queue: m, Breaker: breaker.Policy{Failures: 5, Window: time.Minute}, Lifetime: 72 * time.Hour,
		Interval: time.Minute, Rate: rate, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}.Release(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

// rule is a line of the table in delivery-states.md.
type rule struct{ from, message, event, to, because string }

const anythingElse = "anything else"

// documented reads the table: a line with several states in its first cell is as
// many rules.
func documented(t *testing.T) map[rule]bool {
	t.Helper()
	document, err := os.ReadFile("../../infra/docs/delivery-states.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(document), "| from | message | when | to | because |\n")
	if !found {
		t.Fatal("delivery-states.md has no table of transitions")
	}
	rules := map[rule]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "|\n"), "`", ""), "|")
		if len(cells) != 5 {
			break
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if strings.HasPrefix(cells[0], "---") {
			continue
		}
		for from := range strings.FieldsSeq(cells[0]) {
			r := rule{from, cells[1], cells[2], cells[3], cells[4]}
			if rules[r] {
				t.Errorf("%+v is there twice", r)
			}
			rules[r] = true
		}
	}
	return rules
}

func TestTheTableOfTransitionsIsWhatHappens(t *testing.T) {
	t.Parallel()
	rules := documented(t)
	used := map[rule]bool{}
	for _, s := range situations() {
		to, because := s.live(t)
		r := rule{s.from, s.message, s.event(), to, because}
		if !rules[r] && !explicit(rules, r) {
			r.event = anythingElse
		}
		if !rules[r] {
			r.event = s.event()
			t.Errorf("%s: delivery-states.md does not say so", fmt.Sprintf("%+v becomes %+v", s, r))
		}
		used[r] = true
	}
	for _, r := range slices.SortedFunc(maps.Keys(rules), func(a, b rule) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
		if !used[r] {
			t.Errorf("delivery-states.md says %+v, which never happens", r)
		}
	}
}

// explicit reports whether the table names the event of r, whatever it comes to.
func explicit(rules map[rule]bool, r rule) bool {
	for other := range rules {
		if other.from == r.from && other.message == r.message && other.event == r.event {
			return true
		}
	}
	return false
}
