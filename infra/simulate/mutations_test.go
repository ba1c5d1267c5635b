package simulate_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"webhookrelay/infra/simulate"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// handler is the dispatcher as Lambda calls it.
type handler = func(context.Context, []dispatch.Message) []string

// mutation is a relay with one mistake built in, between the use cases and what
// they work with.
type mutation struct {
	name  string
	seams simulate.Seams
}

var mutations = []mutation{
	{"TheDispatcherAcknowledgesBeforeTheWriteIsDurable", simulate.Seams{DispatchStore: func(s dispatch.Store) dispatch.Store {
		return saves{s, func(err error) error {
			if errors.Is(err, webhook.ErrConflict) {
				return err
			}
			return nil
		}}
	}}},
	{"TheDispatcherTakesAConflictForSuccess", simulate.Seams{DispatchStore: func(s dispatch.Store) dispatch.Store {
		return saves{s, func(err error) error {
			if errors.Is(err, webhook.ErrConflict) {
				return nil
			}
			return err
		}}
	}}},
	{"TheDispatcherForgetsToHide", simulate.Seams{DispatchQueue: func(dispatch.Queue) dispatch.Queue { return shows{} }}},
	{"TheDispatcherDropsWhatItCannotRead", simulate.Seams{Handle: drops(func(m dispatch.Message) bool {
		_, err := envelope.Decode(m.Body)
		return err != nil
	})}},
	{"TheDispatcherDropsWhatHasDied", simulate.Seams{Handle: drops(func(m dispatch.Message) bool {
		_, err := envelope.Decode(m.Body)
		return err == nil && m.Receives > 6
	})}},
	{"TheDispatcherKeepsNothingOfABatch", simulate.Seams{Handle: drops(func(m dispatch.Message) bool {
		_, err := envelope.Decode(m.Body)
		return err == nil
	})}},
	{"TheDispatcherKeepsTheWrongMessages", simulate.Seams{Handle: func(next handler) handler {
		return func(ctx context.Context, batch []dispatch.Message) (keep []string) {
			kept := next(ctx, batch)
			for i, m := range batch {
				if slices.Contains(kept, batch[(i+1)%len(batch)].ID) {
					keep = append(keep, m.ID)
				}
			}
			return keep
		}
	}}},
	{"AttemptsAreCountedByReceives", countingReceives()},
	{"ARedriveIsNotRecognised", simulate.Seams{Handle: func(next handler) handler {
		return func(ctx context.Context, batch []dispatch.Message) []string {
			old := slices.Clone(batch)
			for i := range old {
				old[i].SentAt, old[i].FirstReceivedAt = time.Time{}, time.Time{}
			}
			return next(ctx, old)
		}
	}}},
	{"EveryReceiveIsTakenForARedrive", simulate.Seams{Handle: func(next handler) handler {
		return func(ctx context.Context, batch []dispatch.Message) []string {
			anew := slices.Clone(batch)
			for i := range anew {
				anew[i].FirstReceivedAt = anew[i].FirstReceivedAt.AddDate(anew[i].Receives, 0, 0)
			}
			return next(ctx, anew)
		}
	}}},
	{"ADeliveryIsHeldForEver", simulate.Seams{DispatchStore: func(s dispatch.Store) dispatch.Store {
		return edits{s, func(d webhook.Delivery) webhook.Delivery {
			if !d.HeldUntil.IsZero() {
				d.HeldUntil = d.HeldUntil.AddDate(10, 0, 0)
			}
			return d
		}}
	}}},
	{"ADeliveryIsNotHeld", simulate.Seams{DispatchStore: func(s dispatch.Store) dispatch.Store {
		return edits{s, func(d webhook.Delivery) webhook.Delivery {
			d.HeldUntil = time.Time{}
			return d
		}}
	}}},
	{"TheSweeperWritesTheRowButDoesNotSend", simulate.Seams{SweepQueue: func(q sweep.Queue) sweep.Queue { return unsent{q} }}},
	{"TheSweeperForgetsWhatWasNeverSent", simulate.Seams{SweepQueue: func(q sweep.Queue) sweep.Queue { return forgetful{q} }}},
	{"TheSweeperDropsAScheduledEvent", simulate.Seams{SweepStore: func(s sweep.Store) sweep.Store { return impatient{s} }}},
	{"NobodyWaitsForAnEventsTime", simulate.Seams{
		SweepQueue:    func(q sweep.Queue) sweep.Queue { return eager{q} },
		DispatchStore: func(s dispatch.Store) dispatch.Store { return timeless{s} },
	}},
	{"IngestAnswers202WhenSendingFails", simulate.Seams{IngestQueue: func(q ingest.Queue) ingest.Queue { return deaf{q} }}},
	{"IngestAnswers202WhenStoringFails", simulate.Seams{IngestStore: func(s ingest.Store) ingest.Store { return careless{s} }}},
	{"IngestSendsToAllButOne", simulate.Seams{IngestQueue: func(q ingest.Queue) ingest.Queue { return stingy{q} }}},
	{"IngestForgetsItsClaims", simulate.Seams{IngestStore: func(s ingest.Store) ingest.Store { return unclaimed{s} }}},
	{"IngestTakesOverAClaimThatIsInUse", simulate.Seams{IngestStore: func(s ingest.Store) ingest.Store { return hasty{s} }}},
	{"IngestKeepsStaleEndpoints", simulate.Seams{IngestStore: func(s ingest.Store) ingest.Store { return oneVersion{s} }}},
	{"TheOperatorHearsNothingOfDisabledEndpoints", simulate.Seams{Announcer: func(a dispatch.Announcer) dispatch.Announcer { return discreet{a} }}},
	{"TheSenderSignsWithTheOldestSecret", simulate.Seams{Sender: func(s dispatch.Sender) dispatch.Sender {
		return posts{s, func(e webhook.Endpoint) webhook.Endpoint {
			oldest := e.Secrets[len(e.Secrets)-1]
			oldest.ExpiresAt = time.Time{}
			e.Secrets = []webhook.Secret{oldest}
			return e
		}}
	}}},
	{"TheSenderSaysDeliveredWhenItCannotOpenTheSecrets", simulate.Seams{Sender: func(s dispatch.Sender) dispatch.Sender {
		return confident{s}
	}}},
	{"TheSenderPostsToTheOtherTenant", simulate.Seams{Sender: func(s dispatch.Sender) dispatch.Sender {
		return posts{s, func(e webhook.Endpoint) webhook.Endpoint {
			if e.Tenant == "bolt" {
				e.URL = "https://" + string(e.ID) + ".acme.example/"
			}
			return e
		}}
	}}},
}

