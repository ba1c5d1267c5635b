package keyring_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/id"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

// ring is a keyring over a store in memory, at a time that the test moves.
type ring struct {
	*keyring.Keyring
	config keyring.Config
	store  *sqlite.Store
	auth   *auth.Authenticator
	now    time.Time
}

var rootKey = auth.NewKey("", auth.Bootstrap)

func newRing(t *testing.T) *ring {
	t.Helper()
	r := &ring{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return r.now }
	var err error
	if r.store, err = sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	if _, _, err := r.store.PutTenant(t.Context(), webhook.Tenant{ID: "acme", CreatedAt: r.now}); err != nil {
		t.Fatal(err)
	}
	r.auth = auth.New(auth.Config{Store: r.store, Admin: auth.DigestOf(rootKey), Now: clock})
	dataKeys, err := seal.NewLocalKey(make([]byte, seal.LocalKeySize))
	if err != nil {
		t.Fatal(err)
	}
	r.config = keyring.Config{
		Store: r.store, Tenants: r.store, Auth: r.auth, Sealer: seal.New(dataKeys, clock), Admin: auth.DigestOf(rootKey),
		Trail: audit.Trail{Store: r.store, IDs: id.NewSource(), Now: clock},
	}
	r.Keyring = keyring.New(r.config)
	return r
}

// root is the context of a request that the bootstrap key made.
func root(t *testing.T) context.Context {
	return audit.By(t.Context(), audit.Actor{Scope: auth.ScopeAdmin, Key: auth.Bootstrap, RequestID: "r", Address: "192.0.2.1"})
}

