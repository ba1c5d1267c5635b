// Package throttle bounds how often something may happen, by a token bucket per
// name. A bucket counts what its own process sees.
package throttle

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how many tokens a bucket gets in a second, and how many it holds. The
// zero Rate is no limit.
type Rate struct{ PerSecond, Burst int }

// maxRate bounds both numbers of a Rate.
const maxRate = 1_000_000

// Off is the text of no limit.
const Off = "off"

// Parse reads a rate such as "50/100": 50 a second in the long run, 100 at once.
// "off" is no limit.
func Parse(text string) (Rate, error) {
	if text == Off {
		return Rate{}, nil
	}
	before, after, _ := strings.Cut(text, "/")
	perSecond, err1 := strconv.Atoi(before)
	burst, err2 := strconv.Atoi(after)
	if err1 != nil || err2 != nil || perSecond < 1 || perSecond > maxRate || burst < 1 || burst > maxRate {
		return Rate{}, errors.New(`must be "off", or a rate per second and a burst such as 50/100`)
	}
	return Rate{perSecond, burst}, nil
}

// maxBuckets bounds the memory that buckets take.
const maxBuckets = 10_000

// Buckets holds a bucket for each name. A nil Buckets limits nothing. Safe for
// concurrent use.
type Buckets struct {
	rate Rate
	now  func() time.Time
	mu   sync.Mutex
	held map[string]*rate.Limiter
}

// New returns Buckets that fill at r, or nil when r is no limit.
func New(r Rate, now func() time.Time) *Buckets {
	if r == (Rate{}) {
		return nil
	}
	return &Buckets{rate: r, now: now, held: make(map[string]*rate.Limiter)}
}

// Take takes n tokens from name's bucket and returns 0, or takes none and returns
// how long it takes until there are so many. What is more than a bucket holds
// takes all that it holds.
func (b *Buckets) Take(name string, n int) (wait time.Duration) {
	if b == nil {
		return 0
	}
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	reservation := b.bucket(name, now).ReserveN(now, min(n, b.rate.Burst))
	wait = reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now) // nobody waits for them
	}
	return wait
}

func (b *Buckets) bucket(name string, now time.Time) *rate.Limiter {
	bucket, ok := b.held[name]
	if !ok {
		b.makeRoom(now)
		bucket = rate.NewLimiter(rate.Limit(b.rate.PerSecond), b.rate.Burst)
		b.held[name] = bucket
	}
	return bucket
}

// makeRoom drops the buckets that are full again, which are as good as new ones.
// When none is, it drops all.
func (b *Buckets) makeRoom(now time.Time) {
	if len(b.held) < maxBuckets {
		return
	}
	for name, bucket := range b.held {
		if bucket.TokensAt(now) >= float64(b.rate.Burst) {
			delete(b.held, name)
		}
	}
	if len(b.held) >= maxBuckets {
		clear(b.held)
	}
}
