package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// scheduledEvent is the request that posts an event for later.
func scheduledEvent(data string, at time.Time) string {
	return fmt.Sprintf(`{"type":"order.placed","data":%s,"deliver_at":%q,"tags":["later"]}`, data, at.Format(time.RFC3339Nano))
}

// soon is far enough ahead for what is done before.
func soon() time.Duration {
	if relay.deployed {
		return 20 * time.Second
	}
	return 3 * time.Second
}

func (n tenant) postLater(t *testing.T, in time.Duration) (accepted, time.Time) {
	t.Helper()
	at := time.Now().Add(in).Truncate(time.Millisecond)
	return as[accepted](t, n.send(t, http.MethodPost, n.at("/events"), scheduledEvent("1", at)).must(t, http.StatusAccepted)), at
}

func TestAScheduledEventArrivesAtItsTime(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	endpoint := n.subscribe(t, h)
	single, at := n.postLater(t, soon())
	many := n.postBatch(t, http.StatusAccepted, scheduledEvent("2", at), eventBody("order.placed", "3"))
	h.awaitEvent(t, many.Data[1].Event.ID) // the one that is not scheduled
	if d := n.deliveryTo(t, single.ID, endpoint.ID); d.State != "queued" || d.NextCause != "scheduled" {
		t.Errorf("before its time: %s", d)
	}
	for _, id := range []string{single.ID, many.Data[0].Event.ID} {
		arrived := h.awaitEvent(t, id)[0]
		if arrived.failure != nil || at.Sub(arrived.at) > earliness {
			t.Errorf("%s arrived at %s, due at %s: %v", id, arrived.at, at, arrived.failure)
		}
		n.awaitState(t, id, endpoint.ID, "delivered")
	}
}

func TestAScheduledEventIsCancelledBeforeItsTime(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	endpoint := n.subscribe(t, h)
	taken, at := n.postLater(t, soon()+time.Second)
	marker, _ := n.postLater(t, soon()+2*time.Second)
	publisher := n.with(n.newKey(t, map[string]any{"scope": "publish"}).Key)
	d := n.deliveryTo(t, taken.ID, endpoint.ID)
	n.send(t, http.MethodPost, n.at("/deliveries/%s/retry", d.ID), nil).must(t, http.StatusConflict)
	for range 2 {
		r := publisher.send(t, http.MethodPost, n.at("/events/%s/cancel", taken.ID), nil).must(t, http.StatusOK)
		if got := as[struct {
			CancelledAt string `json:"cancelled_at"`
		}](t, r); got.CancelledAt == "" {
			t.Errorf("got %s", r.body)
		}
	}
	h.awaitEvent(t, marker.ID) // was due later
	if late := time.Since(at); late < 0 {
		t.Fatalf("the later event came %s before the earlier one was due", -late)
	}
	if got := n.deliveryTo(t, taken.ID, endpoint.ID); got.State != "cancelled" || got.Reason != "event_cancelled" || got.AttemptCount != 0 {
		t.Errorf("the delivery is %s", got)
	}
	if arrivals := h.got(); len(arrivals) != 1 {
		t.Errorf("%d arrivals", len(arrivals))
	}
	n.send(t, http.MethodPost, n.at("/events/%s/cancel", marker.ID), nil).must(t, http.StatusConflict)
}

func TestTermsOfAnEventThatAreWrongAreRefused(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for terms, field := range map[string]string{
		`"deliver_at":"` + time.Now().Add(31*24*time.Hour).Format(time.RFC3339) + `"`: "deliver_at",
		`"deliver_at":"tomorrow"`: "deliver_at",
		`"retention_days":0`:      "retention_days",
		`"retention_days":24`:     "retention_days",
		`"retention_days":366`:    "retention_days",
		`"retention_days":1e300`:  "retention_days",
		`"tags":["a b"]`:          "tags",
		`"tags":["a","a"]`:        "tags",
		`"tags":[` + strings.TrimSuffix(strings.Repeat(`"x",`, 11), ",") + `]`: "tags",
	} {
		body := `{"type":"a","data":1,` + terms + `}`
		if p := as[problem](t, n.send(t, http.MethodPost, n.at("/events"), body).must(t, http.StatusBadRequest)); p.Field != field {
			t.Errorf("%s: %+v", terms, p)
		}
		if got := n.postBatch(t, http.StatusMultiStatus, body); got.Data[0].Problem.Field != field {
			t.Errorf("%s in a batch: %+v", terms, got.Data[0].Problem)
		}
	}
}

func TestAnEventIsKeptForAsLongAsItsSenderSays(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	later := time.Now().Add(48 * time.Hour)
	body := fmt.Sprintf(`{"type":"a","data":1,"id":"kept","retention_days":100,"deliver_at":%q}`, later.Format(time.RFC3339Nano))
	for range 2 { // a repeat gets the same
		n.send(t, http.MethodPost, n.at("/events"), body).must(t, http.StatusAccepted)
	}
	got := as[struct {
		ExpiresAt time.Time `json:"expires_at"`
	}](t, n.get(t, n.at("/events/kept")))
	if want := later.Add(100 * 24 * time.Hour); got.ExpiresAt.Sub(want).Abs() > time.Second {
		t.Errorf("it expires at %s, want %s", got.ExpiresAt, want)
	}
	other := strings.Replace(body, "100", "101", 1)
	n.send(t, http.MethodPost, n.at("/events"), other).must(t, http.StatusConflict)
}

