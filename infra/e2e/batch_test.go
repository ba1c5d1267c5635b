package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// batch is the answer to many events at once.
type batch struct {
	Accepted, Refused int
	Data              []struct {
		Status  int
		Event   *accepted
		Problem *problem
	}
}

func (n tenant) postBatch(t *testing.T, status int, events ...string) batch {
	t.Helper()
	body := `{"events":[` + strings.Join(events, ",") + `]}`
	return as[batch](t, n.send(t, http.MethodPost, n.at("/events/batch"), body).must(t, status))
}

func TestABatchOfEventsArrives(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	n.subscribe(t, h)
	var events []string
	for i := range 100 {
		events = append(events, eventBody("order.placed", fmt.Sprintf(`{"n":%d}`, i)))
	}
	got := n.postBatch(t, http.StatusAccepted, events...)
	if got.Accepted != 100 || got.Refused != 0 || len(got.Data) != 100 {
		t.Fatalf("%d accepted, %d refused, %d outcomes", got.Accepted, got.Refused, len(got.Data))
	}
	for i, a := range h.await(t, 100) {
		if a.failure != nil {
			t.Errorf("arrival %d: %v", i, a.failure)
		}
	}
	for i, item := range got.Data {
		if arrived := h.awaitEvent(t, item.Event.ID); string(arrived[0].body) != item.Event.wireBody(fmt.Sprintf(`{"n":%d}`, i)) {
			t.Errorf("event %d arrived as %s", i, arrived[0].body)
		}
	}
}

func TestOneBadEventSpoilsNoOther(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	n.subscribe(t, h)
	got := n.postBatch(t, http.StatusMultiStatus,
		eventBody("order.placed", "1"),
		`{"type":"not a type","data":1}`,
		`{"type":"order.placed"}`,
		`"no event"`,
		`{"type":"order.placed","data":4,"idempotency_key":"four"}`,
		`{"type":"order.placed","data":4,"idempotency_key":"four"}`,
		`{"type":"order.placed","data":5,"idempotency_key":"four"}`,
		fmt.Sprintf(`{"type":"order.placed","data":%q}`, strings.Repeat("x", 256<<10)),
	)
	var statuses []int
	for _, item := range got.Data {
		statuses = append(statuses, item.Status)
		if (item.Status == http.StatusAccepted) != (item.Problem == nil) {
			t.Errorf("%+v", item)
		}
	}
	if want := []int{202, 400, 400, 400, 202, 202, 409, 413}; fmt.Sprint(statuses) != fmt.Sprint(want) || got.Accepted != 3 || got.Refused != 5 {
		t.Fatalf("statuses %v, %d accepted, %d refused; want %v", statuses, got.Accepted, got.Refused, want)
	}
	if a, b := got.Data[4].Event.ID, got.Data[5].Event.ID; a != b {
		t.Errorf("one key made the events %s and %s", a, b)
	}
	if p := got.Data[1].Problem; p.Field != "type" {
		t.Errorf("%+v", p)
	}
	h.awaitEvent(t, got.Data[0].Event.ID)
	h.awaitEvent(t, got.Data[4].Event.ID)
	if arrivals := h.got(); len(arrivals) != 2 {
		t.Errorf("%d arrivals", len(arrivals))
	}
}

func TestABatchThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for _, body := range []string{
		`{}`, `{"events":[]}`, `{"events":{}}`, `{"events":null}`, `[]`,
		`{"events":[` + strings.TrimSuffix(strings.Repeat("1,", 101), ",") + `]}`,
	} {
		r := n.send(t, http.MethodPost, n.at("/events/batch"), body).must(t, http.StatusBadRequest)
		if p := as[problem](t, r); p.Detail == "" {
			t.Errorf("%s: %+v", body, p)
		}
	}
	n.send(t, http.MethodPost, "/v1/tenants/nobody-here/events/batch", `{"events":[{"type":"a","data":1}]}`).must(t, http.StatusNotFound)
}
