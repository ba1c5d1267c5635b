// Package id mints the relay's own identifiers: ULIDs, which sort by the time
// they were made and hold 80 random bits.
package id

import (
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"webhookrelay/shared/webhook"
)

// EventPrefix begins the id of every event whose caller chose none. A caller's
// own id may not begin with it, so an id alone says where its event is kept.
const EventPrefix = "evt_"

// Source mints ULIDs that strictly increase within one process. Safe for
// concurrent use.
type Source struct {
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64
}

// NewSource returns a Source that draws on crypto/rand.
func NewSource() *Source {
	return &Source{entropy: ulid.Monotonic(rand.Reader, 0)}
}

// ULID returns a new 26-character ULID for now. When the clock stands or steps
// back it goes on from the last time it saw.
func (s *Source) ULID(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, ulid.Timestamp(now))
	made, err := ulid.New(s.last, s.entropy)
	if err != nil {
		// The monotonic part overflowed within one millisecond: borrow the next.
		s.last++
		made = ulid.MustNew(s.last, s.entropy)
	}
	return made.String()
}

// EventRef returns a new reference for an event accepted at now.
func (s *Source) EventRef(now time.Time) webhook.EventRef {
	return webhook.EventRef(s.ULID(now))
}

// EndpointID returns a new endpoint id.
func (s *Source) EndpointID(now time.Time) webhook.EndpointID {
	return webhook.EndpointID("ep_" + s.ULID(now))
}

// EventID returns the id of the event kept under ref whose caller chose none.
func EventID(ref webhook.EventRef) webhook.EventID {
	return webhook.EventID(EventPrefix + string(ref))
}

// RefOf returns the reference inside an event id that the relay made, and
// false for a caller's own id, whose reference only the store knows.
func RefOf(id webhook.EventID) (webhook.EventRef, bool) {
	ref, ok := strings.CutPrefix(string(id), EventPrefix)
	if !ok {
		return "", false
	}
	if _, err := ulid.ParseStrict(ref); err != nil {
		return "", false
	}
	return webhook.EventRef(ref), true
}

// First returns the reference below which all made before t lie, and none made since.
func First(t time.Time) webhook.EventRef {
	var first ulid.ULID
	if err := first.SetTime(ulid.Timestamp(t)); err != nil {
		return "" // before 1970 or after 10889
	}
	return webhook.EventRef(first.String())
}

// Time returns when ref was made, to the millisecond, and false when ref is no ULID.
func Time(ref webhook.EventRef) (time.Time, bool) {
	parsed, err := ulid.ParseStrict(string(ref))
	if err != nil {
		return time.Time{}, false
	}
	return ulid.Time(parsed.Time()).UTC(), true
}
