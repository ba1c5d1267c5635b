package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnEventReachesExactlyTheEndpointsThatWantIt(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	subscriptions := map[string][]string{
		"exact":    {"order.placed"},
		"one-of":   {"invoice.paid", "order.placed"},
		"below":    {"order.*"},
		"between":  {"order.*.added"},
		"star":     {"*"},
		"all":      nil,
		"nothing":  {"refund.made"},
		"twice":    {"order.placed", "order.*"}, // wants it for two reasons, gets it once
		"disabled": {"*"},
	}
	hooks, names := map[string]*hook{}, map[string]string{}
	for name, eventTypes := range subscriptions {
		hooks[name] = newHook(t)
		e := n.subscribe(t, hooks[name], eventTypes...)
		names[e.ID] = name
		if name == "disabled" {
			n.change(t, e.ID, map[string]any{"state": "disabled"})
		}
	}
	want := map[string][]string{}
	for eventType, wanted := range map[string][]string{
		"order.placed":     {"all", "below", "exact", "one-of", "star", "twice"},
		"order.item.added": {"all", "below", "between", "star", "twice"},
		"order.item.x.y":   {"all", "below", "star", "twice"},
		"order":            {"all", "star"},
		"orders.placed":    {"all", "star"},
		"Order.Placed":     {"all", "star"},
		"invoice.paid":     {"all", "one-of", "star"},
	} {
		a := n.post(t, eventType, `{}`)
		if a.Deliveries != len(wanted) {
			t.Errorf("%s: the 202 says %d deliveries, want %d", eventType, a.Deliveries, len(wanted))
		}
		var targets []string
		for _, d := range n.event(t, a.ID).Deliveries {
			targets = append(targets, names[d.EndpointID])
		}
		slices.Sort(targets)
		if diff := cmp.Diff(wanted, targets); diff != "" {
			t.Errorf("%s: wrong deliveries (-want +got)\n%s", eventType, diff)
		}
		for _, name := range wanted {
			want[name] = append(want[name], a.ID)
		}
	}
	for name, h := range hooks {
		var got []string
		for _, a := range h.await(t, len(want[name])) {
			got = append(got, a.id)
		}
		slices.Sort(got)
		slices.Sort(want[name])
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("%s: wrong arrivals (-want +got)\n%s", name, diff)
		}
	}
}

func TestAnEventThatNobodyWantsIsAccepted(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	a := n.post(t, "order.placed", `{"a":1}`)
	if a.Deliveries != 0 {
		t.Errorf("the 202 says %d deliveries", a.Deliveries)
	}
	if e := n.event(t, a.ID); len(e.Deliveries) != 0 || string(e.Payload) != a.wireBody(`{"a":1}`) {
		t.Errorf("got %d deliveries, payload %s", len(e.Deliveries), e.Payload)
	}
}

// More endpoints than SQS, DynamoDB or a page of the API take at once.
func TestAnEventReachesMoreEndpointsThanABatchHolds(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	const endpoints = 130
	var (
		wait   sync.WaitGroup
		slots  = make(chan struct{}, 8)
		failed = make([]error, endpoints)
	)
	for i := range endpoints {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			// Long ids, so that what is stored with the event grows too.
			spec := newEndpoint{ID: fmt.Sprintf("%064d", i), URL: h.url + fmt.Sprintf("?endpoint=%d", i)}
			r, err := n.try(http.MethodPost, n.at("/endpoints"), spec)
			if err == nil && r.status != http.StatusCreated {
				err = errors.New(r.String())
			}
			failed[i] = err
		})
	}
	wait.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	a := n.post(t, "order.placed", `{}`)
	if a.Deliveries != endpoints {
		t.Errorf("the 202 says %d deliveries, want %d", a.Deliveries, endpoints)
	}
	eventually(t, patience, func() (bool, string) {
		delivered := 0
		for _, d := range n.event(t, a.ID).Deliveries {
			if isDelivered(d) {
				delivered++
			}
		}
		return delivered == endpoints, fmt.Sprintf("%d of %d are delivered", delivered, endpoints)
	})
	reached := map[string]int{}
	for _, arrival := range h.got() {
		reached[arrival.target]++
	}
	if len(reached) != endpoints {
		t.Errorf("%d endpoints were reached, want %d", len(reached), endpoints)
	}
}

// Order only, nothing about time: what is fast arrives while what is slow hangs.
func TestASlowEndpointDoesNotDelayAFastOne(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	release := make(chan struct{})
	slow, fast := newHook(t, answer{hold: release}), newHook(t)
	slowEndpoint, fastEndpoint := n.subscribe(t, slow), n.subscribe(t, fast)

	first := n.post(t, "order.placed", `1`)
	slow.awaitEvent(t, first.ID)
	n.awaitState(t, first.ID, fastEndpoint.ID, "delivered")
	second := n.post(t, "order.placed", `2`)
	n.awaitState(t, second.ID, fastEndpoint.ID, "delivered")
	if d := n.deliveryTo(t, first.ID, slowEndpoint.ID); d.State != "queued" {
		t.Errorf("the slow delivery is %s while its endpoint has not answered", d)
	}
	close(release)
	n.awaitState(t, first.ID, slowEndpoint.ID, "delivered")
	n.awaitState(t, second.ID, slowEndpoint.ID, "delivered")
}
