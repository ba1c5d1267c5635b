package replay_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

func rules(t *testing.T, all map[string]func(w *world)) {
	for name, check := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
}

func (w *world) since(age time.Duration) replay.NewJob {
	return replay.NewJob{Kind: replay.Recover, Since: w.now.Add(-age)}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	rules(t, map[string]func(w *world){
		"DeadDeliveriesGetAFreshScheduleThatTheStoreCarries": func(w *world) {
			key := w.dead(time.Hour)
			j := w.start(w.since(2 * time.Hour))
			w.must(w.advance())
			w.wantJob(j, replay.JobDone, 1, 1)
			d := w.delivery(key)
			due := w.now.Add(interval)
			if d.State != webhook.Retrying || d.Spent() != 0 || d.AttemptCount != 8 || d.NextCause != webhook.NextRecover ||
				!d.NextAttemptAt.Equal(due) || !d.HeldUntil.Equal(due) || d.Reason != "" {
				w.t.Fatalf("got %+v", d)
			}
		},
		"OnlyThoseOfTheTimeAndTheTypesAreConcerned": func(w *world) {
			old, right, young := w.dead(3*time.Hour), w.dead(2*time.Hour), w.dead(time.Hour)
			n := w.since(150 * time.Minute)
			n.Until = w.now.Add(-90 * time.Minute)
			j := w.start(n)
			n.EventTypes = []webhook.Pattern{"invoice.*"}
			other := w.start(n)
			w.must(w.advance())
			w.wantJob(j, replay.JobDone, 1, 1)
			w.wantJob(other, replay.JobDone, 0, 0)
			for key, want := range map[webhook.DeliveryKey]webhook.State{old: webhook.Dead, right: webhook.Retrying, young: webhook.Dead} {
				if got := w.delivery(key).State; got != want {
					w.t.Errorf("%s is %s, want %s", key.ID(), got, want)
				}
			}
		},
		"ToRepeatItIsSafe": func(w *world) {
			key := w.dead(time.Hour)
			w.start(w.since(2 * time.Hour))
			again := w.start(w.since(2 * time.Hour))
			w.must(w.advance())
			third := w.start(w.since(2 * time.Hour))
			w.must(w.advance())
			w.wantJob(again, replay.JobDone, 0, 0)
			w.wantJob(third, replay.JobDone, 0, 0)
			if d := w.delivery(key); d.Rev != 2 {
				w.t.Fatalf("the delivery was changed %d times", d.Rev-1)
			}
		},
		"TheRateIsKeptHoweverOftenItIsAdvanced": func(w *world) {
			var keys []webhook.DeliveryKey
			for i := range 700 {
				keys = append(keys, w.dead(time.Duration(i+1)*time.Second))
			}
			n := w.since(2 * time.Hour)
			n.Rate = 5
			j := w.start(n)
			for minute := 0; w.job(j).State == replay.JobRunning; minute++ {
				for range 3 {
					w.must(w.advance())
				}
				if got, most := w.job(j).Changed, 300*(minute+1); got > most {
					w.t.Fatalf("after minute %d, %d were put back", minute, got)
				}
				w.now = w.now.Add(interval)
			}
			w.wantJob(j, replay.JobDone, 700, 700)
			perSecond := map[int64]int{}
			for _, key := range keys {
				perSecond[w.delivery(key).NextAttemptAt.Unix()]++
			}
			for second, count := range perSecond {
				if count > 5 {
					w.t.Errorf("%d are due in second %d", count, second)
				}
			}
		},
		"WhatCannotBeStoredIsFoundAgain": func(w *world) {
			var keys []webhook.DeliveryKey
			for range 30 {
				keys = append(keys, w.dead(time.Hour))
			}
			j := w.start(w.since(2 * time.Hour))
			w.rows.failAt = 12
			if err := w.advance(); err == nil {
				w.t.Fatal("no error")
			}
			w.wantJob(j, replay.JobRunning, 11, 11)
			w.rows.failAt = 0
			w.now = w.now.Add(interval)
			w.must(w.advance())
			w.wantJob(j, replay.JobDone, 30, 30)
			for _, key := range keys {
				if d := w.delivery(key); d.State != webhook.Retrying || d.Rev != 2 {
					w.t.Errorf("%s is %s", key.ID(), d.State)
				}
			}
		},
		"ACrashBeforeTheJobIsStoredPutsNothingBackTwice": func(w *world) {
			key := w.dead(time.Hour)
			j := w.start(w.since(2 * time.Hour))
			before := w.job(j)
			w.must(w.advance())
			before.Rev = w.job(j).Rev // as though that had not been stored
			w.must(w.store.SaveJob(w.t.Context(), before))
			w.must(w.advance())
			w.wantJob(j, replay.JobDone, 0, 0)
			if d := w.delivery(key); d.Rev != 2 {
				w.t.Fatalf("the delivery was changed %d times", d.Rev-1)
			}
		},
		"ACancelledJobGoesNoFurther": func(w *world) {
			for range 100 {
				w.dead(time.Hour)
			}
			n := w.since(2 * time.Hour)
			n.Rate = 1
			j := w.start(n)
			w.must(w.advance())
			w.wantJob(j, replay.JobRunning, 60, 60)
			for range 2 { // the second changes nothing
				cancelled, err := w.jobs.Cancel(w.t.Context(), tenant, j.ID)
				w.must(err)
				if cancelled.State != replay.JobCancelled {
					w.t.Fatalf("got %+v", cancelled)
				}
			}
			w.now = w.now.Add(interval)
			w.must(w.advance())
			w.wantJob(j, replay.JobCancelled, 60, 60)
			if got := w.trail(); !slices.Equal(got, []audit.Action{audit.JobCancelled, audit.JobStarted}) {
				w.t.Errorf("the trail is %v", got)
			}
		},
		"AnEndpointThatIsGoneEndsIt": func(w *world) {
			key := w.dead(time.Hour)
			j := w.start(w.since(2 * time.Hour))
			w.must(w.store.DeleteEndpoint(w.t.Context(), tenant, endpoint))
			w.must(w.advance())
			if j = w.job(j); j.State != replay.JobFailed || j.Reason != webhook.ReasonEndpointDeleted {
				w.t.Errorf("got %+v", j)
			}
			if d := w.delivery(key); d.State != webhook.Dead {
				w.t.Errorf("the delivery is %s", d.State)
			}
		},
		"AnEndpointThatIsDisabledEndsItAndBeginsNone": func(w *world) {
			j := w.start(w.since(2 * time.Hour))
			w.must(w.store.DisableEndpoint(w.t.Context(), tenant, endpoint, webhook.ReasonManual, w.now))
			w.must(w.advance())
			if j = w.job(j); j.State != replay.JobFailed || j.Reason != webhook.ReasonEndpointDisabled {
				w.t.Errorf("got %+v", j)
			}
			n := w.since(time.Hour)
			n.Tenant, n.Endpoint = tenant, endpoint
			if _, err := w.jobs.Start(w.t.Context(), n); !errors.Is(err, replay.ErrDisabled) {
				w.t.Errorf("got error %v", err)
			}
		},
	})
}

