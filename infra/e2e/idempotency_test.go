package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func key(text string) option { return header("Idempotency-Key", text) }

// ownBody is a request that posts an event under the caller's own id.
func ownBody(id, data string) string {
	return fmt.Sprintf(`{"id":%q,"type":"order.placed","data":%s}`, id, data)
}

func TestARepeatUnderTheSameKeyGetsTheSameAnswerAndMakesNoSecondEvent(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	e := n.subscribe(t, h)
	k := key("order 1001 / invoice")
	first := n.post(t, "order.placed", `{"a":1}`, k)
	n.awaitState(t, first.ID, e.ID, "delivered")
	// Not even for an endpoint that has come since.
	late := newHook(t)
	n.subscribe(t, late)
	for range 3 {
		if diff := cmp.Diff(first, n.post(t, "order.placed", `{"a":1}`, k)); diff != "" {
			t.Errorf("a repeat is answered otherwise (-first +repeat)\n%s", diff)
		}
	}
	r := n.send(t, http.MethodPost, n.at("/events"), eventBody("order.placed", `{"a":2}`), k).must(t, http.StatusConflict)
	if p := as[problem](t, r); p.Type != "urn:webhookrelay:problem:key-reused" || p.Detail == "" {
		t.Errorf("another body under the key: %+v", p)
	}
	// The same key means nothing to another tenant, nor another key to this one.
	if other := newTenant(t).post(t, "order.placed", `{"a":1}`, k); other.ID == first.ID {
		t.Error("two tenants share an event")
	}
	marker := n.post(t, "order.placed", `{"a":1}`, key("order 1002"))
	if marker.ID == first.ID {
		t.Error("two keys share an event")
	}
	h.awaitEvent(t, marker.ID)
	late.awaitEvent(t, marker.ID)
	if got := len(h.awaitEvent(t, first.ID)); got != 1 {
		t.Errorf("the event arrived %d times", got)
	}
	if got := len(late.got()); got != 1 {
		t.Errorf("the late endpoint got %d requests, want the marker only", got)
	}
	if events := as[page[event]](t, n.get(t, n.at("/events"))).Data; len(events) != 2 {
		t.Errorf("%d events, want 2", len(events))
	}
}

func TestOfConcurrentRepeatsOneMakesTheEvent(t *testing.T) {
	t.Parallel()
	for rule, request := range map[string]struct {
		body    string
		options []option
	}{
		"ByKey":      {eventBody("order.placed", `{"a":1}`), []option{key("once")}},
		"ByID":       {ownBody("order-1001", `{"a":1}`), nil},
		"ByKeyAndID": {ownBody("order-1001", `{"a":1}`), []option{key("once")}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			n := newTenant(t)
			h := newHook(t)
			e := n.subscribe(t, h)
			const callers = 20
			answers, failures := make([]response, callers), make([]error, callers)
			var wait sync.WaitGroup
			for i := range callers {
				wait.Go(func() { answers[i], failures[i] = n.postPatiently(request.body, request.options...) })
			}
			wait.Wait()
			if err := errors.Join(failures...); err != nil {
				t.Fatal(err)
			}
			first := as[accepted](t, answers[0].must(t, http.StatusAccepted))
			for _, r := range answers[1:] {
				if diff := cmp.Diff(first, as[accepted](t, r.must(t, http.StatusAccepted))); diff != "" {
					t.Errorf("two callers are answered differently (-one +other)\n%s", diff)
				}
			}
			n.awaitState(t, first.ID, e.ID, "delivered")
			marker := n.post(t, "order.placed", `{}`)
			h.awaitEvent(t, marker.ID)
			if got := len(h.awaitEvent(t, first.ID)); got != 1 {
				t.Errorf("the event arrived %d times", got)
			}
			if events := as[page[event]](t, n.get(t, n.at("/events"))).Data; len(events) != 2 {
				t.Errorf("%d events, want 2", len(events))
			}
		})
	}
}

// postPatiently repeats a request that is answered 503, as callers are told to:
// the first one with the same key may still be at work.
func (n tenant) postPatiently(body string, options ...option) (r response, err error) {
	poll(patience, func() (bool, string) {
		r, err = n.try(http.MethodPost, n.at("/events"), body, options...)
		return err != nil || r.status != http.StatusServiceUnavailable, ""
	})
	return r, err
}

func TestACallersOwnIDIsTheEventsID(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500), status(200))
	e := n.subscribe(t, h)
	const own = "Order_1001-a"
	post := func(body string, status int) response {
		return n.send(t, http.MethodPost, n.at("/events"), body).must(t, status)
	}
	first := as[accepted](t, post(ownBody(own, `{"a":1}`), http.StatusAccepted))
	if first.ID != own {
		t.Errorf("the 202 says %q", first.ID)
	}
	for _, arrival := range h.await(t, 2) {
		if arrival.id != own {
			t.Errorf("webhook-id is %q", arrival.id)
		}
	}
	d := n.awaitState(t, own, e.ID, "delivered")
	if d.EventID != own {
		t.Errorf("the delivery is of %q", d.EventID)
	}
	if got := n.event(t, own); got.ID != own || string(got.Payload) != first.wireBody(`{"a":1}`) {
		t.Errorf("by its id the event is %s with %s", got.ID, got.Payload)
	}
	if diff := cmp.Diff(first, as[accepted](t, post(ownBody(own, `{"a":1}`), http.StatusAccepted))); diff != "" {
		t.Errorf("a repeat is answered otherwise (-first +repeat)\n%s", diff)
	}
	post(ownBody(own, `{"a":2}`), http.StatusConflict)
	// Ids are a tenant's own.
	other := newTenant(t)
	other.send(t, http.MethodGet, other.at("/events/%s", own), nil).must(t, http.StatusNotFound)
	if r := other.send(t, http.MethodPost, other.at("/events"), ownBody(own, `{"a":2}`)); r.status != http.StatusAccepted {
		t.Errorf("the same id in another tenant: %s", r)
	}
}

func TestWithoutAKeyEachPostIsAnEvent(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	first, second := n.post(t, "order.placed", `{}`), n.post(t, "order.placed", `{}`)
	if first.ID == second.ID {
		t.Error("two posts share an event")
	}
}
