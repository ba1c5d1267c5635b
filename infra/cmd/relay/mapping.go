package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/sqlite"
)

const (
	// batchSize is that of the event source mapping in template.yaml.
	batchSize = 10
	// freshBatches is how many batches are in their first moments at once. More
	// would not be handled sooner where endpoints answer at once, for the processor
	// is the limit there; they would only be more POSTs that a crash finds made and
	// not yet recorded. After freshFor a batch is one that waits for its endpoints,
	// and holds up no other.
	freshBatches = 2
	freshFor     = 10 * time.Millisecond
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
	fresh      chan struct{}
}

func newMapping(queue *sqlite.Queue, dispatcher *dispatch.Dispatcher, log *slog.Logger) *mapping {
	return &mapping{queue: queue, dispatcher: dispatcher, log: log, fresh: make(chan struct{}, freshBatches)}
}

// run hands out messages until ctx ends, then returns when the last batch is done.
func (m *mapping) run(ctx context.Context) {
	var batches sync.WaitGroup
	defer batches.Wait()
	for {
		messages := m.receive(ctx)
		if len(messages) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return // the next start receives them again
		case m.fresh <- struct{}{}:
		}
		batches.Go(func() {
			grown := sync.OnceFunc(func() { <-m.fresh })
			timer := time.AfterFunc(freshFor, grown)
			defer grown()
			defer timer.Stop()
			m.handle(messages)
		})
	}
}

// receive waits for the next messages; none means that ctx ended.
func (m *mapping) receive(ctx context.Context) []dispatch.Message {
	for ctx.Err() == nil {
		messages, err := m.queue.Receive(ctx, batchSize)
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
	kept := make(map[string]bool)
	for _, id := range m.dispatcher.HandleEach(ctx, messages, m.queue.Settled) {
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
