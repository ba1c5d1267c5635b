package api

import (
	"net/http"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

type lineView struct {
	ID string    `json:"id"`
	At timestamp `json:"at"`
	// TenantID is left out where the line concerns the whole installation.
	TenantID webhook.TenantID  `json:"tenant_id,omitempty"`
	Action   audit.Action      `json:"action"`
	Target   string            `json:"target,omitempty"`
	Detail   map[string]string `json:"detail,omitempty"`
	Actor    actorView         `json:"actor"`
}

type actorView struct {
	// Scope is "relay" for the relay itself, which has no key.
	Scope     auth.Scope `json:"scope"`
	Key       auth.KeyID `json:"key,omitempty"`
	RequestID string     `json:"request_id,omitempty"`
	IP        string     `json:"ip,omitempty"`
}

func viewLine(l audit.Line) lineView {
	actor := actorView{l.Actor.Scope, l.Actor.Key, l.Actor.RequestID, l.Actor.Address}
	if actor.Scope == "" {
		actor.Scope = "relay"
	}
	return lineView{l.ID, timestamp(l.At), l.Tenant, l.Action, l.Target, l.Detail, actor}
}

func (m Manage) listAudit(w http.ResponseWriter, r *http.Request) error {
	p, err := listPage(r, "audit")
	if err != nil {
		return err
	}
	if err := m.tenantExists(r); err != nil {
		return err
	}
	lines, next, err := m.Trail.Store.Lines(r.Context(), tenantOf(r), p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("audit", next, lines, viewLine))
	return nil
}

func (m Manage) listAllAudit(w http.ResponseWriter, r *http.Request) error {
	p, err := listPage(r, "all-audit")
	if err != nil {
		return err
	}
	lines, next, err := m.Trail.Store.AllLines(r.Context(), p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("all-audit", next, lines, viewLine))
	return nil
}
