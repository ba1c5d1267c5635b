package portal

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"webhookrelay/shared/client"
)

// tenantRow is a tenant with its last 24 hours.
type tenantRow struct {
	client.Tenant
	Endpoints int
	Troubled  int
	Total     client.Tally
	// Unknown: the counts could not be had.
	Unknown bool
}

// Waiting counts what is on its way and not on hold.
func (t tenantRow) Waiting() int {
	return t.Total.Deliveries[client.Queued] + t.Total.Deliveries[client.Retrying]
}

// OnHold and Failed count what an operator looks at first.
func (t tenantRow) OnHold() int { return t.Total.Deliveries[client.Parked] }

// Failed counts what was given up.
func (t tenantRow) Failed() int { return t.Total.Deliveries[client.Dead] }

// Delivered counts what arrived.
func (t tenantRow) Delivered() int { return t.Total.Deliveries[client.Delivered] }

type tenantsPage struct {
	Tenants []tenantRow
	Next    string
	Depth   int
	// Sum is over the tenants shown.
	Delivered, Waiting, OnHold, Failed int
	// Operator says whether the operator's own tenant is among all.
	Operator bool
	Fault    string
	ID, Name string
}

func tenants(v *visit) error { return v.tenants(http.StatusOK, tenantsPage{}) }

