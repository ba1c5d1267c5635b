package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/client"
)

type recoverCommand struct {
	remote
	jobFlags
}

// Run puts an endpoint's dead deliveries back to work.
func (c recoverCommand) Run(s *session) error {
	return c.begin(s, "Recover", (*client.Client).RecoverEndpoint)
}

type replayCommand struct {
	remote
	jobFlags
}

// Run delivers past events to an endpoint that did not get them.
func (c replayCommand) Run(s *session) error {
	return c.begin(s, "Replay", (*client.Client).ReplayEvents)
}

// jobFlags say what a job is about.
type jobFlags struct {
	Endpoint string   `arg:"" help:"The endpoint's id."`
	Since    string   `required:"" placeholder:"TIME" help:"Events accepted since then: a time such as 2026-11-23T12:00:00Z, or how long ago, such as 2h."`
	Until    string   `placeholder:"TIME" help:"Events accepted until then, in the same way; now when left out."`
	Types    []string `placeholder:"PATTERN,…" help:"Only events of these types, such as order.*."`
	Rate     int      `placeholder:"N" help:"How many deliveries a second are sent; the relay's default when left out."`
	DryRun   bool     `help:"Say how many there are, and do nothing."`
	Yes      bool     `short:"y" help:"Do not ask."`
	NoWait   bool     `help:"Begin it, and do not wait for its end."`
}

// job reads the flags.
func (c jobFlags) job(now time.Time) (n client.NewJob, err error) {
	n = client.NewJob{EventTypes: c.Types, Rate: c.Rate, DryRun: true}
	if n.Since, err = when(c.Since, now); err != nil {
		return n, usage("--since: %w", err)
	}
	if c.Until != "" {
		until, err := when(c.Until, now)
		if err != nil {
			return n, usage("--until: %w", err)
		}
		n.Until = &until
	}
	return n, nil
}

// when reads a time, or how long ago it was.
func when(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%q is neither a time such as 2026-11-23T12:00:00Z nor how long ago, such as 2h", text)
	}
	return now.Add(-ago), nil
}

// begin counts first, asks, begins the job and watches it.
func (c jobFlags) begin(s *session, verb string, call func(*client.Client, context.Context, string, string, client.NewJob) (client.Begun, error)) error {
	n, err := c.job(s.now())
	if err != nil {
		return err
	}
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	counted, err := call(relay, s.ctx, tenant, c.Endpoint, n)
	if err != nil {
		return err
	}
	found := strconv.Itoa(counted.Count.Matched)
	if !counted.Count.Complete {
		found = "at least " + found
	}
	if c.DryRun {
		return s.show(counted.Count, fmt.Sprintf("%s would send %s deliveries to %s.", verb, found, c.Endpoint))
	}
	if counted.Count.Matched == 0 && counted.Count.Complete {
		s.note("There is nothing to do.")
		return nil
	}
	if err := s.confirm(c.Yes, fmt.Sprintf("%s %s deliveries to %s of %s?", verb, found, c.Endpoint, tenant)); err != nil {
		return err
	}
	n.DryRun = false
	begun, err := call(relay, s.ctx, tenant, c.Endpoint, n)
	if err != nil {
		return err
	}
	s.note("Begun: %s", begun.Job.ID)
	if c.NoWait {
		return s.one(*begun.Job, jobHeader, s.jobRow(*begun.Job))
	}
	return watchJob(s, relay, tenant, begun.Job.ID, counted.Count.Matched)
}

// jobRunning is the state of a job that has not ended.
const jobRunning = "running"

// watchJob shows how far a job is until it ends; total is how many deliveries
// it is about, 0 if that is not known.
func watchJob(s *session, relay *client.Client, tenant, id string, total int) error {
	meter := progress{s: s, began: s.now()}
	defer meter.clear()
	for {
		job, err := relay.GetJob(s.ctx, tenant, id)
		if err == nil && job.State != jobRunning {
			meter.clear()
			return s.jobEnd(job)
		}
		if err == nil {
			meter.show(job.Matched, max(total, job.Matched))
			err = s.sleep(s.ctx, pollInterval)
		}
		if err != nil {
			meter.clear()
			if s.ctx.Err() != nil {
				s.note("The job goes on without you. See how far it is: relay jobs watch %s; end it: relay jobs cancel %s", id, id)
			}
			return err
		}
	}
}

func (s *session) jobEnd(job client.Job) error {
	if err := s.one(job, jobHeader, s.jobRow(job)); err != nil {
		return err
	}
	if job.State != "done" {
		return fmt.Errorf("the job ended %s. %s", job.State, job.Reason)
	}
	s.note("All are on their way. See how they go: relay deliveries --endpoint %s --follow", job.EndpointID)
	return nil
}

type jobsCommand struct {
	remote
	List   jobsList   `cmd:"" default:"withargs" help:"List jobs, newest first."`
	Watch  jobsWatch  `cmd:"" help:"Show how far a job is, until it ends."`
	Cancel jobsCancel `cmd:"" help:"End a job; what it has sent stays sent."`
}

var jobHeader = []string{"BEGUN", "KIND", "ENDPOINT", "STATE", "FOUND", "CHANGED", "TYPES", "ID"}

func (s *session) jobRow(j client.Job) []string {
	return []string{
		s.time(j.CreatedAt), j.Kind, j.EndpointID, strings.TrimSpace(j.State + " " + j.Reason),
		strconv.Itoa(j.Matched), strconv.Itoa(j.Changed), strings.Join(j.EventTypes, ","), j.ID,
	}
}

type jobsList struct{ listFlags }

// Run lists jobs.
func (c jobsList) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	return list(s, c.listFlags, jobHeader, relay.AllJobs(s.ctx, tenant, c.options()), s.jobRow)
}

type jobsWatch struct {
	Job string `arg:"" help:"The job's id."`
}

// Run watches a job.
func (c jobsWatch) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	return watchJob(s, relay, tenant, c.Job, 0)
}

type jobsCancel struct {
	Job string `arg:"" help:"The job's id."`
}

// Run cancels a job.
func (c jobsCancel) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	job, err := relay.CancelJob(s.ctx, tenant, c.Job)
	if err != nil {
		return err
	}
	return s.one(job, jobHeader, s.jobRow(job))
}
