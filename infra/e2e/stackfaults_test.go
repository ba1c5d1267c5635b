package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"webhookrelay/infra/faultproxy"
)

// afterKill is how long the messages of a killed dispatcher stay hidden. It is
// longer than any batch of these tests takes undisturbed.
const afterKill = 20 * time.Second

// Dispatchers that are killed while endpoints are answering them, and ingest
// with them once, lose nothing. What arrives again was posted and not recorded.
func TestStackLosesNothingWhenItsFunctionsAreKilled(t *testing.T) {
	s := newStack(t)
	const rounds, events, refusals, withdrawals = 6, 300, 3, 3
	s.hideFor(t, afterKill)
	l := newLedger(t, s)
	l.withdraw(t, withdrawals)
	l.load(t, refused, refusals)

	var posters sync.WaitGroup
	posters.Go(func() { l.load(t, placed, events) })
	killed := 0
	for round := range rounds {
		l.awaitAccepted(t, events*(round+1)/(rounds+2))
		release := make(chan struct{})
		l.steady.answers(answer{hold: release})
		before := l.steady.awaitHeld(t)
		killed += s.kill(t, dispatcherFunction)
		if round == rounds/2 {
			killed += s.kill(t, ingestFunction)
		}
		eventually(t, patience, func() (bool, string) {
			return l.steady.countCut() > before, "no dispatcher was killed that was posting"
		})
		l.steady.answers(status(200))
		close(release)
	}
	posters.Wait()
	result := l.account(t)
	_, answers := l.answers()
	t.Logf("%d processes killed in %d rounds; %d events accepted, turned away: %s. %s", killed, rounds, l.countAccepted(), answers, result)
}

// awaitHeld returns once a POST waits for its answer, and says how many were
// cut off until then.
func (h *hook) awaitHeld(t testing.TB) (cut int) {
	t.Helper()
	eventually(t, patience, func() (bool, string) {
		for _, a := range h.got() {
			if a.answered == 0 && !a.cut {
				return true, ""
			}
		}
		return false, "no POST is under way"
	})
	return h.countCut()
}

func (h *hook) countCut() (n int) {
	for _, a := range h.got() {
		if a.cut {
			n++
		}
	}
	return n
}

