package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

var tenantRules = []rule{
	{"PutTenantCreatesThenRenames", func(t *testing.T, s *bench) {
		created := webhook.Tenant{
			ID: webhook.TenantID("t_" + s.ids.ULID(s.clock.Now())), Name: "Ärzte & Co", CreatedAt: s.clock.Now().Add(123 * time.Millisecond),
		}
		stored, isNew, err := s.PutTenant(t.Context(), created)
		if err != nil || !isNew {
			t.Fatalf("first PutTenant: created %v, error %v; want created", isNew, err)
		}
		expect(t, "created tenant", created, stored)
		renamed := created
		renamed.Name = "Renamed"
		stored, isNew, err = s.PutTenant(t.Context(), webhook.Tenant{ID: created.ID, Name: "Renamed", CreatedAt: s.clock.Now().Add(time.Hour)})
		if err != nil || isNew {
			t.Fatalf("second PutTenant: created %v, error %v; want neither", isNew, err)
		}
		expect(t, "renamed tenant", renamed, stored)
		read, err := s.Tenant(t.Context(), created.ID)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "read tenant", renamed, read)
	}},

	{"OfConcurrentPutTenantsExactlyOneCreates", func(t *testing.T, s *bench) {
		tenant := webhook.Tenant{ID: webhook.TenantID("t_" + s.ids.ULID(s.clock.Now())), CreatedAt: s.clock.Now()}
		created := make([]bool, 8)
		for _, err := range race(len(created), func(i int) (err error) {
			_, created[i], err = s.PutTenant(t.Context(), tenant)
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		count := 0
		for _, c := range created {
			if c {
				count++
			}
		}
		expect(t, "calls that created", 1, count)
	}},

	{"RenamingATenantKeepsItsConfigVersion", func(t *testing.T, s *bench) {
		s.create(s.endpoint("ep"))
		before := s.version(t)
		if _, _, err := s.PutTenant(t.Context(), webhook.Tenant{ID: s.tenant, Name: "other", CreatedAt: s.clock.Now()}); err != nil {
			t.Fatal(err)
		}
		if after := s.version(t); after < before {
			t.Errorf("config version fell from %d to %d", before, after)
		}
	}},

	{"AnAbsentTenantIsNotFound", func(t *testing.T, s *bench) {
		const absent = "t_absent"
		if _, err := s.Tenant(t.Context(), absent); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("Tenant: got error %v, want ErrNotFound", err)
		}
		if _, err := s.ConfigVersion(t.Context(), absent); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("ConfigVersion: got error %v, want ErrNotFound", err)
		}
	}},

	{"TenantsAreListedByID", func(t *testing.T, s *bench) {
		// Other subtests' tenants share the list.
		prefix := "t_" + s.ids.ULID(s.clock.Now()) + "_"
		var want []string
		for i := range 37 {
			tenant := webhook.Tenant{ID: webhook.TenantID(fmt.Sprintf("%s%03d", prefix, i)), Name: fmt.Sprint(i), CreatedAt: s.clock.Now()}
			if _, _, err := s.PutTenant(t.Context(), tenant); err != nil {
				t.Fatal(err)
			}
			want = append(want, string(tenant.ID)+" "+tenant.Name)
		}
		for _, limit := range []int{5, 100} {
			var got []string
			last := webhook.TenantID("")
			for _, tenant := range walk(t, func(p webhook.Page) ([]webhook.Tenant, string, error) {
				return s.Tenants(t.Context(), p)
			}, fixed(limit)) {
				if tenant.ID <= last {
					t.Fatalf("tenant %s follows %s", tenant.ID, last)
				}
				if last = tenant.ID; strings.HasPrefix(string(tenant.ID), prefix) {
					got = append(got, string(tenant.ID)+" "+tenant.Name)
				}
			}
			expect(t, "tenants", want, got)
		}
		expectBadCursor(t, func(p webhook.Page) ([]webhook.Tenant, string, error) { return s.Tenants(t.Context(), p) })
	}},

	{"AnEndedContextEndsTheCall", func(t *testing.T, s *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e := s.event(0, "ep")
		if err := s.PutEvents(ctx, []webhook.Event{e}); !errors.Is(err, context.Canceled) {
			t.Errorf("PutEvents: got error %v, want context.Canceled", err)
		}
		if _, err := s.EventByRef(ctx, e.Tenant, e.Ref); !errors.Is(err, context.Canceled) {
			t.Errorf("EventByRef: got error %v, want context.Canceled", err)
		}
	}},
}

// version returns the config version of the subtest's tenant.
func (s *bench) version(t *testing.T) int64 {
	t.Helper()
	version, err := s.ConfigVersion(t.Context(), s.tenant)
	if err != nil {
		t.Fatal(err)
	}
	return version
}