func TestAnExpungedEventLeavesNothingButItsRecord(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, answer{status: 500, body: "cannot use 4711", header: map[string]string{"Retry-After": "3600"}})
	endpoint := n.subscribe(t, h)
	posted := n.post(t, "order.placed", `{"card":"4711"}`)
	n.awaitState(t, posted.ID, endpoint.ID, "retrying")
	path := n.at("/events/%s", posted.ID)
	if before := string(n.get(t, path).body); strings.Count(before, "4711") != 2 {
		t.Fatalf("before: %s", before)
	}
	answered := n.send(t, http.MethodPost, path+"/expunge", nil).must(t, http.StatusOK)
	for _, body := range []string{
		string(answered.body), string(n.get(t, path).body), string(n.get(t, n.at("/deliveries")).body), string(n.get(t, n.at("/events")).body),
	} {
		if strings.Contains(body, "4711") || !strings.Contains(body, posted.ID) {
			t.Errorf("afterwards: %s", body)
		}
	}
	if d := n.deliveryTo(t, posted.ID, endpoint.ID); d.State != "cancelled" || d.Reason != "expunged" || d.AttemptCount != 1 {
		t.Errorf("the delivery is %s", d)
	}
	reader := n.with(n.newKey(t, map[string]any{"scope": "publish"}).Key)
	reader.send(t, http.MethodPost, path+"/expunge", nil).must(t, http.StatusForbidden)
}

func TestEventsAndDeliveriesAreFoundByTypeTagAndTime(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	endpoint := n.subscribe(t, h)
	var posted []accepted
	for i, body := range []string{
		`{"type":"order.paid","data":0,"tags":["vip","eu"]}`, `{"type":"order.placed","data":1,"tags":["vip"]}`,
		`{"type":"user.created","data":2,"tags":["vip"]}`, `{"type":"order.paid","data":3}`,
	} {
		posted = append(posted, as[accepted](t, n.send(t, http.MethodPost, n.at("/events"), body).must(t, http.StatusAccepted)))
		n.awaitState(t, posted[i].ID, endpoint.ID, "delivered")
	}
	middle := as[struct {
		AcceptedAt string `json:"accepted_at"`
	}](t, n.get(t, n.at("/events/%s", posted[1].ID))).AcceptedAt
	for query, want := range map[string][]int{
		"tag=vip": {2, 1, 0}, "tag=eu": {0}, "tag=nothing": nil, "event_type=order.*": {3, 1, 0}, "event_type=order.*&tag=vip": {1, 0},
		"since=" + middle: {3, 2, 1}, "until=" + middle: {0}, "tag=vip&since=" + middle: {2, 1},
	} {
		var ids []string
		for _, i := range want {
			ids = append(ids, posted[i].ID)
		}
		events := walk[accepted](t, n.client, n.at("/events")+"?"+query, 2, nil)
		if got := idsOf(events, func(a accepted) string { return a.ID }); strings.Join(got, " ") != strings.Join(ids, " ") {
			t.Errorf("events?%s: %v, want %v", query, got, ids)
		}
		for _, more := range []string{"", "&status=delivered", "&endpoint=" + endpoint.ID} {
			deliveries := walk[delivery](t, n.client, n.at("/deliveries")+"?"+query+more, 2, nil)
			if got := idsOf(deliveries, func(d delivery) string { return d.EventID }); strings.Join(got, " ") != strings.Join(ids, " ") {
				t.Errorf("deliveries?%s%s: %v, want %v", query, more, got, ids)
			}
		}
	}
	for _, path := range []string{"/events?tag=a%20b", "/events?status=dead", "/events?since=yesterday", "/deliveries?tag="} {
		n.send(t, http.MethodGet, n.at("%s", path), nil).must(t, http.StatusBadRequest)
	}
}

func TestAnExportIsWhatTheRelayHolds(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	first, second := newHook(t), newHook(t, answer{status: 410})
	endpoint := n.subscribe(t, first)
	n.subscribe(t, second, "order.*")
	var posted []string
	for i := range 7 {
		a := n.post(t, []string{"order.placed", "user.created"}[i%2], fmt.Sprintf("{\"n\": %d}", i))
		n.awaitState(t, a.ID, endpoint.ID, "delivered")
		posted = append([]string{a.ID}, posted...)
	}
	type line struct {
		Event *struct {
			ID      string
			Payload struct{ Data struct{ N int } }
		}
		Delivery *delivery
	}
	for _, limit := range []string{"", "&limit=1", "&limit=3"} {
		var events []string
		deliveries := 0
		for cursor := ""; ; {
			page := n.get(t, n.at("/export")+"?event_type=*"+limit+cursor)
			for text := range strings.Lines(string(page.body)) {
				l := as[line](t, response{request: page.request, status: page.status, body: []byte(text)})
				if l.Event != nil {
					events = append(events, l.Event.ID)
					if want := len(posted) - len(events); l.Event.Payload.Data.N != want {
						t.Errorf("event %d has the payload %d", want, l.Event.Payload.Data.N)
					}
					continue
				}
				if deliveries++; l.Delivery.EventID != events[len(events)-1] {
					t.Errorf("a delivery of %s follows the event %s", l.Delivery.EventID, events[len(events)-1])
				}
			}
			next := page.header.Get("Next-Cursor")
			if next == "" {
				break
			}
			cursor = "&cursor=" + next
		}
		want := 0
		for _, id := range posted {
			want += len(n.event(t, id).Deliveries)
		}
		if strings.Join(events, " ") != strings.Join(posted, " ") || deliveries != want {
			t.Errorf("limit %q: %d deliveries of %v, want %d of %v", limit, deliveries, events, want, posted)
		}
	}
	n.send(t, http.MethodGet, n.at("/export")+"?cursor=nonsense", nil).must(t, http.StatusBadRequest)
}
