package simulate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"webhookrelay/shared/envelope"
	"webhookrelay/shared/history"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/webhook"
)

// Tenant adds a tenant before the run.
func (w *World) Tenant(id webhook.TenantID) {
	w.tables.tenants[id] = &tenantRow{Tenant: webhook.Tenant{ID: id, CreatedAt: w.Now()}}
	w.reconfigured(id)
}

// Endpoint says of an endpoint what a run needs to know.
type Endpoint struct {
	Tenant webhook.TenantID
	ID     webhook.EndpointID
	Types  []webhook.Pattern
	Scheme webhook.Scheme
	// Rate is its rate limit, Concurrency how many attempts it takes at once.
	Rate        webhook.Rate
	Concurrency int
	// Script is what its receiver answers, in order; the last answer repeats.
	// Empty: it takes everything.
	Script []Answer
	// Down is for how long from the beginning its receiver answers nothing but 503.
	Down time.Duration
}

func (e Endpoint) receiver() *receiver {
	return &receiver{url: e.url(), tenant: e.Tenant, script: e.Script, downUntil: epoch.Add(e.Down)}
}

func (e Endpoint) url() string { return fmt.Sprintf("https://%s.%s.example/", e.ID, e.Tenant) }

// Endpoint adds an endpoint, with its receiver, before the run.
func (w *World) Endpoint(e Endpoint) {
	w.receivers[e.url()] = e.receiver()
	h := &host{}
	w.start("setup", time.Minute, func(p *process) {
		h.p = p
		_, _ = w.registry(h).CreateEndpoint(p.ctx, e.Tenant, e.create())
	}, func(*process, bool) { w.shareKey(e.Tenant, e.ID) })
	for len(w.running) > 0 {
		w.step(w.Now().Add(time.Minute))
	}
	w.step(w.Now()) // what comes after the process
}

func (e Endpoint) create() registry.NewEndpoint {
	return registry.NewEndpoint{ID: e.ID, URL: e.url(), EventTypes: e.Types, Scheme: e.Scheme, Terms: webhook.Terms{Rate: e.Rate, Concurrency: e.Concurrency}}
}

// shareKey gives an endpoint's receiver the key it verifies with now.
func (w *World) shareKey(tenant webhook.TenantID, id webhook.EndpointID) {
	if e := w.tables.endpoint(endpointKey{tenant, id}); e != nil {
		w.receivers[e.URL].key = w.verifierOf(*e)
	}
}

func (w *World) registry(h *host) *registry.Registry {
	return registry.New(registry.Config{
		Store: store{h}, Sealer: seal.New(keyService{h}, h.now), IDs: w.ids, CheckURL: func(string) error { return nil }, Overlap: 24 * time.Hour, Now: h.now,
	})
}

// operate lets the operator do something after a while.
func (w *World) operate(after time.Duration, name string, do func(ctx context.Context, h *host) error, then func()) {
	w.after(after, func() {
		h := &host{}
		var err error
		w.start(name, 30*time.Second, func(p *process) {
			h.p = p
			err = do(p.ctx, h)
		}, func(p *process, _ bool) {
			w.tracef("%s is done: %v", w.label(p), err)
			if then != nil {
				then()
			}
		})
	})
}

// SetState enables, pauses or disables an endpoint.
func (w *World) SetState(after time.Duration, tenant webhook.TenantID, id webhook.EndpointID, state webhook.EndpointState) {
	w.operate(after, "set "+string(id)+" "+string(state), func(ctx context.Context, h *host) error {
		_, err := w.registry(h).ChangeEndpoint(ctx, tenant, id, registry.EndpointChange{State: &state})
		return err
	}, nil)
}

// Subscribe changes the event types of an endpoint.
func (w *World) Subscribe(after time.Duration, tenant webhook.TenantID, id webhook.EndpointID, types ...webhook.Pattern) {
	w.operate(after, "subscribe "+string(id), func(ctx context.Context, h *host) error {
		_, err := w.registry(h).ChangeEndpoint(ctx, tenant, id, registry.EndpointChange{EventTypes: &types})
		return err
	}, nil)
}

