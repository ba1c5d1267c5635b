package dynamo_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// setup returns a store on the emulator at noon of a fixed day, and a new
// tenant in it, created age ago.
func setup(t *testing.T, age time.Duration) (*dynamo.Store, webhook.TenantID) {
	t.Helper()
	client, table := emulator(t)
	store := dynamo.New(client, table, func() time.Time { return fixedNow })
	tenant := webhook.TenantID("t_" + id.NewSource().ULID(time.Now()))
	if _, _, err := store.PutTenant(t.Context(), webhook.Tenant{ID: tenant, Name: "n", CreatedAt: fixedNow.Add(-age)}); err != nil {
		t.Fatal(err)
	}
	return store, tenant
}

const aDay = 24 * time.Hour

func putEvent(t *testing.T, store *dynamo.Store, tenant webhook.TenantID, age time.Duration, targets ...webhook.EndpointID) webhook.Event {
	t.Helper()
	at := fixedNow.Add(-age)
	e := webhook.Event{Tenant: tenant, Ref: id.NewSource().EventRef(at), AcceptedAt: at, Targets: targets, ExpiresAt: fixedNow.Add(aDay), Body: []byte("{}")}
	e.ID = id.EventID(e.Ref)
	if err := store.PutEvents(t.Context(), []webhook.Event{e}); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAListGoesBackFortyDaysPerCall(t *testing.T) {
	t.Parallel()
	store, tenant := setup(t, 100*aDay)
	old := putEvent(t, store, tenant, 90*aDay)
	var calls int
	var found []webhook.Event
	for after := ""; ; calls++ {
		events, next, err := store.Events(t.Context(), tenant, history.Filter{}, webhook.Page{Limit: 10, After: after})
		if err != nil {
			t.Fatal(err)
		}
		if found = append(found, events...); next == "" {
			break
		}
		after = next
	}
	if len(found) != 1 || found[0].Ref != old.Ref || calls != 2 {
		t.Errorf("found %d events in %d calls before the last, want the one in 2", len(found), calls)
	}
}

func TestAListEndsWhereTheTenantBegins(t *testing.T) {
	t.Parallel()
	store, tenant := setup(t, 2*aDay)
	putEvent(t, store, tenant, 2*aDay)
	events, next, err := store.Events(t.Context(), tenant, history.Filter{}, webhook.Page{Limit: 10})
	if err != nil || len(events) != 1 || next != "" {
		t.Errorf("%d events, then %q, %v", len(events), next, err)
	}
	events, next, err = store.Events(t.Context(), "t_unknown", history.Filter{}, webhook.Page{Limit: 10})
	if err != nil || len(events) != 0 || next != "" {
		t.Errorf("of an unknown tenant: %d events, then %q, %v", len(events), next, err)
	}
}

func TestAnEventFromAClockAheadIsListed(t *testing.T) {
	t.Parallel()
	_, tenant := setup(t, aDay)
	client, table := emulator(t)
	midnight := fixedNow.Truncate(aDay).Add(aDay)
	store := dynamo.New(client, table, func() time.Time { return midnight.Add(-time.Second) })
	tomorrow := putEvent(t, store, tenant, fixedNow.Sub(midnight.Add(time.Second)))
	today := putEvent(t, store, tenant, 0)
	events, _, err := store.Events(t.Context(), tenant, history.Filter{}, webhook.Page{Limit: 10})
	if err != nil || len(events) != 2 || events[0].Ref != tomorrow.Ref || events[1].Ref != today.Ref {
		t.Errorf("events %+v, %v", events, err)
	}
}

func TestAFilteredListStopsAfterAThousandRows(t *testing.T) {
	t.Parallel()
	store, tenant := setup(t, aDay)
	var targets []webhook.EndpointID
	for i := range 60 {
		targets = append(targets, webhook.EndpointID(fmt.Sprintf("ep_%02d", i)))
	}
	last := putEvent(t, store, tenant, time.Hour, "ep_sought")
	for i := range 20 { // 20 × 61 rows
		e := putEvent(t, store, tenant, time.Duration(i)*time.Minute, targets...)
		for _, target := range targets {
			d := webhook.NewDelivery(e, target).Succeed(webhook.Attempt{At: fixedNow})
			if err := store.SaveDelivery(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	filter := history.Filter{Endpoint: "ep_sought"}
	first, next, err := store.Deliveries(t.Context(), tenant, filter, webhook.Page{Limit: 10})
	if err != nil || len(first) != 0 || next == "" {
		t.Fatalf("%d deliveries, then %q, %v; want none yet and a position", len(first), next, err)
	}
	second, next, err := store.Deliveries(t.Context(), tenant, filter, webhook.Page{Limit: 10, After: next})
	if err != nil || len(second) != 1 || second[0].Event != last.Ref || next != "" {
		t.Errorf("%+v, then %q, %v", second, next, err)
	}
}

// An event's row may be deleted by its TTL before its deliveries' rows.
func TestDeliveriesOutliveTheirEventsRow(t *testing.T) {
	t.Parallel()
	store, tenant := setup(t, aDay)
	var want []webhook.EndpointID
	ref := id.NewSource().EventRef(fixedNow)
	for _, endpoint := range []webhook.EndpointID{"a", "b", "c", "d"} {
		d := webhook.Delivery{
			DeliveryKey: webhook.DeliveryKey{Tenant: tenant, Event: ref, Endpoint: endpoint},
			State:       webhook.Delivered, ExpiresAt: fixedNow.Add(aDay),
		}
		if err := store.SaveDelivery(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		want = append(want, endpoint)
	}
	for _, limit := range []int{1, 3, 100} {
		var got []webhook.EndpointID
		for after, more := "", true; more; more = after != "" {
			page, next, err := store.Deliveries(t.Context(), tenant, history.Filter{}, webhook.Page{Limit: limit, After: after})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page {
				got = append(got, d.Endpoint)
			}
			after = next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

func TestAListWithoutBodiesOmitsThemOnly(t *testing.T) {
	t.Parallel()
	store, tenant := setup(t, aDay)
	e := putEvent(t, store, tenant, 0, "ep")
	events, _, err := store.Events(t.Context(), tenant, history.Filter{}, webhook.Page{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	e.Body = nil
	if diff := cmp.Diff([]webhook.Event{e}, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestADaysCursorIsOnlyForWalks(t *testing.T) {
	t.Parallel()
	store, tenant := setup(t, aDay)
	for _, state := range webhook.States {
		_, _, err := store.Deliveries(t.Context(), tenant, history.Filter{State: state}, webhook.Page{Limit: 1, After: "20261122"})
		walks := slices.Contains([]webhook.State{webhook.Queued, webhook.Delivered}, state)
		if (err == nil) != walks {
			t.Errorf("state %s: %v", state, err)
		}
	}
}
