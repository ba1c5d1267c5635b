package simulate_test

import (
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"webhookrelay/infra/simulate"
	"webhookrelay/shared/webhook"
)

// scenario is a small world in which every single fault, and for small ones
// every pair of faults, is tried.
type scenario struct {
	name string
	// pairs: also every pair, when that is asked for.
	pairs bool
	// dies: a delivery becomes a dead letter, and every kind of redrive is tried.
	dies   bool
	config simulate.Config
	build  func(w *simulate.World)
}

var (
	ok       = simulate.Answer{Status: 200}
	fails    = simulate.Answer{Status: 500}
	gone     = simulate.Answer{Status: 410}
	slowDown = simulate.Answer{Status: 429}
	patient  = simulate.Answer{Status: 503, RetryAfter: 12 * time.Hour}
	hangs    = simulate.Answer{Status: 200, After: time.Minute}
	breaks   = simulate.Answer{Status: 200, Breaks: true}
	aborts   = simulate.Answer{Status: 400, Control: webhook.ControlAbort}
	stops    = simulate.Answer{Status: 200, Control: webhook.ControlDisable}
)

func one(w *simulate.World, script ...simulate.Answer) {
	w.Tenant("acme")
	w.Endpoint(simulate.Endpoint{Tenant: "acme", ID: "shop", Script: script})
}

func order(naming simulate.Naming, tries, repeats int) simulate.Intent {
	return simulate.Intent{Tenant: "acme", Type: "order.placed", Naming: naming, Tries: tries, Repeats: repeats, Wait: time.Minute}
}

func change(w *simulate.World, after time.Duration, state webhook.EndpointState) {
	w.SetState(after, "acme", "shop", state)
}

var (
	short = []time.Duration{5 * time.Second}
	long  = []time.Duration{time.Hour, time.Hour, time.Hour, 10 * time.Hour, 10 * time.Hour, 10 * time.Hour, 10 * time.Hour, 10 * time.Hour, 10 * time.Hour, 10 * time.Hour}
)

