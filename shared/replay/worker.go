package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"webhookrelay/shared/filter"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// savers bounds the rows written side by side.
const savers = 16

// WorkStore is what a Worker reads and changes.
type WorkStore interface {
	JobStore
	Past
	Endpoints
	Rows
}

// Worker does the running jobs, a little with each call. What it puts back to
// work waits in the store, due one after the other at the job's rate, and the
// sweeper sends it. So a crash loses nothing, and what is found again after one
// has changed already: it is not put back twice. Two Workers at once do no harm.
type Worker struct {
	Store WorkStore
	// Interval is the time until Advance is called again, at least that of the
	// sweeper's Release: what becomes due in the Interval after that is prepared.
	Interval time.Duration
	// Matcher asks filters.
	Matcher *filter.Matcher
	Now     func() time.Time
	Log     *slog.Logger
}

// Advance goes on with every running job until each has done what may be done
// now, or ctx ends.
func (w Worker) Advance(ctx context.Context) error {
	jobs, err := w.Store.RunningJobs(ctx)
	if err != nil {
		return fmt.Errorf("running jobs: %w", err)
	}
	// Those that waited longest come first, should the time not suffice for all.
	slices.SortFunc(jobs, func(a, b Job) int { return a.UpdatedAt.Compare(b.UpdatedAt) })
	var faults []error
	for _, j := range jobs {
		if ctx.Err() != nil {
			break
		}
		err := w.advance(ctx, j)
		if err != nil && ctx.Err() == nil {
			faults = append(faults, fmt.Errorf("job %s of tenant %s: %w", j.ID, j.Tenant, err))
		}
	}
	return errors.Join(faults...)
}

// advance does what may be done of one job now.
func (w Worker) advance(ctx context.Context, j Job) error {
	reason, err := w.obstacle(ctx, j)
	if err != nil {
		return err
	}
	if reason != "" {
		_, err := w.save(ctx, j.end(JobFailed, reason, w.now()))
		return err
	}
	for j.State == JobRunning && ctx.Err() == nil {
		now := w.now()
		if opens := now.Add(w.Interval); j.PacedUntil.Before(opens) {
			j.PacedUntil = opens
		}
		limit := j.room(now.Add(2 * w.Interval))
		if limit == 0 {
			return nil
		}
		err := w.page(ctx, &j, limit, now)
		saved, saveErr := w.save(ctx, j)
		if err := errors.Join(err, saveErr); err != nil || !saved {
			return err
		}
		j.Rev++
	}
	return nil
}

// room is how many deliveries may be put back that are due before closes.
func (j Job) room(closes time.Time) int {
	if j.Kind == Cancel {
		return pageSize // nothing is sent
	}
	open := closes.Sub(j.PacedUntil)
	return min(pageSize, max(0, int((open*time.Duration(j.Rate)+time.Second-1)/time.Second)))
}

// obstacle says why the job cannot go on.
func (w Worker) obstacle(ctx context.Context, j Job) (webhook.Reason, error) {
	if j.Kind == Cancel {
		return "", nil
	}
	endpoint, err := w.Store.Endpoint(ctx, j.Tenant, j.Endpoint)
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		return webhook.ReasonEndpointDeleted, nil
	case err != nil:
		return "", err
	case endpoint.State == webhook.EndpointDisabled:
		return webhook.ReasonEndpointDisabled, nil
	}
	return "", nil
}

// page finds and changes at most limit deliveries. When some cannot be stored,
// the job stays where it was and finds them again.
func (w Worker) page(ctx context.Context, j *Job, limit int, now time.Time) error {
	found, next, err := j.find(ctx, w.Store, w.Matcher, limit, now)
	if err != nil {
		return err
	}
	rows := make([]webhook.Delivery, len(found))
	for i, d := range found {
		rows[i] = j.change(d, j.PacedUntil, now)
		if j.Kind != Cancel {
			j.PacedUntil = j.PacedUntil.Add(time.Second / time.Duration(j.Rate))
		}
	}
	changed, refused, err := w.saveRows(ctx, rows)
	j.Changed += changed
	j.Matched += changed + refused
	j.UpdatedAt = now
	if err != nil {
		return err
	}
	j.After = next
	if len(found) > 0 {
		if accepted, ok := id.Time(found[len(found)-1].Event); ok {
			j.Reached = accepted
		}
	}
	if next == "" {
		*j = j.end(JobDone, "", now)
		w.Log.Info("job done", "tenant_id", j.Tenant, "job_id", j.ID, "kind", j.Kind, "endpoint_id", j.Endpoint,
			"matched", j.Matched, "changed", j.Changed)
	}
	return nil
}

// saveRows stores the rows side by side, and counts those that changed meanwhile.
func (w Worker) saveRows(ctx context.Context, rows []webhook.Delivery) (saved, refused int, fault error) {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
	)
	slots := make(chan struct{}, savers)
	for _, d := range rows {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			err := w.Store.SaveDelivery(ctx, d)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				saved++
			case errors.Is(err, webhook.ErrConflict):
				refused++
			default:
				fault = fmt.Errorf("save %s: %w", d.ID(), err)
			}
		})
	}
	wait.Wait()
	return saved, refused, fault
}

// save stores how far the job got. Who changed it meanwhile, another Worker or
// whoever cancelled it, has the say: nothing more is done then.
func (w Worker) save(ctx context.Context, j Job) (saved bool, err error) {
	err = w.Store.SaveJob(context.WithoutCancel(ctx), j)
	if errors.Is(err, webhook.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func (w Worker) now() time.Time { return w.Now().UTC().Truncate(time.Millisecond) }
