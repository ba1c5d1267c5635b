package dynamo

import (
	"context"
	"errors"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

const (
	// maxDays bounds how far back a list goes; no event is kept longer.
	maxDays = 400

	// Bounds of one list call, so that it ends within an API request: about a
	// thousand rows are 0.5 MB, and 40 days, empty ones, are 320 queries.
	maxRowsPerCall = 1000
	maxDaysPerCall = 40

	// bucketPage is how many rows are read at once from each of a day's buckets.
	bucketPage = 32

	// clockSkew is how far the clocks of two functions may be apart: an event's
	// ref may be from a little ahead of this clock.
	clockSkew = 5 * time.Minute
)

// Attributes that a list of events needs: all but the body.
const listedAttributes = attrPK + ", " + attrSK + ", " + attrExpires + ", " + attrRev + ", " +
	eventID + ", " + eventType + ", " + eventTimestamp + ", " + eventChannels + ", " + eventAccepted + ", " + eventTargets + ", " + eventUndecided + ", " + eventUnsent + ", " +
	eventTags + ", " + eventDeliver + ", " + eventCancelled + ", " + eventExpunged + ", " + attrHeldPK + ", " + eventTrace

// everyAttribute is what a list with bodies needs.
const everyAttribute = ""

// walk visits a tenant's events with their delivery rows, newest first, from a
// position on, until visit returns false, the bounds of one call are reached or
// all are seen. It returns the position behind the last visit, or "" at the end;
// a caller that stops a walk knows the position itself.
//
// It reads each day's buckets strongly, from the ref's day back to the day the
// tenant was created, or the day of since: 1 read unit per 4 KB of rows, bodies included, and at
// least 1 per bucket.
func (s *Store) walk(ctx context.Context, tenant webhook.TenantID, from position, since time.Time, attributes string, visit func(group) bool) (string, error) {
	newest, oldest, err := s.span(ctx, tenant)
	if err != nil {
		return "", err
	}
	oldest = max(oldest, dayOf(since))
	if from != (position{}) {
		newest = min(newest, from.day)
	}
	first := webhook.EventRef("")
	if !since.IsZero() {
		first = id.First(since)
	}
	rows := 0
	for d := newest; d >= oldest; d-- {
		if newest-d == maxDaysPerCall {
			return position{day: d}.String(), nil
		}
		buckets, err := s.openDay(ctx, tenant, d, from, attributes)
		if err != nil {
			return "", err
		}
		for {
			g, ok, err := mergeNext(ctx, buckets, group.exists, group.newerThan)
			if err != nil {
				return "", err
			}
			if !ok {
				break
			}
			if g.ref < first {
				return "", nil // all that follows is older
			}
			rows += g.rows
			if !visit(g) || rows >= maxRowsPerCall {
				return position{ref: g.ref}.String(), nil
			}
		}
	}
	return "", nil
}

// span returns the days between which the tenant's events lie. The oldest is
// after the newest when there is no such tenant.
func (s *Store) span(ctx context.Context, tenant webhook.TenantID) (newest, oldest day, err error) {
	newest = dayOf(s.now().Add(clockSkew))
	t, err := s.Tenant(ctx, tenant)
	if errors.Is(err, webhook.ErrNotFound) {
		return newest, newest + 1, nil
	}
	if err != nil {
		return 0, 0, err
	}
	return newest, max(dayOf(t.CreatedAt.Add(-clockSkew)), newest-maxDays), nil
}

// openDay begins to read all buckets of one day, from the position down where
// it lies in that day.
func (s *Store) openDay(ctx context.Context, tenant webhook.TenantID, d day, from position, attributes string) ([]*groupSource, error) {
	sources := make([]*groupSource, Shards)
	queries := make([]*query, Shards)
	for shard := range Shards {
		q := s.query(bucketPK(tenant, d, shard)).descending().pageSize(bucketPage).attributes(attributes)
		if from.ref != "" && from.day == d {
			q.below(from.bound())
		}
		queries[shard] = q
		sources[shard] = &groupSource{query: q, tenant: tenant, now: s.now()}
	}
	return sources, readFirstPages(ctx, queries)
}

// bound is the sort key below which the rows behind p lie: with an endpoint,
// the rest of p's own event is among them.
func (p position) bound() string {
	if p.endpoint == "" {
		return string(p.ref)
	}
	return string(p.ref) + afterSeparator
}

// group is an event with its stored delivery rows, none of them expired. The
// event is nil when its row is gone.
type group struct {
	ref        webhook.EventRef
	event      *webhook.Event
	deliveries []webhook.Delivery
	rows       int
}

func (g group) exists() bool           { return g.rows > 0 }
func (g group) newerThan(o group) bool { return g.ref > o.ref }

// groupSource puts together the groups of one bucket, read in descending
// order: an event's deliveries, then the event.
type groupSource struct {
	query  *query
	tenant webhook.TenantID
	now    time.Time
	head   group
}

func (b *groupSource) drop() { b.head = group{} }

func (b *groupSource) peek(ctx context.Context) (group, error) {
	for b.head.event == nil {
		row, err := b.query.peek(ctx)
		if err != nil || row == nil {
			return b.head, err
		}
		ref, endpoint := splitBucketSK(row.str(attrSK))
		if b.head.exists() && ref != b.head.ref {
			return b.head, nil // its event's row is gone
		}
		b.query.drop()
		if err := b.take(ref, endpoint, row); err != nil {
			return group{}, err
		}
	}
	return b.head, nil
}

func (b *groupSource) take(ref webhook.EventRef, endpoint webhook.EndpointID, row item) error {
	b.head.ref = ref
	b.head.rows++
	if row.expired(b.now) {
		return nil
	}
	if endpoint == "" {
		e, err := decodeEvent(b.tenant, row)
		b.head.event = &e
		return err
	}
	d, err := decodeDelivery(b.tenant, row)
	b.head.deliveries = append(b.head.deliveries, d)
	return err
}
