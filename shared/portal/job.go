package portal

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/client"
)

// recoverForm says what is to be sent again.
type recoverForm struct {
	client.Endpoint
	Name string
	// Kind is recover, for what failed, or replay, for what never came.
	Kind string
	// Since is 1h and the like, or "exact", when From and To are meant.
	Since, From, To string
	Types           string
	// Count is what would be sent; nil until it was counted.
	Count *client.DryRun
	// At is the moment that Since counts back from, so that what is sent is what was counted.
	At    string
	Fault string
}

// recoverRate is how many deliveries a second are put back to work, said with
// each job so that the page's estimate holds.
const recoverRate = 25

// Takes is about how long the sending takes.
func (f recoverForm) Takes() string {
	if f.Count == nil || f.Count.Matched < recoverRate {
		return "a few seconds"
	}
	return span(time.Duration(f.Count.Matched/recoverRate) * time.Second)
}

// Spans are those that the form offers.
func (recoverForm) Spans() any {
	return []struct{ Value, Word string }{
		{"1h", "the last hour"}, {"24h", "the last 24 hours"}, {"72h", "the last 3 days"}, {"168h", "the last 7 days"}, {"exact", "a time of my own"},
	}
}

func recoverPage(v *visit) error {
	query := v.r.URL.Query()
	f := recoverForm{Kind: "recover", Since: "24h"}
	if query.Get("kind") == "replay" {
		f.Kind = "replay"
	}
	return v.showRecover(http.StatusOK, f)
}

func (v *visit) showRecover(status int, f recoverForm) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	f.Endpoint, f.Name = e, nameOf(e)
	v.render(status, "recover", page{Title: "Send again · " + f.Name, Nav: "overview", Data: f})
	return nil
}

// recoverEndpoint counts, and then begins once the count was agreed to.
func recoverEndpoint(v *visit) error {
	value := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
	f := recoverForm{Kind: value("kind"), Since: value("since"), From: value("from"), To: value("to"), Types: value("types"), At: value("at")}
	job, err := f.job(v.Now())
	if err == nil && value("step") != "start" {
		job.DryRun = true
	}
	var begun client.Begun
	if err == nil {
		id := v.r.PathValue("endpoint")
		if f.Kind == "replay" {
			begun, err = v.relay.ReplayEvents(v.r.Context(), v.tenant, id, job)
		} else {
			begun, err = v.relay.RecoverEndpoint(v.r.Context(), v.tenant, id, job)
		}
	}
	if p, ok := errors.AsType[*client.Problem](err); ok && (p.Status == http.StatusBadRequest || p.Status == http.StatusConflict) {
		f.Fault = p.Detail
		return v.showRecover(http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	if begun.Count != nil {
		f.Count, f.At = begun.Count, job.Until.Format(time.RFC3339Nano)
		return v.showRecover(http.StatusOK, f)
	}
	v.redirect(v.below("jobs", begun.Job.ID) + "?of=" + strconv.Itoa(max(0, atoi(value("of")))))
	return nil
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// job reads the form's time. What is counted back from is agreed on by the first
// step, so that the second one does the same.
func (f recoverForm) job(now time.Time) (client.NewJob, error) {
	job := client.NewJob{EventTypes: lines(f.Types), Rate: recoverRate}
	if f.Since == "exact" {
		since, err := fieldAsTime("From", f.From)
		if err != nil {
			return job, err
		}
		until := now
		if f.To != "" {
			if until, err = fieldAsTime("To", f.To); err != nil {
				return job, err
			}
		}
		job.Since, job.Until = since, &until
		return job, nil
	}
	back, err := time.ParseDuration(f.Since)
	if err != nil || back <= 0 || back > 31*24*time.Hour {
		return job, &client.Problem{Status: http.StatusBadRequest, Detail: "Choose since when."}
	}
	until := now.UTC().Truncate(time.Millisecond)
	if at, err := time.Parse(time.RFC3339Nano, f.At); err == nil {
		until = at
	}
	job.Since, job.Until = until.Add(-back), &until
	return job, nil
}

type jobPage struct {
	client.Job
	Name string
	// Of is how many were counted before; 0 when that is not known.
	Of int
	// Done is how far it is, from 0 to 100.
	Done int
	Poll int
}

// Going reports whether the job still works.
func (j jobPage) Going() bool { return j.State == "running" }

// Rest is about how long it still takes; empty when that cannot be told.
func (j jobPage) Rest() string {
	took := j.UpdatedAt.Sub(j.CreatedAt)
	if !j.Going() || j.Done < 5 || took <= 0 {
		return ""
	}
	return span(took * time.Duration(100-j.Done) / time.Duration(j.Done))
}

// progress is how far a job is: by what was counted before, or by how far it got
// on its way back through the time.
func progress(j client.Job, of int) int {
	switch {
	case j.State == "done":
		return 100
	case of > 0:
		return min(99, 100*j.Changed/of)
	case j.ReachedAt == nil || !j.Until.After(j.Since):
		return 0
	}
	return min(99, int(100*j.Until.Sub(*j.ReachedAt)/j.Until.Sub(j.Since)))
}

func showJob(v *visit) error {
	job, err := v.relay.GetJob(v.r.Context(), v.tenant, v.r.PathValue("job"))
	if err != nil {
		return err
	}
	shown := jobPage{Job: job, Name: job.EndpointID, Of: atoi(v.r.URL.Query().Get("of"))}
	if e, err := v.relay.GetEndpoint(v.r.Context(), v.tenant, job.EndpointID); err == nil {
		shown.Name = nameOf(e)
	}
	shown.Done = progress(job, shown.Of)
	if shown.Going() {
		shown.Poll = 2
	}
	return v.show("job", page{Title: jobWords[job.Kind] + " · " + shown.Name, Nav: "jobs", Data: shown})
}

// jobWords are how the portal calls kinds of jobs.
var jobWords = map[string]string{"recover": "Recovery", "replay": "Replay", "cancel": "Cancellation"}

type jobsPage struct {
	Jobs  []client.Job
	Names map[string]string
	Next  string
}

// Word is how a kind of job is called.
func (jobsPage) Word(kind string) string { return jobWords[kind] }

func listJobs(v *visit) error {
	found, err := v.relay.ListJobs(v.r.Context(), v.tenant, client.PageOptions{Limit: pageSize, Cursor: v.r.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	endpoints, err := v.endpoints()
	if err != nil {
		return err
	}
	shown := jobsPage{Jobs: found.Data, Names: names(endpoints)}
	if found.NextCursor != nil {
		shown.Next = *found.NextCursor
	}
	return v.show("jobs", page{Title: "Recoveries", Nav: "jobs", Data: shown})
}

func cancelJob(v *visit) error {
	id := v.r.PathValue("job")
	if _, err := v.relay.CancelJob(v.r.Context(), v.tenant, id); err != nil {
		return err
	}
	return v.done("stopped", "jobs", id)
}
