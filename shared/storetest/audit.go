package storetest

import (
	"errors"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

var auditRules = []rule{
	{"AnAuditLineRoundTrips", func(t *testing.T, s *bench) {
		full, bare := s.line(audit.EndpointChanged), s.line(audit.Redriven)
		full.Target, full.Detail = "ep_1", map[string]string{"fields": "url,state", "name": "Größe \"M\""}
		full.Actor = audit.Actor{Scope: auth.ScopePortal, Key: "link_1", RequestID: "01J", Address: "2001:db8::1"}
		s.append(full)
		s.append(bare)
		lines, _, err := s.Lines(t.Context(), s.tenant, webhook.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "lines", []audit.Line{bare, full}, lines)
		everywhere := s.line(audit.Redriven)
		everywhere.Tenant = ""
		s.append(everywhere)
		if !holds(t, everywhere, s.allLines(t)) || !holds(t, full, s.allLines(t)) {
			t.Error("not among all lines")
		}
	}},

	{"AuditLinesAreListedNewestFirst", func(t *testing.T, s *bench) {
		var want []string
		for range 25 {
			l := s.line(audit.SecretRead)
			s.append(l)
			want = append([]string{l.ID}, want...)
			s.clock.advance(time.Second)
		}
		expectPaged(t, s.linesOf(t), lineName, want)
		expectBadCursor(t, s.linesOf(t))
		expectBadCursor(t, s.allLines(t))

		// Those of all tenants are merged, and hold other subtests' lines too.
		var got []string
		last, after := "~", ""
		for len(got) < len(want) {
			lines, next, err := s.AllLines(t.Context(), webhook.Page{Limit: 40, After: after})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range lines {
				if l.ID >= last {
					t.Fatalf("line %s follows %s", l.ID, last)
				}
				if last = l.ID; l.Tenant == s.tenant {
					got = append(got, l.ID)
				}
			}
			if after = next; next == "" {
				break
			}
		}
		expect(t, "the tenant's among all lines", want, got)
	}},

	{"AuditLinesAreOfTheirTenantOnly", func(t *testing.T, s *bench) {
		s.append(s.line(audit.SecretRead))
		for _, other := range []webhook.TenantID{s.newTenant(), s.tenant + "_", s.tenant[:len(s.tenant)-1]} {
			if lines, _, err := s.Lines(t.Context(), other, webhook.Page{Limit: 10}); err != nil || len(lines) > 0 {
				t.Errorf("%d lines, error %v", len(lines), err)
			}
		}
	}},

	{"AnAuditLineEndsAfterItsRetention", func(t *testing.T, s *bench) {
		l := s.line(audit.SecretRead)
		s.append(l)
		s.clock.advance(audit.Retention - time.Millisecond)
		s.expectLine(t, l)
		s.clock.advance(time.Millisecond)
		s.expectNoLine(t, l)
		if holds(t, l, s.allLines(t)) {
			t.Error("still among all lines")
		}
	}},

	{"AChangeAndItsAuditLineAreOne", func(t *testing.T, s *bench) {
		changed := func(err error, l audit.Line) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			s.expectLine(t, l)
		}
		refused := func(err, want error, l audit.Line) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("got error %v, want %v", err, want)
			}
			s.expectNoLine(t, l)
		}
		l, e := s.line(audit.EndpointCreated), s.endpoint("ep")
		changed(s.CreateEndpoint(t.Context(), e, l), l)
		l = s.line(audit.EndpointCreated)
		refused(s.CreateEndpoint(t.Context(), e, l), webhook.ErrExists, l)
		e.Rev, l = 1, s.line(audit.EndpointChanged)
		changed(s.UpdateEndpoint(t.Context(), e, l), l)
		l = s.line(audit.EndpointChanged)
		refused(s.UpdateEndpoint(t.Context(), e, l), webhook.ErrConflict, l)
		l = s.line(audit.EndpointDeleted)
		changed(s.DeleteEndpoint(t.Context(), s.tenant, "ep", l), l)
		l = s.line(audit.EndpointDeleted)
		refused(s.DeleteEndpoint(t.Context(), s.tenant, "ep", l), webhook.ErrNotFound, l)
		l = s.line(audit.KeyCreated)
		changed(s.CreateKey(t.Context(), s.key(auth.ScopeRead), l), l)
		l = s.line(audit.KeyRevoked)
		refused(s.DeleteKey(t.Context(), s.tenant, s.keyID(), l), webhook.ErrNotFound, l)
	}},

	{"PuttingATenantLeavesAnAuditLineIfItChangesSomething", func(t *testing.T, s *bench) {
		tenant := webhook.Tenant{ID: webhook.TenantID("t_" + s.ids.ULID(s.clock.Now())), Name: "first", CreatedAt: s.clock.Now()}
		s.tenant = tenant.ID
		put := func(name string, want bool) {
			t.Helper()
			tenant.Name = name
			l := s.line(audit.TenantPut)
			if _, _, err := s.PutTenant(t.Context(), tenant, l); err != nil {
				t.Fatal(err)
			}
			if want {
				s.expectLine(t, l)
			} else {
				s.expectNoLine(t, l)
			}
		}
		put("first", true)
		put("first", false)
		put("second", true)
	}},

	{"DisablingAnEndpointLeavesOneAuditLineOfTheRelay", func(t *testing.T, s *bench) {
		s.create(s.endpoint("ep"))
		for range 3 {
			if err := s.DisableEndpoint(t.Context(), s.tenant, "ep", webhook.ReasonHTTP410, s.clock.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.DisableEndpoint(t.Context(), s.tenant, "gone", webhook.ReasonHTTP410, s.clock.Now()); err != nil {
			t.Fatal(err)
		}
		lines, _, err := s.Lines(t.Context(), s.tenant, webhook.Page{Limit: 10})
		if err != nil || len(lines) != 1 {
			t.Fatalf("%d lines, error %v; want 1", len(lines), err)
		}
		expect(t, "line", audit.Line{
			ID: lines[0].ID, At: s.clock.Now(), Tenant: s.tenant, Action: audit.EndpointDisabled, Target: "ep",
			Detail: map[string]string{"reason": string(webhook.ReasonHTTP410)},
		}, lines[0])
	}},
}

// line returns a line of the subtest's tenant, not yet stored.
func (s *bench) line(action audit.Action) audit.Line {
	return audit.Line{ID: s.ids.ULID(s.clock.Now()), At: s.clock.Now(), Tenant: s.tenant, Action: action, Target: "target"}
}

func (s *bench) append(l audit.Line) {
	s.t.Helper()
	if err := s.Append(s.t.Context(), l); err != nil {
		s.t.Fatal(err)
	}
}

func lineName(l audit.Line) string { return l.ID }

// holds reports whether the list holds l.
func holds(t *testing.T, l audit.Line, call list[audit.Line]) bool {
	t.Helper()
	for _, found := range walk(t, call, fixed(100)) {
		if found.ID == l.ID {
			expect(t, "line", l, found)
			return true
		}
	}
	return false
}

func (s *bench) expectLine(t *testing.T, l audit.Line) {
	t.Helper()
	if !holds(t, l, s.linesOf(t)) {
		t.Errorf("the %s line is not there", l.Action)
	}
}

func (s *bench) expectNoLine(t *testing.T, l audit.Line) {
	t.Helper()
	if holds(t, l, s.linesOf(t)) {
		t.Errorf("the %s line is there", l.Action)
	}
}

func (s *bench) linesOf(t *testing.T) list[audit.Line] {
	return func(p webhook.Page) ([]audit.Line, string, error) { return s.Lines(t.Context(), s.tenant, p) }
}

func (s *bench) allLines(t *testing.T) list[audit.Line] {
	return func(p webhook.Page) ([]audit.Line, string, error) { return s.AllLines(t.Context(), p) }
}
