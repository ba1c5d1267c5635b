package paging

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/webhook"
)

// size is what a store is filled with.
type size struct {
	Tenants   int `json:"tenants"`
	Endpoints int `json:"endpoints_of_each_tenant"`
	Events    int `json:"events_of_one_tenant"`
}

// span is over which time the events are spread.
const span = 30 * 24 * time.Hour

// rare is one of how many events has another type and a tag of its own; dead is one
// of how many deliveries died, and queued one of how many has had no attempt.
const (
	rare   = 500
	dead   = 50
	queued = 50
)

// store is what is filled and listed.
type store interface {
	ingest.Store
	history.Store
	registry.Store
	SaveDelivery(ctx context.Context, d webhook.Delivery) error
}

// filled is a store with its content. Everything of the first tenant is measured.
type filled struct {
	store  store
	size   size
	now    time.Time
	tenant webhook.TenantID
	// wide is an event for all endpoints of the tenant.
	wide webhook.Event
}

func tenantID(prefix string, i int) webhook.TenantID {
	return webhook.TenantID(fmt.Sprintf("%s%02d", prefix, i))
}

func endpointID(i int) webhook.EndpointID { return webhook.EndpointID(fmt.Sprintf("endpoint_%04d", i)) }

// fill stores everything. Ids begin with prefix, for the store may hold others'.
func fill(t *testing.T, s store, prefix string, z size) *filled {
	t.Helper()
	f := &filled{store: s, size: z, now: time.Now().UTC().Truncate(time.Millisecond), tenant: tenantID(prefix, 0)}
	begun := time.Now()
	for i := range z.Tenants {
		_, _, err := s.PutTenant(t.Context(), webhook.Tenant{ID: tenantID(prefix, i), Name: "a tenant", CreatedAt: f.now.Add(-span - time.Hour)})
		must(t, err)
	}
	sideBySide(t, z.Tenants*z.Endpoints, func(i int) error {
		return s.CreateEndpoint(t.Context(), webhook.Endpoint{
			Tenant: tenantID(prefix, i/z.Endpoints), ID: endpointID(i % z.Endpoints), URL: "https://receiver.example/webhooks/of/somebody",
			Description: "somebody's receiver", EventTypes: []webhook.Pattern{"order.*"}, State: webhook.EndpointEnabled, Scheme: webhook.SchemeHMAC,
			Secrets: []webhook.Secret{{Sealed: make([]byte, 200), CreatedAt: f.now}}, CreatedAt: f.now, UpdatedAt: f.now,
		})
	})
	const chunk = 100
	sideBySide(t, (z.Events+chunk-1)/chunk, func(n int) error {
		var events []webhook.Event
		for i := n * chunk; i < min((n+1)*chunk, z.Events); i++ {
			events = append(events, f.event(i))
		}
		if err := s.PutEvents(t.Context(), events); err != nil {
			return err
		}
		for n, e := range events {
			if d := deliveryOf(e, n); d.State != webhook.Queued {
				if err := s.SaveDelivery(t.Context(), d); err != nil {
					return err
				}
			}
		}
		return nil
	})
	f.wide = f.event(0)
	f.wide.Ref, f.wide.Targets = id.NewSource().EventRef(f.now), nil
	for i := range z.Endpoints {
		f.wide.Targets = append(f.wide.Targets, endpointID(i))
	}
	must(t, s.PutEvents(t.Context(), []webhook.Event{f.wide}))
	sideBySide(t, z.Endpoints, func(i int) error {
		return s.SaveDelivery(t.Context(), webhook.NewDelivery(f.wide, endpointID(i)).Succeed(attempt(f.now, "")))
	})
	t.Logf("filled with %+v in %s", z, time.Since(begun).Round(time.Second))
	return f
}

// event is the i-th, the newest first; the body is of a common size.
func (f *filled) event(i int) webhook.Event {
	at := f.now.Add(-time.Minute - time.Duration(i)*(span/time.Duration(f.size.Events))).Truncate(time.Millisecond)
	ref := id.NewSource().EventRef(at)
	e := webhook.Event{
		Tenant: f.tenant, Ref: ref, ID: id.EventID(ref), Type: "order.placed", Tags: []webhook.Tag{"web"}, Timestamp: at, AcceptedAt: at,
		ExpiresAt: at.Add(40 * 24 * time.Hour), Targets: []webhook.EndpointID{endpointID(i % f.size.Endpoints)},
		Body: fmt.Appendf(nil, `{"type":"order.placed","timestamp":"2026-01-31T12:00:00.000Z","data":{"order":"%d","customer":{"name":"Ada Lovelace","city":"London"},"lines":[{"article":"A-1","count":2,"price":"19.90"},{"article":"B-2","count":1,"price":"7.50"}],"total":"47.30"}}`, i),
	}
	if i%rare == rare-1 {
		e.Type, e.Tags = "order.refunded", []webhook.Tag{"web", "refund"}
	}
	return e
}

// deliveryOf brings the event's delivery into a state by its number.
func deliveryOf(e webhook.Event, i int) webhook.Delivery {
	d := webhook.NewDelivery(e, e.Targets[0])
	switch i % dead {
	case 0:
		return d.GiveUp(attempt(e.AcceptedAt, webhook.ReasonHTTP5xx), webhook.ReasonExhausted)
	case 1:
		return d
	}
	return d.Succeed(attempt(e.AcceptedAt, ""))
}

func attempt(at time.Time, reason webhook.Reason) webhook.Attempt {
	a := webhook.Attempt{At: at, Trigger: webhook.TriggerSchedule, StatusCode: 200, Response: []byte("ok"), Duration: 83 * time.Millisecond}
	if a.Reason = reason; reason != "" {
		a.StatusCode, a.Detail = 500, "the endpoint answered 500 Internal Server Error"
	}
	return a
}

// sideBySide calls do with 0 to n-1, a number of them at once.
func sideBySide(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var fault error
	next := make(chan int)
	for range 48 {
		wait.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					mu.Lock()
					fault = err
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
	must(t, fault)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
