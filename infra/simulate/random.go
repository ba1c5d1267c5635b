package simulate

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"webhookrelay/shared/retry"
	"webhookrelay/shared/webhook"
)

// Random returns the world of a seed: who sends what to whom, what the
// operators do meanwhile, and what fails.
func Random(seed uint64) (Config, func(w *World)) {
	r := rand.New(rand.NewPCG(seed, 0xfade))
	c := Config{Seed: seed, Jitter: r.IntN(2) == 0, Move: Move(r.IntN(3)), Heal: r.IntN(3) > 0}
	c.Active = pick(r, time.Hour, 20*time.Hour, 50*time.Hour)
	c.Batch = pick(r, 1, 3, 10)
	c.Breaker = pick(r, 0, 0, 0, 1, 2, 4)
	c.MaxReceives = pick(r, 8, 12)
	switch {
	case c.Breaker > 0 && r.IntN(10) > 0:
		// Short, for an endpoint on hold is looked at every ten minutes.
		c.Schedule = []time.Duration{5 * time.Second, 5 * time.Minute, pick(r, 10*time.Minute, time.Hour)}
	case r.IntN(4) == 0:
		c.Schedule, _ = retry.ParseSchedule(retry.DefaultSchedule)
		c.MaxReceives = 30
	default:
		c.InFlight = pick(r, 0, 0, 20)
	}
	if r.IntN(6) == 0 {
		// Nothing fails, and all must be in time.
		c.Strict, c.Concurrency, c.InFlight = true, 100, 0
	} else {
		c.Concurrency = pick(r, 1, 3, 10)
		c.Lag = pick(r, 0, 300*time.Millisecond, 2*time.Second)
		c.Slow = pick(r, 0, 0.02, 0.1)
		c.Skew = pick(r, 0, 0, -2*time.Second)
		c.Plan = &Chance{
			Rand: rand.New(rand.NewPCG(seed, 0xbad)), Probability: pick(r, 0.005, 0.02, 0.08, 0.25), Budget: pick(r, 1, 3, 12, 60),
		}
	}
	heard := rand.New(rand.NewPCG(seed, 0x0bea))
	if c.DisableAfter = pick(heard, 0, 0, time.Hour, 10*time.Hour); c.Strict {
		c.DisableAfter = 0
	}
	return c, func(w *World) {
		if heard.IntN(3) == 0 {
			w.Operator(pick(heard, nil, nil, []Answer{{Status: http.StatusInternalServerError}, {Status: http.StatusOK}}, []Answer{{Status: http.StatusInternalServerError}}))
		}
		limits := pick(heard, Endpoint{}, Endpoint{}, Endpoint{Rate: webhook.Rate{Count: 1, Window: 10 * time.Second}}, Endpoint{Concurrency: 1})
		populate(w, r, limits)
		if heard.IntN(3) == 0 {
			var all []Intent
			for range 2 + heard.IntN(4) {
				all = append(all, Intent{
					Tenant: "acme", Type: pick(heard, eventTypes...), Naming: Naming(heard.IntN(5)), Tries: 1 + heard.IntN(4), Wait: time.Minute,
					Repeats: pick(heard, 0, 0, 1),
				})
			}
			w.SendAll(time.Duration(heard.Int64N(int64(time.Hour))), all...)
		}
		if heard.IntN(3) == 0 {
			schedule(w, heard)
		}
		if heard.IntN(4) == 0 {
			at := time.Duration(heard.Int64N(int64(time.Hour)))
			w.SetState(at, "acme", "shop", webhook.EndpointPaused)
			w.SetState(at+time.Duration(heard.Int64N(int64(time.Hour))), "acme", "shop", webhook.EndpointEnabled)
		}
	}
}

