package sqlite

import (
	"slices"
	"strings"
	"sync"
	"time"

	"webhookrelay/shared/webhook"
)

// recent keeps in memory the events that were stored a moment ago, until all
// their deliveries have been begun: most are loaded right after they were stored,
// and nothing else is known of them then. The zero recent is ready.
type recent struct {
	mu     sync.Mutex
	events map[eventKey]*recentEvent
	size   int
}

type eventKey struct {
	tenant webhook.TenantID
	ref    webhook.EventRef
}

type recentEvent struct {
	webhook.Event
	// waiting are the targets for which no delivery has been stored.
	waiting []webhook.EndpointID
}

// maxRecent bounds the events kept, in bytes, with eventOverhead for each and
// targetOverhead for each of its targets, which are listed twice.
const (
	maxRecent      = 8 << 20
	eventOverhead  = 1 << 10
	targetOverhead = 32
)

func (e *recentEvent) size() int {
	return len(e.Body) + eventOverhead + targetOverhead*len(e.Targets)
}

// changesRecent reports whether a statement may change what is kept.
func changesRecent(query string) bool {
	return strings.HasPrefix(strings.TrimSpace(query), "UPDATE events")
}

// add keeps an event that has just been stored for the first time.
func (r *recent) add(e webhook.Event) {
	if len(e.Targets) == 0 || e.Held {
		return
	}
	added := &recentEvent{asStored(e), slices.Clone(e.Targets)}
	if added.size() > maxRecent {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.events == nil {
		r.events = make(map[eventKey]*recentEvent)
	}
	for key := range r.events { // any is as good to let go
		if r.size+added.size() <= maxRecent {
			break
		}
		r.remove(key)
	}
	r.events[eventKey{e.Tenant, e.Ref}] = added
	r.size += added.size()
}

// asStored is the event as it is read back.
func asStored(e webhook.Event) webhook.Event {
	for _, at := range []*time.Time{&e.Timestamp, &e.AcceptedAt, &e.ExpiresAt, &e.DeliverAt, &e.CancelledAt, &e.ExpungedAt} {
		*at = instant(millis(*at))
	}
	return e
}

func (r *recent) remove(key eventKey) {
	if e, ok := r.events[key]; ok {
		r.size -= e.size()
		delete(r.events, key)
	}
}

// begun notes that the delivery has a row.
func (r *recent) begun(key webhook.DeliveryKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := eventKey{key.Tenant, key.Event}
	e, ok := r.events[of]
	if !ok {
		return
	}
	e.waiting = slices.DeleteFunc(e.waiting, func(id webhook.EndpointID) bool { return id == key.Endpoint })
	if len(e.waiting) == 0 {
		r.remove(of)
	}
}

// event returns the event of a delivery that has no row, which the caller must
// not change, or nil when that is not known.
func (r *recent) event(key webhook.DeliveryKey, now time.Time) *webhook.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.events[eventKey{key.Tenant, key.Event}]
	if !ok || !slices.Contains(e.waiting, key.Endpoint) || !now.Before(e.ExpiresAt) {
		return nil
	}
	return &e.Event
}

// clear drops all: an event may not be what it was.
func (r *recent) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.events)
	r.size = 0
}
