package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

// line is the queue as a process sees it.
type line struct{ *host }

var (
	_ ingest.Queue           = line{}
	_ sweep.Queue            = line{}
	_ dispatch.Queue         = line{}
	_ replay.Queue           = line{}
	_ replay.DeadLetterQueue = line{}
)

func (l line) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	messages := make([]sweep.Delayed, len(keys))
	for i, k := range keys {
		messages[i].DeliveryKey = k
	}
	return l.SendDelayed(ctx, messages)
}

func (l line) SendDelayed(ctx context.Context, messages []sweep.Delayed) error {
	if len(messages) == 0 {
		return nil
	}
	text := list(messages, func(m sweep.Delayed) string {
		if m.Delay == 0 {
			return string(m.ID())
		}
		return fmt.Sprint(m.ID(), " after ", m.Delay)
	})
	q, w := l.p.w.queue, l.p.w
	return ask(ctx, l.p, opSend, text, func(*call) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, m := range messages {
			q.sendDelayed(m)
		}
		return nil
	}, func(f Fault) error {
		if f == Part {
			// Some entries were refused, some of those stored all the same; the
			// adapter sent the refused ones again.
			for _, m := range messages {
				for range w.rand.IntN(3) {
					q.sendDelayed(m)
				}
			}
		}
		return fmt.Errorf("messages not enqueued: %w", errInjected)
	}, describe[error])
}

func (l line) SendEnvelope(ctx context.Context, e envelope.Envelope) error {
	return ask(ctx, l.p, opSendOne, fmt.Sprint(e.ID(), " once=", e.Once), func(*call) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.p.w.queue.send(e)
		return nil
	}, func(Fault) error { return errInjected }, describe[error])
}

func (l line) Hide(ctx context.Context, hidings []dispatch.Hiding) []string {
	// They come in the order in which goroutines ended.
	hidings = slices.SortedFunc(slices.Values(hidings), func(a, b dispatch.Hiding) int { return cmp.Compare(a.MessageID, b.MessageID) })
	text := list(hidings, func(h dispatch.Hiding) string { return fmt.Sprint(h.MessageID, " for ", h.Wait) })
	w := l.p.w
	some := func(take func() bool) (failed []string) {
		for _, h := range hidings {
			if !take() || !w.queue.hide(h) {
				failed = append(failed, h.MessageID)
			}
		}
		return failed
	}
	return ask(ctx, l.p, opHide, text, func(*call) []string { return some(func() bool { return true }) }, func(f Fault) []string {
		if f == Part {
			return some(func() bool { return w.rand.IntN(2) == 0 })
		}
		return some(func() bool { return false })
	}, func(failed []string) string { return fmt.Sprint("failed ", failed) })
}

func (l line) StartMove(ctx context.Context) error {
	return ask(ctx, l.p, opMove, "", func(*call) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return l.p.w.queue.startMove()
	}, func(Fault) error { return errInjected }, describe[error])
}

// Depth is not modelled.
func (l line) Depth(context.Context) (int, error) { return 0, errors.ErrUnsupported }

// LatestMove is not modelled.
func (l line) LatestMove(context.Context) (replay.Move, bool, error) {
	return replay.Move{}, false, errors.ErrUnsupported
}