// Create adds an endpoint during the run.
func (w *World) Create(after time.Duration, e Endpoint) {
	w.receivers[e.url()] = e.receiver()
	w.operate(after, "create "+string(e.ID), func(ctx context.Context, h *host) error {
		_, err := w.registry(h).CreateEndpoint(ctx, e.Tenant, e.create())
		return err
	}, func() { w.shareKey(e.Tenant, e.ID) })
}

// Delete removes an endpoint.
func (w *World) Delete(after time.Duration, tenant webhook.TenantID, id webhook.EndpointID) {
	w.operate(after, "delete "+string(id), func(ctx context.Context, h *host) error {
		return store{h}.DeleteEndpoint(ctx, tenant, id)
	}, nil)
}

// Rotate gives an endpoint a new secret; its receiver learns of it within half
// the overlap.
func (w *World) Rotate(after time.Duration, tenant webhook.TenantID, id webhook.EndpointID) {
	w.operate(after, "rotate "+string(id), func(ctx context.Context, h *host) error {
		_, err := w.registry(h).RotateSecret(ctx, tenant, id, registry.Rotation{})
		return err
	}, func() {
		w.after(time.Duration(w.rand.Int64N(int64(12*time.Hour))), func() { w.shareKey(tenant, id) })
	})
}

// Retry retries a delivery by hand: the n-th of all that the operator finds in
// the lists, modulo their number.
func (w *World) Retry(after time.Duration, n int) {
	w.after(after, func() {
		var keys []webhook.DeliveryKey
		for _, tenant := range slices.Sorted(maps.Keys(w.tables.tenants)) {
			for _, d := range w.tables.all(tenant) {
				keys = append(keys, d.DeliveryKey)
			}
		}
		if len(keys) == 0 {
			return
		}
		key := keys[n%len(keys)]
		w.watch.manual(key)
		w.operate(0, "retry "+w.names.in(string(key.ID())), func(ctx context.Context, h *host) error {
			_, err := w.replayer(h).Retry(ctx, key)
			if errors.Is(err, replay.ErrCancelled) || errors.Is(err, replay.ErrNotDue) {
				err = nil
			}
			return err
		}, nil)
	})
}

// TakeBack cancels a scheduled event: the n-th of all that were accepted and whose
// time has not come, modulo their number. Outside a bubble of testing/synctest it
// does nothing, for it writes several rows side by side.
func (w *World) TakeBack(after time.Duration, n int) {
	w.after(after, func() {
		var waiting []*webhook.Event
		for _, a := range w.accepted {
			if e := w.watch.stored(a); e != nil && e.DeliverAt.After(w.Now()) {
				waiting = append(waiting, e)
			}
		}
		if len(waiting) == 0 || w.config.Settled == nil {
			return
		}
		e := waiting[n%len(waiting)]
		w.operate(0, "take back "+w.names.in(string(e.ID)), func(ctx context.Context, h *host) error {
			past := history.History{Store: store{h}}
			_, _, err := replay.Withdrawer{Events: past, Store: store{h}, Trail: noTrail{}, Now: h.now}.Cancel(ctx, e.Tenant, e.ID)
			if err == nil {
				w.watch.cancelled(eventKey{e.Tenant, e.Ref})
			}
			return err
		}, nil)
	})
}

// Redrive moves every dead letter back.
func (w *World) Redrive(after time.Duration) {
	w.operate(after, "redrive", func(ctx context.Context, h *host) error { return w.replayer(h).Redrive(ctx) }, nil)
}

func (w *World) replayer(h *host) replay.Replayer {
	return replay.Replayer{Deliveries: history.History{Store: store{h}}, Queue: line{h}, DeadLetters: line{h}, Trail: noTrail{}, Now: h.now}
}

// Poison puts a message into the queue that no version of the relay wrote.
func (w *World) Poison(after time.Duration, body string) {
	w.after(after, func() {
		if _, err := envelope.Decode([]byte(body)); err == nil {
			panic("simulate: a message that can be read is no poison")
		}
		w.watch.poisoned++
		w.queue.add(body, nil)
	})
}
