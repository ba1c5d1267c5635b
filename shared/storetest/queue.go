package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// What the queues under test must be set to: short, for time may be real.
const (
	Visibility  = 2 * time.Second
	MaxReceives = 3
	// Places is how many messages may be in work at once, where that has a bound.
	Places = 20
)

// QueueUnderTest is a delivery queue with its dead-letter queue and its
// consumer's side.
type QueueUnderTest interface {
	ingest.Queue
	dispatch.Queue
	replay.Queue
	replay.DeadLetterQueue
	sweep.Queue
	// Receive returns at most limit (1–10) messages that are visible. It may
	// return fewer than there are, even none.
	Receive(ctx context.Context, limit int) ([]dispatch.Message, error)
	// Delete removes received messages.
	Delete(ctx context.Context, messages []dispatch.Message) error
	// Advance lets d pass: by moving the queue's clock, or by waiting.
	Advance(d time.Duration)
}

// OpenQueue returns an empty queue of its own, set to Visibility and
// MaxReceives. The suite calls it once per subtest, from parallel subtests.
type OpenQueue func(t *testing.T) QueueUnderTest

// Queue runs the rules for queues. On a real queue, where Advance waits, they
// take some seconds in all.
func Queue(t *testing.T, open OpenQueue) {
	for _, r := range queueRules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.check(t, &line{QueueUnderTest: open(t), t: t})
		})
	}
}

// margin is what is waited beyond a time at which something becomes visible.
const margin = 300 * time.Millisecond

