package sqlite

import (
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

func TestWhatWaitsForAnEndpointFallsDueOnceItIsBack(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := openAt(t, Config{Path: Memory, Now: func() time.Time { return now }})
	ctx := t.Context()
	_, _, err := s.PutTenant(ctx, webhook.Tenant{ID: "t", CreatedAt: now})
	must(t, err)
	for _, id := range []webhook.EndpointID{"back", "down"} {
		must(t, s.CreateEndpoint(ctx, webhook.Endpoint{Tenant: "t", ID: id}))
		must(t, s.SaveHealth(ctx, "t", id, webhook.Health{FailingSince: now, OpenedAt: now}))
	}
	save := func(endpoint webhook.EndpointID, change func(webhook.Delivery) webhook.Delivery) {
		t.Helper()
		must(t, s.SaveDelivery(ctx, change(webhook.NewDelivery(newEvent(now, endpoint), endpoint))))
	}
	const parked = 20
	wait := func(d webhook.Delivery) webhook.Delivery {
		return d.Park(now.Add(time.Minute), now, webhook.NextBreaker)
	}
	for range parked {
		save("back", wait)
	}
	save("down", wait)
	save("back", func(d webhook.Delivery) webhook.Delivery { return wait(d).Hold(now.Add(webhook.ResendAfter)) }) // its message is on its way
	save("back", func(d webhook.Delivery) webhook.Delivery {
		return d.Retry(webhook.Attempt{At: now}, now.Add(time.Hour), webhook.NextSchedule).Hold(now.Add(time.Hour))
	})
	until := now
	look := func() []webhook.Delivery {
		t.Helper()
		until = until.Add(time.Second)
		held, err := s.Held(ctx, until, 2*parked)
		must(t, err)
		return held
	}
	must(t, s.SaveHealth(ctx, "t", "back", webhook.Health{Rev: 1}))
	held := look()
	if len(held) != parked {
		t.Errorf("%d deliveries are due, want the %d that were on hold for the endpoint that is back", len(held), parked)
	}
	for _, d := range held {
		if d.Endpoint != "back" || !d.NextAttemptAt.Equal(now) {
			t.Fatalf("%s is due, and its next attempt at %s", d.ID(), d.NextAttemptAt)
		}
	}
	save("back", wait) // by one that had not heard
	if held = look(); len(held) != parked+1 {
		t.Errorf("%d deliveries are due, want %d", len(held), parked+1)
	}
	save("back", func(d webhook.Delivery) webhook.Delivery {
		return d.Park(now.Add(time.Minute), now, webhook.NextTurn) // it is not its turn
	})
	must(t, s.SaveHealth(ctx, "t", "back", webhook.Health{Rev: 2, FailingSince: now, OpenedAt: now}))
	save("back", wait)
	if held = look(); len(held) != parked+1 {
		t.Errorf("%d deliveries are due to an endpoint that is down again, want %d", len(held), parked+1)
	}
}

func TestWhatWaitsFallsDueAFewLooksWorthAtATime(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := openAt(t, Config{Path: Memory, Now: func() time.Time { return now }})
	ctx := t.Context()
	_, _, err := s.PutTenant(ctx, webhook.Tenant{ID: "t", CreatedAt: now})
	must(t, err)
	e := webhook.Endpoint{Tenant: "t", ID: "ep", State: webhook.EndpointPaused}
	must(t, s.CreateEndpoint(ctx, e))
	const parked = 2*hastenMost + 100
	for range parked {
		d := webhook.NewDelivery(newEvent(now, e.ID), e.ID).Park(now.Add(time.Hour), now, webhook.NextPaused)
		must(t, s.SaveDelivery(ctx, d))
	}
	held := func(want int) []webhook.Delivery {
		t.Helper()
		due, err := s.Held(ctx, now, parked)
		must(t, err)
		if len(due) != want {
			t.Fatalf("%d deliveries are due, want %d", len(due), want)
		}
		return due
	}
	send := func(due []webhook.Delivery) {
		t.Helper()
		for _, d := range due {
			must(t, s.SaveDelivery(ctx, d.Hold(now.Add(webhook.ResendAfter))))
		}
	}
	change := func(state webhook.EndpointState) {
		t.Helper()
		e.Rev, e.State = e.Rev+1, state
		must(t, s.UpdateEndpoint(ctx, e))
	}
	change(webhook.EndpointEnabled)
	send(held(hastenMost)[:100])
	held(hastenMost - 100) // it is the same look
	now = now.Add(2 * lately)
	send(held(hastenMost))
	change(webhook.EndpointPaused)
	now = now.Add(time.Second)
	held(0)
	change(webhook.EndpointEnabled)
	send(held(hastenMost))
	for range 2 { // the first comes too soon to forget the endpoint
		now = now.Add(2 * lately)
		send(held(0))
	}
	if len(s.back.endpoints) > 0 {
		t.Error("an endpoint for which nothing is on hold is still looked after")
	}
}

func TestWhatWaitsForAPausedEndpointFallsDueOnceItIsResumed(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := openAt(t, Config{Path: Memory, Now: func() time.Time { return now }})
	ctx := t.Context()
	_, _, err := s.PutTenant(ctx, webhook.Tenant{ID: "t", CreatedAt: now})
	must(t, err)
	e := webhook.Endpoint{Tenant: "t", ID: "ep", State: webhook.EndpointPaused}
	must(t, s.CreateEndpoint(ctx, e))
	d := webhook.NewDelivery(newEvent(now, e.ID), e.ID).Park(now.Add(10*time.Minute), now, webhook.NextPaused)
	must(t, s.SaveDelivery(ctx, d))
	for rev, state := range []webhook.EndpointState{webhook.EndpointPaused, webhook.EndpointEnabled} {
		e.State, e.Rev = state, int64(rev)+1
		must(t, s.UpdateEndpoint(ctx, e))
		held, err := s.Held(ctx, now, 10)
		must(t, err)
		if want := rev; len(held) != want {
			t.Errorf("%s: %d deliveries are due, want %d", state, len(held), want)
		}
	}
}