// schedule lets a client send events for later, and perhaps take one back.
func schedule(w *World, r *rand.Rand) {
	for range 1 + r.IntN(3) {
		at, later := time.Duration(r.Int64N(int64(time.Minute))), pick(r, 2*time.Second, 90*time.Second, 20*time.Minute, 3*time.Hour, 60*time.Hour)
		w.Send(at, Intent{
			Tenant: "acme", Type: pick(r, eventTypes...), Naming: Naming(r.IntN(5)), Tries: 1 + r.IntN(4), Wait: pick(r, time.Second, time.Minute),
			Repeats: pick(r, 0, 0, 1), Later: later,
		})
		if r.IntN(2) == 0 {
			// Also at the very moment.
			w.TakeBack(at+later-pick(r, later/2, time.Minute, 3*time.Second, 100*time.Millisecond, 0), r.IntN(10))
		}
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

var eventTypes = []webhook.EventType{"order.placed", "order.paid", "user.created"}

// populate fills a world by r, with endpoints that set these limits.
func populate(w *World, r *rand.Rand, limits Endpoint) {
	moment := func() time.Duration {
		return time.Duration(r.Int64N(int64(pick(r, time.Second, time.Minute, w.config.Active/2))))
	}
	var tenants []webhook.TenantID
	var endpoints []Endpoint
	for _, tenant := range []webhook.TenantID{"acme", "bolt"}[:1+r.IntN(2)] {
		tenants = append(tenants, tenant)
		w.Tenant(tenant)
		// Both tenants use the same ids.
		for _, id := range []webhook.EndpointID{"shop", "mail", "crm"}[:1+r.IntN(3)] {
			e := Endpoint{Tenant: tenant, ID: id, Script: script(r), Rate: limits.Rate, Concurrency: limits.Concurrency}
			e.Types = pick(r, nil, nil, []webhook.Pattern{"order.*"}, []webhook.Pattern{"user.created", "order.paid"})
			if r.IntN(10) == 0 {
				e.Scheme = webhook.SchemeEd25519
			}
			if w.config.Breaker > 0 && r.IntN(2) == 0 {
				e.Down = pick(r, time.Minute, time.Hour, 3*time.Hour)
			}
			endpoints = append(endpoints, e)
			w.Endpoint(e)
		}
	}
	for range 1 + r.IntN(5) {
		w.Send(moment(), Intent{
			Tenant: pick(r, tenants...), Type: pick(r, eventTypes...), Naming: Naming(r.IntN(5)),
			Tries: 1 + r.IntN(4), Wait: pick(r, time.Second, 25*time.Second, 40*time.Minute),
			Repeats: pick(r, 0, 0, 1, 3), Twin: r.IntN(5) == 0,
		})
	}
	for range pick(r, 0, 0, 1, 2, 4) {
		operate(w, r, pick(r, endpoints...), moment())
	}
	if r.IntN(8) == 0 {
		w.Poison(moment(), pick(r, "nonsense", `{"v":2}`, `{"v":1}`, ``))
	}
}

// operate lets the operator do one thing, or a thing and what undoes it.
func operate(w *World, r *rand.Rand, e Endpoint, at time.Duration) {
	switch r.IntN(8) {
	case 0:
		w.SetState(at, e.Tenant, e.ID, webhook.EndpointDisabled)
		w.SetState(at+time.Duration(r.Int64N(int64(time.Hour))), e.Tenant, e.ID, webhook.EndpointEnabled)
	case 1:
		w.Delete(at, e.Tenant, e.ID)
	case 2:
		w.Rotate(at, e.Tenant, e.ID)
	case 3:
		w.Subscribe(at, e.Tenant, e.ID, pick(r, webhook.Pattern("user.*"), "order.placed"))
	case 4:
		w.Create(at, Endpoint{Tenant: e.Tenant, ID: webhook.EndpointID(fmt.Sprint("late-", r.Uint32())), Script: script(r)})
	case 5:
		for range 1 + r.IntN(3) {
			w.Redrive(at)
			at += time.Duration(r.Int64N(int64(time.Hour)))
		}
	default:
		for range 1 + r.IntN(3) {
			w.Retry(at, r.IntN(100))
			at += time.Duration(r.Int64N(int64(time.Hour)))
		}
	}
}

// script says how a receiver behaves.
func script(r *rand.Rand) []Answer {
	well := Answer{Status: http.StatusOK}
	bad := pick(r,
		Answer{Status: http.StatusInternalServerError},
		Answer{Status: http.StatusNotFound, After: 3 * time.Second},
		Answer{Status: http.StatusTooManyRequests, RetryAfter: pick(r, 0, time.Minute, time.Hour)},
		Answer{Status: http.StatusFound},
		Answer{Status: http.StatusOK, After: time.Minute},
		Answer{Status: http.StatusOK, Breaks: true},
		Answer{Status: http.StatusBadRequest, Control: webhook.ControlAbort},
	)
	switch r.IntN(6) {
	case 0:
		return []Answer{bad} // for ever
	case 1:
		return []Answer{bad, well}
	case 2:
		return []Answer{bad, bad, bad, well}
	case 3:
		return pick(r, []Answer{{Status: http.StatusGone}}, []Answer{well, {Status: http.StatusGone}}, []Answer{bad, well, bad},
			[]Answer{well, {Status: http.StatusOK, Control: webhook.ControlDisable}})
	}
	return nil
}
