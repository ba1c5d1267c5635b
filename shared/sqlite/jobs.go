package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

// jobDoc is what a job's row holds as JSON; see documents.go.
type jobDoc struct {
	Kind       replay.Kind        `json:"kind"`
	Endpoint   webhook.EndpointID `json:"endpoint"`
	Since      int64              `json:"since"`
	Until      int64              `json:"until"`
	EventTypes []webhook.Pattern  `json:"types,omitempty"`
	Channels   []webhook.Channel  `json:"channels,omitempty"`
	Filter     string             `json:"filter,omitempty"`
	Rate       int                `json:"rate"`
	State      replay.JobState    `json:"state"`
	Reason     webhook.Reason     `json:"reason,omitempty"`
	Matched    int                `json:"matched"`
	Changed    int                `json:"changed"`
	After      string             `json:"after,omitempty"`
	Reached    int64              `json:"reached,omitempty"`
	PacedUntil int64              `json:"paced,omitempty"`
	CreatedAt  int64              `json:"created"`
	UpdatedAt  int64              `json:"updated"`
}

// SaveJob stores j as revision j.Rev+1, with the audit lines, if the stored
// revision is j.Rev, and returns webhook.ErrConflict otherwise.
func (s *Store) SaveJob(ctx context.Context, j replay.Job, lines ...audit.Line) error {
	doc := encode(jobDoc{
		j.Kind, j.Endpoint, millis(j.Since), millis(j.Until), j.EventTypes, j.Channels, j.Filter, j.Rate, j.State, j.Reason, j.Matched, j.Changed,
		j.After, millis(j.Reached), millis(j.PacedUntil), millis(j.CreatedAt), millis(j.UpdatedAt),
	})
	args := []any{string(j.Tenant), string(j.ID), j.State == replay.JobRunning, doc, millis(j.ExpiresAt()), j.Rev}
	query := changeJob
	if j.Rev == 0 {
		query = addJob
	}
	err := s.write(ctx, func(c *conn) error {
		saved, err := c.exec(query, args...)
		if err != nil {
			return err
		}
		if saved == 0 {
			return webhook.ErrConflict
		}
		return appendLines(c, lines)
	})
	if err != nil {
		return fmt.Errorf("save job %s: %w", j.ID, err)
	}
	return nil
}

const (
	addJob = `INSERT INTO jobs (tenant, id, running, doc, expires_at, rev) VALUES (?1, ?2, ?3, ?4, ?5, ?6 + 1) ON CONFLICT DO NOTHING`

	changeJob = `UPDATE jobs SET running = ?3, doc = ?4, expires_at = ?5, rev = rev + 1 WHERE tenant = ?1 AND id = ?2 AND rev = ?6`

	jobColumns  = "SELECT tenant, id, rev, doc FROM jobs"
	oneJob      = jobColumns + " WHERE tenant = ? AND id = ?"
	listJobs    = jobColumns + " WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?"
	listRunning = jobColumns + " WHERE running = 1"
)

// Job returns one job, or webhook.ErrNotFound.
func (s *Store) Job(ctx context.Context, tenant webhook.TenantID, id replay.JobID) (j replay.Job, err error) {
	found := false
	err = s.read(ctx, func(c *conn) error {
		return c.each(oneJob, []any{string(tenant), string(id)}, func(row scanner) (_ bool, err error) {
			j, err = scanJob(row)
			found = s.now().Before(j.ExpiresAt())
			return false, err
		})
	})
	if err == nil && !found {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return replay.Job{}, fmt.Errorf("job %s: %w", id, err)
	}
	return j, nil
}

// Jobs lists a tenant's jobs, newest first.
func (s *Store) Jobs(ctx context.Context, tenant webhook.TenantID, p webhook.Page) (jobs []replay.Job, next string, err error) {
	after, err := parsePosition(p.After, atJob, "job")
	if err != nil {
		return nil, "", fmt.Errorf("list jobs: %w", err)
	}
	before := beyond
	if after != nil {
		before = after[0]
	}
	err = s.read(ctx, func(c *conn) (err error) {
		jobs, next, err = page(c, p.Limit, listJobs, []any{string(tenant), before}, func(row scanner) (replay.Job, string, bool, error) {
			j, err := scanJob(row)
			return j, position(atJob, j.ID), s.now().Before(j.ExpiresAt()), err
		})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list jobs: %w", err)
	}
	return jobs, next, nil
}

// RunningJobs returns the running jobs of all tenants.
func (s *Store) RunningJobs(ctx context.Context) (running []replay.Job, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(listRunning, nil, func(row scanner) (bool, error) {
			j, err := scanJob(row)
			if s.now().Before(j.ExpiresAt()) {
				running = append(running, j)
			}
			return true, err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list running jobs: %w", err)
	}
	return running, nil
}

func scanJob(row scanner) (j replay.Job, err error) {
	var text []byte
	if err := row.Scan(&j.Tenant, &j.ID, &j.Rev, &text); err != nil {
		return replay.Job{}, err
	}
	var doc jobDoc
	if err := json.Unmarshal(text, &doc); err != nil {
		return replay.Job{}, fmt.Errorf("document of job %s: %w", j.ID, err)
	}
	j.Kind, j.Endpoint, j.EventTypes, j.Channels, j.Filter, j.Rate = doc.Kind, doc.Endpoint, doc.EventTypes, doc.Channels, doc.Filter, doc.Rate
	j.State, j.Reason, j.Matched, j.Changed, j.After = doc.State, doc.Reason, doc.Matched, doc.Changed, doc.After
	j.Since, j.Until, j.Reached, j.PacedUntil = instant(doc.Since), instant(doc.Until), instant(doc.Reached), instant(doc.PacedUntil)
	j.CreatedAt, j.UpdatedAt = instant(doc.CreatedAt), instant(doc.UpdatedAt)
	return j, nil
}
