package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/webhook"
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}

	rule("A2xxEndsTheDeliveryAndDeletesTheMessage", func(w *world) {
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
		w.wantQueues(0, 0)
	})
	rule("AFailureHidesTheMessageUntilTheScheduleSays", func(w *world) {
		w.sender.answers = []webhook.Result{status(500), status(200)}
		w.settle()
		d := w.wantState(webhook.Retrying, 1, 1)
		if want := w.now.Add(time.Minute); !d.NextAttemptAt.Equal(want) || d.NextCause != webhook.NextSchedule {
			w.t.Fatalf("next at %s because of %q, want %s", d.NextAttemptAt, d.NextCause, want)
		}
		w.advance(59 * time.Second)
		w.settle()
		w.wantState(webhook.Retrying, 1, 1)
		w.advance(time.Second)
		w.settle()
		w.wantState(webhook.Delivered, 2, 2)
		w.wantQueues(0, 0)
	})
	rule("AMessageThatComesEarlyIsHiddenAgainWithoutAnAttempt", func(w *world) {
		w.sender.answers = []webhook.Result{status(500)}
		w.settle()
		w.send(w.event, false) // a duplicate, visible now
		w.settle()
		w.wantState(webhook.Retrying, 1, 1)
		w.wantQueues(2, 0)
	})
	rule("ADuplicateOfADeliveredMessageIsDeletedWithoutAPost", func(w *world) {
		w.settle()
		w.send(w.event, false)
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
		w.wantQueues(0, 0)
	})
	rule("ALongWaitLeavesTheQueueAndComesBack", func(w *world) {
		w.sender.answers = []webhook.Result{status(500), status(500), status(500), status(200)}
		w.settle()
		w.advance(time.Minute)
		w.settle()
		w.advance(time.Hour)
		w.settle()
		w.wantState(webhook.Retrying, 3, 3)
		if depth := w.messages(); depth != 0 {
			w.t.Fatalf("%d messages in flight while the store carries the delivery", depth)
		}
		w.advance(24*time.Hour - time.Second)
		w.settle()
		w.wantState(webhook.Retrying, 3, 3)
		w.advance(time.Second)
		w.settle()
		w.wantState(webhook.Delivered, 4, 4)
		w.wantQueues(0, 0)
	})
	rule("ADuplicateOfAHeldDeliveryIsDropped", func(w *world) {
		w.sender.answers = []webhook.Result{status(500), status(500), status(200)}
		w.settle()
		w.advance(time.Minute)
		w.settle()
		w.send(w.event, false)
		w.settle()
		w.wantState(webhook.Retrying, 2, 2)
		w.advance(time.Hour)
		w.settle()
		w.wantState(webhook.Delivered, 3, 3)
		w.wantQueues(0, 0)
	})
	rule("TheLastFailureIsDeadAndTheQueueItselfMovesItsMessage", func(w *world) {
		w.fail()
		d := w.wantState(webhook.Dead, 4, 4)
		if d.Reason != webhook.ReasonExhausted {
			w.t.Fatalf("reason %q", d.Reason)
		}
		w.wantQueues(0, 1)
	})
	rule("ARedriveOpensAFreshBudgetAndDelivers", func(w *world) {
		w.fail()
		w.advance(time.Hour)
		w.sender.answers = []webhook.Result{status(500), status(200)}
		w.must(w.queue.StartMove(w.t.Context()))
		w.settle()
		d := w.wantState(webhook.Retrying, 5, 5)
		if got := d.Attempts[4].Trigger; got != webhook.TriggerRedrive || d.Spent() != 1 {
			w.t.Fatalf("trigger %q, %d spent", got, d.Spent())
		}
		w.advance(time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 6, 6)
		w.wantQueues(0, 0)
	})
	rule("ARedriveThatFailsAgainIsDeadAgain", func(w *world) {
		w.fail()
		w.advance(time.Hour)
		w.must(w.queue.StartMove(w.t.Context()))
		w.fail()
		w.wantState(webhook.Dead, 8, 8)
		w.wantQueues(0, 1)
	})
	rule("AnEndpointThatIsGoneCancels", func(w *world) {
		w.must(w.store.DeleteEndpoint(w.t.Context(), tenant, endpoint))
		w.settle()
		if d := w.wantState(webhook.Cancelled, 0, 0); d.Reason != webhook.ReasonEndpointDeleted {
			w.t.Fatalf("reason %q", d.Reason)
		}
		w.wantQueues(0, 0)
	})
	rule("ADisabledEndpointSendsToTheDeadLettersWithoutAPost", func(w *world) {
		w.must(w.store.DisableEndpoint(w.t.Context(), tenant, endpoint, webhook.ReasonManual, w.now))
		w.settle()
		if d := w.wantState(webhook.Dead, 0, 0); d.Reason != webhook.ReasonEndpointDisabled {
			w.t.Fatalf("reason %q", d.Reason)
		}
		w.wantQueues(0, 1)
	})
	rule("A410GivesUpAndDisablesTheEndpoint", func(w *world) {
		w.sender.answers = []webhook.Result{status(410)}
		w.settle()
		w.wantState(webhook.Dead, 1, 1)
		w.wantQueues(0, 1)
		e, err := w.store.Endpoint(w.t.Context(), tenant, endpoint)
		w.must(err)
		if e.State != webhook.EndpointDisabled || e.DisabledReason != webhook.ReasonHTTP410 {
			w.t.Fatalf("endpoint %s, %q", e.State, e.DisabledReason)
		}
	})
	rule("AnAttemptCutShortIsNotRecorded", func(w *world) {
		w.sender.answers = []webhook.Result{{Aborted: true}, status(200)}
		w.settle()
		w.advance(time.Second)
		w.settle()
		w.wantState(webhook.Delivered, 1, 2)
	})
	rule("EachAttemptLogsOneLineWithoutPayload", func(w *world) {
		w.sender.answers = []webhook.Result{status(500), status(200)}
		w.settle()
		w.advance(time.Minute)
		w.settle()
		lines := w.logged("attempt")
		if len(lines) != 2 {
			w.t.Fatalf("%d lines: %s", len(lines), w.log)
		}
		for _, key := range []string{"tenant_id", "event_id", "event_type", "endpoint_id", "attempt", "outcome", "state", "status", "reason", "next_attempt_at", "AttemptDuration"} {
			if _, ok := lines[0][key]; !ok {
				w.t.Errorf("no %s in %v", key, lines[0])
			}
		}
		for _, key := range []string{"state", "trigger", "event_ref", "reason", "detail", "next_attempt_at"} {
			if value, ok := lines[1][key]; ok {
				w.t.Errorf("%s is %v, which goes without saying in %v", key, value, lines[1])
			}
		}
	})
	rule("AnAttemptOfAnEventUnderItsSendersIdLogsTheRelaysToo", func(w *world) {
		w.event.ID = "order-1"
		w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{w.event}))
		w.sender.answers = []webhook.Result{status(200)}
		w.settle()
		lines := w.logged("attempt")
		if last := lines[len(lines)-1]; last["event_id"] != "order-1" || last["event_ref"] != string(w.event.Ref) {
			w.t.Errorf("%v", last)
		}
	})
	rule("AnAttemptWithinATraceLogsIt", func(w *world) {
		w.event.Trace.Parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		w.must(w.store.PutEvents(w.t.Context(), []webhook.Event{w.event}))
		w.sender.answers = []webhook.Result{{StatusCode: 200, Span: "00f067aa0ba902b7"}}
		w.settle()
		lines := w.logged("attempt")
		if last := lines[len(lines)-1]; last["trace_id"] != "0af7651916cd43dd8448eb211c80319c" || last["span_id"] != "00f067aa0ba902b7" {
			w.t.Errorf("%v", last)
		}
	})
}