// within is in how many random runs each mistake must show.
const within = 400

// TestEveryMistakeIsCaught proves that the checker sees what it is there for.
func TestEveryMistakeIsCaught(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(within) {
				if r := randomRun(t, seed, m.seams, false); len(r.Violations) > 0 {
					t.Logf("in run %d: %s", seed+1, r.Violations[0])
					return
				}
			}
			t.Errorf("not caught in %d runs", within)
		})
	}
}

// Few random worlds have an operator whom a failure keeps from hearing of a
// death, so this mistake is looked for in one where each call is struck.
func TestAnAnnouncerThatTakesFailureForSuccessIsCaught(t *testing.T) {
	t.Parallel()
	build := func(w *simulate.World) {
		w.Operator(nil)
		one(w, aborts)
		w.Send(0, order(simulate.Unnamed, 2, 0))
	}
	wantCaught(t, simulate.Seams{Announcer: func(a dispatch.Announcer) dispatch.Announcer { return mumbling{a} }}, build)
}

// In few random worlds a scheduled event is due just when sending fails.
func TestASweeperThatTakesAFailureToSendForSuccessIsCaught(t *testing.T) {
	t.Parallel()
	build := func(w *simulate.World) {
		one(w)
		later := order(simulate.Unnamed, 1, 0)
		later.Later = 10 * time.Minute
		w.Send(0, later)
	}
	wantCaught(t, simulate.Seams{SweepQueue: func(q sweep.Queue) sweep.Queue { return numb{q} }}, build)
}

