package storetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/webhook"
)

var keyRules = []rule{
	{"AKeyRoundTrips", func(t *testing.T, s *bench) {
		full := s.createKey(s.key(auth.ScopePublish))
		s.expectKey(t, full)
		bare := auth.Key{Tenant: s.tenant, ID: s.keyID(), Scope: auth.ScopeRead, Digest: auth.DigestOf("bare"), CreatedAt: s.clock.Now()}
		s.expectKey(t, s.createKey(bare))
		admin := s.key(auth.ScopeAdmin)
		admin.Tenant = ""
		s.expectKey(t, s.createKey(admin))
	}},

	{"AKeyIsOfItsTenantOnly", func(t *testing.T, s *bench) {
		k := s.createKey(s.key(auth.ScopeTenant))
		for _, other := range []webhook.TenantID{"", s.newTenant()} {
			if _, err := s.Key(t.Context(), other, k.ID); !errors.Is(err, webhook.ErrNotFound) {
				t.Errorf("tenant %q: got error %v, want ErrNotFound", other, err)
			}
			if err := s.DeleteKey(t.Context(), other, k.ID, s.line(audit.KeyRevoked)); !errors.Is(err, webhook.ErrNotFound) {
				t.Errorf("delete by tenant %q: got error %v, want ErrNotFound", other, err)
			}
		}
		s.expectKey(t, k)
	}},

	{"ADeletedKeyIsGone", func(t *testing.T, s *bench) {
		k := s.createKey(s.key(auth.ScopeTenant))
		if err := s.DeleteKey(t.Context(), s.tenant, k.ID, s.line(audit.KeyRevoked)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Key(t.Context(), s.tenant, k.ID); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
		line := s.line(audit.KeyRevoked)
		if err := s.DeleteKey(t.Context(), s.tenant, k.ID, line); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("second delete: got error %v, want ErrNotFound", err)
		}
		s.expectNoLine(t, line)
	}},

	{"AnExpiredKeyIsGone", func(t *testing.T, s *bench) {
		k := s.key(auth.ScopeTenant)
		k.ExpiresAt = s.clock.Now().Add(time.Minute)
		lasting := s.key(auth.ScopeTenant)
		lasting.ExpiresAt = time.Time{}
		s.createKey(k)
		s.createKey(lasting)
		s.clock.advance(time.Minute - time.Millisecond)
		s.expectKey(t, k)
		s.clock.advance(time.Millisecond)
		if _, err := s.Key(t.Context(), s.tenant, k.ID); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
		if err := s.DeleteKey(t.Context(), s.tenant, k.ID, s.line(audit.KeyRevoked)); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("delete: got error %v, want ErrNotFound", err)
		}
		expectPaged(t, s.keys(), keyName, []string{string(lasting.ID)})
	}},

	{"KeysAreListedByID", func(t *testing.T, s *bench) {
		var want []string
		for range 23 {
			want = append(want, string(s.createKey(s.key(auth.ScopeRead)).ID))
		}
		expectPaged(t, s.keys(), keyName, want)
		expectBadCursor(t, s.keys())
	}},

	{"OfConcurrentMakersOneMakesThePortalKey", func(t *testing.T, s *bench) {
		// The store may be shared, so another subtest or run may have made it.
		got := make([]auth.PortalKey, 8)
		for _, err := range race(len(got), func(i int) (err error) {
			fresh := auth.PortalKey{Public: bytes.Repeat([]byte{byte(i), 0xff}, 16), Sealed: bytes.Repeat([]byte{0, byte(i)}, 100)}
			got[i], err = s.PortalKey(t.Context(), &fresh)
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		later, err := s.PortalKey(t.Context(), nil)
		if err != nil || len(later.Public) != 32 || len(later.Sealed) != 200 || later.Public[0] != later.Sealed[1] {
			t.Fatalf("later: %+v, error %v", later, err)
		}
		for _, key := range got {
			expect(t, "key", later, key)
		}
	}},
}

func (s *bench) keyID() auth.KeyID { return auth.KeyID(auth.KeyIDPrefix + s.ids.ULID(s.clock.Now())) }

// key returns a key of the subtest's tenant with every field set, not yet stored.
func (s *bench) key(scope auth.Scope) auth.Key {
	now, id := s.clock.Now(), s.keyID()
	return auth.Key{
		Tenant: s.tenant, ID: id, Scope: scope, Name: "Größe \"M\"", Digest: auth.DigestOf(string(id)),
		CreatedAt: now.Add(-time.Hour).Add(3 * time.Millisecond), CreatedBy: auth.Bootstrap, ExpiresAt: now.Add(time.Hour).Add(7 * time.Millisecond),
	}
}

func (s *bench) createKey(k auth.Key) auth.Key {
	s.t.Helper()
	if err := s.CreateKey(s.t.Context(), k, s.line(audit.KeyCreated)); err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (s *bench) expectKey(t *testing.T, want auth.Key) {
	t.Helper()
	got, err := s.Key(t.Context(), want.Tenant, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "key", want, got)
}

func (s *bench) keys() list[auth.Key] {
	return func(p webhook.Page) ([]auth.Key, string, error) { return s.Keys(s.t.Context(), s.tenant, p) }
}

func keyName(k auth.Key) string { return string(k.ID) }
