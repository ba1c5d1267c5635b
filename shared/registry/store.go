package registry

import (
	"context"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/webhook"
)

// Store keeps tenants and endpoints. Every change to an endpoint raises the
// tenant's config version in the same atomic write, so ingest sees it with the
// next event. The lines that a change is given go to the audit trail in the same
// write too; a change that is refused, or changes nothing, leaves none.
type Store interface {
	// PutTenant creates t, or gives the existing tenant t's name, and returns
	// what is stored and whether it was created.
	PutTenant(ctx context.Context, t webhook.Tenant, lines ...audit.Line) (stored webhook.Tenant, created bool, err error)
	// Tenant returns one tenant, or ErrNotFound.
	Tenant(ctx context.Context, id webhook.TenantID) (webhook.Tenant, error)
	// Tenants lists tenants by id; see Page.
	Tenants(ctx context.Context, p webhook.Page) ([]webhook.Tenant, string, error)

	// CreateEndpoint stores a new endpoint as revision 1. ErrExists: the id is
	// taken. ErrNotFound: there is no such tenant.
	CreateEndpoint(ctx context.Context, e webhook.Endpoint, lines ...audit.Line) error
	// UpdateEndpoint stores e as revision e.Rev+1 if the stored revision is
	// e.Rev. ErrConflict: it is not, or the endpoint is gone.
	UpdateEndpoint(ctx context.Context, e webhook.Endpoint, lines ...audit.Line) error
	// SaveHealth stores h as revision h.Rev+1 of the endpoint's health if the
	// stored revision is h.Rev, and returns ErrConflict otherwise.
	SaveHealth(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, h webhook.Health) error
	// DeleteEndpoint removes an endpoint. ErrNotFound: there is none.
	DeleteEndpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, lines ...audit.Line) error
	// Endpoint returns one endpoint, seeing every finished write, or ErrNotFound.
	Endpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID) (webhook.Endpoint, error)
	// Endpoints lists a tenant's endpoints by id; see Page.
	Endpoints(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]webhook.Endpoint, string, error)
}