var queueRules = []struct {
	name  string
	check func(t *testing.T, q *line)
}{
	{"ASentMessageIsReceived", func(t *testing.T, q *line) {
		key := newKey("ep")
		q.send(key)
		m := q.next()
		expect(t, "envelope", envelope.Envelope{DeliveryKey: key}, q.open(m))
		expect(t, "receives", 1, m.Receives)
		if m.ID == "" || m.Receipt == "" {
			t.Errorf("message lacks an id or a receipt: %+v", m)
		}
		if age := time.Since(m.SentAt); age.Abs() > time.Minute { // the queue's clock is another
			t.Errorf("message was sent at %s, which is %s ago", m.SentAt, age)
		}
	}},

	{"AnEnvelopeRoundTrips", func(t *testing.T, q *line) {
		e := envelope.Envelope{DeliveryKey: newKey("ep"), Once: true}
		if err := q.SendEnvelope(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		expect(t, "envelope", e, q.open(q.next()))
	}},

	{"EveryKeySentIsReceived", func(t *testing.T, q *line) {
		want := make(map[webhook.DeliveryKey]int)
		var keys []webhook.DeliveryKey
		for i := range 25 { // more than SQS takes at once
			key := newKey(webhook.EndpointID(fmt.Sprint("ep_", i)))
			keys, want[key] = append(keys, key), 1
		}
		q.send(keys...)
		got := make(map[webhook.DeliveryKey]int)
		for len(got) < len(want) {
			m := q.next()
			got[q.open(m).DeliveryKey]++
			q.delete(m)
		}
		expect(t, "keys", want, got)
		q.expectNone()
	}},

	{"TheSameKeyTwiceIsTwoMessages", func(t *testing.T, q *line) {
		key := newKey("ep")
		q.send(key, key)
		first, second := q.next(), q.next()
		if first.ID == second.ID {
			t.Errorf("both messages have the id %s", first.ID)
		}
	}},

	{"ADelayedMessageIsSeenWhenItsDelayIsOver", func(t *testing.T, q *line) {
		late, soon := newKey("late"), newKey("soon")
		if err := q.SendDelayed(t.Context(), []sweep.Delayed{{DeliveryKey: late, Delay: 10 * time.Minute}, {DeliveryKey: soon, Delay: time.Second}}); err != nil {
			t.Fatal(err)
		}
		q.expectNone()
		q.Advance(time.Second + margin)
		expect(t, "endpoint", webhook.EndpointID("soon"), q.open(q.next()).Endpoint)
		q.expectNoneFor("late")
	}},

	{"SendingNothingIsNoError", func(_ *testing.T, q *line) {
		q.send()
		q.expectNone()
	}},

	{"ReceiveKeepsToItsLimit", func(t *testing.T, q *line) {
		q.send(newKey("a"), newKey("b"), newKey("c"))
		got, err := q.Receive(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > 2 {
			t.Errorf("got %d messages, the limit is 2", len(got))
		}
	}},

	{"AReceivedMessageComesBackAfterTheVisibilityTimeout", func(t *testing.T, q *line) {
		q.send(newKey("ep"))
		first := q.next()
		q.expectNone()
		q.Advance(Visibility + margin)
		second := q.next()
		expect(t, "receives", 2, second.Receives)
		expect(t, "id", first.ID, second.ID)
		expect(t, "sent at", first.SentAt, second.SentAt)
		if first.Receipt == second.Receipt {
			t.Error("the second receive has the receipt of the first")
		}
	}},

	{"ADeletedMessageStaysGone", func(_ *testing.T, q *line) {
		q.send(newKey("ep"))
		m := q.next()
		q.delete(m)
		q.delete(m) // again is harmless
		q.Advance(Visibility + margin)
		q.expectNone()
	}},

	{"AHiddenMessageComesBackWhenItsWaitIsOver", func(t *testing.T, q *line) {
		q.send(newKey("soon"), newKey("late"))
		var hidings []dispatch.Hiding
		for range 2 {
			m := q.next()
			wait := time.Second
			if q.open(m).Endpoint == "late" {
				wait = time.Hour
			}
			hidings = append(hidings, dispatch.Hiding{MessageID: m.ID, Receipt: m.Receipt, Wait: wait})
		}
		expect(t, "failed", []string{}, q.Hide(t.Context(), hidings))
		q.expectNone()
		q.Advance(time.Second + margin)
		expect(t, "endpoint", webhook.EndpointID("soon"), q.open(q.next()).Endpoint)
		q.Advance(Visibility + margin - time.Second) // past the queue's own timeout since the first receive
		q.expectNoneFor("late")
	}},

	{"AMessageHiddenForNoTimeIsBackAtOnce", func(t *testing.T, q *line) {
		q.send(newKey("ep"))
		q.show(q.next())
		expect(t, "receives", 2, q.next().Receives)
	}},

	{"HideReturnsTheIDsItCouldNotHide", func(t *testing.T, q *line) {
		q.send(newKey("ep"))
		m := q.next()
		failed := q.Hide(t.Context(), []dispatch.Hiding{
			{MessageID: "unknown", Receipt: "no receipt", Wait: time.Second},
			{MessageID: m.ID, Receipt: m.Receipt, Wait: 0},
		})
		expect(t, "failed", []string{"unknown"}, failed)
		expect(t, "receives", 2, q.next().Receives)
		expect(t, "failed of none", []string{}, q.Hide(t.Context(), nil))
	}},

	{"HideTakesMoreThanOneBatch", func(t *testing.T, q *line) {
		var hidings []dispatch.Hiding
		for i := range 12 {
			q.send(newKey(webhook.EndpointID(fmt.Sprint("ep_", i))))
		}
		for range 12 {
			m := q.next()
			hidings = append(hidings, dispatch.Hiding{MessageID: m.ID, Receipt: m.Receipt, Wait: 0})
		}
		expect(t, "failed", []string{}, q.Hide(t.Context(), hidings))
		for range 12 {
			expect(t, "receives", 2, q.next().Receives)
		}
	}},

	{"WhateverIsInWorkForOneEndpointAnotherGetsItsMessage", func(t *testing.T, q *line) {
		var hanging []webhook.DeliveryKey
		for range 3 * Places {
			hanging = append(hanging, newKey("hanging"))
		}
		q.send(hanging...)
		for range 2 * Places { // and nobody finishes any of it
			if _, err := q.Receive(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
		}
		q.send(newKey("other"))
		for q.open(q.next()).Endpoint != "other" {
		}
	}},

	{"TheDLQGetsAMessageOnReceiveNPlusOne", func(t *testing.T, q *line) {
		q.send(newKey("ep"))
		for n := range MaxReceives {
			m := q.next()
			expect(t, "receives", n+1, m.Receives)
			q.show(m)
		}
		depth, err := q.Depth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "depth before receive N+1", 0, depth)
		q.expectDepth(1)
		q.expectNone()
	}},

	{"AMovedMessageIsSentAnew", func(t *testing.T, q *line) {
		key := newKey("ep")
		first := q.kill(key)
		q.Advance(time.Second)
		if err := q.StartMove(t.Context()); err != nil {
			t.Fatal(err)
		}
		m := q.next()
		expect(t, "envelope", envelope.Envelope{DeliveryKey: key}, q.open(m))
		expect(t, "receives", 1, m.Receives)
		if m.ID == first.ID {
			t.Errorf("the moved message kept its id %s", m.ID)
		}
		if !m.SentAt.After(first.SentAt) {
			t.Errorf("the moved message was sent at %s, at first at %s; want later", m.SentAt, first.SentAt)
		}
		q.delete(m)
		q.expectDepth(0)
		q.expectMoved()
	}},

	{"AMovedMessageCanDieAgain", func(t *testing.T, q *line) {
		key := newKey("ep")
		q.kill(key)
		if err := q.StartMove(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range MaxReceives {
			q.show(q.next())
		}
		q.expectDepth(1)
	}},

	{"WithoutAMoveThereIsNoLatestMove", func(t *testing.T, q *line) {
		if m, ok, err := q.LatestMove(t.Context()); err != nil || ok {
			t.Errorf("got move %+v, %v, error %v; want none", m, ok, err)
		}
		depth, err := q.Depth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "depth", 0, depth)
	}},
}
