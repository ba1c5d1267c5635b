package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// job is as the API shows it.
type job struct {
	ID         string `json:"id"`
	Kind       string `json:"kind"`
	EndpointID string `json:"endpoint_id"`
	State      string `json:"state"`
	Reason     string `json:"reason"`
	Matched    int    `json:"matched"`
	Changed    int    `json:"changed"`
}

// aborted ends a delivery at the first attempt: its receiver wants no more of it.
var aborted = answer{status: 500, header: map[string]string{"Webhook-Delivery": "abort-message"}}

// start begins a job that concerns all events of the last day.
func (n tenant) start(t testing.TB, endpointID, kind string, more map[string]any) job {
	t.Helper()
	return as[job](t, n.askFor(t, endpointID, kind, more).must(t, http.StatusAccepted))
}

func (n tenant) askFor(t testing.TB, endpointID, kind string, more map[string]any) response {
	t.Helper()
	body := map[string]any{"since": time.Now().Add(-24 * time.Hour).Format(time.RFC3339)}
	maps.Copy(body, more)
	return n.send(t, http.MethodPost, n.at("/endpoints/%s/%s", endpointID, kind), body)
}

// count is a dry run.
func (n tenant) count(t testing.TB, endpointID, kind string) int {
	t.Helper()
	got := as[struct {
		Matched          int
		Complete, DryRun bool `json:",omitempty"`
	}](t, n.askFor(t, endpointID, kind, map[string]any{"dry_run": true}).must(t, http.StatusOK))
	if !got.Complete {
		t.Errorf("the dry run did not count all: %+v", got)
	}
	return got.Matched
}

func (n tenant) awaitJob(t testing.TB, j job, state string) job {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		j = as[job](t, n.get(t, n.at("/jobs/%s", j.ID)))
		return j.State == state, fmt.Sprintf("the job is %+v", j)
	})
	return j
}

func (n tenant) postMany(t testing.TB, count int) (all []accepted) {
	t.Helper()
	for i := range count {
		all = append(all, n.post(t, "order.placed", fmt.Sprint(i)))
	}
	return all
}

func TestWhatFailedIsRecovered(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, aborted)
	e := n.subscribe(t, h, "order.*") // and not the marker below
	events := n.postMany(t, 5)
	for _, a := range events {
		n.awaitState(t, a.ID, e.ID, "dead")
	}
	h.answers(status(200))
	eventually(t, patience, func() (bool, string) {
		found := n.count(t, e.ID, "recover")
		return found == len(events), fmt.Sprintf("the dry run counts %d", found)
	})
	for _, a := range events {
		if d := n.deliveryTo(t, a.ID, e.ID); d.State != "dead" {
			t.Fatalf("the dry run left %s", d)
		}
	}
	j := n.start(t, e.ID, "recover", map[string]any{"rate": 50})
	for _, a := range events {
		d := n.awaitState(t, a.ID, e.ID, "delivered")
		if last := d.Attempts[len(d.Attempts)-1]; last.Trigger != "recover" && last.Trigger != "redrive" { // another test's
			t.Errorf("the attempt is %+v", last)
		}
	}
	j = n.awaitJob(t, j, "done")
	if j.Kind != "recover" || j.EndpointID != e.ID || j.Changed > j.Matched || j.Matched > len(events) {
		t.Errorf("the job is %+v", j)
	}

	// Its dead letters are still in the queue, unless another test's redrive came
	// while they were under way. A redrive of what is delivered delivers nothing twice.
	again := n.awaitJob(t, n.start(t, e.ID, "recover", nil), "done")
	if again.Matched != 0 {
		t.Errorf("repeated, it found %d", again.Matched)
	}
	marker := n.register(t, newEndpoint{URL: newHook(t, aborted).url, EventTypes: []string{"marker"}})
	a := n.post(t, "marker", `{}`)
	n.awaitState(t, a.ID, marker.ID, "dead")
	settled := len(h.got())
	redriveUntil(t, func() (bool, string) {
		d := n.deliveryTo(t, a.ID, marker.ID)
		return d.AttemptCount > 1, "the marker is " + d.String()
	})
	for _, a := range events {
		if d := n.deliveryTo(t, a.ID, e.ID); d.State != "delivered" {
			t.Errorf("after the redrive the delivery is %s", d)
		}
	}
	if posts := len(h.got()); posts != settled {
		t.Errorf("%d POSTs more since the redrive", posts-settled)
	}
}

