package auth_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

// keeper is a store that counts what it is asked.
type keeper struct {
	keys   map[auth.KeyID]auth.Key
	portal auth.PortalKey
	fail   error
	// asked counts reads of keys, and portals those of the portal's.
	asked, portals int
}

func (s *keeper) Key(_ context.Context, tenant webhook.TenantID, id auth.KeyID) (auth.Key, error) {
	s.asked++
	if s.fail != nil {
		return auth.Key{}, s.fail
	}
	if k, ok := s.keys[id]; ok && k.Tenant == tenant {
		return k, nil
	}
	return auth.Key{}, fmt.Errorf("key %s: %w", id, webhook.ErrNotFound)
}

func (s *keeper) PortalKey(context.Context, *auth.PortalKey) (auth.PortalKey, error) {
	s.portals++
	if s.portal.Public == nil {
		return auth.PortalKey{}, webhook.ErrNotFound
	}
	return s.portal, nil
}

// desk is an Authenticator over a keeper, at a time that the test moves.
type desk struct {
	*auth.Authenticator
	*keeper
	now  time.Time
	root string
	// signs signs portal tokens.
	signs ed25519.PrivateKey
}

func newDesk() *desk {
	d := &desk{
		keeper: &keeper{keys: map[auth.KeyID]auth.Key{}}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		root: auth.NewKey("", auth.Bootstrap),
	}
	d.newPortalKey()
	d.Authenticator = d.another()
	return d
}

func (d *desk) newPortalKey() {
	d.portal.Public, d.signs, _ = ed25519.GenerateKey(nil) // never fails
}

// another is the same relay in another process.
func (d *desk) another() *auth.Authenticator {
	return auth.New(auth.Config{Store: d.keeper, Admin: auth.DigestOf(d.root), Now: func() time.Time { return d.now }})
}

// give stores a key and returns its text.
func (d *desk) give(tenant webhook.TenantID, name string, scope auth.Scope) string {
	id := auth.KeyID(auth.KeyIDPrefix + name)
	text := auth.NewKey(tenant, id)
	d.keys[id] = auth.Key{Tenant: tenant, ID: id, Scope: scope, Digest: auth.DigestOf(text)}
	return text
}

func bearing(text string) *http.Request {
	return &http.Request{Header: http.Header{"Authorization": {"Bearer " + text}}}
}

func (d *desk) expect(t *testing.T, text string, want auth.Principal) {
	t.Helper()
	if got, err := d.Authenticate(bearing(text)); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func (d *desk) refuse(t *testing.T, text string) {
	t.Helper()
	if got, err := d.Authenticate(bearing(text)); !errors.Is(err, auth.ErrUnauthenticated) || got != (auth.Principal{}) {
		t.Errorf("got %+v, %v; want ErrUnauthenticated", got, err)
	}
}

func (d *desk) expectAsked(t *testing.T, n int) {
	t.Helper()
	if d.asked != n {
		t.Errorf("the store was asked %d times, want %d", d.asked, n)
	}
}

func TestTheBootstrapKeyIsAdmin(t *testing.T) {
	t.Parallel()
	d := newDesk()
	for _, tc := range []struct {
		rule, header string
		ok           bool
	}{
		{"TheKeyPasses", "Bearer " + d.root, true},
		{"TheSchemeIsCaseInsensitive", "bearer " + d.root, true},
		{"NoHeaderIsRefused", "", false},
		{"AnotherKeyIsRefused", "Bearer " + auth.NewKey("", auth.Bootstrap), false},
		{"APrefixOfTheKeyIsRefused", "Bearer " + d.root[:len(d.root)-1], false},
		{"AnEmptyKeyIsRefused", "Bearer ", false},
		{"AnotherSchemeIsRefused", "Basic " + d.root, false},
		{"TheDigestIsNoKey", "Bearer " + auth.DigestOf(d.root).String(), false},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got, err := d.Authenticate(&http.Request{Header: http.Header{"Authorization": {tc.header}}})
			if (err == nil) != tc.ok || err != nil && !errors.Is(err, auth.ErrUnauthenticated) {
				t.Fatalf("got %v", err)
			}
			if tc.ok && got != (auth.Principal{Scope: auth.ScopeAdmin, Key: auth.Bootstrap}) {
				t.Errorf("got %+v", got)
			}
		})
	}
	d.expectAsked(t, 0)
}

func TestAnyTextMayBeTheBootstrapKey(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.root = "chosen before this release"
	d.Authenticator = d.another()
	d.expect(t, d.root, auth.Principal{Scope: auth.ScopeAdmin, Key: auth.Bootstrap})
}

func TestAStoredKeyStandsForItsTenantAndScope(t *testing.T) {
	t.Parallel()
	d := newDesk()
	for _, scope := range []auth.Scope{auth.ScopeTenant, auth.ScopePublish, auth.ScopeRead} {
		text := d.give("acme-1_x", string(scope), scope)
		d.expect(t, text, auth.Principal{Tenant: "acme-1_x", Scope: scope, Key: auth.KeyID("key_" + string(scope))})
	}
	d.expect(t, d.give("", "root", auth.ScopeAdmin), auth.Principal{Scope: auth.ScopeAdmin, Key: "key_root"})
}

