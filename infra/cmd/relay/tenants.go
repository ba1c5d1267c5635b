package main

import (
	"time"

	"webhookrelay/shared/client"
)

type tenantsCommand struct {
	remote
	List   tenantsList   `cmd:"" default:"withargs" help:"List tenants."`
	Get    tenantsGet    `cmd:"" help:"Show a tenant."`
	Create tenantsCreate `cmd:"" help:"Create a tenant, or rename it."`
	Portal tenantsPortal `cmd:"" help:"Issue a link to a tenant's portal."`
}

var tenantHeader = []string{"ID", "NAME", "CREATED"}

func (s *session) tenantRow(t client.Tenant) []string {
	return []string{t.ID, t.Name, s.time(t.CreatedAt)}
}

type tenantsList struct{ listFlags }

// Run lists tenants.
func (c tenantsList) Run(s *session) error {
	relay, _, err := s.connect()
	if err != nil {
		return err
	}
	return list(s, c.listFlags, tenantHeader, relay.AllTenants(s.ctx, c.options()), s.tenantRow)
}

type tenantsGet struct {
	ID string `arg:"" optional:"" name:"id" help:"Its id; the one of --tenant when left out."`
}

// Run shows a tenant.
func (c tenantsGet) Run(s *session) error {
	relay, id, err := c.which(s)
	if err != nil {
		return err
	}
	tenant, err := relay.GetTenant(s.ctx, id)
	if err != nil {
		return err
	}
	return s.one(tenant, tenantHeader, s.tenantRow(tenant))
}

func (c tenantsGet) which(s *session) (*client.Client, string, error) {
	if c.ID == "" {
		return s.tenant()
	}
	relay, _, err := s.connect()
	return relay, c.ID, err
}

// one prints a single thing as a table of one row.
func (s *session) one(value any, header, row []string) error {
	out := s.table(header...)
	if err := out.add(value, row...); err != nil {
		return err
	}
	return out.end()
}

type tenantsCreate struct {
	ID   string `arg:"" name:"id" help:"Its id, which stays."`
	Name string `arg:"" optional:"" help:"Its name, which may change."`
}

// Run creates or renames a tenant.
func (c tenantsCreate) Run(s *session) error {
	relay, _, err := s.connect()
	if err != nil {
		return err
	}
	tenant, err := relay.PutTenant(s.ctx, c.ID, c.Name)
	if err != nil {
		return err
	}
	s.note("Give it an endpoint: relay endpoints create URL --tenant %s", tenant.ID)
	return s.one(tenant, tenantHeader, s.tenantRow(tenant))
}

type tenantsPortal struct {
	ExpiresIn time.Duration `default:"1h" help:"How long the link works: 1m to 24h."`
}

// Run issues a portal link.
func (c tenantsPortal) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	link, err := relay.CreatePortalLink(s.ctx, tenant, client.NewPortalLink{ExpiresInSeconds: int(c.ExpiresIn.Seconds())})
	if err != nil {
		return err
	}
	s.note("Whoever has the link manages the endpoints of %s until %s.", tenant, s.time(link.ExpiresAt))
	return s.show(link, link.URL)
}