func TestReplay(t *testing.T) {
	t.Parallel()
	rules(t, map[string]func(w *world){
		"EventsThatTheEndpointDidNotGetAreDeliveredToIt": func(w *world) {
			missed := w.event(time.Hour, "order.placed", "another")
			got := w.event(time.Hour, "order.placed", endpoint)
			unwanted := w.event(time.Hour, "invoice.paid")
			n := w.since(2 * time.Hour)
			n.Kind = replay.Replay
			j := w.start(n)
			w.must(w.advance())
			w.wantJob(j, replay.JobDone, 1, 1)
			d := w.delivery(webhook.DeliveryKey{Tenant: tenant, Event: missed.Ref, Endpoint: endpoint})
			if d.State != webhook.Queued || d.NextCause != webhook.NextReplay || !d.HeldUntil.Equal(w.now.Add(interval)) || d.Rev != 1 {
				w.t.Errorf("got %+v", d)
			}
			if d := w.delivery(webhook.DeliveryKey{Tenant: tenant, Event: got.Ref, Endpoint: endpoint}); d.Rev != 0 {
				w.t.Errorf("a target's delivery became %+v", d)
			}
			if rows, err := w.store.EventDeliveries(w.t.Context(), tenant, unwanted.Ref); err != nil || len(rows) > 0 {
				w.t.Errorf("of an event that is not wanted: %v, %v", rows, err)
			}
			again := w.start(n)
			w.must(w.advance())
			w.wantJob(again, replay.JobDone, 0, 0)
		},
		"TypesThatAreNamedCountInsteadOfTheEndpoints": func(w *world) {
			w.event(time.Hour, "order.placed")
			w.event(time.Hour, "invoice.paid")
			n := w.since(2 * time.Hour)
			n.Kind, n.EventTypes = replay.Replay, []webhook.Pattern{"*"}
			j := w.start(n)
			w.must(w.advance())
			w.wantJob(j, replay.JobDone, 2, 2)
		},
	})
}

func TestCancelJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := w.dead(time.Hour)
	queued := w.event(time.Hour, "order.placed", endpoint, "another")
	retrying := webhook.NewDelivery(w.event(time.Hour, "order.placed", endpoint), endpoint)
	retrying = retrying.Retry(webhook.Attempt{At: w.now}, w.now.Add(time.Hour), webhook.NextSchedule).Hold(w.now.Add(time.Hour))
	w.must(w.store.SaveDelivery(t.Context(), retrying))
	n := w.since(2 * time.Hour)
	n.Kind = replay.Cancel
	j := w.start(n)
	w.must(w.advance())
	w.wantJob(j, replay.JobDone, 2, 2)
	for key, want := range map[webhook.DeliveryKey]webhook.State{
		dead: webhook.Dead, retrying.DeliveryKey: webhook.Cancelled,
		{Tenant: tenant, Event: queued.Ref, Endpoint: endpoint}:  webhook.Cancelled,
		{Tenant: tenant, Event: queued.Ref, Endpoint: "another"}: webhook.Queued,
	} {
		d := w.delivery(key)
		if d.State != want {
			t.Errorf("%s is %s, want %s", key.ID(), d.State, want)
		}
		if want == webhook.Cancelled && (d.Reason != webhook.ReasonUnwanted || !d.HeldUntil.IsZero()) {
			t.Errorf("got %+v", d)
		}
	}
}

func TestADryRunCountsAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 300 {
		w.dead(time.Hour)
	}
	w.event(time.Hour, "order.placed")
	for kind, want := range map[replay.Kind]int{replay.Recover: 300, replay.Replay: 1, replay.Cancel: 0} {
		n := w.since(2 * time.Hour)
		n.Tenant, n.Endpoint, n.Kind = tenant, endpoint, kind
		got, err := w.jobs.DryRun(t.Context(), n)
		if err != nil || got != (replay.Count{Matched: want, Complete: true}) {
			t.Errorf("%s: %+v, %v; want %d", kind, got, err, want)
		}
	}
	jobs, _, err := w.jobs.List(t.Context(), tenant, webhook.Page{Limit: 10})
	if err != nil || len(jobs) > 0 || len(w.trail()) > 0 {
		t.Errorf("it left %v, %v, %v", jobs, w.trail(), err)
	}
}

func TestWhatIsWrongWithAJobIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for field, change := range map[string]func(n *replay.NewJob){
		"since":       func(n *replay.NewJob) { n.Since = time.Time{} },
		"since ":      func(n *replay.NewJob) { n.Since = w.now },
		"rate":        func(n *replay.NewJob) { n.Rate = replay.MaxJobRate + 1 },
		"rate ":       func(n *replay.NewJob) { n.Rate = -1 },
		"event_types": func(n *replay.NewJob) { n.EventTypes = []webhook.Pattern{"a b"} },
	} {
		n := w.since(time.Hour)
		n.Tenant, n.Endpoint = tenant, endpoint
		change(&n)
		_, err := w.jobs.Start(t.Context(), n)
		if bad, ok := errors.AsType[*webhook.Invalid](err); !ok || bad.Field != field && bad.Field+" " != field {
			t.Errorf("%s: got error %v", field, err)
		}
	}
	n := w.since(time.Hour)
	n.Tenant, n.Endpoint = tenant, "nobody"
	if _, err := w.jobs.Start(t.Context(), n); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("of no endpoint: %v", err)
	}
}

func TestATenantHasFewJobsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.since(time.Hour)
	var last replay.Job
	for range replay.MaxRunning {
		last = w.start(n)
	}
	n.Tenant, n.Endpoint = tenant, endpoint
	if _, err := w.jobs.Start(t.Context(), n); !errors.Is(err, webhook.ErrFull) {
		t.Fatalf("got error %v", err)
	}
	_, err := w.jobs.Cancel(t.Context(), tenant, last.ID)
	w.must(err)
	w.start(n)
}

func TestCancelEndsWhatIsPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.event(time.Minute, "order.placed", endpoint)
	key := webhook.DeliveryKey{Tenant: tenant, Event: e.Ref, Endpoint: endpoint}
	replayer := w.replayer()
	for range 2 { // the second changes nothing
		d, err := replayer.Cancel(t.Context(), key)
		if err != nil || d.State != webhook.Cancelled || d.Reason != webhook.ReasonUnwanted {
			t.Fatalf("got %+v, %v", d, err)
		}
	}
	if got := fmt.Sprint(w.trail()); got != "[delivery.cancelled]" {
		t.Errorf("the trail is %s", got)
	}
	if _, err := replayer.Retry(t.Context(), key); !errors.Is(err, replay.ErrCancelled) {
		t.Errorf("a retry: %v", err)
	}
	if _, err := replayer.Cancel(t.Context(), w.dead(time.Hour)); !errors.Is(err, replay.ErrSettled) {
		t.Errorf("of a dead one: %v", err)
	}
}

func TestAReplayKeepsToTheEndpointsFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bodied := func(age time.Duration, data string) webhook.DeliveryKey {
		e := w.event(age, "order.placed")
		e.Body = []byte(`{"type":"order.placed","data":` + data + `}`)
		w.must(w.store.PutEvents(t.Context(), []webhook.Event{e}))
		return webhook.DeliveryKey{Tenant: tenant, Event: e.Ref, Endpoint: endpoint}
	}
	wanted, unwanted, unclear := bodied(3*time.Minute, `{"n":2}`), bodied(2*time.Minute, `{"n":1}`), bodied(time.Minute, `{}`)
	e, err := w.store.Endpoint(t.Context(), tenant, endpoint)
	w.must(err)
	e.Filter = `data.n == 2`
	w.must(w.store.UpdateEndpoint(t.Context(), e))
	n := w.since(time.Hour)
	n.Kind, n.Tenant, n.Endpoint = replay.Replay, tenant, endpoint
	if counted, err := w.jobs.DryRun(t.Context(), n); err != nil || counted.Matched != 2 {
		t.Errorf("the dry run counts %+v, %v", counted, err)
	}
	j := w.start(n)
	w.must(w.advance())
	w.wantJob(j, replay.JobDone, 2, 2)
	if d := w.delivery(wanted); d.State != webhook.Queued || d.NextCause != webhook.NextReplay || d.AttemptCount != 0 {
		t.Errorf("wanted: %+v", d)
	}
	if _, err := w.store.Delivery(t.Context(), unwanted); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("unwanted: %v", err)
	}
	d := w.delivery(unclear)
	if d.State != webhook.Queued || d.NextCause != webhook.NextReplay || d.AttemptCount != 1 || d.Spent() != 0 || d.Attempts[0].Reason != webhook.ReasonFilterFailed {
		t.Errorf("unclear: %+v", d)
	}
	if !d.Undecided(webhook.Event{}) {
		t.Error("it would be sent without asking again")
	}
}
