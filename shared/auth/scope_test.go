package auth_test

import (
	"errors"
	"testing"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

var permissions = []auth.Permission{auth.Operate, auth.Grant, auth.Configure, auth.Publish, auth.Read, auth.ReadAudit}

func TestOnlyAnAdminReachesBeyondItsTenant(t *testing.T) {
	t.Parallel()
	for _, scope := range auth.Scopes {
		caller := auth.Principal{Tenant: "acme", Scope: scope}
		if scope == auth.ScopeAdmin {
			caller.Tenant = ""
		}
		for _, p := range permissions {
			for _, tenant := range []webhook.TenantID{"acme", "other", ""} {
				err := caller.Admit(p, tenant)
				var want error
				switch {
				case scope == auth.ScopeAdmin:
				case tenant == "" && p == auth.Operate:
					want = auth.ErrForbidden
				case tenant != "acme":
					want = webhook.ErrNotFound
				case !scope.Has(p):
					want = auth.ErrForbidden
				}
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("%s, %s of tenant %q: got %v, want %v", scope, p, tenant, err, want)
				}
			}
		}
	}
}

func TestACallerWithoutATenantIsNobody(t *testing.T) {
	t.Parallel()
	for _, scope := range auth.Scopes[1:] {
		for _, p := range permissions {
			if (auth.Principal{Scope: scope}).Admit(p, "") == nil {
				t.Errorf("%s has %s of no tenant", scope, p)
			}
		}
	}
}

func TestNobodyHoldsThePermissionThatIsNotNamed(t *testing.T) {
	t.Parallel()
	for _, scope := range auth.Scopes {
		if scope.Has("") || scope.Has(auth.Public) {
			t.Errorf("%s does", scope)
		}
	}
}

func TestWhatLooksNeverReadsSecretsOrWrites(t *testing.T) {
	t.Parallel()
	for _, p := range []auth.Permission{auth.Operate, auth.Grant, auth.Configure, auth.Publish} {
		if auth.ScopeRead.Has(p) {
			t.Errorf("read has %s", p)
		}
	}
	for _, p := range permissions {
		if auth.ScopePublish.Has(p) != (p == auth.Publish) {
			t.Errorf("publish, %s: %v", p, auth.ScopePublish.Has(p))
		}
	}
	if auth.ScopePortal.Has(auth.Publish) || auth.ScopePortal.Has(auth.Grant) || auth.ScopePortal.Has(auth.Operate) {
		t.Error("the portal publishes or grants")
	}
}
