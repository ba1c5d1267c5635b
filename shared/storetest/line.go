package storetest

import (
	"fmt"
	"testing"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// line is one subtest's queue.
type line struct {
	QueueUnderTest
	t *testing.T
}

// newKey returns the key of a new event's delivery.
func newKey(endpoint webhook.EndpointID) webhook.DeliveryKey {
	return webhook.DeliveryKey{Tenant: "tenant", Event: id.NewSource().EventRef(time.Now()), Endpoint: endpoint}
}

func (q *line) send(keys ...webhook.DeliveryKey) {
	q.t.Helper()
	if err := q.Send(q.t.Context(), keys); err != nil {
		q.t.Fatal(err)
	}
}

// next receives one message. A real queue may hold back what it has.
func (q *line) next() (m dispatch.Message) {
	q.t.Helper()
	eventually(q.t, func() string {
		got, err := q.Receive(q.t.Context(), 1)
		if err != nil {
			q.t.Fatal(err)
		}
		if len(got) == 0 {
			return "no message is visible"
		}
		m = got[0]
		return ""
	})
	return m
}

func (q *line) expectNone() {
	q.t.Helper()
	got, err := q.Receive(q.t.Context(), 10)
	if err != nil {
		q.t.Fatal(err)
	}
	if len(got) > 0 {
		q.t.Errorf("received %d messages, want none: %+v", len(got), got)
	}
}

// expectNoneFor checks that no message for the endpoint is visible.
func (q *line) expectNoneFor(endpoint webhook.EndpointID) {
	q.t.Helper()
	got, err := q.Receive(q.t.Context(), 10)
	if err != nil {
		q.t.Fatal(err)
	}
	for _, m := range got {
		if q.open(m).Endpoint == endpoint {
			q.t.Errorf("the message for %s is visible", endpoint)
		}
	}
}

func (q *line) open(m dispatch.Message) envelope.Envelope {
	q.t.Helper()
	e, err := envelope.Decode(m.Body)
	if err != nil {
		q.t.Fatal(err)
	}
	return e
}

func (q *line) delete(m dispatch.Message) {
	q.t.Helper()
	if err := q.Delete(q.t.Context(), []dispatch.Message{m}); err != nil {
		q.t.Fatal(err)
	}
}

// show makes a received message visible again at once.
func (q *line) show(m dispatch.Message) {
	q.t.Helper()
	failed := q.Hide(q.t.Context(), []dispatch.Hiding{{MessageID: m.ID, Receipt: m.Receipt}})
	if len(failed) > 0 {
		q.t.Fatalf("could not hide message %s", m.ID)
	}
}

// kill sends a message, sees it into the dead-letter queue and returns it as
// first received.
func (q *line) kill(key webhook.DeliveryKey) (first dispatch.Message) {
	q.t.Helper()
	q.send(key)
	for n := range MaxReceives {
		m := q.next()
		if n == 0 {
			first = m
		}
		q.show(m)
	}
	q.expectDepth(1)
	return first
}

// expectDepth receives, which buries what is due, until the dead-letter queue
// holds n messages.
func (q *line) expectDepth(n int) {
	q.t.Helper()
	eventually(q.t, func() string {
		q.expectNone()
		depth, err := q.Depth(q.t.Context())
		if err != nil {
			q.t.Fatal(err)
		}
		return diff("depth of the dead-letter queue", n, depth)
	})
}

func (q *line) expectMoved() {
	q.t.Helper()
	eventually(q.t, func() string {
		move, ok, err := q.LatestMove(q.t.Context())
		if err != nil {
			q.t.Fatal(err)
		}
		if !ok || move.Status != "COMPLETED" || move.StartedAt.IsZero() {
			return fmt.Sprintf("latest move is %+v, %v; want one that completed", move, ok)
		}
		return ""
	})
}