func TestUnknownAndWrongKeysAreAlike(t *testing.T) {
	t.Parallel()
	d := newDesk()
	text := d.give("acme", "1", auth.ScopeTenant)
	random := text[strings.LastIndex(text, "."):]
	for rule, wrong := range map[string]string{
		"AnotherSecret":       auth.NewKey("acme", "key_1"),
		"AnUnknownKey":        auth.NewKey("acme", "key_2"),
		"AnotherTenant":       "relay_other.key_1" + random,
		"AnAdminsPlace":       "relay_~.key_1" + random,
		"InAnotherCase":       strings.ToUpper(text[:10]) + text[10:],
		"ACharacterLess":      text[:len(text)-1],
		"ACharacterMore":      text + "A",
		"TheBootstrapsPlace":  "relay_~.bootstrap" + random,
		"WithoutATenant":      "relay_.key_1" + random,
		"APartMore":           "relay_acme.x.key_1" + random,
		"TooLong":             text + strings.Repeat("A", 4096),
		"TheDigestInItsPlace": "relay_acme.key_1." + auth.DigestOf(text).String(),
	} {
		t.Run(rule, func(t *testing.T) { d.refuse(t, wrong) })
	}
}

// Only what can be a key's text costs a read.
func TestNonsenseCostsNoRead(t *testing.T) {
	t.Parallel()
	d := newDesk()
	for _, text := range []string{"", "x", "relay_", "relay_a.b.c", "relay_a b.key_1." + strings.Repeat("A", 43), "portal_", "portal_a.b.c",
		"portal_a.b.c.1.d", "portal_a.b.c.d." + strings.Repeat("A", 86), "portal_a.b.c." + strings.Repeat("A", 86)} {
		d.refuse(t, text)
	}
	if d.asked+d.portals != 0 {
		t.Errorf("the store was asked %d and %d times", d.asked, d.portals)
	}
}

// A row that could not have come about by the relay's doing opens nothing.
func TestAKeyWhoseScopeDoesNotFitItsTenantIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.refuse(t, d.give("acme", "1", auth.ScopeAdmin))
	d.refuse(t, d.give("", "2", auth.ScopeTenant))
}

func TestAKeyIsReadOnceInThirtySeconds(t *testing.T) {
	t.Parallel()
	d := newDesk()
	text, want := d.give("acme", "1", auth.ScopePublish), auth.Principal{Tenant: "acme", Scope: auth.ScopePublish, Key: "key_1"}
	for range 30 {
		d.expect(t, text, want)
		d.now = d.now.Add(time.Second - time.Millisecond)
	}
	d.expectAsked(t, 1)
	d.now = d.now.Add(time.Second)
	d.expect(t, text, want)
	d.expectAsked(t, 2)
	// A wrong secret is told by what is known of the key.
	for range 10 {
		d.refuse(t, auth.NewKey("acme", "key_1"))
	}
	d.expectAsked(t, 2)
}

func TestARevokedKeyEndsWithinThirtySeconds(t *testing.T) {
	t.Parallel()
	d := newDesk()
	text := d.give("acme", "1", auth.ScopePublish)
	elsewhere := d.another()
	for _, process := range []*auth.Authenticator{d.Authenticator, elsewhere} {
		if _, err := process.Authenticate(bearing(text)); err != nil {
			t.Fatal(err)
		}
	}
	delete(d.keys, "key_1")
	d.Forget("acme", "key_1")
	d.refuse(t, text)
	d.Authenticator = elsewhere
	d.now = d.now.Add(30 * time.Second)
	d.refuse(t, text)
}

func TestAKeyEndsAtItsExpiryAlsoWhileItIsRemembered(t *testing.T) {
	t.Parallel()
	d := newDesk()
	text := d.give("acme", "1", auth.ScopeRead)
	k := d.keys["key_1"]
	k.ExpiresAt = d.now.Add(10 * time.Second)
	d.keys["key_1"] = k
	d.now = k.ExpiresAt.Add(-time.Millisecond)
	d.expect(t, text, auth.Principal{Tenant: "acme", Scope: auth.ScopeRead, Key: "key_1"})
	d.now = k.ExpiresAt
	d.refuse(t, text)
	d.expectAsked(t, 1)
}

func TestAnUnknownKeyIsReadOnceInThirtySeconds(t *testing.T) {
	t.Parallel()
	d := newDesk()
	text := auth.NewKey("acme", "key_gone")
	for range 10 {
		d.refuse(t, text)
		d.now = d.now.Add(2 * time.Second)
	}
	d.expectAsked(t, 1)
	d.now = d.now.Add(10 * time.Second)
	d.refuse(t, text)
	d.expectAsked(t, 2)
}

func TestGuessesDoNotPushKeysOut(t *testing.T) {
	t.Parallel()
	d := newDesk()
	text, want := d.give("acme", "1", auth.ScopePublish), auth.Principal{Tenant: "acme", Scope: auth.ScopePublish, Key: "key_1"}
	d.expect(t, text, want)
	const guesses = 5000
	for i := range guesses {
		d.refuse(t, auth.NewKey("acme", auth.KeyID(fmt.Sprintf("key_%d", i+2))))
	}
	d.expect(t, text, want)
	d.expectAsked(t, 1+guesses)
}

func TestAFailingStoreIsNoVerdict(t *testing.T) {
	t.Parallel()
	d := newDesk()
	text := d.give("acme", "1", auth.ScopePublish)
	d.fail = errors.New("throttled")
	if _, err := d.Authenticate(bearing(text)); !errors.Is(err, d.fail) || errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("got %v", err)
	}
	d.fail = nil
	d.expect(t, text, auth.Principal{Tenant: "acme", Scope: auth.ScopePublish, Key: "key_1"})
}

// Whatever is sent, only a key that was given opens.
func FuzzAuthenticate(f *testing.F) {
	d := newDesk()
	given := d.give("acme", "1", auth.ScopeTenant)
	token := d.link("key_1", false)
	for _, text := range []string{given, token, d.root, "relay_a.key_1." + strings.Repeat("A", 43), "portal_a.b.c.1.d", "portal_acme.link_1.~bootstrap.99999999999.x", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := d.Authenticate(bearing(text))
		text = strings.TrimSpace(text)
		if known := text == given || text == token || text == d.root; known != (err == nil) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