func TestEventsAreReplayedToANewEndpoint(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	first := n.subscribe(t, newHook(t))
	events := n.postMany(t, 4)
	n.post(t, "invoice.paid", `{}`)
	for _, a := range events {
		n.awaitState(t, a.ID, first.ID, "delivered")
	}
	h := newHook(t, status(500), status(200)) // the first of all is retried
	e := n.subscribe(t, h, "order.*")
	if found := n.count(t, e.ID, "replay"); found != len(events) {
		t.Fatalf("the dry run counts %d", found)
	}
	j := n.awaitJob(t, n.start(t, e.ID, "replay", nil), "done")
	if j.Matched != len(events) || j.Changed != len(events) {
		t.Errorf("the job is %+v", j)
	}
	retried := 0
	for i, a := range events {
		d := n.awaitState(t, a.ID, e.ID, "delivered")
		if d.Attempts[0].Trigger != "replay" {
			t.Errorf("the first attempt is %+v", d.Attempts[0])
		}
		retried += d.AttemptCount - 1
		for _, arrival := range h.awaitEvent(t, a.ID) {
			if string(arrival.body) != a.wireBody(fmt.Sprint(i)) {
				t.Errorf("replayed as %s", arrival.body)
			}
		}
	}
	if retried != 1 {
		t.Errorf("%d attempts were repeated, want 1", retried)
	}
	if again := n.awaitJob(t, n.start(t, e.ID, "replay", nil), "done"); again.Matched != 0 {
		t.Errorf("repeated, it found %d", again.Matched)
	}
	listed := walk[delivery](t, n.client, n.at("/deliveries?endpoint=%s&status=delivered&event_type=order.*", e.ID), 2, nil)
	if len(listed) != len(events) {
		t.Errorf("%d are listed", len(listed))
	}
}

func TestWhatIsPendingCanBeCancelled(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, later)
	e := n.subscribe(t, h)
	events := n.postMany(t, 3)
	for _, a := range events {
		n.awaitState(t, a.ID, e.ID, "retrying")
	}
	d := n.deliveryTo(t, events[0].ID, e.ID)
	got := as[delivery](t, n.send(t, http.MethodPost, n.at("/deliveries/%s/cancel", d.ID), nil).must(t, http.StatusOK))
	if got.State != "cancelled" || got.Reason != "unwanted" || got.NextAttemptAt != nil {
		t.Errorf("got %s", got)
	}
	j := n.awaitJob(t, n.start(t, e.ID, "cancel", nil), "done")
	if j.Matched != 2 || j.Changed != 2 {
		t.Errorf("the job is %+v", j)
	}
	for _, a := range events {
		if d := n.deliveryTo(t, a.ID, e.ID); d.State != "cancelled" || d.AttemptCount != 1 {
			t.Errorf("the delivery is %s", d)
		}
	}
	h.answers(status(200))
	done := n.post(t, "order.placed", `{}`)
	delivered := n.awaitState(t, done.ID, e.ID, "delivered")
	r := n.send(t, http.MethodPost, n.at("/deliveries/%s/cancel", delivered.ID), nil)
	mustBeProblem(t, r, http.StatusConflict, "delivery-ended")
}

func TestAJobIsRefusedThatCannotBeDone(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	e := n.subscribe(t, newHook(t))
	for field, value := range map[string]any{"since": "yesterday", "rate": 51, "until": "2001-01-01T00:00:00Z", "dry_run": 1, "event_types": []string{"a b"}} {
		r := n.askFor(t, e.ID, "replay", map[string]any{field: value})
		mustBeProblem(t, r, http.StatusBadRequest, "invalid-field")
	}
	n.change(t, e.ID, map[string]any{"state": "disabled"})
	mustBeProblem(t, n.askFor(t, e.ID, "recover", nil), http.StatusConflict, "endpoint-disabled")
}