var scenarios = []scenario{
	{name: "AnEventIsDelivered", pairs: true, build: func(w *simulate.World) {
		one(w)
		w.Send(0, order(simulate.Unnamed, 2, 0))
	}},
	{name: "ARepeatByKeyFindsItsEvent", pairs: true, build: func(w *simulate.World) {
		one(w)
		w.Send(0, order(simulate.ByKey, 3, 1))
	}},
	{name: "ARepeatByIDAndKeyFindsItsEvent", build: func(w *simulate.World) {
		one(w)
		w.Send(0, order(simulate.ByBoth, 3, 1))
	}},
	{name: "ANewKeyPerTryFindsTheEventByItsID", pairs: true, build: func(w *simulate.World) {
		one(w)
		w.Send(0, order(simulate.ByIDWithNewKeys, 3, 1))
	}},
	{name: "TwoThreadsWithOneKeyMakeOneEvent", pairs: true, build: func(w *simulate.World) {
		one(w)
		twin := order(simulate.ByKey, 3, 0)
		twin.Twin = true
		w.Send(0, twin)
	}},
	{name: "AFailureIsRetriedThenDelivered", pairs: true, config: simulate.Config{Schedule: short}, build: func(w *simulate.World) {
		one(w, fails, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
	}},
	{name: "ALongWaitIsHeldByTheStore", config: simulate.Config{Schedule: []time.Duration{13 * time.Hour}}, build: func(w *simulate.World) {
		one(w, slowDown, fails)
		w.Send(0, order(simulate.Unnamed, 2, 0))
	}},
	{name: "AnExhaustedDeliveryIsADeadLetterAndIsRedriven", dies: true, pairs: true, config: simulate.Config{Schedule: short, MaxReceives: 5}, build: func(w *simulate.World) {
		one(w, fails, fails, fails, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Redrive(time.Hour)
	}},
	{name: "A410DisablesAndTheNextEventHasNoTarget", dies: true, config: simulate.Config{MaxReceives: 4}, build: func(w *simulate.World) {
		one(w, gone)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Send(time.Minute, order(simulate.ByKey, 2, 1))
	}},
	{name: "AnAnswerThatIsLateOrLostIsRetried", build: func(w *simulate.World) {
		one(w, hangs, breaks, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
	}},
	{name: "ADisabledEndpointKeepsItsEventsAsDeadLetters", dies: true, config: simulate.Config{MaxReceives: 5}, build: func(w *simulate.World) {
		one(w, fails, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		change(w, time.Second, webhook.EndpointDisabled)
		change(w, time.Hour, webhook.EndpointEnabled)
		w.Redrive(2 * time.Hour)
	}},
	{name: "ADeletedEndpointCancels", build: func(w *simulate.World) {
		one(w, fails, fails, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Delete(time.Minute, "acme", "shop")
		w.Retry(2*time.Minute, 0)
	}},
	{name: "ADeliveryIsRetriedByHand", dies: true, pairs: true, config: simulate.Config{Schedule: short, MaxReceives: 4}, build: func(w *simulate.World) {
		one(w, fails, fails, fails, fails, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Retry(2*time.Second, 0) // retrying
		w.Retry(time.Hour, 0)     // dead
		w.Retry(2*time.Hour, 0)   // delivered
	}},
	{name: "ABatchForManyEndpointsOfTwoTenants", build: func(w *simulate.World) {
		one(w, fails, ok)
		w.Endpoint(simulate.Endpoint{Tenant: "acme", ID: "mail", Types: []webhook.Pattern{"order.*"}})
		w.Endpoint(simulate.Endpoint{Tenant: "acme", ID: "users", Types: []webhook.Pattern{"user.*"}})
		w.Tenant("bolt")
		w.Endpoint(simulate.Endpoint{Tenant: "bolt", ID: "shop", Script: []simulate.Answer{hangs, ok}})
		w.Send(0, order(simulate.ByID, 2, 0))
		w.Send(0, simulate.Intent{Tenant: "bolt", Type: "user.created", Tries: 2, Wait: time.Second})
	}},
	{name: "ASecretIsRotatedBetweenTwoAttempts", build: func(w *simulate.World) {
		one(w, fails, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Rotate(2*time.Second, "acme", "shop")
		w.Send(13*time.Hour, order(simulate.Unnamed, 2, 0))
	}},
	{name: "WaitsThatTakeLongerThanAMessageLivesLoseNothing", config: simulate.Config{Schedule: long, MaxReceives: 5}, build: func(w *simulate.World) {
		one(w, patient)
		w.Send(0, order(simulate.Unnamed, 2, 0))
	}},
	{name: "AnOpenBreakerHoldsAndAProbeReleases", pairs: true, config: simulate.Config{Breaker: 2}, build: func(w *simulate.World) {
		w.Tenant("acme")
		w.Endpoint(simulate.Endpoint{Tenant: "acme", ID: "shop", Down: time.Minute})
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Send(20*time.Second, order(simulate.Unnamed, 2, 0))
	}},
	{name: "WhatIsOnHoldForTooLongIsADeadLetter", dies: true, config: simulate.Config{Breaker: 1, Schedule: short, MaxReceives: 5}, build: func(w *simulate.World) {
		w.Tenant("acme")
		w.Endpoint(simulate.Endpoint{Tenant: "acme", ID: "shop", Down: time.Hour})
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Retry(time.Second, 0)
		w.Redrive(30 * time.Minute) // the breaker is open
		w.Redrive(2 * time.Hour)
	}},
	{name: "AnEndpointThatIsDeletedOrDisabledWhileItsBreakerIsOpen", dies: true, config: simulate.Config{Breaker: 1, MaxReceives: 5}, build: func(w *simulate.World) {
		w.Tenant("acme")
		for _, id := range []webhook.EndpointID{"shop", "mail"} {
			w.Endpoint(simulate.Endpoint{Tenant: "acme", ID: id, Down: time.Hour})
		}
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Delete(time.Minute, "acme", "mail")
		change(w, time.Minute, webhook.EndpointDisabled)
		change(w, 2*time.Hour, webhook.EndpointEnabled)
		w.Redrive(3 * time.Hour)
	}},
	{name: "APausedEndpointKeepsItsEventsUntilItIsResumed", pairs: true, config: simulate.Config{Schedule: short}, build: func(w *simulate.World) {
		one(w, fails, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		change(w, 2*time.Second, webhook.EndpointPaused) // between the two attempts
		w.Send(time.Minute, order(simulate.ByKey, 3, 1))
		change(w, 20*time.Minute, webhook.EndpointEnabled)
	}},
	{name: "AnEndpointsRateHoldsBackAndLosesNothing", build: func(w *simulate.World) {
		w.Tenant("acme")
		w.Endpoint(simulate.Endpoint{Tenant: "acme", ID: "shop", Rate: webhook.Rate{Count: 1, Window: 20 * time.Second}, Script: []simulate.Answer{fails, ok}})
		for range 4 {
			w.Send(0, order(simulate.Unnamed, 2, 0))
		}
	}},
	{name: "ABatchIsAcceptedEachForItself", pairs: true, build: func(w *simulate.World) {
		one(w)
		w.SendAll(0, order(simulate.Unnamed, 2, 0), order(simulate.ByKey, 3, 1), order(simulate.ByID, 3, 0))
	}},
	{name: "AScheduledEventArrivesAtItsTime", pairs: true, build: func(w *simulate.World) {
		one(w, fails, ok)
		later := order(simulate.ByKey, 3, 1)
		later.Later = 10 * time.Minute
		w.Send(0, later)
	}},
	{name: "AScheduledEventIsTakenBack", pairs: true, build: func(w *simulate.World) {
		one(w)
		w.Endpoint(simulate.Endpoint{Tenant: "acme", ID: "mail"})
		later := order(simulate.Unnamed, 2, 0)
		later.Later = 9*time.Minute + 40*time.Second
		w.Send(0, later)
		w.TakeBack(9*time.Minute+20*time.Second, 0) // its messages are in the queue by then
	}},
	{name: "AScheduledEventIsSentAndTakenBackAtOnce", build: func(w *simulate.World) {
		one(w)
		later := order(simulate.Unnamed, 2, 0)
		later.Later = 9*time.Minute + 40*time.Second
		w.Send(0, later)
		w.TakeBack(later.Later-50*time.Millisecond, 0)
	}},
	{name: "TheOperatorHearsOfADeath", dies: true, config: simulate.Config{Schedule: short}, build: func(w *simulate.World) {
		w.Operator(nil)
		one(w, fails, aborts, fails, ok)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Redrive(time.Hour)
		w.Redrive(2 * time.Hour)
	}},
	{name: "TheOperatorIsWarnedAndThenTheEndpointIsDisabled", dies: true, config: simulate.Config{
		Schedule: []time.Duration{10 * time.Minute, 20 * time.Minute, 25 * time.Minute, 10 * time.Minute}, DisableAfter: time.Hour,
	}, build: func(w *simulate.World) {
		w.Operator([]simulate.Answer{fails, ok})
		one(w, fails)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		change(w, 10*time.Hour, webhook.EndpointEnabled)
	}},
	{name: "TheOperatorHearsOfARecoveryAndOfAStop", config: simulate.Config{
		Schedule: []time.Duration{10 * time.Minute, 20 * time.Minute}, DisableAfter: 2 * time.Hour,
	}, build: func(w *simulate.World) {
		w.Operator(nil)
		one(w, fails, fails, ok, stops)
		w.Send(0, order(simulate.Unnamed, 2, 0))
		w.Send(2*time.Hour, order(simulate.Unnamed, 2, 0))
	}},
	{name: "TheOperatorsOwnFailuresAreNotAnnounced", dies: true, config: simulate.Config{
		Schedule: []time.Duration{10 * time.Minute, 20 * time.Minute}, DisableAfter: time.Hour,
	}, build: func(w *simulate.World) {
		w.Operator([]simulate.Answer{fails})
		one(w, aborts)
		w.Send(0, order(simulate.Unnamed, 2, 0))
	}},
	{name: "WhatCannotBeReadIsADeadLetter", config: simulate.Config{MaxReceives: 3}, build: func(w *simulate.World) {
		one(w)
		w.Poison(0, "nonsense")
		w.Poison(0, `{"v":2}`)
		w.Send(0, order(simulate.Unnamed, 2, 0))
	}},
}

func run(t *testing.T, c simulate.Config, build func(w *simulate.World)) (r simulate.Report, calls []*simulate.Op) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		c.Settled, c.Pass = synctest.Wait, time.Sleep
		w := simulate.New(c)
		build(w)
		r = w.Run()
		calls = w.Calls
	})
	return r, calls
}

// TestEveryFault strikes each call of each scenario with each fault it can
// have, and each pair of calls of the first. With
// -pairs it strikes each pair of calls of all small ones, which takes minutes.
func TestEveryFault(t *testing.T) {
	var runs atomic.Int64
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.config.Strict, s.config.Heal = true, true
				runs.Add(s.everyFault(t, simulate.Pinned{}, s.pairs && *pairs || s.name == scenarios[0].name))
				if s.dies {
					for _, move := range []simulate.Move{simulate.MoveCounting, simulate.MoveKeeping} {
						s.config.Move = move
						runs.Add(s.everyFault(t, simulate.Pinned{}, false))
					}
				}
			})
		}
	})
	t.Logf("%d runs", runs.Load())
}

// everyFault runs s with the faults that are pinned, then with each one more
// that comes after them, and so on where deeper.
func (s scenario) everyFault(t *testing.T, pinned simulate.Pinned, deeper bool) (runs int64) {
	t.Helper()
	s.config.Plan = pinned
	r, calls := run(t, s.config, s.build)
	if len(r.Violations) > 0 {
		s.config.Trace = func(line string) { t.Log(line) }
		run(t, s.config, s.build)
		t.Fatalf("with %v: %+v", pinned, r.Violations)
	}
	runs++
	if len(pinned) == 2 || len(pinned) == 1 && !deeper {
		return runs
	}
	from := 0
	for call := range pinned {
		from = call + 1
	}
	for call := from; call < len(calls); call++ {
		for _, fault := range calls[call].Faults {
			next := simulate.Pinned{call: fault}
			maps.Copy(next, pinned)
			runs += s.everyFault(t, next, deeper)
		}
	}
	return runs
}