// wantCaught strikes each call of a world with each fault that it can have.
func wantCaught(t *testing.T, mistake simulate.Seams, build func(w *simulate.World)) {
	t.Helper()
	c := simulate.Config{Strict: true, Seams: mistake}
	_, calls := run(t, c, build)
	for call, op := range calls {
		for _, fault := range op.Faults {
			c.Plan = simulate.Pinned{call: fault}
			if r, _ := run(t, c, build); len(r.Violations) > 0 {
				t.Logf("%s at call %d, %s: %s", fault, call, op.Name, r.Violations[0])
				return
			}
		}
	}
	t.Error("not caught")
}

// Few random worlds take an event back so shortly before it is sent that a lagging
// read does not show it, so this mistake is looked for in one that always does.
func TestADispatcherThatOverlooksACancelledEventIsCaught(t *testing.T) {
	t.Parallel()
	takeBack := func(seed uint64, seams simulate.Seams) simulate.Report {
		r, _ := run(t, simulate.Config{Seed: seed, Lag: 2 * time.Second, Seams: seams}, func(w *simulate.World) {
			one(w)
			later := order(simulate.Unnamed, 1, 0)
			later.Later = 9*time.Minute + 40*time.Second // sent by the run of the sweeper at 9 minutes
			w.Send(0, later)
			w.TakeBack(later.Later-800*time.Millisecond, 0)
		})
		return r
	}
	caught := 0
	for seed := range uint64(100) {
		if r := takeBack(seed, simulate.Seams{}); len(r.Violations) > 0 {
			t.Fatalf("seed %d, without the mistake: %+v", seed, r.Violations)
		}
		r := takeBack(seed, simulate.Seams{DispatchStore: func(s dispatch.Store) dispatch.Store { return lagging{s} }})
		if len(r.Violations) > 0 {
			caught++
		}
	}
	if caught == 0 {
		t.Error("not caught")
	}
	t.Logf("caught in %d of 100 runs", caught)
}

// saves changes the answer to a delivery's write.
type saves struct {
	dispatch.Store
	answer func(error) error
}

func (s saves) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	return s.answer(s.Store.SaveDelivery(ctx, d))
}

// edits changes what is written.
type edits struct {
	dispatch.Store
	edit func(webhook.Delivery) webhook.Delivery
}

func (e edits) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	return e.Store.SaveDelivery(ctx, e.edit(d))
}

// shows hides nothing.
type shows struct{}

func (shows) Hide(context.Context, []dispatch.Hiding) []string { return nil }

func drops(which func(dispatch.Message) bool) func(handler) handler {
	return func(next handler) handler {
		return func(ctx context.Context, batch []dispatch.Message) []string {
			return slices.DeleteFunc(next(ctx, batch), func(id string) bool {
				return slices.ContainsFunc(batch, func(m dispatch.Message) bool { return m.ID == id && which(m) })
			})
		}
	}
}

// countingReceives takes the attempts made from the receives.
func countingReceives() simulate.Seams {
	var mu sync.Mutex
	receives := map[webhook.DeliveryKey]int{}
	return simulate.Seams{
		Handle: func(next handler) handler {
			return func(ctx context.Context, batch []dispatch.Message) []string {
				mu.Lock()
				for _, m := range batch {
					if e, err := envelope.Decode(m.Body); err == nil {
						receives[e.DeliveryKey] = m.Receives
					}
				}
				mu.Unlock()
				return next(ctx, batch)
			}
		},
		DispatchStore: func(s dispatch.Store) dispatch.Store {
			return edits{s, func(d webhook.Delivery) webhook.Delivery {
				mu.Lock()
				defer mu.Unlock()
				d.AttemptCount = d.BudgetStart + receives[d.DeliveryKey]
				return d
			}}
		},
	}
}

// unsent says that it sent.
type unsent struct{ sweep.Queue }

func (unsent) SendDelayed(context.Context, []sweep.Delayed) error { return nil }

// numb takes every failure to send for a success.
type numb struct{ sweep.Queue }

func (n numb) SendDelayed(ctx context.Context, messages []sweep.Delayed) error {
	_ = n.Queue.SendDelayed(ctx, messages)
	return nil
}

// impatient marks events as sent when it sees them first.
type impatient struct{ sweep.Store }