// The table, then the queue, fails in every way that there is, for as long as
// it takes to be noticed. Meanwhile events are turned away, or accepted and kept.
func TestStackLosesNothingWhenTableAndQueueFail(t *testing.T) {
	s := newStack(t)
	const events, refusals, withdrawals = 20, 3, 3
	proxy, err := faultproxy.Start(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	s.reroute(t, proxy.URL)
	s.hideFor(t, afterKill)
	l := newLedger(t, s)
	l.withdraw(t, withdrawals)
	l.load(t, refused, refusals)
	l.load(t, placed, events)

	var report strings.Builder
	for _, service := range []faultproxy.Service{faultproxy.DynamoDB, faultproxy.SQS} {
		for _, f := range []faultproxy.Fault{
			{Service: service, Kind: faultproxy.Fail, Share: 1},
			{Service: service, Kind: faultproxy.Throttle, Share: 1},
			{Service: service, Kind: faultproxy.Cut, Share: 1},
			{Service: service, Kind: faultproxy.Hang, Share: 1},
			{Service: service, Kind: faultproxy.Cut, Share: 0.2},
			{Service: service, Kind: faultproxy.LoseAnswer, Share: 0.2},
		} {
			began := time.Now()
			struck, turnedAway := l.under(t, proxy, f, events)
			fmt.Fprintf(&report, "\n  %-26s %4.1f s, struck %v, turned away %d", f, time.Since(began).Seconds(), struck, turnedAway)
		}
	}
	result := l.account(t)
	_, answers := l.answers()
	t.Logf("%d events accepted, turned away: %s. %s%s", l.countAccepted(), answers, result, report.String())
}

// under posts events, so many at a time, while a fault lasts: until it has
// struck and, if it strikes every call, the relay has turned events away. It
// returns when all are accepted.
func (l *ledger) under(t testing.TB, proxy *faultproxy.Proxy, f faultproxy.Fault, events int) (struck map[string]int, turnedAway int) {
	t.Helper()
	before, _ := l.answers()
	proxy.Strike(f)
	defer proxy.Heal()
	if f.Share == 1 {
		l.outages++
		l.down.Store(l.outages)
	}
	noticed := func() (bool, string) {
		const enough = 5 // calls struck
		calls := 0
		struck = proxy.Struck()
		for _, n := range struck {
			calls += n
		}
		after, _ := l.answers()
		turnedAway = after - before
		return calls >= enough && (turnedAway > 0 || f.Share < 1), fmt.Sprintf("%s: struck %v, turned away %d", f, struck, turnedAway)
	}
	if f.Share < 1 { // events get through, each with as many calls as the relay makes of it
		eventually(t, patience, func() (bool, string) {
			l.load(t, placed, events)
			return noticed()
		})
		return struck, turnedAway
	}
	var posters sync.WaitGroup
	posters.Go(func() { l.load(t, placed, events) })
	eventually(t, patience, noticed)
	l.down.Store(0)
	proxy.Heal()
	posters.Wait()
	return struck, turnedAway
}

// An endpoint that hangs, with more deliveries waiting than are made at once,
// holds up no other, and is left alone before most of them are posted.
func TestStackDeliversBesideAnEndpointThatHangs(t *testing.T) {
	newStack(t)
	const queued, events = 120, 50
	n := newTenant(t)
	hanging, well := newHook(t, answer{hold: make(chan struct{})}), newHook(t)
	stuck := n.subscribe(t, hanging, "hanging")
	n.subscribe(t, well, "well")
	for i := range queued {
		n.post(t, "hanging", fmt.Sprint(i))
	}
	hanging.await(t, 1)
	began := time.Now()
	missing := make(map[string]bool)
	for i := range events {
		missing[n.post(t, "well", fmt.Sprint(i)).ID] = true
	}
	eventually(t, patience, func() (bool, string) {
		for _, a := range well.got() {
			delete(missing, a.id)
		}
		return len(missing) == 0, fmt.Sprintf("%d of %d events have not arrived", len(missing), events)
	})
	took := time.Since(began)
	n.awaitOnHold(t, stuck.ID, queued)
	posts := len(hanging.got())
	// Five batches of ten are under way before the first attempt ends; what else
	// is posted probes.
	if posts > queued*2/3 {
		t.Errorf("%d deliveries of %d were posted to the endpoint that hangs", posts, queued)
	}
	t.Logf("%d events delivered within %.1f s; %d POSTs for %d events to the endpoint that hangs", events, took.Seconds(), posts, queued)
}

// Messages that no relay of this version wrote, or that name what is not there,
// end in the dead-letter queue, and the others are delivered among them.
func TestStackSetsAsideMessagesThatNameNoDelivery(t *testing.T) {
	s := newStack(t)
	s.hideFor(t, time.Second) // as often as it takes to use up the receives
	n, stranger := newTenant(t), newTenant(t)
	h, strange := newHook(t), newHook(t)
	e := n.subscribe(t, h)
	stranger.subscribe(t, strange)
	a := n.post(t, placed, `0`)
	ref := strings.TrimSuffix(strings.TrimPrefix(n.awaitState(t, a.ID, e.ID, "delivered").ID, "dlv_"), "_"+e.ID)
	ids := map[string]bool{a.ID: true}

	mark := randomName("poison")
	poison := map[string]string{ // by body
		"not json " + mark:     "NotJSON",
		`{"x":"` + mark + `"}`: "NoVersion",
		`{"v":1,"tenant":"` + mark + `","event":"","endpoint":""}`:                  "NoDelivery",
		`{"v":"1","tenant":"` + mark + `"}`:                                         "AVersionThatIsNoNumber",
		fmt.Sprintf(`{"v":99,"tenant":%q,"mark":%q}`, n.id, mark):                   "AnUnknownVersion",
		message(stranger.id, ref, e.ID):                                             "AnotherTenantsEvent",
		message(mark, ref, e.ID):                                                    "AnUnknownTenant",
		message(n.id, ref, e.ID) + mark:                                             "SomethingBehindAMessage",
		mark + strings.Repeat("x", 16<<10-len(mark)):                                "AsLargeAsTheQueueTakes",
		message(mark, ref, strings.Repeat("e", 16<<10-len(message(mark, ref, "")))): "AMessageAsLargeAsTheQueueTakes",
	}
	i := 0
	for body := range poison {
		s.send(t, body)
		for range 4 {
			i++
			ids[n.post(t, placed, fmt.Sprint(i)).ID] = true
		}
	}
	eventually(t, patience, func() (bool, string) {
		missing := len(ids)
		arrived := map[string]bool{}
		for _, a := range h.got() {
			if ids[a.id] && !arrived[a.id] {
				arrived[a.id] = true
				missing--
			}
		}
		return missing == 0, fmt.Sprintf("%d of %d good events have not arrived", missing, len(ids))
	})
	eventually(t, patience, func() (bool, string) {
		for _, m := range s.deadLetters(t) {
			if _, ours := poison[*m.Body]; ours {
				s.deleteDeadLetter(t, m)
				delete(poison, *m.Body)
			}
		}
		var left []string
		for _, rule := range poison {
			left = append(left, rule)
		}
		return len(left) == 0, fmt.Sprintf("not in the dead-letter queue: %v", left)
	})
	h.await(t, len(ids))
	if got := strange.got(); len(got) > 0 {
		t.Errorf("the other tenant's endpoint got %s", got[0].id)
	}
	t.Logf("%d good events in %d POSTs", len(ids), len(h.got()))
}

// message is a queue message as the relay writes it.
func message(tenant, ref, endpoint string) string {
	return fmt.Sprintf(`{"v":1,"tenant":%q,"event":%q,"endpoint":%q}`, tenant, ref, endpoint)
}

// A deployment that changes all functions, while events are posted and delivered,
// loses nothing and turns nothing away for good. A changed parameter reaches what
// runs, be it that functions are invoked themselves or by versions (Rollout).
func TestStackLosesNothingWhenItIsUpdatedUnderTraffic(t *testing.T) {
	s := newStack(t)
	const refusals, withdrawals = 3, 3
	s.hideFor(t, afterKill)
	l := newLedger(t, s)
	l.withdraw(t, withdrawals)
	l.load(t, refused, refusals)

	ended := make(chan struct{})
	var posters sync.WaitGroup
	posters.Go(func() {
		for {
			l.load(t, placed, 20)
			select {
			case <-ended:
				l.load(t, placed, 20) // by the new versions alone
				return
			default:
			}
		}
	})
	l.awaitAccepted(t, 20)
	began, accepted := time.Now(), l.countAccepted()
	out, err := s.update(t, "MemorySize=320 RetrySchedule=1s,2s,4s")
	took, meanwhile := time.Since(began), l.countAccepted()-accepted
	close(ended)
	posters.Wait()
	if err != nil {
		t.Fatalf("the update failed: %v\n%s", err, out)
	}
	for _, function := range []string{ingestFunction, dispatcherFunction} {
		if !s.runsWith(t, function, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=320") {
			t.Errorf("%s: no changed process was started", function)
		}
		if s.byVersion() == s.runsWith(t, function, "AWS_LAMBDA_FUNCTION_VERSION=$LATEST") {
			t.Errorf("%s: invoked by version should be %t", function, s.byVersion())
		}
	}
	if !s.runsWith(t, dispatcherFunction, "RELAY_RETRY_SCHEDULE=1s,2s,4s") {
		t.Error("the dispatcher does not run with the new schedule")
	}
	if meanwhile == 0 {
		t.Error("nothing was accepted during the update")
	}
	result := l.account(t)
	_, answers := l.answers()
	t.Logf("updated in %.0f s; %d events accepted, %d of them meanwhile, turned away: %s. %s",
		took.Seconds(), l.countAccepted(), meanwhile, answers, result)
}
