package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

var claimRules = []rule{
	{"AFirstClaimIsStoredAndASecondFindsIt", func(t *testing.T, s *bench) {
		first := s.claim(ingest.ClaimByKey + "a key: with spaces, dots. and ünicode")
		expect(t, "first claim", first, s.mustClaim(t, first))
		second := first
		second.Ref, second.Fingerprint, second.At = s.ids.EventRef(s.clock.Now()), "other", s.clock.Now().Add(time.Second)
		expect(t, "second claim", first, s.mustClaim(t, second))
	}},

	{"ClaimsOnOtherKeysAndTenantsAreApart", func(t *testing.T, s *bench) {
		first := s.claim(ingest.ClaimByKey + "x")
		s.mustClaim(t, first)
		byID := s.claim(ingest.ClaimByID + "x")
		expect(t, "claim by id", byID, s.mustClaim(t, byID))
		elsewhere := s.claim(ingest.ClaimByKey + "x")
		elsewhere.Tenant = s.newTenant()
		expect(t, "other tenant's claim", elsewhere, s.mustClaim(t, elsewhere))
		expect(t, "first claim", first, s.mustClaim(t, s.claim(ingest.ClaimByKey+"x")))
	}},

	{"OfConcurrentClaimsExactlyOneStores", func(t *testing.T, s *bench) {
		mine, got := make([]ingest.Claim, 8), make([]ingest.Claim, 8)
		for i := range mine {
			mine[i] = s.claim(ingest.ClaimByKey + "contested")
		}
		if err := errors.Join(race(len(mine), func(i int) (err error) {
			got[i], err = s.Claim(t.Context(), mine[i])
			return err
		})...); err != nil {
			t.Fatal(err)
		}
		winners := 0
		for i := range got {
			expect(t, "claim", got[0], got[i])
			if got[i].Ref == mine[i].Ref {
				winners++
			}
		}
		expect(t, "winners", 1, winners)
	}},

	{"AnExpiredClaimIsReplaced", func(t *testing.T, s *bench) {
		first := s.claim(ingest.ClaimByKey + "old")
		first.Done = true
		s.mustClaim(t, first)
		s.clock.advance(first.ExpiresAt.Sub(s.clock.Now()) - time.Second)
		expect(t, "claim before it expires", first, s.mustClaim(t, s.claim(first.Key)))
		s.clock.advance(2 * time.Second)
		second := s.claim(first.Key)
		expect(t, "claim after it expired", second, s.mustClaim(t, second))
		if err := s.UpdateClaim(t.Context(), first, first); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("update of the expired claim: got error %v, want ErrConflict", err)
		}
	}},

	{"UpdateClaimReplacesWhatIsStored", func(t *testing.T, s *bench) {
		stored := s.mustClaim(t, s.claim(ingest.ClaimByKey+"k"))
		done := stored
		done.Done, done.ExpiresAt = true, stored.ExpiresAt.Add(time.Hour)
		if err := s.UpdateClaim(t.Context(), stored, done); err != nil {
			t.Fatal(err)
		}
		found := s.mustClaim(t, s.claim(stored.Key))
		expect(t, "updated claim", done, found)
		if err := s.UpdateClaim(t.Context(), found, stored); err != nil {
			t.Fatalf("update of the claim as returned: %v", err)
		}
		expect(t, "claim changed back", stored, s.mustClaim(t, s.claim(stored.Key)))
	}},

	{"UpdateClaimRefusesAnyOtherClaim", func(t *testing.T, s *bench) {
		stored := s.mustClaim(t, s.claim(ingest.ClaimByKey+"k"))
		for field, change := range map[string]func(*ingest.Claim){
			"ref":         func(c *ingest.Claim) { c.Ref = s.ids.EventRef(s.clock.Now()) },
			"fingerprint": func(c *ingest.Claim) { c.Fingerprint = "other" },
			"at":          func(c *ingest.Claim) { c.At = c.At.Add(time.Millisecond) },
			"done":        func(c *ingest.Claim) { c.Done = !c.Done },
			"expires at":  func(c *ingest.Claim) { c.ExpiresAt = c.ExpiresAt.Add(time.Second) },
		} {
			old := stored
			change(&old)
			if err := s.UpdateClaim(t.Context(), old, old); !errors.Is(err, webhook.ErrConflict) {
				t.Errorf("another %s: got error %v, want ErrConflict", field, err)
			}
		}
		absent := s.claim(ingest.ClaimByKey + "absent")
		if err := s.UpdateClaim(t.Context(), absent, absent); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("absent claim: got error %v, want ErrConflict", err)
		}
		expect(t, "claim", stored, s.mustClaim(t, s.claim(stored.Key)))
	}},

	{"OfConcurrentClaimUpdatesExactlyOneWins", func(t *testing.T, s *bench) {
		stored := s.mustClaim(t, s.claim(ingest.ClaimByKey+"k"))
		s.expectOneWinner(t, race(8, func(i int) error {
			mine := stored
			mine.At = stored.At.Add(time.Duration(i+1) * time.Second)
			return s.UpdateClaim(t.Context(), stored, mine)
		}), webhook.ErrConflict)
	}},

	{"AnEventIsFoundByItsCallersID", func(t *testing.T, s *bench) {
		claim := s.mustClaim(t, s.claim(ingest.ClaimByID+"order-1"))
		s.mustClaim(t, s.claim(ingest.ClaimByKey+"order-2"))
		ref, err := s.EventRef(t.Context(), s.tenant, "order-1")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "ref", claim.Ref, ref)
		if _, err := s.EventRef(t.Context(), s.tenant, "order-2"); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("an idempotency key is taken for an id: got error %v, want ErrNotFound", err)
		}
		if _, err := s.EventRef(t.Context(), s.newTenant(), "order-1"); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("another tenant: got error %v, want ErrNotFound", err)
		}
		s.clock.advance(claim.ExpiresAt.Sub(s.clock.Now()) + time.Second)
		if _, err := s.EventRef(t.Context(), s.tenant, "order-1"); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("an expired claim: got error %v, want ErrNotFound", err)
		}
	}},
}

// claim returns a claim on key for a new event, not yet stored.
func (s *bench) claim(key string) ingest.Claim {
	now := s.clock.Now()
	ref := id.NewSource().EventRef(now)
	return ingest.Claim{
		Tenant: s.tenant, Key: key, Ref: ref, Fingerprint: fmt.Sprint("digest of ", ref),
		At: now.Add(17 * time.Millisecond), ExpiresAt: now.Add(24 * time.Hour),
	}
}

func (s *bench) mustClaim(t *testing.T, c ingest.Claim) ingest.Claim {
	t.Helper()
	got, err := s.Claim(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