func (v *visit) tenants(status int, shown tenantsPage) error {
	found, err := v.relay.ListTenants(v.r.Context(), client.PageOptions{Limit: pageSize, Cursor: v.r.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	if found.NextCursor != nil {
		shown.Next = *found.NextCursor
	}
	shown.Tenants = make([]tenantRow, len(found.Data))
	rows := make([]*tenantRow, len(found.Data))
	for i, t := range found.Data {
		shown.Tenants[i] = tenantRow{Tenant: t}
		rows[i] = &shown.Tenants[i]
	}
	inParallel(v.r.Context(), rows, v.fill)
	for _, t := range shown.Tenants {
		shown.Delivered += t.Delivered()
		shown.Waiting += t.Waiting()
		shown.OnHold += t.OnHold()
		shown.Failed += t.Failed()
	}
	// What needs somebody comes first; otherwise the order is that of the API.
	slices.SortStableFunc(shown.Tenants, func(a, b tenantRow) int {
		return cmp.Or(cmp.Compare(b.OnHold()+b.Failed(), a.OnHold()+a.Failed()), cmp.Compare(b.Troubled, a.Troubled))
	})
	letters, err := v.relay.ListDeadLetters(v.r.Context(), client.PageOptions{Limit: 1})
	if err != nil {
		return err
	}
	shown.Depth = letters.Depth
	if _, err = v.relay.GetTenant(v.r.Context(), v.OperatorTenant); err == nil {
		shown.Operator = true
	}
	v.render(status, "tenants", page{Title: "Tenants", Nav: "tenants", Alert: shown.Failed+shown.OnHold > 0, Data: shown})
	return nil
}

// fill counts what a tenant has.
func (v *visit) fill(ctx context.Context, t *tenantRow) {
	stats, err := v.relay.GetStats(ctx, t.ID, client.DeliveryFilter{})
	if err != nil {
		t.Unknown = true
		return
	}
	t.Total = stats.Total
	tallies := make(map[string]client.Tally, len(stats.Endpoints))
	for _, e := range stats.Endpoints {
		tallies[e.EndpointID] = e.Tally
	}
	for e, err := range v.relay.AllEndpoints(ctx, t.ID, client.PageOptions{Limit: client.MaxPage}) {
		if err != nil {
			t.Unknown = true
			return
		}
		t.Endpoints++
		if healthOf(e, tallies[e.ID]).Urgency > 1 {
			t.Troubled++
		}
	}
}

func putTenant(v *visit) error {
	id, name := strings.TrimSpace(v.r.PostFormValue("id")), strings.TrimSpace(v.r.PostFormValue("name"))
	_, err := v.relay.PutTenant(v.r.Context(), id, name)
	if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusBadRequest || id == "" {
		detail := "Enter an id."
		if ok {
			detail = p.Detail
		}
		return v.tenants(http.StatusUnprocessableEntity, tenantsPage{Fault: detail, ID: id, Name: name})
	}
	if err != nil {
		return err
	}
	v.redirect("/t/" + url.PathEscape(id) + "?done=tenant")
	return nil
}

type deadLettersPage struct {
	client.DeadLetters
	Next string
	// Asked: the operator is being asked whether to redrive.
	Asked bool
	Fault string
	Poll  int
}

// Moving reports whether a redrive is under way.
func (d deadLettersPage) Moving() bool { return d.Redrive != nil && d.Redrive.Status == "RUNNING" }

// Done is how far the redrive is, from 0 to 100.
func (d deadLettersPage) Done() int {
	if d.Redrive == nil || d.Redrive.Moved+d.Redrive.ToMove == 0 {
		return 0
	}
	if !d.Moving() {
		return 100
	}
	return min(99, 100*d.Redrive.Moved/max(1, d.Redrive.Moved+d.Redrive.ToMove))
}

func deadLetters(v *visit) error {
	return v.deadLetters(http.StatusOK, deadLettersPage{Asked: v.r.URL.Query().Get("redrive") != ""})
}

func (v *visit) deadLetters(status int, shown deadLettersPage) error {
	found, err := v.relay.ListDeadLetters(v.r.Context(), client.PageOptions{Limit: pageSize, Cursor: v.r.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	shown.DeadLetters = found
	if found.NextCursor != nil {
		shown.Next = *found.NextCursor
	}
	if shown.Moving() {
		shown.Poll = 2
	}
	v.render(status, "deadletters", page{Title: "Dead letters", Nav: "deadletters", Alert: found.Depth > 0, Data: shown})
	return nil
}

func redrive(v *visit) error {
	_, err := v.relay.Redrive(v.r.Context())
	if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusConflict {
		return v.deadLetters(http.StatusConflict, deadLettersPage{Fault: p.Detail})
	}
	if err != nil {
		return err
	}
	v.redirect("/operator/dead-letters?done=redriven")
	return nil
}

type keysPage struct {
	Keys []client.Key
	Next string
	// Made is a key that was just made, and is shown this once.
	Made *client.CreatedKey
	// Scopes are those that a key may have; none for admin keys.
	Scopes []string
	Name   string
	Fault  string
}

func tenantKeys(v *visit) error { return v.keys(http.StatusOK, keysPage{}) }

func (v *visit) keys(status int, shown keysPage) error {
	shown.Scopes = []string{"publish", "read", "tenant"}
	found, err := v.relay.ListKeys(v.r.Context(), v.tenant, client.PageOptions{Limit: client.MaxPage})
	if err != nil {
		return err
	}
	shown.Keys = found.Data
	v.render(status, "keys", page{Title: "Keys", Nav: "keys", Data: shown})
	return nil
}

func addTenantKey(v *visit) error {
	made, err := v.relay.CreateKey(v.r.Context(), v.tenant, v.newKey())
	return v.madeKey(made, err, v.keys)
}

func adminKeys(v *visit) error { return v.adminKeys(http.StatusOK, keysPage{}) }

func (v *visit) adminKeys(status int, shown keysPage) error {
	found, err := v.relay.ListAdminKeys(v.r.Context(), client.PageOptions{Limit: client.MaxPage})
	if err != nil {
		return err
	}
	shown.Keys = found.Data
	v.render(status, "keys", page{Title: "Admin keys", Nav: "keys", Data: shown})
	return nil
}

func addAdminKey(v *visit) error {
	n := v.newKey()
	n.Scope = ""
	made, err := v.relay.CreateAdminKey(v.r.Context(), n)
	return v.madeKey(made, err, v.adminKeys)
}

func (v *visit) newKey() client.NewKey {
	return client.NewKey{Scope: v.r.PostFormValue("scope"), Name: strings.TrimSpace(v.r.PostFormValue("name"))}
}

// madeKey shows the keys with the new one, or with what is wrong.
func (v *visit) madeKey(made client.CreatedKey, err error, show func(int, keysPage) error) error {
	if p, ok := errors.AsType[*client.Problem](err); ok && (p.Status == http.StatusBadRequest || p.Status == http.StatusConflict) {
		return show(http.StatusUnprocessableEntity, keysPage{Fault: p.Detail, Name: v.newKey().Name})
	}
	if err != nil {
		return err
	}
	return show(http.StatusOK, keysPage{Made: &made})
}

func revokeTenantKey(v *visit) error {
	if err := v.relay.RevokeKey(v.r.Context(), v.tenant, v.r.PathValue("key")); err != nil {
		return err
	}
	return v.done("revoked", "keys")
}

func revokeAdminKey(v *visit) error {
	if err := v.relay.RevokeAdminKey(v.r.Context(), v.r.PathValue("key")); err != nil {
		return err
	}
	v.redirect("/operator/keys?done=revoked")
	return nil
}

type auditPage struct {
	Lines  []client.AuditLine
	Next   string
	Cursor bool
}

func tenantAudit(v *visit) error {
	found, err := v.relay.ListAudit(v.r.Context(), v.tenant, v.auditOptions())
	return v.audit(found, err)
}

func allAudit(v *visit) error {
	found, err := v.relay.ListAllAudit(v.r.Context(), v.auditOptions())
	return v.audit(found, err)
}

func (v *visit) auditOptions() client.PageOptions {
	return client.PageOptions{Limit: 2 * pageSize, Cursor: v.r.URL.Query().Get("cursor")}
}

func (v *visit) audit(found client.Page[client.AuditLine], err error) error {
	if err != nil {
		return err
	}
	shown := auditPage{Lines: found.Data, Cursor: v.r.URL.Query().Get("cursor") != ""}
	if found.NextCursor != nil {
		shown.Next = *found.NextCursor
	}
	return v.show("audit", page{Title: "Audit trail", Nav: "audit", Data: shown})
}