// fail lets every attempt fail until the delivery is dead and its message a dead letter.
func (w *world) fail() {
	w.t.Helper()
	w.sender.answers = []webhook.Result{status(503)}
	for range 60 {
		w.settle()
		if d := w.delivery(); d.State == webhook.Dead {
			return
		}
		w.advance(time.Hour)
	}
	w.t.Fatal("the delivery does not die")
}

func TestManualAttempt(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("IsMadeBeforeTheScheduleAndMayDeliver", func(w *world) {
		w.sender.answers = []webhook.Result{status(500), status(200)}
		w.settle()
		w.send(w.event, true)
		w.settle()
		w.wantState(webhook.Delivered, 2, 2)
		w.advance(time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 2, 2)
		w.wantQueues(0, 0)
	})
	rule("ThatFailsLeavesScheduleAndBudgetAlone", func(w *world) {
		w.sender.answers = []webhook.Result{status(500)}
		w.settle()
		before := w.delivery()
		w.send(w.event, true)
		w.settle()
		after := w.wantState(webhook.Retrying, 2, 2)
		if after.Spent() != before.Spent() || !after.NextAttemptAt.Equal(before.NextAttemptAt) {
			w.t.Fatalf("spent %d, next %s; before %d, %s", after.Spent(), after.NextAttemptAt, before.Spent(), before.NextAttemptAt)
		}
		w.wantQueues(1, 0)
	})
	rule("OfADeliveredDeliverySendsItAgain", func(w *world) {
		w.settle()
		w.sender.answers = []webhook.Result{status(500)}
		w.send(w.event, true)
		w.settle()
		w.wantState(webhook.Delivered, 2, 2)
		w.wantQueues(0, 0)
	})
	rule("OfADeadDeliveryThatSucceedsLeavesALetterThatARedriveSkips", func(w *world) {
		w.fail()
		w.advance(time.Minute)
		w.sender.answers = nil
		w.send(w.event, false) // what replay sends for a dead delivery
		w.settle()
		w.wantState(webhook.Delivered, 5, 5)
		w.wantQueues(0, 1)
		w.must(w.queue.StartMove(w.t.Context()))
		w.settle()
		w.wantState(webhook.Delivered, 5, 5)
		w.wantQueues(0, 0)
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	broken := errors.New("store is down")
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("AStoreThatCannotBeReadPutsMessagesBackWithoutAnAttempt", func(w *world) {
		w.faults.load = broken
		w.settle()
		w.faults.load = nil
		w.advance(5 * time.Second)
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
	})
	rule("AnOutageOfTwentyMinutesMovesNothingToTheDeadLetters", func(w *world) {
		w.faults.load = broken
		for range 20 {
			w.settle()
			w.advance(time.Minute)
		}
		w.faults.load = nil
		w.advance(5 * time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
		w.wantQueues(0, 0)
	})
	rule("ASenderThatCannotSendUsesUpNoAttemptAndSaysNothingOfTheEndpoint", func(w *world) {
		w.sender.fails = broken
		for range 20 {
			w.settle()
			w.advance(time.Minute)
		}
		if e, err := w.store.Endpoint(w.t.Context(), tenant, endpoint); err != nil || !e.Health.Well() {
			w.t.Fatalf("health %+v, %v", e.Health, err)
		}
		if len(w.logged("attempt not made")) == 0 {
			w.t.Fatal("nothing is logged")
		}
		w.sender.fails = nil
		w.advance(5 * time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
		w.wantQueues(0, 0)
	})
	rule("APostWhoseRecordIsLostIsMadeAgain", func(w *world) {
		w.faults.saveBefore = broken
		w.settle()
		w.faults.saveBefore = nil
		w.advance(time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 1, 2)
		w.wantQueues(0, 0)
	})
	rule("ARecordStoredButReportedFailedCausesNoSecondPost", func(w *world) {
		w.faults.saveAfter = broken
		w.settle()
		w.faults.saveAfter = nil
		w.advance(time.Minute)
		w.settle()
		w.wantState(webhook.Delivered, 1, 1)
		w.wantQueues(0, 0)
	})
	rule("AResultIsAppliedToWhatAnotherConsumerRecordedMeanwhile", func(w *world) {
		w.sender.answers = []webhook.Result{status(200)}
		first := true
		w.sender.during = func() {
			if !first {
				return
			}
			first = false
			other := webhook.NewDelivery(w.event, endpoint).Retry(
				webhook.Attempt{At: w.now, Trigger: webhook.TriggerSchedule, Reason: webhook.ReasonTimeout}, w.now.Add(time.Minute), webhook.NextSchedule)
			w.must(w.store.SaveDelivery(w.t.Context(), other))
		}
		w.settle()
		w.wantState(webhook.Delivered, 2, 1)
	})
	rule("AFailureAfterAnotherConsumerDeliveredChangesNothing", func(w *world) {
		w.sender.answers = []webhook.Result{status(500)}
		w.sender.during = func() {
			other := webhook.NewDelivery(w.event, endpoint).Succeed(webhook.Attempt{At: w.now, Trigger: webhook.TriggerSchedule, StatusCode: 200})
			w.must(w.store.SaveDelivery(w.t.Context(), other))
		}
		w.settle()
		w.wantState(webhook.Delivered, 2, 1)
		w.wantQueues(0, 0)
	})
	rule("AMessageWithoutItsEventIsNeverDropped", func(w *world) {
		w.settle()
		ghost := w.event
		ghost.Ref = w.ids.EventRef(w.now)
		w.send(ghost, false)
		for range maxReceives + 1 {
			w.settle()
			w.advance(time.Hour)
		}
		w.wantQueues(0, 1)
		if len(w.logged("event missing")) != maxReceives {
			w.t.Fatalf("logged %d times", len(w.logged("event missing")))
		}
	})
}

// recorder notes what is hidden, and fails where told.
type recorder struct {
	hidden map[string]time.Duration
	fail   bool
}

func (r *recorder) Hide(_ context.Context, hidings []dispatch.Hiding) (failed []string) {
	for _, h := range hidings {
		r.hidden[h.MessageID] = h.Wait
		if r.fail {
			failed = append(failed, h.MessageID)
		}
	}
	return failed
}

func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	queue := &recorder{hidden: map[string]time.Duration{}, fail: true}
	w.dispatcher.Queue = queue
	keep := w.dispatcher.Handle(t.Context(), []dispatch.Message{
		{ID: "nonsense", Body: []byte("nonsense")},
		{ID: "array", Body: []byte("[]")},
		{ID: "no ids", Body: []byte(`{"v":1}`)},
		{ID: "later version", Body: []byte(`{"v":2}`)},
		{ID: "good", Body: []byte(envelope.Encode(envelope.Envelope{
			DeliveryKey: webhook.DeliveryKey{Tenant: tenant, Event: w.event.Ref, Endpoint: endpoint},
		}))},
	})
	if diff := cmp.Diff([]string{"nonsense", "array", "no ids", "later version"}, keep); diff != "" {
		t.Error("kept:", diff)
	}
	want := map[string]time.Duration{"nonsense": 0, "array": 0, "no ids": 0}
	if diff := cmp.Diff(want, queue.hidden); diff != "" {
		t.Error("hidden; a later version waits for the queue's own timeout:", diff)
	}
	if got := len(w.logged("message rejected")); got != 4 {
		t.Errorf("%d rejections logged", got)
	}
	if got := len(w.logged("visibility not set")); got != 1 {
		t.Errorf("a failed visibility change was logged %d times", got)
	}
	w.wantState(webhook.Delivered, 1, 1)
}

// hangs fails one event and delivers the other, the slow one, only once it hears
// of the first.
type hangs struct {
	heard chan struct{}
	slow  webhook.EventID
}

func (h *hangs) Send(ctx context.Context, _ webhook.Endpoint, e webhook.Event) (webhook.Result, error) {
	if e.ID != h.slow {
		return status(500), nil
	}
	select {
	case <-h.heard:
		return status(200), nil
	case <-ctx.Done():
		return webhook.Result{Aborted: true}, nil
	}
}

func (h *hangs) Hide(context.Context, []dispatch.Hiding) []string {
	close(h.heard)
	return nil
}

func TestARetryDoesNotWaitForTheSlowestOfItsBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &hangs{heard: make(chan struct{}), slow: w.event.ID}
	w.accept()
	w.dispatcher.Sender, w.dispatcher.Queue = h, h
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	batch, err := w.queue.Receive(ctx, 10)
	w.must(err)
	if kept := w.dispatcher.Handle(ctx, batch); len(batch) != 2 || len(kept) != 1 {
		t.Fatalf("%d of %d messages kept", len(kept), len(batch))
	}
	if d := w.delivery(); d.State != webhook.Delivered {
		t.Fatalf("the slow one is %s", d.State)
	}
}

// neighbours answers for one tenant at once, and for the other only after that.
type neighbours struct {
	answered chan struct{}
	quick    webhook.TenantID
}

func (n *neighbours) Send(ctx context.Context, e webhook.Endpoint, _ webhook.Event) (webhook.Result, error) {
	if e.Tenant == n.quick {
		close(n.answered)
		return status(200), nil
	}
	select {
	case <-n.answered:
		return status(200), nil
	case <-ctx.Done():
		return webhook.Result{Aborted: true}, nil
	}
}

func TestATenantDoesNotWaitForAnotherWhoseEndpointHasTheSameID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := &neighbours{answered: make(chan struct{}), quick: "neighbour"}
	w.dispatcher.Sender = n
	_, _, err := w.store.PutTenant(t.Context(), webhook.Tenant{ID: n.quick, CreatedAt: w.now})
	w.must(err)
	w.must(w.store.CreateEndpoint(t.Context(), webhook.Endpoint{
		Tenant: n.quick, ID: endpoint, URL: "https://example.com/", State: webhook.EndpointEnabled,
		Scheme: webhook.SchemeHMAC, Secrets: []webhook.Secret{{Sealed: []byte("sealed")}},
	}))
	const more = 9
	for range more {
		w.accept()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	batch, err := w.queue.Receive(ctx, 1+more)
	w.must(err)
	event := w.event
	event.Tenant, event.Ref = n.quick, w.ids.EventRef(w.now)
	w.must(w.store.PutAndSend(ctx, []webhook.Event{event}))
	theirs, err := w.queue.Receive(ctx, 1)
	w.must(err)
	batch = slices.Insert(batch, len(batch)/2, theirs...) // those that hang come first, and there are more of them than places
	if kept := w.dispatcher.Handle(ctx, batch); len(batch) != 2+more || len(kept) > 0 {
		t.Fatalf("%d of %d messages kept", len(kept), len(batch))
	}
}

func TestAMessageIsFreeWhileAnotherOfItsBatchIsInWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &hangs{heard: make(chan struct{}), slow: w.event.ID}
	w.accept()
	w.dispatcher.Sender = h
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	batch, err := w.queue.Receive(ctx, 10)
	w.must(err)
	var freed []string
	w.dispatcher.HandleEach(ctx, batch, func(m dispatch.Message) {
		if freed = append(freed, m.ID); len(freed) == 1 {
			close(h.heard)
		}
	})
	if len(batch) != 2 || !slices.Equal(freed, []string{batch[1].ID, batch[0].ID}) {
		t.Fatalf("of %d messages %v were freed", len(batch), freed)
	}
	if d := w.delivery(); d.State != webhook.Delivered {
		t.Fatalf("the slow one is %s", d.State)
	}
}
