package client

import (
	"context"
	"iter"
	"time"
)

// AuditLine says who changed what.
type AuditLine struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// TenantID is empty where the whole installation is concerned.
	TenantID string `json:"tenant_id,omitempty"`
	Action   string `json:"action"`
	// Target is the id of what was changed.
	Target string            `json:"target,omitempty"`
	Detail map[string]string `json:"detail,omitempty"`
	Actor  Actor             `json:"actor"`
}

// Actor is who did it.
type Actor struct {
	// Scope is that of the key, or relay for the relay itself.
	Scope     string `json:"scope"`
	Key       string `json:"key,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	IP        string `json:"ip,omitempty"`
}

// ListAudit returns one page of a tenant's audit trail, newest first.
func (c *Client) ListAudit(ctx context.Context, tenant string, options PageOptions) (Page[AuditLine], error) {
	return get[Page[AuditLine]](ctx, c, at("/v1/tenants/", tenant, "/audit"), options.query())
}

// AllAudit walks a tenant's audit trail, newest first.
func (c *Client) AllAudit(ctx context.Context, tenant string, options PageOptions) iter.Seq2[AuditLine, error] {
	return all(options, func(o PageOptions) (Page[AuditLine], error) { return c.ListAudit(ctx, tenant, o) })
}

// ListAllAudit returns one page of the audit trail of all tenants and the
// installation, newest first.
func (c *Client) ListAllAudit(ctx context.Context, options PageOptions) (Page[AuditLine], error) {
	return get[Page[AuditLine]](ctx, c, "/v1/audit", options.query())
}

// AllAuditEverywhere walks the audit trail of all tenants and the installation.
func (c *Client) AllAuditEverywhere(ctx context.Context, options PageOptions) iter.Seq2[AuditLine, error] {
	return all(options, func(o PageOptions) (Page[AuditLine], error) { return c.ListAllAudit(ctx, o) })
}
