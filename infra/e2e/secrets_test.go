package e2e

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// rotate gives the endpoint a new secret; no body means the relay's own overlap.
func (n tenant) rotate(t testing.TB, endpointID string, body any) secret {
	t.Helper()
	return as[secret](t, n.send(t, http.MethodPost, n.at("/endpoints/%s/secret/rotate", endpointID), body).must(t, http.StatusOK))
}

// arrivalOfNext posts an event and returns it as it arrived.
func (n tenant) arrivalOfNext(t testing.TB, h *hook) arrival {
	t.Helper()
	return h.awaitEvent(t, n.post(t, "order.placed", `{}`).ID)[0]
}

func TestDuringTheOverlapBothSecretsVerify(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	e := n.subscribe(t, h)
	old := n.secret(t, e.ID)
	rotated := n.rotate(t, e.ID, nil)
	if rotated.Secret == old || n.secret(t, e.ID) != rotated.Secret {
		t.Fatal("the endpoint's secret is not the new one")
	}
	if at := rotated.PreviousExpiresAt; at == nil || time.Until(*at) < 23*time.Hour || time.Until(*at) > 25*time.Hour {
		t.Errorf("previous_expires_at is %v, want in about a day", at)
	}
	h.trust(rotated.Secret, old)
	got := n.arrivalOfNext(t, h)
	for name, key := range map[string]string{"new": rotated.Secret, "old": old} {
		if err := got.verify(key); err != nil {
			t.Errorf("under the %s secret: %v", name, err)
		}
	}
	if n := len(got.signatures()); n != 2 {
		t.Errorf("%d signatures, want 2", n)
	}
	// Rotated again without overlap, all older ones end.
	last := n.rotate(t, e.ID, map[string]int{"overlap_seconds": 0})
	if last.PreviousExpiresAt != nil {
		t.Errorf("previous_expires_at is %v after a rotation without overlap", last.PreviousExpiresAt)
	}
	h.trust(last.Secret)
	got = n.arrivalOfNext(t, h)
	if n := len(got.signatures()); n != 1 {
		t.Errorf("%d signatures, want 1", n)
	}
	for name, key := range map[string]string{"first": old, "second": rotated.Secret} {
		if got.verify(key) == nil {
			t.Errorf("the %s secret still verifies", name)
		}
	}
}

func TestAnOldSecretSignsNoLongerThanItsOverlap(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	e := n.subscribe(t, h)
	old := n.secret(t, e.ID)
	rotated := n.rotate(t, e.ID, map[string]int{"overlap_seconds": 2})
	h.trust(rotated.Secret)
	eventually(t, patience, func() (bool, string) {
		return n.arrivalOfNext(t, h).verify(old) != nil, "the old secret still verifies"
	})
	if shown := as[secret](t, n.get(t, n.at("/endpoints/%s/secret", e.ID))); shown.PreviousExpiresAt != nil {
		t.Errorf("previous_expires_at is %v, although the old secret has ended", shown.PreviousExpiresAt)
	}
}

// The relay has the private key, the receiver the public one only.
func TestAnEd25519EndpointVerifiesWithAPublicKey(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500), status(200))
	e := n.register(t, newEndpoint{URL: h.url, Signature: "v1a"})
	if e.Signature != "v1a" {
		t.Errorf("the endpoint's signature is %q", e.Signature)
	}
	shown := as[secret](t, n.get(t, n.at("/endpoints/%s/secret", e.ID)))
	if shown.Secret != "" || !strings.HasPrefix(shown.PublicKey, "whpk_") {
		t.Fatalf("the receiver is shown %+v", shown)
	}
	h.trust(shown.PublicKey)
	a := n.post(t, "order.placed", `{"é":"日本"}`)
	for _, got := range h.await(t, 2) {
		if s := got.signatures(); got.id != a.ID || len(s) != 1 || !strings.HasPrefix(s[0], "v1a,") {
			t.Errorf("%s is signed %q", got.id, s)
		}
	}
	n.awaitState(t, a.ID, e.ID, "delivered")

	rotated := n.rotate(t, e.ID, map[string]int{"overlap_seconds": 60})
	got := n.arrivalOfNext(t, h) // verified under the old key, which h trusts still
	if err := got.verify(rotated.PublicKey); err != nil {
		t.Errorf("under the new key: %v", err)
	}
}

func TestASecretIsRandomAndShownOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	var keys []string
	for range 3 {
		h := newHook(t)
		e := n.register(t, newEndpoint{URL: h.url})
		key := n.secret(t, e.ID)
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
		if err != nil || len(raw) < 24 || len(raw) > 64 || slices.Contains(keys, key) {
			t.Errorf("a secret of %d bytes, %v, or seen before", len(raw), err)
		}
		keys = append(keys, key)
		for _, r := range []response{n.get(t, n.at("/endpoints/%s", e.ID)), n.get(t, n.at("/endpoints"))} {
			if strings.Contains(string(r.body), key[len("whsec_"):]) {
				t.Errorf("%s shows the secret", r.request)
			}
		}
		if got := h.got(); len(got) != 0 {
			t.Errorf("registering sent %d requests", len(got))
		}
	}
}