// lines returns the whole audit trail, newest first.
func (r *ring) lines(t *testing.T) []audit.Line {
	t.Helper()
	lines, _, err := r.store.AllLines(t.Context(), webhook.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestAKeyIsStoredAsADigestAndShownOnce(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	k, text, err := r.Create(root(t), keyring.NewKey{Tenant: "acme", Scope: auth.ScopePublish, Name: "checkout", ExpiresAt: r.now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := r.store.Key(t.Context(), "acme", k.ID)
	if err != nil || stored != k {
		t.Fatalf("stored as %+v, %v", stored, err)
	}
	if stored.Digest != auth.DigestOf(text) || stored.CreatedBy != auth.Bootstrap || !strings.HasPrefix(text, stored.Prefix()+".") {
		t.Errorf("%+v of %s", stored, text)
	}
	line := r.lines(t)[0]
	if line.Action != audit.KeyCreated || line.Target != string(k.ID) || line.Tenant != "acme" ||
		line.Detail["scope"] != "publish" || line.Detail["name"] != "checkout" || line.Detail["expires_at"] != "2026-11-23T13:00:00Z" {
		t.Errorf("recorded as %+v", line)
	}
}

func TestRefusedKeys(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	for _, tc := range []struct {
		rule  string
		n     keyring.NewKey
		field string
	}{
		{"WithoutScope", keyring.NewKey{Tenant: "acme"}, "scope"},
		{"AnAdminOfATenant", keyring.NewKey{Tenant: "acme", Scope: auth.ScopeAdmin}, "scope"},
		{"AVisitorWithAKey", keyring.NewKey{Tenant: "acme", Scope: auth.ScopePortal}, "scope"},
		{"AnUnknownScope", keyring.NewKey{Tenant: "acme", Scope: "all"}, "scope"},
		{"ATenantsKeyOfNoTenant", keyring.NewKey{Scope: auth.ScopeTenant}, "scope"},
		{"ExpiredAlready", keyring.NewKey{Tenant: "acme", Scope: auth.ScopeRead, ExpiresAt: r.now}, "expires_at"},
		{"ExpiringInACentury", keyring.NewKey{Tenant: "acme", Scope: auth.ScopeRead, ExpiresAt: r.now.AddDate(100, 0, 0)}, "expires_at"},
		{"ALongName", keyring.NewKey{Tenant: "acme", Scope: auth.ScopeRead, Name: strings.Repeat("a", 257)}, "name"},
		{"ANameWithABell", keyring.NewKey{Tenant: "acme", Scope: auth.ScopeRead, Name: "\a"}, "name"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			_, _, err := r.Create(root(t), tc.n)
			if bad, ok := errors.AsType[*webhook.Invalid](err); !ok || bad.Field != tc.field {
				t.Errorf("got %v, want %s refused", err, tc.field)
			}
		})
	}
	if _, _, err := r.Create(root(t), keyring.NewKey{Tenant: "nobody", Scope: auth.ScopeRead}); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("for an unknown tenant: %v", err)
	}
	if lines := r.lines(t); len(lines) > 0 {
		t.Errorf("refused, but recorded: %+v", lines)
	}
}

func TestATenantHasAHundredKeysAtMost(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	create := func(tenant webhook.TenantID, scope auth.Scope, life time.Duration) (auth.Key, error) {
		k, _, err := r.Create(root(t), keyring.NewKey{Tenant: tenant, Scope: scope, ExpiresAt: r.now.Add(life)})
		return k, err
	}
	for i := range keyring.MaxKeys {
		if _, err := create("acme", auth.ScopeRead, time.Hour+time.Duration(i)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := create("acme", auth.ScopeRead, time.Hour); !errors.Is(err, webhook.ErrFull) {
		t.Fatalf("one more: %v", err)
	}
	if _, err := create("", auth.ScopeAdmin, time.Hour); err != nil {
		t.Errorf("an admin key: %v", err)
	}
	r.now = r.now.Add(time.Hour) // the first of them expires
	k, err := create("acme", auth.ScopeRead, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create("acme", auth.ScopeRead, time.Hour); !errors.Is(err, webhook.ErrFull) {
		t.Fatalf("one more: %v", err)
	}
	if err := r.Revoke(root(t), "acme", k.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := create("acme", auth.ScopeRead, time.Hour); err != nil {
		t.Errorf("in place of the revoked one: %v", err)
	}
}

func TestRevokingIsRecordedOnce(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	k, _, err := r.Create(root(t), keyring.NewKey{Tenant: "acme", Scope: auth.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Revoke(root(t), "", k.ID); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("as an admin key: %v", err)
	}
	if err := r.Revoke(root(t), "acme", k.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.Revoke(root(t), "acme", k.ID); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if lines := r.lines(t); len(lines) != 2 || lines[0].Action != audit.KeyRevoked || lines[0].Actor.Key != auth.Bootstrap {
		t.Errorf("recorded: %+v", lines)
	}
}

func TestAPortalLinkIsRecordedBeforeItIsHandedOut(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	link, err := r.Issue(root(t), "acme", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if !link.ExpiresAt.Equal(r.now.Add(time.Hour)) {
		t.Errorf("expires at %s", link.ExpiresAt)
	}
	line := r.lines(t)[0]
	if line.Action != audit.LinkIssued || line.Target != string(link.ID) || line.Tenant != "acme" {
		t.Errorf("recorded as %+v", line)
	}
	for _, lifetime := range []time.Duration{keyring.MinLinkLifetime, keyring.MaxLinkLifetime} {
		if _, err := r.Issue(root(t), "acme", lifetime); err != nil {
			t.Errorf("for %s: %v", lifetime, err)
		}
	}
	for _, lifetime := range []time.Duration{-1, 0, keyring.MinLinkLifetime - 1, keyring.MaxLinkLifetime + 1} {
		_, err := r.Issue(root(t), "acme", lifetime)
		if bad, ok := errors.AsType[*webhook.Invalid](err); !ok || bad.Field != "expires_in_seconds" {
			t.Errorf("for %s: %v", lifetime, err)
		}
	}
	if _, err := r.Issue(root(t), "nobody", time.Hour); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("to an unknown tenant: %v", err)
	}
	unrecorded := r.config
	unrecorded.Trail.Store = closedTrail{}
	if link, err := keyring.New(unrecorded).Issue(root(t), "acme", time.Hour); !errors.Is(err, errClosed) || link.Token != "" {
		t.Errorf("got %+v, %v", link, err)
	}
}

// closedTrail takes no lines.
type closedTrail struct{ audit.Store }

var errClosed = errors.New("closed")

func (closedTrail) Append(context.Context, audit.Line) error { return errClosed }

func (r *ring) visits(t *testing.T, link keyring.PortalLink) error {
	t.Helper()
	caller, err := r.auth.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer " + link.Token}}})
	if want := (auth.Principal{Tenant: "acme", Scope: auth.ScopePortal, Key: link.ID}); err == nil && caller != want {
		t.Errorf("the link stands for %+v", caller)
	}
	return err
}

func TestAnIssuedLinkIsLetIn(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	k, _, err := r.Create(root(t), keyring.NewKey{Tenant: "acme", Scope: auth.ScopeTenant})
	if err != nil {
		t.Fatal(err)
	}
	admin, _, err := r.Create(root(t), keyring.NewKey{Scope: auth.ScopeAdmin})
	if err != nil {
		t.Fatal(err)
	}
	for _, issuer := range []audit.Actor{
		{Scope: auth.ScopeAdmin, Key: auth.Bootstrap}, {Scope: auth.ScopeAdmin, Key: admin.ID}, {Scope: auth.ScopeTenant, Key: k.ID},
	} {
		link, err := r.Issue(audit.By(t.Context(), issuer), "acme", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.visits(t, link); err != nil {
			t.Errorf("issued by %s: %v", issuer.Key, err)
		}
	}
}

// Who reads the store can check tokens, but not make one.
func TestTheKeyOfPortalTokensLiesSealed(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	link, err := r.Issue(root(t), "acme", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := r.store.PortalKey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := r.config.Sealer.Open(t.Context(), seal.Place{Tenant: "~", Endpoint: "~", Purpose: seal.Portal}, stored.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(stored.Sealed, seed) || !bytes.Equal(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), stored.Public) {
		t.Error("it is stored in the clear, or is another's")
	}

	otherKeys, err := seal.NewLocalKey(bytes.Repeat([]byte{1}, seal.LocalKeySize))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := r.config
	elsewhere.Sealer = seal.New(otherKeys, r.config.Trail.Now)
	if _, err := keyring.New(elsewhere).Issue(root(t), "acme", time.Hour); err == nil || errors.Is(err, seal.ErrBroken) {
		t.Errorf("under another data key: %v", err)
	}
	if err := r.visits(t, link); err != nil {
		t.Errorf("the link from before: %v", err)
	}
}
