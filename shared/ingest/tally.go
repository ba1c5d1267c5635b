package ingest

import (
	"log/slog"
	"sync"
	"time"

	"webhookrelay/shared/telemetry"
)

// tallyEvery is how often what was accepted is logged at most: a line per event
// would cost more than the queue.
const tallyEvery = 10 * time.Second

// tally counts what was accepted since it was last logged. What a function
// accepts in the seconds before it is left idle, it logs with its next event, or never.
type tally struct {
	mu                 sync.Mutex
	events, deliveries int
	logged             time.Time
}

func (t *tally) add(log *slog.Logger, now time.Time, deliveries int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events++
	t.deliveries += deliveries
	if now.Sub(t.logged) < tallyEvery {
		return
	}
	log.Info("accepted", telemetry.Counted("EventsAccepted", t.events), telemetry.Counted("DeliveriesQueued", t.deliveries))
	t.events, t.deliveries, t.logged = 0, 0, now
}
