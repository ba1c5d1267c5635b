package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/webhook"
)

// Load answers each lookup, in order, as of the call or later: all lookups are as
// good as fresh. What memory does not hold comes from one snapshot.
func (s *Store) Load(ctx context.Context, lookups []dispatch.Lookup) ([]dispatch.Loaded, error) {
	now, age := s.now(), s.known.now()
	loaded := make([]dispatch.Loaded, len(lookups))
	var rest []int
	for i, l := range lookups {
		if e, to, ok := s.remembered(l.DeliveryKey, now); ok {
			loaded[i] = dispatch.Loaded{Event: e, Endpoint: &to}
		} else {
			rest = append(rest, i)
		}
	}
	if len(rest) > 0 {
		err := s.snapshot(ctx, func(c *conn) (err error) {
			for _, i := range rest {
				key := lookups[i].DeliveryKey
				switch loaded[i], err = s.load(c, key, now, age); {
				case errors.Is(err, webhook.ErrUnreadable):
					loaded[i] = dispatch.Loaded{Err: err}
				case err != nil:
					return fmt.Errorf("load %s: %w", key.ID(), err)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for i, l := range loaded {
		if l.Err == nil {
			s.lanes.note(lookups[i].Tenant, lookups[i].Endpoint, l.Endpoint != nil && l.Endpoint.State == webhook.EndpointEnabled && l.Endpoint.Health.Open())
		}
	}
	return loaded, nil
}

// remembered answers from memory for a delivery that has no row.
func (s *Store) remembered(key webhook.DeliveryKey, now time.Time) (e *webhook.Event, to webhook.Endpoint, ok bool) {
	if e = s.recent.event(key, now); e == nil {
		return nil, to, false
	}
	to, ok = s.known.endpoint(endpointKey{key.Tenant, key.Endpoint})
	return e, to, ok
}

// load reads what memory does not hold; age is that of known before the snapshot.
func (s *Store) load(c *conn, key webhook.DeliveryKey, now time.Time, age int64) (l dispatch.Loaded, err error) {
	e, ok, err := event(c, key.Tenant, key.Event, now)
	if err != nil {
		return l, err
	}
	if ok {
		l.Event = &e
	}
	to, ok := s.known.endpoint(endpointKey{key.Tenant, key.Endpoint})
	if !ok {
		if to, ok, err = endpoint(c, key.Tenant, key.Endpoint); err != nil {
			return l, err
		}
	}
	if ok {
		l.Endpoint = &to
		s.known.keepEndpoint(age, to)
	}
	d, ok, err := delivery(c, key, now)
	if err != nil {
		return l, err
	}
	if ok {
		l.Delivery = &d
	}
	return l, nil
}

// SaveDelivery stores d as revision d.Rev+1 if the stored row's revision is
// d.Rev (0: there is none), and returns webhook.ErrConflict otherwise.
func (s *Store) SaveDelivery(ctx context.Context, d webhook.Delivery) error {
	args := []any{
		string(d.Tenant), string(d.Event), string(d.Endpoint), string(d.EventID), string(d.EventType),
		string(d.State), string(d.Reason), d.AttemptCount, d.BudgetStart, millis(d.NextAttemptAt), string(d.NextCause),
		millis(d.DiedAt), millis(d.UpdatedAt), millis(d.ExpiresAt), d.Rev, d.Writer, encodeAttempts(d.Attempts), millis(d.HeldUntil), millis(d.ParkedAt),
		d.Untold, joinNames(d.Tags), d.Expunged,
	}
	query := changeDelivery
	if d.Rev == 0 {
		query = addDelivery
	}
	err := s.write(ctx, func(c *conn) error {
		if d.Rev == 0 {
			c.onCommit(func() { s.recent.begun(d.DeliveryKey) }) // on a conflict too: there is a row
		}
		save := func() error {
			saved, err := c.exec(query, args...)
			if err == nil && saved == 0 {
				return webhook.ErrConflict
			}
			return err
		}
		if d.Expunged {
			return c.erasing(save)
		}
		return save()
	})
	if err != nil {
		return fmt.Errorf("save delivery %s: %w", d.ID(), err)
	}
	return nil
}

// Delivery returns one delivery row, or webhook.ErrNotFound when no attempt
// has been recorded.
func (s *Store) Delivery(ctx context.Context, key webhook.DeliveryKey) (d webhook.Delivery, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, ok, err := delivery(c, key, s.now())
		if err == nil && !ok {
			return webhook.ErrNotFound
		}
		d = found
		return err
	})
	if err != nil {
		return webhook.Delivery{}, fmt.Errorf("delivery %s: %w", key.ID(), err)
	}
	return d, nil
}

// EventDeliveries returns the stored delivery rows of one event.
func (s *Store) EventDeliveries(ctx context.Context, tenant webhook.TenantID, ref webhook.EventRef) (rows []webhook.Delivery, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		rows, err = eventDeliveries(c, tenant, ref, s.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("deliveries of event %s: %w", ref, err)
	}
	return rows, nil
}

const (
	addDelivery = `
		INSERT INTO deliveries (tenant, event, endpoint, event_id, event_type, state, reason, attempt_count, budget_start,
			next_at, next_cause, died_at, updated_at, expires_at, rev, writer, attempts, held_until, parked_at, untold, tags, expunged)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15 + 1, ?16, ?17, ?18, ?19, ?20, ?21, ?22)
		ON CONFLICT DO NOTHING`
	changeDelivery = `
		UPDATE deliveries SET event_id = ?4, event_type = ?5, state = ?6, reason = ?7, attempt_count = ?8, budget_start = ?9,
			next_at = ?10, next_cause = ?11, died_at = ?12, updated_at = ?13, expires_at = ?14, rev = rev + 1,
			writer = ?16, attempts = ?17, held_until = ?18, parked_at = ?19, untold = ?20,
			tags = ?21, expunged = ?22
		WHERE tenant = ?1 AND event = ?2 AND endpoint = ?3 AND rev = ?15`

	deliveryColumns = `tenant, event, endpoint, event_id, event_type, state, reason, attempt_count, budget_start,
		next_at, next_cause, died_at, updated_at, expires_at, rev, writer, attempts, held_until, parked_at, untold, tags, expunged`
	oneDelivery  = "SELECT " + deliveryColumns + " FROM deliveries WHERE tenant = ? AND event = ? AND endpoint = ?"
	ofOneEvent   = "SELECT " + deliveryColumns + " FROM deliveries WHERE tenant = ? AND event = ?"
	failedStates = "state IN ('retrying', 'parked', 'dead', 'cancelled')" // word for word as in the index deliveries_failed
	listFailed   = "SELECT " + deliveryColumns + " FROM deliveries WHERE " + failedStates + ` AND state = ?
		AND tenant = ? AND (event, endpoint) < (?, ?) AND event >= ? ORDER BY event DESC, endpoint DESC LIMIT ?`
	listDeadLetters = "SELECT " + deliveryColumns + " FROM deliveries WHERE " + failedStates + ` AND state = 'dead'
		AND (tenant, event, endpoint) > (?, ?, ?) ORDER BY tenant, event, endpoint LIMIT ?`
)

func delivery(c *conn, key webhook.DeliveryKey, now time.Time) (d webhook.Delivery, ok bool, err error) {
	args := []any{string(key.Tenant), string(key.Event), string(key.Endpoint)}
	err = c.each(oneDelivery, args, func(row scanner) (bool, error) {
		d, err = scanDelivery(row)
		ok = err == nil && now.Before(d.ExpiresAt)
		return false, err
	})
	return d, ok, err
}

func eventDeliveries(c *conn, tenant webhook.TenantID, ref webhook.EventRef, now time.Time) (rows []webhook.Delivery, err error) {
	err = c.each(ofOneEvent, []any{string(tenant), string(ref)}, func(row scanner) (bool, error) {
		d, err := scanDelivery(row)
		if now.Before(d.ExpiresAt) {
			rows = append(rows, d)
		}
		return true, err
	})
	return rows, err
}

func scanDelivery(row scanner) (d webhook.Delivery, err error) {
	var next, died, updated, expires, held, parked int64
	var attempts []byte
	var tags string
	if err := row.Scan(&d.Tenant, &d.Event, &d.Endpoint, &d.EventID, &d.EventType, &d.State, &d.Reason, &d.AttemptCount,
		&d.BudgetStart, &next, &d.NextCause, &died, &updated, &expires, &d.Rev, &d.Writer, &attempts, &held, &parked, &d.Untold, &tags, &d.Expunged); err != nil {
		return webhook.Delivery{}, err
	}
	d.NextAttemptAt, d.DiedAt, d.UpdatedAt, d.ExpiresAt = instant(next), instant(died), instant(updated), instant(expires)
	d.HeldUntil, d.ParkedAt, d.Tags = instant(held), instant(parked), splitNames[webhook.Tag](tags)
	if d.Attempts, err = decodeAttempts(attempts); err != nil {
		return webhook.Delivery{}, fmt.Errorf("delivery %s: %w: %w", d.ID(), webhook.ErrUnreadable, err)
	}
	return d, nil
}
