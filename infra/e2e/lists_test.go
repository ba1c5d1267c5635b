package e2e

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// limits are page sizes: the smallest, one that divides nothing, the largest.
var limits = []int{1, 7, 250}

// walk reads a list page by page to its end, or until enough says so.
func walk[T any](t testing.TB, c client, path string, limit int, enough func([]T) bool) (all []T) {
	t.Helper()
	address, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("limit", fmt.Sprint(limit))
	for {
		p := as[page[T]](t, c.get(t, address.Path+"?"+query.Encode()))
		if len(p.Data) > limit {
			t.Fatalf("%s: a page of %d items, limit %d", path, len(p.Data), limit)
		}
		all = append(all, p.Data...)
		if p.NextCursor == nil || enough != nil && enough(all) {
			return all
		}
		query.Set("cursor", *p.NextCursor)
	}
}

func idsOf[T any](items []T, id func(T) string) []string {
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = id(item)
	}
	return ids
}

func TestAListHoldsEachItemOnceWhateverTheLimit(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	fine, failing := newHook(t), newHook(t, answer{status: 503, header: map[string]string{"Retry-After": "3"}})
	fineEndpoint := n.subscribe(t, fine)
	failingEndpoint := n.subscribe(t, failing, "a.*")
	const events = 17
	var newestFirst, toBoth []string
	for i := range events {
		eventType := []string{"a.x", "b.x"}[i%2]
		a := n.post(t, eventType, fmt.Sprint(i))
		newestFirst = append(newestFirst, a.ID)
		if eventType == "a.x" {
			toBoth = append(toBoth, a.ID)
		}
	}
	slices.Reverse(newestFirst)
	slices.Reverse(toBoth)
	fine.await(t, events)
	failing.await(t, len(toBoth))
	n.change(t, failingEndpoint.ID, map[string]any{"state": "disabled"}) // so all are dead, however often others redrive

	for _, limit := range limits {
		t.Run(fmt.Sprintf("EventsNewestFirst/%d", limit), func(t *testing.T) {
			t.Parallel()
			got := walk[event](t, n.client, n.at("/events"), limit, nil)
			if diff := cmp.Diff(newestFirst, idsOf(got, func(e event) string { return e.ID })); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, e := range got {
				if want := map[string]int{"a.x": 2, "b.x": 1}[e.Type]; e.Deliveries != want {
					t.Errorf("%s of type %s has %d deliveries, want %d", e.ID, e.Type, e.Deliveries, want)
				}
			}
		})
		t.Run(fmt.Sprintf("DeliveriesOfTheNewestEventFirst/%d", limit), func(t *testing.T) {
			t.Parallel()
			got := walk[delivery](t, n.client, n.at("/deliveries"), limit, nil)
			if want := events + len(toBoth); len(got) != want {
				t.Errorf("%d deliveries, want %d", len(got), want)
			}
			if diff := cmp.Diff(newestFirst, slices.Compact(idsOf(got, func(d delivery) string { return d.EventID }))); diff != "" {
				t.Errorf("by event (-want +got)\n%s", diff)
			}
			mustDiffer(t, idsOf(got, func(d delivery) string { return d.ID }))
		})
		t.Run(fmt.Sprintf("DeliveriesToAnEndpoint/%d", limit), func(t *testing.T) {
			t.Parallel()
			for endpointID, want := range map[string][]string{fineEndpoint.ID: newestFirst, failingEndpoint.ID: toBoth} {
				got := walk[delivery](t, n.client, n.at("/deliveries?endpoint=%s", endpointID), limit, nil)
				if diff := cmp.Diff(want, idsOf(got, func(d delivery) string { return d.EventID })); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
		t.Run(fmt.Sprintf("DeliveriesInAState/%d", limit), func(t *testing.T) {
			t.Parallel()
			for _, q := range []string{"status=delivered", "status=delivered&endpoint=" + fineEndpoint.ID} {
				eventually(t, patience, func() (bool, string) {
					got := walk[delivery](t, n.client, n.at("/deliveries?%s", q), limit, nil)
					diff := cmp.Diff(newestFirst, idsOf(got, func(d delivery) string { return d.EventID }))
					return diff == "", fmt.Sprintf("%s (-want +got)\n%s", q, diff)
				})
			}
			for _, q := range []string{"status=dead", "status=dead&endpoint=" + failingEndpoint.ID} {
				eventually(t, patience, func() (bool, string) {
					got := walk[delivery](t, n.client, n.at("/deliveries?%s", q), limit, nil)
					diff := cmp.Diff(toBoth, idsOf(got, func(d delivery) string { return d.EventID }))
					return diff == "", fmt.Sprintf("%s (-want +got)\n%s", q, diff)
				})
			}
			for _, q := range []string{"status=cancelled", "status=dead&endpoint=" + fineEndpoint.ID, "endpoint=nobody"} {
				if got := walk[delivery](t, n.client, n.at("/deliveries?%s", q), limit, nil); len(got) != 0 {
					t.Errorf("%s holds %d deliveries", q, len(got))
				}
			}
		})
	}
}

// Who pages through a list sees what was there at the beginning, each once,
// although more comes in meanwhile.
func TestAListStandsStillForItsReader(t *testing.T) {
	t.Parallel()
	for list, eventOf := range map[string]func(event, delivery) string{
		"events":     func(e event, _ delivery) string { return e.ID },
		"deliveries": func(_ event, d delivery) string { return d.EventID },
	} {
		t.Run(list, func(t *testing.T) {
			t.Parallel()
			n := newTenant(t)
			n.subscribe(t, newHook(t))
			var want, got []string
			for i := range 6 {
				want = append(want, n.post(t, "order.placed", fmt.Sprint(i)).ID)
			}
			slices.Reverse(want)
			for cursor := ""; ; {
				r := n.get(t, n.at("/%s?limit=2&cursor=%s", list, cursor))
				events, deliveries := as[page[event]](t, r), as[page[delivery]](t, r)
				for i := range events.Data {
					got = append(got, eventOf(events.Data[i], deliveries.Data[i]))
				}
				if events.NextCursor == nil {
					break
				}
				cursor = *events.NextCursor
				n.post(t, "order.placed", `"late"`)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAStateFilterFollowsADelivery(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	release := make(chan struct{})
	h := newHook(t, answer{hold: release, status: 503, header: map[string]string{"Retry-After": "3600"}}, status(200))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	inState := func(state string, want int) {
		t.Helper()
		eventually(t, patience, func() (bool, string) {
			got := as[page[delivery]](t, n.get(t, n.at("/deliveries?status=%s", state))).Data
			return len(got) == want, fmt.Sprintf("%d deliveries are %s, want %d", len(got), state, want)
		})
	}
	h.awaitEvent(t, a.ID)
	inState("queued", 1)
	close(release)
	inState("retrying", 1)
	inState("queued", 0)
	n.retry(t, n.deliveryTo(t, a.ID, e.ID))
	inState("delivered", 1)
	inState("retrying", 0)
}

func TestEndpointsAreListedByID(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	var want []string
	for i := range 9 {
		id := fmt.Sprintf("e%d%s", i, []string{"", "_", "-x"}[i%3])
		n.register(t, newEndpoint{ID: id, URL: newHook(t).url})
		want = append(want, id)
	}
	slices.Sort(want)
	for _, limit := range limits {
		got := walk[endpoint](t, n.client, n.at("/endpoints"), limit, nil)
		if diff := cmp.Diff(want, idsOf(got, func(e endpoint) string { return e.ID })); diff != "" {
			t.Errorf("limit %d (-want +got)\n%s", limit, diff)
		}
	}
}

func TestTenantsAreListedByID(t *testing.T) {
	t.Parallel()
	// Ids that sort before all others, so that they are found soon where there are many.
	prefix := "--" + randomName("e2e")
	var want []string
	for i := range 4 {
		want = append(want, relay.newTenant(t, fmt.Sprintf("%s-%d", prefix, i)).id)
	}
	own := func(tenants []tenantView) (ids []string) {
		for _, tenant := range tenants {
			if strings.HasPrefix(tenant.ID, prefix) {
				ids = append(ids, tenant.ID)
			}
		}
		return ids
	}
	for _, limit := range limits {
		var enough func([]tenantView) bool
		if limit < 250 {
			enough = func(seen []tenantView) bool { return len(own(seen)) >= len(want) }
		}
		got := walk(t, relay.client, "/v1/tenants", limit, enough)
		if diff := cmp.Diff(want, own(got)); diff != "" {
			t.Errorf("limit %d (-want +got)\n%s", limit, diff)
		}
		ids := idsOf(got, func(v tenantView) string { return v.ID })
		if !slices.IsSorted(ids) {
			t.Errorf("limit %d: not sorted: %q", limit, ids)
		}
		mustDiffer(t, ids)
	}
}

// mustDiffer fails the test when an id comes twice.
func mustDiffer(t testing.TB, ids []string) {
	t.Helper()
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			t.Errorf("%s comes twice", ids[i])
		}
	}
}
