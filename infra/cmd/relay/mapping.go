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
	// concurrency is how many batches are handled at once.
	concurrency = 32
	// invocation bounds one batch, as the dispatcher function's timeout does.
	invocation = 60 * time.Second
)

// mapping does what Lambda's event source mapping does in a deployment: it
// receives batches, hands them to the dispatcher, and deletes what that does
// not ask to keep.
type mapping struct {
	queue      *sqlite.Queue
	dispatcher *dispatch.Dispatcher
	log        *slog.Logger
	slots      chan struct{}
}

func newMapping(queue *sqlite.Queue, dispatcher *dispatch.Dispatcher, log *slog.Logger) *mapping {
	return &mapping{queue: queue, dispatcher: dispatcher, log: log, slots: make(chan struct{}, concurrency)}
}

// run hands out messages until ctx ends, then returns when the last batch is done.
func (m *mapping) run(ctx context.Context) {
	var batches sync.WaitGroup
	defer batches.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case m.slots <- struct{}{}:
		}
		messages := m.receive(ctx)
		if len(messages) == 0 {
			return
		}
		batches.Go(func() {
			defer func() { <-m.slots }()
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
	for _, id := range m.dispatcher.Handle(ctx, messages) {
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
