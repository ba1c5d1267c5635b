package main

import (
	"maps"
	"slices"
	"strings"

	"webhookrelay/shared/client"
)

type auditCommand struct {
	remote
	listFlags
	Everywhere bool `help:"Of all tenants and the installation; needs an admin key."`
}

// Run lists who changed what.
func (c auditCommand) Run(s *session) error {
	relay, to, err := s.connect()
	if err != nil {
		return err
	}
	header := []string{"AT", "ACTION", "TENANT", "TARGET", "DETAIL", "BY", "KEY", "FROM"}
	if c.Everywhere {
		return list(s, c.listFlags, header, relay.AllAuditEverywhere(s.ctx, c.options()), s.auditRow)
	}
	if _, _, err := s.tenant(); err != nil {
		return err
	}
	return list(s, c.listFlags, header, relay.AllAudit(s.ctx, to.Tenant, c.options()), s.auditRow)
}

func (s *session) auditRow(l client.AuditLine) []string {
	var detail []string
	for _, name := range slices.Sorted(maps.Keys(l.Detail)) {
		detail = append(detail, name+"="+l.Detail[name])
	}
	return []string{s.time(l.At), l.Action, l.TenantID, l.Target, strings.Join(detail, " "), l.Actor.Scope, l.Actor.Key, l.Actor.IP}
}
