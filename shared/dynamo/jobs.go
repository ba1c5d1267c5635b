package dynamo

import (
	"context"
	"fmt"
	"strings"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

// Attributes of a job's row, which also lies in the index of what is held while
// the job runs.
const (
	jobKind     = "k"
	jobEndpoint = "e"
	jobSince    = "si"
	jobUntil    = "un"
	jobChannels = "ch" // joined by commas, as types are
	jobTypes    = "et" // patterns, joined by commas, which they cannot hold
	jobFilter   = "f"
	jobRate     = "ra"
	jobState    = "s"
	jobReason   = "r"
	jobMatched  = "n"
	jobChanged  = "c"
	jobAfter    = "af"
	jobReached  = "re"
	jobPaced    = "p"
	jobCreated  = "a"
	jobUpdated  = "m"
)

// SaveJob stores j as revision j.Rev+1, or returns ErrConflict when the stored
// revision is not j.Rev. It costs 1 write unit per KB, 1 more where the job
// begins or ends, and with audit lines twice that and 4 per line.
func (s *Store) SaveJob(ctx context.Context, j replay.Job, lines ...audit.Line) error {
	condition, values := atRevision(j.Rev)
	id := j.ID
	j.Rev++
	err := s.saveJob(ctx, encodeJob(j), condition, values, lines)
	if isConditional(err) {
		err = webhook.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("save job %s: %w", id, err)
	}
	return nil
}

func (s *Store) saveJob(ctx context.Context, row item, condition string, values item, lines []audit.Line) error {
	if len(lines) == 0 {
		return s.put(ctx, row, condition, values)
	}
	refused, err := s.transact(ctx, s.with(lines, s.putIf(row, condition, values))...)
	if err == nil && refused != none {
		err = webhook.ErrConflict
	}
	return err
}

// Job returns one job, or ErrNotFound, for 1 read unit.
func (s *Store) Job(ctx context.Context, tenant webhook.TenantID, id replay.JobID) (replay.Job, error) {
	row, err := s.get(ctx, jobKey(tenant, id), "")
	if err == nil && (row == nil || row.expired(s.now())) {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return replay.Job{}, fmt.Errorf("job %s: %w", id, err)
	}
	return decodeJob(row), nil
}

// Jobs lists a tenant's jobs, newest first, for 1 read unit per 4 KB.
func (s *Store) Jobs(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]replay.Job, string, error) {
	if p.After != "" && webhook.CheckID("after", p.After) != nil {
		return nil, "", webhook.ErrBadCursor
	}
	limit := max(p.Limit, 1)
	q := s.query(jobPK(tenant)).descending().pageSize(limit + 1)
	if p.After != "" {
		q.below(p.After)
	}
	rows, err := q.atMost(ctx, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list jobs of tenant %s: %w", tenant, err)
	}
	next := ""
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].str(attrSK)
	}
	return s.liveJobs(rows), next, nil
}

// RunningJobs returns the running jobs of all tenants by an index that may lag by
// moments, for 1 read unit per job and half of one where there are none.
func (s *Store) RunningJobs(ctx context.Context) ([]replay.Job, error) {
	named, err := s.queryIndex(indexHeld, attrHeldPK+" = :pk", item{":pk": strValue(runningJobsPK)}).all(ctx)
	if err != nil {
		return nil, fmt.Errorf("list running jobs: %w", err)
	}
	if len(named) == 0 {
		return nil, nil
	}
	places := keySet{}
	for _, row := range named {
		places.add(splitRunningJobSK(row.str(attrHeldSK)))
	}
	found := newRowSet()
	if err := s.batchGet(ctx, places, true, found); err != nil {
		return nil, fmt.Errorf("read running jobs: %w", err)
	}
	var running []replay.Job
	for _, row := range named {
		job := found.rows[splitRunningJobSK(row.str(attrHeldSK))]
		if job == nil || job.expired(s.now()) {
			continue
		}
		if j := decodeJob(job); j.State == replay.JobRunning {
			running = append(running, j)
		}
	}
	return running, nil
}

func (s *Store) liveJobs(rows []item) []replay.Job {
	jobs := make([]replay.Job, 0, len(rows))
	for _, row := range rows {
		if !row.expired(s.now()) {
			jobs = append(jobs, decodeJob(row))
		}
	}
	return jobs
}

func encodeJob(j replay.Job) item {
	row := newItem(jobKey(j.Tenant, j.ID))
	if j.State == replay.JobRunning {
		row.setStr(attrHeldPK, runningJobsPK)
		row.setStr(attrHeldSK, runningJobSK(j.Tenant, j.ID))
	}
	row.setStr(jobKind, string(j.Kind))
	row.setStr(jobEndpoint, string(j.Endpoint))
	row.setTime(jobSince, j.Since)
	row.setTime(jobUntil, j.Until)
	row.setStr(jobTypes, joinStrings(j.EventTypes))
	row.setStr(jobChannels, joinStrings(j.Channels))
	row.setStr(jobFilter, j.Filter)
	row.setNum(jobRate, int64(j.Rate))
	row.setStr(jobState, string(j.State))
	row.setStr(jobReason, string(j.Reason))
	row.setNum(jobMatched, int64(j.Matched))
	row.setNum(jobChanged, int64(j.Changed))
	row.setStr(jobAfter, j.After)
	row.setTime(jobReached, j.Reached)
	row.setTime(jobPaced, j.PacedUntil)
	row.setTime(jobCreated, j.CreatedAt)
	row.setTime(jobUpdated, j.UpdatedAt)
	row.setNum(attrRev, j.Rev)
	row.setExpiry(j.ExpiresAt())
	return row
}

func decodeJob(row item) replay.Job {
	return replay.Job{
		Tenant:     webhook.TenantID(strings.TrimPrefix(row.str(attrPK), jobPK(""))),
		ID:         replay.JobID(row.str(attrSK)),
		Kind:       replay.Kind(row.str(jobKind)),
		Endpoint:   webhook.EndpointID(row.str(jobEndpoint)),
		Since:      row.time(jobSince),
		Until:      row.time(jobUntil),
		Channels:   splitStrings[webhook.Channel](row.str(jobChannels)),
		EventTypes: splitStrings[webhook.Pattern](row.str(jobTypes)),
		Filter:     row.str(jobFilter),
		Rate:       int(row.num(jobRate)),
		State:      replay.JobState(row.str(jobState)),
		Reason:     webhook.Reason(row.str(jobReason)),
		Matched:    int(row.num(jobMatched)),
		Changed:    int(row.num(jobChanged)),
		After:      row.str(jobAfter),
		Reached:    row.time(jobReached),
		PacedUntil: row.time(jobPaced),
		CreatedAt:  row.time(jobCreated),
		UpdatedAt:  row.time(jobUpdated),
		Rev:        row.num(attrRev),
	}
}
