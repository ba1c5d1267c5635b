package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

type jobView struct {
	ID         replay.JobID       `json:"id"`
	Kind       replay.Kind        `json:"kind"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Since      timestamp          `json:"since"`
	Until      timestamp          `json:"until"`
	EventTypes []webhook.Pattern  `json:"event_types"`
	Rate       int                `json:"rate,omitempty"`
	State      replay.JobState    `json:"state"`
	Reason     webhook.Reason     `json:"reason,omitempty"`
	Matched    int                `json:"matched"`
	Changed    int                `json:"changed"`
	ReachedAt  *timestamp         `json:"reached_at"`
	CreatedAt  timestamp          `json:"created_at"`
	UpdatedAt  timestamp          `json:"updated_at"`
}

func viewJob(j replay.Job) jobView {
	view := jobView{
		ID: j.ID, Kind: j.Kind, EndpointID: j.Endpoint, Since: timestamp(j.Since), Until: timestamp(j.Until),
		EventTypes: j.EventTypes, Rate: j.Rate, State: j.State, Reason: j.Reason, Matched: j.Matched, Changed: j.Changed,
		CreatedAt: timestamp(j.CreatedAt), UpdatedAt: timestamp(j.UpdatedAt),
	}
	if view.EventTypes == nil {
		view.EventTypes = []webhook.Pattern{}
	}
	if j.Kind == replay.Cancel {
		view.Rate = 0 // it sends nothing
	}
	if !j.Reached.IsZero() {
		reached := timestamp(j.Reached)
		view.ReachedAt = &reached
	}
	return view
}

type countView struct {
	DryRun   bool `json:"dry_run"`
	Matched  int  `json:"matched"`
	Complete bool `json:"complete"`
}

func (m Manage) postRecover(w http.ResponseWriter, r *http.Request) error {
	return m.postJob(w, r, replay.Recover)
}

func (m Manage) postReplay(w http.ResponseWriter, r *http.Request) error {
	return m.postJob(w, r, replay.Replay)
}

func (m Manage) postCancel(w http.ResponseWriter, r *http.Request) error {
	return m.postJob(w, r, replay.Cancel)
}

// postJob begins a job, or counts what it would change.
func (m Manage) postJob(w http.ResponseWriter, r *http.Request, kind replay.Kind) error {
	n := replay.NewJob{Tenant: tenantOf(r), Kind: kind, Endpoint: endpointOf(r)}
	dryRun := false
	members := fields{
		"since":       intoTime("since", &n.Since),
		"until":       intoTime("until", &n.Until),
		"event_types": into("event_types", "a list of strings", &n.EventTypes),
		"dry_run":     into("dry_run", "true or false", &dryRun),
	}
	if kind != replay.Cancel {
		members["rate"] = func(raw json.RawMessage) error {
			err := into("rate", "a whole number of deliveries a second", &n.Rate)(raw)
			if err == nil && n.Rate == 0 {
				n.Rate = -1 // given, and too small
			}
			return err
		}
	}
	if err := decode(r, maxBody, members); err != nil {
		return err
	}
	if dryRun {
		count, err := m.Jobs.DryRun(r.Context(), n)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, countView{DryRun: true, Matched: count.Matched, Complete: count.Complete})
		return nil
	}
	job, err := m.Jobs.Start(r.Context(), n)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, viewJob(job))
	return nil
}

func (m Manage) listJobs(w http.ResponseWriter, r *http.Request) error {
	p, err := listPage(r, "jobs")
	if err != nil {
		return err
	}
	if err := m.tenantExists(r); err != nil {
		return err
	}
	jobs, next, err := m.Jobs.List(r.Context(), tenantOf(r), p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("jobs", next, jobs, viewJob))
	return nil
}

func jobOf(r *http.Request) (replay.JobID, error) {
	id := r.PathValue("job")
	if webhook.CheckID("job", id) != nil {
		return "", webhook.ErrNotFound
	}
	return replay.JobID(id), nil
}

func (m Manage) getJob(w http.ResponseWriter, r *http.Request) error {
	return m.showJob(w, r, m.Jobs.Job)
}

func (m Manage) cancelJob(w http.ResponseWriter, r *http.Request) error {
	return m.showJob(w, r, m.Jobs.Cancel)
}

func (m Manage) showJob(w http.ResponseWriter, r *http.Request, job func(context.Context, webhook.TenantID, replay.JobID) (replay.Job, error)) error {
	id, err := jobOf(r)
	if err != nil {
		return err
	}
	found, err := job(r.Context(), tenantOf(r), id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewJob(found))
	return nil
}

// queryTime reads a parameter that is an RFC 3339 timestamp.
func queryTime(field, text string, target *time.Time) error {
	if text == "" {
		return nil
	}
	raw, _ := json.Marshal(text) // a string always marshals
	return intoTime(field, target)(raw)
}