func (i impatient) DueEvents(ctx context.Context, until time.Time, limit int) ([]webhook.Event, error) {
	due, err := i.Store.DueEvents(ctx, until, limit)
	for _, e := range due {
		_ = i.EventSent(ctx, e.Tenant, e.Ref)
	}
	return due, err
}

// eager delays no message.
type eager struct{ sweep.Queue }

func (e eager) SendDelayed(ctx context.Context, messages []sweep.Delayed) error {
	at := slices.Clone(messages)
	for i := range at {
		at[i].Delay = 0
	}
	return e.Queue.SendDelayed(ctx, at)
}

// timeless does not see when an event is due.
type timeless struct{ dispatch.Store }

func (s timeless) Load(ctx context.Context, lookups []dispatch.Lookup) ([]dispatch.Loaded, error) {
	loaded, err := s.Store.Load(ctx, lookups)
	for _, l := range loaded {
		if l.Event != nil {
			l.Event.DeliverAt = time.Time{}
		}
	}
	return loaded, err
}

// lagging gives every read the right to lag.
type lagging struct{ dispatch.Store }

func (s lagging) Load(ctx context.Context, lookups []dispatch.Lookup) ([]dispatch.Loaded, error) {
	usual := slices.Clone(lookups)
	for i := range usual {
		usual[i].Fresh = false
	}
	return s.Store.Load(ctx, usual)
}

// forgetful leaves behind what an interrupted ingest left.
type forgetful struct{ sweep.Queue }

func (forgetful) Send(context.Context, []webhook.DeliveryKey) error { return nil }

// deaf takes every failure to send for a success.
type deaf struct{ ingest.Queue }

func (d deaf) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	_ = d.Queue.Send(ctx, keys)
	return nil
}

// stingy leaves out the last of several.
type stingy struct{ ingest.Queue }

func (s stingy) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	return s.Queue.Send(ctx, keys[:max(1, len(keys)-1)])
}

// careless takes every failure to store for a success.
type careless struct{ ingest.Store }

func (c careless) PutEvents(ctx context.Context, events []webhook.Event) error {
	_ = c.Store.PutEvents(ctx, events)
	return nil
}

// unclaimed lets every request have its own event.
type unclaimed struct{ ingest.Store }

func (unclaimed) Claim(_ context.Context, c ingest.Claim) (ingest.Claim, error) { return c, nil }

// hasty lets a claim belong to everyone at once, each with an event of his own.
type hasty struct{ ingest.Store }

func (h hasty) Claim(ctx context.Context, c ingest.Claim) (ingest.Claim, error) {
	got, err := h.Store.Claim(ctx, c)
	if !got.Done {
		got.Ref = c.Ref
	}
	return got, err
}

// oneVersion hides that a tenant's endpoints changed.
type oneVersion struct{ ingest.Store }

func (v oneVersion) ConfigVersion(ctx context.Context, tenant webhook.TenantID) (int64, error) {
	_, err := v.Store.ConfigVersion(ctx, tenant)
	return 1, err
}

// mumbling says that it told the operator of a death.
type mumbling struct{ dispatch.Announcer }

func (m mumbling) DeliveryDied(ctx context.Context, d webhook.Delivery) error {
	_ = m.Announcer.DeliveryDied(ctx, d)
	return nil
}

// discreet keeps to itself that an endpoint is disabled.
type discreet struct{ dispatch.Announcer }

func (discreet) EndpointDisabled(context.Context, webhook.Endpoint, webhook.Reason) error { return nil }

// confident takes its own failure for a success.
type confident struct{ dispatch.Sender }

func (c confident) Send(ctx context.Context, e webhook.Endpoint, event webhook.Event) (webhook.Result, error) {
	result, err := c.Sender.Send(ctx, e, event)
	if err != nil {
		result.StatusCode = 200
	}
	return result, nil
}

// posts changes the endpoint that is posted to.
type posts struct {
	dispatch.Sender
	edit func(webhook.Endpoint) webhook.Endpoint
}

func (p posts) Send(ctx context.Context, e webhook.Endpoint, event webhook.Event) (webhook.Result, error) {
	return p.Sender.Send(ctx, p.edit(e), event)
}
