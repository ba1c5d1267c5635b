package auth_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/auth"
)

// link returns a token for tenant acme that ends in an hour.
func (d *desk) link(issuer auth.KeyID, byAdmin bool) string {
	l := auth.Link{Tenant: "acme", ID: "link_1", Issuer: issuer, ByAdmin: byAdmin, ExpiresAt: d.now.Add(time.Hour)}
	return l.Token(d.signs, auth.DigestOf(d.root))
}

// tokenPattern is what infra/docs/keys.md gives to secret scanners.
var tokenPattern = regexp.MustCompile(`^portal_(~|[A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_]{1,64}\.~?[A-Za-z0-9_]{1,64}\.[0-9]{10}\.[A-Za-z0-9_-]{86}$`)

var visitor = auth.Principal{Tenant: "acme", Scope: auth.ScopePortal, Key: "link_1"}

func TestAPortalTokenWorksUntilItExpires(t *testing.T) {
	t.Parallel()
	d := newDesk()
	token := d.link(auth.Bootstrap, true)
	if !tokenPattern.MatchString(token) {
		t.Errorf("%s has another form", token)
	}
	d.expect(t, token, visitor)
	d.now = d.now.Add(time.Hour - time.Second)
	d.expect(t, token, visitor)
	d.now = d.now.Add(time.Second)
	d.refuse(t, token)
}

func TestAnOperatorsTokenStandsForAnAdminUntilItsIssuerEnds(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.give("", "1", auth.ScopeAdmin)
	l := auth.Link{ID: "link_1", Issuer: "key_1", ByAdmin: true, ExpiresAt: d.now.Add(time.Hour)}
	token := l.Token(d.signs, auth.DigestOf(d.root))
	if !tokenPattern.MatchString(token) {
		t.Errorf("%s has another form", token)
	}
	d.expect(t, token, auth.Principal{Scope: auth.ScopeAdmin, Key: "link_1"})
	if got, ok := auth.ReadToken(token); !ok || got.Tenant != "" || !got.ExpiresAt.Equal(l.ExpiresAt) {
		t.Errorf("it reads as %+v, %v", got, ok)
	}
	// The same words for a tenant are another token.
	ofTenant := auth.Link{Tenant: "acme", ID: "link_1", Issuer: "key_1", ByAdmin: true, ExpiresAt: l.ExpiresAt}.Token(d.signs, auth.DigestOf(d.root))
	d.refuse(t, strings.Replace(ofTenant, "portal_acme.", "portal_~.", 1))
	delete(d.keys, "key_1")
	d.now = d.now.Add(30 * time.Second)
	d.refuse(t, token)
}

func TestAPortalTokenWorksInEveryProcess(t *testing.T) {
	t.Parallel()
	d := newDesk()
	token := d.link(auth.Bootstrap, true)
	d.Authenticator = d.another()
	d.expect(t, token, visitor)
}

func TestAPortalTokenEndsWithItsIssuer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule  string
		admin bool
	}{{"ATenantsKey", false}, {"AnAdminKey", true}} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			d := newDesk()
			if tc.admin {
				d.give("", "1", auth.ScopeAdmin)
			} else {
				d.give("acme", "1", auth.ScopeTenant)
			}
			token := d.link("key_1", tc.admin)
			d.expect(t, token, visitor)
			delete(d.keys, "key_1")
			d.now = d.now.Add(30 * time.Second)
			d.refuse(t, token)
		})
	}
}

func TestAPortalTokenOfTheBootstrapKeyEndsWhenAnotherTakesItsPlace(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.give("acme", "1", auth.ScopeTenant)
	byRoot, byKey := d.link(auth.Bootstrap, true), d.link("key_1", false)
	d.root = auth.NewKey("", auth.Bootstrap)
	d.Authenticator = d.another()
	d.refuse(t, byRoot)
	d.expect(t, byKey, visitor)
}

// Removing the key from the store ends all links.
func TestAPortalTokenEndsWithTheKey(t *testing.T) {
	t.Parallel()
	d := newDesk()
	token := d.link(auth.Bootstrap, true)
	d.expect(t, token, visitor)
	d.portal = auth.PortalKey{}
	d.now = d.now.Add(30 * time.Second)
	d.refuse(t, token)
	d.newPortalKey()
	d.refuse(t, token)
	d.expect(t, d.link(auth.Bootstrap, true), visitor)
}

func TestAKeyThatIsNoneRefusesAllTokens(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.portal.Public = d.portal.Public[:31]
	if got, err := d.Authenticate(bearing(d.link(auth.Bootstrap, true))); err == nil {
		t.Errorf("got %+v", got)
	}
}

func TestThePortalKeyIsReadOnceInThirtySeconds(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.give("acme", "1", auth.ScopeTenant)
	token := d.link("key_1", false)
	for range 20 {
		d.expect(t, token, visitor)
		d.now = d.now.Add(time.Second)
	}
	if d.portals != 1 || d.asked != 1 {
		t.Errorf("the store was asked %d times for the portal's key and %d times for others", d.portals, d.asked)
	}
}

func TestAnAlteredPortalTokenIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.give("acme", "1", auth.ScopeTenant)
	token := d.link("key_1", false)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		with := rapid.SampledFrom(strings.Split("aZ09_-.~", "")).Draw(t, "with")
		altered := token[:at] + with + token[at+1:]
		if altered == token {
			t.Skip()
		}
		if got, err := d.Authenticate(bearing(altered)); err == nil {
			t.Fatalf("%s passes as %+v", altered, got)
		}
	})
	text, signature := token[:strings.LastIndex(token, ".")], token[strings.LastIndex(token, "."):]
	for rule, altered := range map[string]string{
		"AnotherTenant":     strings.Replace(text, "acme", "other", 1) + signature,
		"ALaterEnd":         text + "9" + signature,
		"WithoutASignature": text + ".",
		"SignedByAnother":   forged(d),
		"OfTheBootstrap":    strings.Replace(text, "key_1", "~bootstrap", 1) + signature,
	} {
		t.Run(rule, func(t *testing.T) { d.refuse(t, altered) })
	}
}

// forged returns a token that another key signed.
func forged(d *desk) string {
	other := newDesk()
	other.root = d.root
	return other.link("key_1", false)
}