// A job survives the process that does it, and is cancelled in the next.
func TestAJobGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "relay.db")
	p := ownRelay(t, data)
	n := p.newTenant(t, "crash")
	h := newHook(t, aborted)
	e := n.subscribe(t, h)
	events := n.postMany(t, 8)
	for _, a := range events {
		n.awaitState(t, a.ID, e.ID, "dead")
	}
	h.answers(status(200))
	recovery := n.start(t, e.ID, "recover", map[string]any{"rate": 2})
	slow := n.start(t, e.ID, "replay", map[string]any{"rate": 1, "event_types": []string{"none"}})
	n.awaitJob(t, slow, "done")
	eventually(t, patience, func() (bool, string) {
		j := as[job](t, n.get(t, n.at("/jobs/%s", recovery.ID)))
		return j.Changed > 0, fmt.Sprintf("the job is %+v", j)
	})
	p.kill()

	again := tenant{ownRelay(t, data).client, n.id}
	again.awaitJob(t, recovery, "done")
	for _, a := range events {
		again.awaitState(t, a.ID, e.ID, "delivered")
	}
	ids := []string{}
	for _, j := range walk[job](t, again.client, again.at("/jobs"), 1, nil) {
		ids = append(ids, j.ID)
	}
	if !slices.Equal(ids, []string{slow.ID, recovery.ID}) {
		t.Errorf("listed are %v", ids)
	}
}

func TestARunningJobCanBeCancelled(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, aborted)
	e := n.subscribe(t, h)
	events := n.postMany(t, 10)
	for _, a := range events {
		n.awaitState(t, a.ID, e.ID, "dead")
	}
	j := n.start(t, e.ID, "recover", map[string]any{"rate": 1})
	got := as[job](t, n.send(t, http.MethodDelete, n.at("/jobs/%s", j.ID), nil).must(t, http.StatusOK))
	if got.State != "cancelled" && !relay.deployed {
		t.Fatalf("got %+v", got)
	}
	if got = as[job](t, n.get(t, n.at("/jobs/%s", j.ID))); got.State == "running" {
		t.Errorf("it goes on: %+v", got)
	}
}

func mustBeProblem(t testing.TB, r response, status int, code string) {
	t.Helper()
	if p := as[problem](t, r.must(t, status)); p.Type != "urn:webhookrelay:problem:"+code || p.Detail == "" {
		t.Errorf("got %s, want %s", r, code)
	}
}

func TestStatisticsCountWhatBecameOfDeliveries(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	good, bad := n.subscribe(t, newHook(t)), n.subscribe(t, newHook(t, aborted))
	for _, a := range n.postMany(t, 3) {
		n.awaitState(t, a.ID, good.ID, "delivered")
		n.awaitState(t, a.ID, bad.ID, "dead")
	}
	type stats struct {
		Complete bool
		Total    struct {
			Deliveries  map[string]int
			SuccessRate *float64 `json:"success_rate"`
			Attempts    int
			Failures    map[string]int
			LatencyMS   map[string]int `json:"latency_ms"`
		}
		Hours []struct{ Start time.Time }
	}
	all := as[stats](t, n.get(t, n.at("/stats")))
	if !all.Complete || len(all.Hours) == 0 || all.Total.Deliveries["delivered"] != 3 || all.Total.Deliveries["dead"] != 3 ||
		all.Total.SuccessRate == nil || *all.Total.SuccessRate != 0.5 || all.Total.Failures["http_5xx"] < 3 || len(all.Total.LatencyMS) != 5 {
		t.Errorf("got %+v", all)
	}
	one := as[stats](t, n.get(t, n.at("/stats?endpoint=%s&since=%s", good.ID, time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))))
	if one.Total.Deliveries["delivered"] != 3 || one.Total.Deliveries["dead"] != 0 || one.Total.Attempts != 3 {
		t.Errorf("of one endpoint: %+v", one)
	}
	r := n.send(t, http.MethodGet, n.at("/stats?since=2001-01-01T00:00:00Z"), nil)
	mustBeProblem(t, r, http.StatusBadRequest, "invalid-field")
}
