package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// ledger is a tenant with endpoints of several kinds. It keeps what the relay
// has accepted, and accounts for it in the end.
type ledger struct {
	tenant
	stack stack
	// steady takes every event; shaky fails a third of the placed ones at first;
	// refusing takes no refused one; leaving is deleted while it keeps its events waiting.
	steady, shaky, refusing, leaving *hook
	// hooks are the same by endpoint id; leavingID is that of leaving.
	hooks     map[string]*hook
	leavingID string
	// wanted are the endpoints that get each type of event.
	wanted map[string][]string

	// down is the number of the outage while nothing can be accepted, else zero;
	// outages counts them.
	down    atomic.Int64
	outages int64

	mu sync.Mutex
	// accepted are the types of the events answered 202, by id.
	accepted map[string]string
	// turnedAway counts the other answers by their status. Those of the relay's
	// own are explained; API Gateway says nothing when a function was cut off.
	turnedAway map[int]int
	explained  int
}

// Types of events, by what becomes of them.
const (
	placed    = "order.placed"
	refused   = "order.refused"
	withdrawn = "order.withdrawn"
)

func newLedger(t testing.TB, s stack) *ledger {
	t.Helper()
	l := &ledger{
		tenant: newTenant(t), stack: s,
		steady: newHook(t), shaky: newHook(t), refusing: newHook(t),
		leaving: newHook(t, answer{status: 503, header: map[string]string{"Retry-After": "15"}}),
		hooks:   make(map[string]*hook), wanted: make(map[string][]string),
		accepted: make(map[string]string), turnedAway: make(map[int]int),
	}
	l.shaky.decide = func(a arrival, earlier int) answer {
		if earlier == 0 && len(a.id) > 0 && a.id[len(a.id)-1]%3 == 0 {
			return status(503)
		}
		return status(200)
	}
	l.refusing.decide = func(a arrival, _ int) answer {
		if strings.Contains(string(a.body), refused) {
			return status(422)
		}
		return status(200)
	}
	subscribe := func(h *hook, eventTypes ...string) string {
		e := l.subscribe(t, h, eventTypes...)
		l.hooks[e.ID] = h
		for _, eventType := range eventTypes {
			l.wanted[eventType] = append(l.wanted[eventType], e.ID)
		}
		return e.ID
	}
	subscribe(l.steady, placed, refused, withdrawn)
	subscribe(l.shaky, placed)
	subscribe(l.refusing, placed, refused) // the others keep its breaker closed
	l.leavingID = subscribe(l.leaving, withdrawn)
	return l
}

// load posts so many events of a type from four sides, each until it is
// accepted, and returns when all are.
func (l *ledger) load(t testing.TB, eventType string, events int) {
	var wait sync.WaitGroup
	todo := make(chan struct{}, events)
	for range events {
		todo <- struct{}{}
	}
	close(todo)
	for range 4 {
		wait.Go(func() {
			for range todo {
				l.place(t, eventType)
			}
		})
	}
	wait.Wait()
}

// place posts an event until it is accepted, under one key. Anything else than
// 202 has to be a failure that says so.
func (l *ledger) place(t testing.TB, eventType string) {
	key := randomName("intent")
	over, last := poll(patience, func() (bool, string) {
		down := l.down.Load()
		r, err := l.try(http.MethodPost, l.at("/events"), eventBody(eventType, `"`+key+`"`),
			header("Idempotency-Key", key), undocumented)
		explained := err == nil && r.header.Get("Content-Type") == "application/problem+json"
		if explained {
			err = agreesWithOpenAPI(http.MethodPost, l.at("/events"), r)
		}
		switch {
		case err != nil:
			t.Error(err)
			return true, ""
		case r.status == http.StatusAccepted:
			l.enter(t, eventType, r, down != 0 && down == l.down.Load())
			return true, ""
		case r.status < http.StatusInternalServerError:
			t.Errorf("an event was answered %s", r)
			return true, ""
		}
		l.turnAway(r.status, explained)
		return false, r.String()
	})
	if !over {
		t.Errorf("an event was not accepted within %s, but answered %s", patience, last)
	}
}

func (l *ledger) turnAway(status int, explained bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turnedAway[status]++
	if explained {
		l.explained++
	}
}

func (l *ledger) enter(t testing.TB, eventType string, r response, impossible bool) {
	var a accepted
	if err := json.Unmarshal(r.body, &a); err != nil || a.ID == "" || a.Deliveries != len(l.wanted[eventType]) {
		t.Errorf("%s: %v, want %d deliveries", r, err, len(l.wanted[eventType]))
		return
	}
	if impossible {
		t.Errorf("%s was accepted while that was not possible", a.ID)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[a.ID] = eventType
}

func (l *ledger) awaitAccepted(t testing.TB, n int) {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		got := l.countAccepted()
		return got >= n, fmt.Sprintf("%d of %d events are accepted", got, n)
	})
}

