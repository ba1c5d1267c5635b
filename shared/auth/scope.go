package auth

import (
	"errors"
	"slices"
	"strings"

	"webhookrelay/shared/webhook"
)

// Scope says what a key or token may do.
type Scope string

// Scopes. All but ScopeAdmin are bound to one tenant.
const (
	// ScopeAdmin may do everything, to every tenant.
	ScopeAdmin Scope = "admin"
	// ScopeTenant may do everything to one tenant, its keys included.
	ScopeTenant Scope = "tenant"
	// ScopePublish may post events and take scheduled ones back, and nothing else.
	ScopePublish Scope = "publish"
	// ScopeRead may look, but never at secrets.
	ScopeRead Scope = "read"
	// ScopePortal is that of a portal token: what the tenant itself needs to
	// manage its endpoints.
	ScopePortal Scope = "portal"
)

// Scopes lists every scope.
var Scopes = []Scope{ScopeAdmin, ScopeTenant, ScopePublish, ScopeRead, ScopePortal}

// Permission is what an operation asks of its caller. The zero Permission is
// granted to nobody.
type Permission string

// Permissions.
const (
	// Public: asked of nobody, not even for a key.
	Public Permission = "public"
	// Operate: the whole installation.
	Operate Permission = "operate"
	// Grant: a tenant's keys and portal links.
	Grant Permission = "grant"
	// Configure: a tenant's endpoints with their secrets, and retries by hand.
	Configure Permission = "configure"
	// Publish: posting a tenant's events.
	Publish Permission = "publish"
	// Withdraw: taking back a tenant's events before their time.
	Withdraw Permission = "withdraw"
	// Erase: removing a tenant's payloads for good.
	Erase Permission = "erase"
	// Read: a tenant's endpoints, events and deliveries, without secrets.
	Read Permission = "read"
	// ReadAudit: who changed what of a tenant.
	ReadAudit Permission = "read audit"
	// ReadTypes: the installation's event types, which are no tenant's.
	ReadTypes Permission = "read types"
)

var granted = map[Permission][]Scope{
	Operate:   {ScopeAdmin},
	Grant:     {ScopeAdmin, ScopeTenant},
	Configure: {ScopeAdmin, ScopeTenant, ScopePortal},
	Publish:   {ScopeAdmin, ScopeTenant, ScopePublish},
	Withdraw:  {ScopeAdmin, ScopeTenant, ScopePublish},
	Erase:     {ScopeAdmin, ScopeTenant},
	Read:      {ScopeAdmin, ScopeTenant, ScopeRead, ScopePortal},
	ReadAudit: {ScopeAdmin, ScopeTenant, ScopeRead},
	ReadTypes: {ScopeAdmin, ScopeTenant, ScopeRead, ScopePortal},
}

// Has reports whether the scope holds the permission.
func (s Scope) Has(p Permission) bool { return slices.Contains(granted[p], s) }

// Errors of Authenticate and Admit.
var (
	// ErrUnauthenticated: the request carries no key or token that is valid now.
	ErrUnauthenticated = errors.New("no valid API key")
	// ErrForbidden: the caller is known, but its scope does not reach so far.
	ErrForbidden = errors.New("the key's scope does not allow this")
)

// Principal is an authenticated caller.
type Principal struct {
	// Tenant is whom the caller is bound to; empty for ScopeAdmin.
	Tenant webhook.TenantID
	Scope  Scope
	// Key is the key's id, or the portal link's.
	Key KeyID
}

// LinkIDPrefix begins the id of every portal link.
const LinkIDPrefix = "link_"

// IsLink reports whether the id is a portal link's rather than a key's.
func (k KeyID) IsLink() bool { return strings.HasPrefix(string(k), LinkIDPrefix) }

// Admit says whether the caller may do what needs p to tenant, which is empty
// where the whole installation is concerned. Another tenant than the caller's is
// ErrNotFound, whether or not it exists: nothing is looked up before. What is
// left is ErrForbidden.
func (c Principal) Admit(p Permission, tenant webhook.TenantID) error {
	everywhere := tenant == "" && (p == Operate || p == ReadTypes)
	if c.Scope != ScopeAdmin && !everywhere && (tenant == "" || tenant != c.Tenant) {
		return webhook.ErrNotFound
	}
	if !c.Scope.Has(p) {
		return ErrForbidden
	}
	return nil
}
