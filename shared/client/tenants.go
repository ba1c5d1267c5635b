package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Tenant is a customer whose events and endpoints are kept apart.
type Tenant struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// ListTenants returns one page of the tenants, by id.
func (c *Client) ListTenants(ctx context.Context, options PageOptions) (Page[Tenant], error) {
	return get[Page[Tenant]](ctx, c, "/v1/tenants", options.query())
}

// AllTenants walks the tenants, by id.
func (c *Client) AllTenants(ctx context.Context, options PageOptions) iter.Seq2[Tenant, error] {
	return all(options, func(o PageOptions) (Page[Tenant], error) { return c.ListTenants(ctx, o) })
}

// PutTenant creates a tenant, or renames it.
func (c *Client) PutTenant(ctx context.Context, tenant, name string) (Tenant, error) {
	var answer Tenant
	_, err := c.do(ctx, call{
		method: http.MethodPut, path: at("/v1/tenants/", tenant), repeatable: true,
		body: struct {
			Name string `json:"name"`
		}{name},
	}, &answer)
	return answer, err
}

// GetTenant shows a tenant.
func (c *Client) GetTenant(ctx context.Context, tenant string) (Tenant, error) {
	return get[Tenant](ctx, c, at("/v1/tenants/", tenant), nil)
}
