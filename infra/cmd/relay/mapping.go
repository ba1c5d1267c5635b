package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/sqlite"
)

const (
	// batchSize is that of the event source mapping in template.yaml.
	batchSize = 10
	// freshMessages is how many messages are in their first moments at once. More
	// would be more POSTs that a crash finds made and not yet recorded. After
	// freshFor a message is one that waits for its endpoint, and holds up no other.
	freshMessages = 14
	freshFor      = 10 * time.Millisecond
	// invocation bounds one batch, as the dispatcher function's timeout does.
	invocation = 60 * time.Second
)

// mapping does what Lambda's event source mapping does in a deployment: it
// receives batches, hands them to the dispatcher, and deletes what that does
// not ask to keep. How many messages are in work at once the queue decides, by
// endpoint: a batch that waits for one slow endpoint holds up no other message.
type mapping struct {
	queue      *sqlite.Queue
	dispatcher *dispatch.Dispatcher
	log        *slog.Logger
	fresh      chan struct{} // holds one for each message in its first moments
}

func newMapping(queue *sqlite.Queue, dispatcher *dispatch.Dispatcher, log *slog.Logger) *mapping {
	return &mapping{queue: queue, dispatcher: dispatcher, log: log, fresh: make(chan struct{}, freshMessages)}
}

// run hands out messages until ctx ends, then returns when the last batch is done.
func (m *mapping) run(ctx context.Context) {
	var batches sync.WaitGroup
	defer batches.Wait()
	for {
		room, ok := m.room(ctx)
		if !ok {
			return
		}
		messages := m.receive(ctx, room)
		m.grown(room - len(messages))
		if len(messages) == 0 {
			return
		}
		batches.Go(func() { m.handle(messages) })
	}
}

// room waits until a message may be handed out, and returns how many may be. They
// count as in their first moments from now on. False: ctx ended.
func (m *mapping) room(ctx context.Context) (room int, ok bool) {
	select {
	case <-ctx.Done():
		return 0, false
	case m.fresh <- struct{}{}:
	}
	for room = 1; room < batchSize; room++ {
		select {
		case m.fresh <- struct{}{}:
		default:
			return room, true
		}
	}
	return room, true
}

// grown says that so many messages are no longer in their first moments.
func (m *mapping) grown(messages int) {
	for range messages {
		<-m.fresh
	}
}

// receive waits for the next messages; none means that ctx ended.
func (m *mapping) receive(ctx context.Context, limit int) []dispatch.Message {
	for ctx.Err() == nil {
		messages, err := m.queue.Receive(ctx, limit)
		if err != nil {
			if ctx.Err() == nil {
				m.log.Error("receive failed", "error", err.Error())
				pause(ctx, time.Second)
			}
			continue
		}
		if len(messages) > 0 {
			return messages
		}
		_ = m.queue.Wait(ctx) // fails only when ctx ends or the store closes
	}
	return nil
}

// handle runs outside the context that stops the process, so that a stop lets
// attempts finish.
func (m *mapping) handle(messages []dispatch.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), invocation)
	defer cancel()
	var young atomic.Int64
	young.Store(int64(len(messages)))
	timer := time.AfterFunc(freshFor, func() { m.grown(int(young.Swap(0))) })
	defer timer.Stop()
	settled := func(message dispatch.Message) {
		m.queue.Settled(message)
		if left := young.Add(-1); left >= 0 {
			m.grown(1)
		}
	}
	kept := make(map[string]bool)
	for _, id := range m.dispatcher.HandleEach(ctx, messages, settled) {
		kept[id] = true
	}
	finished := messages[:0]
	for _, message := range messages {
		if !kept[message.ID] {
			finished = append(finished, message)
		}
	}
	if err := m.queue.Delete(ctx, finished); err != nil {
		m.log.Error("delete failed", "messages", len(finished), "error", err.Error())
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
