package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Key is an API key, without the key itself.
type Key struct {
	ID string `json:"id"`
	// Prefix is how the key begins. It is no secret.
	Prefix    string    `json:"prefix"`
	Scope     string    `json:"scope"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	// CreatedBy is the id of the key that made it.
	CreatedBy string     `json:"created_by"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// CreatedKey is a new key. It is shown this once.
type CreatedKey struct {
	Key
	Value string `json:"key"`
}

// NewKey is a key to make. Scope is tenant, publish or read, and empty for an
// admin key.
type NewKey struct {
	Scope     string     `json:"scope,omitempty"`
	Name      string     `json:"name,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// PortalLink opens the portal for a short while.
type PortalLink struct {
	ID  string `json:"id"`
	URL string `json:"url"`
	// Token works as a bearer token too.
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NewPortalLink says how long a link is to work: 60 to 86400 seconds, 0 for an hour.
type NewPortalLink struct {
	ExpiresInSeconds int `json:"expires_in_seconds,omitempty"`
}

// CreateKey makes an API key for a tenant.
func (c *Client) CreateKey(ctx context.Context, tenant string, key NewKey) (CreatedKey, error) {
	return c.createKey(ctx, at("/v1/tenants/", tenant, "/keys"), key)
}

// CreateAdminKey makes an admin key.
func (c *Client) CreateAdminKey(ctx context.Context, key NewKey) (CreatedKey, error) {
	return c.createKey(ctx, "/v1/keys", key)
}

func (c *Client) createKey(ctx context.Context, path string, key NewKey) (CreatedKey, error) {
	var answer CreatedKey
	_, err := c.do(ctx, call{method: http.MethodPost, path: path, body: key}, &answer)
	return answer, err
}

// ListKeys returns one page of a tenant's keys, oldest first.
func (c *Client) ListKeys(ctx context.Context, tenant string, options PageOptions) (Page[Key], error) {
	return get[Page[Key]](ctx, c, at("/v1/tenants/", tenant, "/keys"), options.query())
}

// AllKeys walks a tenant's keys, oldest first.
func (c *Client) AllKeys(ctx context.Context, tenant string, options PageOptions) iter.Seq2[Key, error] {
	return all(options, func(o PageOptions) (Page[Key], error) { return c.ListKeys(ctx, tenant, o) })
}

// ListAdminKeys returns one page of the admin keys, oldest first.
func (c *Client) ListAdminKeys(ctx context.Context, options PageOptions) (Page[Key], error) {
	return get[Page[Key]](ctx, c, "/v1/keys", options.query())
}

// AllAdminKeys walks the admin keys, oldest first.
func (c *Client) AllAdminKeys(ctx context.Context, options PageOptions) iter.Seq2[Key, error] {
	return all(options, func(o PageOptions) (Page[Key], error) { return c.ListAdminKeys(ctx, o) })
}

// RevokeKey ends a tenant's key everywhere within 30 seconds.
func (c *Client) RevokeKey(ctx context.Context, tenant, key string) error {
	_, err := c.do(ctx, call{
		method: http.MethodDelete, path: at("/v1/tenants/", tenant, "/keys/", key), repeatable: true,
	}, nil)
	return err
}

// RevokeAdminKey ends an admin key everywhere within 30 seconds.
func (c *Client) RevokeAdminKey(ctx context.Context, key string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: at("/v1/keys/", key), repeatable: true}, nil)
	return err
}

// CreateOperatorLink issues a portal link to all tenants, for an operator.
func (c *Client) CreateOperatorLink(ctx context.Context, link NewPortalLink) (PortalLink, error) {
	var answer PortalLink
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/portal-links", body: link, repeatable: true}, &answer)
	return answer, err
}

// CreatePortalLink issues a portal link to a tenant.
func (c *Client) CreatePortalLink(ctx context.Context, tenant string, link NewPortalLink) (PortalLink, error) {
	var answer PortalLink
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: at("/v1/tenants/", tenant, "/portal-links"), body: link, repeatable: true,
	}, &answer)
	return answer, err
}
