package simulate

import (
	"context"
	"sync"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// How long things take: a call of a table or queue, and an endpoint's answer.
const (
	callTime   = 5 * time.Millisecond
	answerTime = 50 * time.Millisecond
)

// dispatcherTable is what a dispatcher's invocation sees of the world.
type dispatcherTable struct{ *outageDispatcher }

var (
	_ dispatch.Store  = dispatcherTable{}
	_ dispatch.Queue  = dispatcherTable{}
	_ dispatch.Sender = dispatcherTable{}
)

// Load implements dispatch.Store.
func (t dispatcherTable) Load(_ context.Context, lookups []dispatch.Lookup) ([]dispatch.Loaded, error) {
	t.pause(callTime)
	loaded := make([]dispatch.Loaded, len(lookups))
	for i, l := range lookups {
		loaded[i] = t.run.table.load(l)
	}
	return loaded, nil
}

// SaveDelivery implements dispatch.Store.
func (t dispatcherTable) SaveDelivery(_ context.Context, d webhook.Delivery) error {
	t.pause(callTime)
	return t.run.table.save(d)
}

// SaveHealth implements dispatch.Store.
func (t dispatcherTable) SaveHealth(_ context.Context, _ webhook.TenantID, id webhook.EndpointID, h webhook.Health) error {
	t.pause(callTime)
	return t.run.table.saveHealth(id, h)
}

// TakeTurn implements dispatch.Store. No endpoint of an outage has a rate limit.
func (t dispatcherTable) TakeTurn(_ context.Context, _ webhook.TenantID, _ webhook.EndpointID, _ webhook.Rate, now time.Time) (time.Time, bool, error) {
	return now, true, nil
}

// DisableEndpoint implements dispatch.Store.
func (t dispatcherTable) DisableEndpoint(_ context.Context, _ webhook.TenantID, id webhook.EndpointID, reason webhook.Reason, _ time.Time) error {
	t.pause(callTime)
	if e := &t.run.table.endpoints[t.run.table.endpoint(id)]; e.State == webhook.EndpointEnabled {
		e.State, e.DisabledReason, t.run.tally.disabled = webhook.EndpointDisabled, reason, t.run.Now()
	}
	return nil
}

// Hide implements dispatch.Queue.
func (t dispatcherTable) Hide(_ context.Context, hidings []dispatch.Hiding) (failed []string) {
	t.pause(callTime)
	for _, h := range hidings {
		if !t.run.queue.hide(h) {
			failed = append(failed, h.MessageID)
		}
	}
	return failed
}

// Send implements dispatch.Sender.
func (t dispatcherTable) Send(_ context.Context, endpoint webhook.Endpoint, _ webhook.Event) (webhook.Result, error) {
	result, takes := t.run.posted(endpoint.ID)
	t.pause(takes)
	return result, nil
}

// nobody is an operator who listens to nothing, as most do.
type nobody struct{}

var _ dispatch.Announcer = nobody{}

// HearsOfDeath implements dispatch.Announcer.
func (nobody) HearsOfDeath(context.Context, webhook.Delivery) (bool, error) { return false, nil }

// DeliveryDied implements dispatch.Announcer.
func (nobody) DeliveryDied(context.Context, webhook.Delivery) error { return nil }

// EndpointFailing implements dispatch.Announcer.
func (nobody) EndpointFailing(context.Context, webhook.Endpoint, webhook.Health, int, time.Time) error {
	return nil
}

// EndpointRecovered implements dispatch.Announcer.
func (nobody) EndpointRecovered(context.Context, webhook.Endpoint, webhook.Health) error { return nil }

// EndpointDisabled implements dispatch.Announcer.
func (nobody) EndpointDisabled(context.Context, webhook.Endpoint, webhook.Reason) error { return nil }

// sweeperTable is what an invocation of the sweeper sees. Its writes are made
// side by side; the time that they take goes by with the next call that waits.
type sweeperTable struct {
	*invocation
	mu   sync.Mutex
	owed time.Duration
}

// pay lets the time go by that calls have taken.
func (t *sweeperTable) pay() {
	t.pause(callTime + t.owed)
	t.owed = 0
}

var (
	_ sweep.Store = (*sweeperTable)(nil)
	_ sweep.Queue = (*sweeperTable)(nil)
)

// What the sweeper's code and the adapter do side by side: writes of rows, and
// sends of ten messages.
const (
	writersAtOnce = 16
	sendersAtOnce = 8
	perSend       = 10
)

// owe notes the time that n of several calls take that are made at once. With
// one delivery for many, each is as many calls.
func (t *sweeperTable) owe(n, atOnce int) {
	t.owed += callTime * time.Duration(n*t.run.Scale) / time.Duration(atOnce)
}

// Held implements sweep.HeldStore.
func (t *sweeperTable) Held(_ context.Context, until time.Time, limit int) ([]webhook.Delivery, error) {
	t.pay()
	held := t.run.table.heldUntil(until, limit)
	// An index query, and the rows themselves a hundred at a time.
	t.owe(2*len(held), limit)
	return held, nil
}

// DueEvents implements sweep.EventStore: nothing is scheduled.
func (t *sweeperTable) DueEvents(context.Context, time.Time, int) ([]webhook.Event, error) {
	t.pay()
	return nil, nil
}

// EventSent implements sweep.EventStore.
func (t *sweeperTable) EventSent(context.Context, webhook.TenantID, webhook.EventRef) error {
	return nil
}

// SaveDelivery implements sweep.HeldStore.
func (t *sweeperTable) SaveDelivery(_ context.Context, d webhook.Delivery) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.owe(1, writersAtOnce)
	return t.run.table.save(d)
}

// Endpoint implements sweep.HeldStore.
func (t *sweeperTable) Endpoint(_ context.Context, _ webhook.TenantID, id webhook.EndpointID) (webhook.Endpoint, error) {
	return t.run.table.endpoints[t.run.table.endpoint(id)], nil
}

// Send implements sweep.Queue.
func (t *sweeperTable) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	messages := make([]sweep.Delayed, len(keys))
	for i, k := range keys {
		messages[i].DeliveryKey = k
	}
	return t.SendDelayed(ctx, messages)
}

// SendDelayed implements sweep.Queue.
func (t *sweeperTable) SendDelayed(_ context.Context, messages []sweep.Delayed) error {
	t.owe(len(messages), perSend*sendersAtOnce)
	for _, m := range messages {
		t.run.queue.send(t.run.table.subject(m.DeliveryKey), m.Delay)
	}
	t.run.after(0, t.run.poll)
	return nil
}

// Tenants implements sweep.Store.
func (t *sweeperTable) Tenants(context.Context, webhook.Page) ([]webhook.Tenant, string, error) {
	return []webhook.Tenant{{ID: outageTenant}}, "", nil
}

// Deliveries implements sweep.Store, for those that are queued.
func (t *sweeperTable) Deliveries(_ context.Context, _ webhook.TenantID, f history.Filter, p webhook.Page) ([]webhook.Delivery, string, error) {
	t.pay()
	found, next := t.run.table.queued(f, p)
	return found, next, nil
}

// SweepState implements sweep.Store.
func (t *sweeperTable) SweepState(context.Context) (sweep.State, error) {
	t.pay()
	return t.run.sweeps, nil
}

// SaveSweepState implements sweep.Store.
func (t *sweeperTable) SaveSweepState(_ context.Context, s sweep.State) error {
	t.pay()
	t.run.sweeps = s
	return nil
}