func (l *ledger) countAccepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// answers returns how many events the relay turned away itself, and how often
// which status was answered.
func (l *ledger) answers() (explained int, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.explained, fmt.Sprint(l.turnedAway)
}

// withdraw deletes the endpoint leaving while it keeps events waiting.
func (l *ledger) withdraw(t testing.TB, events int) {
	t.Helper()
	l.load(t, withdrawn, events)
	eventually(t, patience, func() (bool, string) {
		ids := map[string]bool{}
		for _, a := range l.leaving.got() {
			ids[a.id] = true
		}
		return len(ids) == events, fmt.Sprintf("%d of %d events came to the endpoint that is to be deleted", len(ids), events)
	})
	l.send(t, http.MethodDelete, l.at("/endpoints/%s", l.leavingID), nil).must(t, http.StatusNoContent)
}

// account waits until every delivery of every accepted event is delivered and
// arrived, or in the dead-letter queue, or cancelled because its endpoint was
// deleted. Then all endpoints are well, and a redrive must deliver the dead
// letters. It returns what there was, in words.
func (l *ledger) account(t testing.TB) string {
	t.Helper()
	var count tally
	eventually(t, patience, func() (bool, string) {
		count = l.count(t)
		return len(count.open) == 0, fmt.Sprintf("%s; %d are open, such as %s", count, len(count.open), first(count.open))
	})
	if count.cancelled == 0 || count.dead == 0 {
		t.Errorf("the run was to hold every end, and had %s", count)
	}
	l.refusing.mu.Lock()
	l.refusing.decide = nil
	l.refusing.mu.Unlock()
	redriveUntil(t, func() (bool, string) {
		now := l.count(t)
		return now.delivered == count.delivered+count.dead+count.fused, "after a redrive " + now.String()
	})
	return count.String() + ". " + l.arrivals(t)
}

// tally counts deliveries by how they ended.
type tally struct {
	// fused are those in the dead-letter queue though not dead: faults used up
	// their message's receives.
	delivered, dead, fused, cancelled int
	// open are the others.
	open []string
}

func (c tally) String() string {
	return fmt.Sprintf("%d delivered, %d dead, %d in the dead-letter queue with attempts left, %d cancelled",
		c.delivered, c.dead, c.fused, c.cancelled)
}

func first(texts []string) string {
	if len(texts) == 0 {
		return "none"
	}
	return texts[0]
}

func (l *ledger) count(t testing.TB) (c tally) {
	t.Helper()
	letters := map[string]bool{}
	for _, m := range l.stack.deadLetters(t) {
		var named struct{ Tenant, Event, Endpoint string }
		if json.Unmarshal([]byte(aws.ToString(m.Body)), &named) == nil && named.Tenant == l.id {
			letters["dlv_"+named.Event+"_"+named.Endpoint] = true
		}
	}
	taken := map[string]bool{} // "event endpoint", where a 2xx was answered
	for id, h := range l.hooks {
		for _, a := range h.got() {
			if a.answered/100 == 2 && a.failure == nil {
				taken[a.id+" "+id] = true
			}
		}
	}
	listed := map[string]delivery{}
	for _, d := range walk[delivery](t, l.client, l.at("/deliveries"), 250, nil) {
		listed[d.EventID+" "+d.EndpointID] = d
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for event, eventType := range l.accepted {
		for _, id := range l.wanted[eventType] {
			d := listed[event+" "+id]
			switch {
			case d.State == "delivered" && taken[event+" "+id]:
				c.delivered++
			case d.State == "cancelled" && d.Reason == "endpoint_deleted" && id == l.leavingID:
				c.cancelled++
			case d.State == "dead" && letters[d.ID]:
				c.dead++
			case d.State != "delivered" && d.State != "cancelled" && letters[d.ID]:
				c.fused++
			default:
				c.open = append(c.open, fmt.Sprintf("%s to %s: %s, arrived %t", event, id, d, taken[event+" "+id]))
			}
		}
	}
	return c
}

// arrivals checks what came to the endpoints, and says how often.
func (l *ledger) arrivals(t testing.TB) string {
	t.Helper()
	posts, again, cut := 0, 0, 0
	events := map[string]string{} // by the key in their data
	for _, h := range l.hooks {
		taken := map[string]bool{}
		for _, a := range h.got() {
			posts++
			if a.failure != nil {
				t.Errorf("an arrival of %s is not genuine: %v", a.id, a.failure)
			}
			if taken[a.id] {
				again++
			}
			taken[a.id] = taken[a.id] || a.answered/100 == 2
			if a.cut {
				cut++
			}
			var body struct{ Data string }
			if err := json.Unmarshal(a.body, &body); err != nil {
				t.Error(err)
			}
			if known := events[body.Data]; known != "" && known != a.id {
				t.Errorf("%s became two events, %s and %s", body.Data, known, a.id)
			}
			events[body.Data] = a.id
		}
	}
	return fmt.Sprintf("%d POSTs for %d events: %d after the event had been taken, %d broken off by the relay", posts, len(events), again, cut)
}
