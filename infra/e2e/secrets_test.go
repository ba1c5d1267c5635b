package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
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

// ownSecret is one that a caller brings along.
func ownSecret(prefix string, size int) string {
	raw := make([]byte, size)
	_, _ = rand.Read(raw) // never fails
	return prefix + base64.StdEncoding.EncodeToString(raw)
}

func TestACallersOwnSecretSigns(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for _, size := range []int{24, 64} {
		h := newHook(t)
		own, next := ownSecret("whsec_", size), ownSecret("whsec_", size)
		e := n.register(t, newEndpoint{URL: h.url, EventTypes: []string{"order.placed"}, Secret: own})
		if got := n.secret(t, e.ID); got != own {
			t.Errorf("the secret of %d bytes is shown as another", size)
		}
		h.trust(own)
		n.arrivalOfNext(t, h)
		if rotated := n.rotate(t, e.ID, map[string]any{"secret": next, "overlap_seconds": 60}); rotated.Secret != next || rotated.PreviousExpiresAt == nil {
			t.Errorf("rotated to %+v", rotated)
		}
		got := n.arrivalOfNext(t, h)
		for _, key := range []string{own, next} {
			if err := got.verify(key); err != nil {
				t.Error(err)
			}
		}
	}
	t.Run("OfEd25519", func(t *testing.T) {
		t.Parallel()
		h := newHook(t)
		own := ownSecret("whsk_", ed25519.SeedSize)
		e := n.register(t, newEndpoint{URL: h.url, EventTypes: []string{"user.created"}, Signature: "v1a", Secret: own})
		seed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(own, "whsk_"))
		if err != nil {
			t.Fatal(err)
		}
		public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
		shown := as[secret](t, n.get(t, n.at("/endpoints/%s/secret", e.ID)))
		if shown.Secret != "" || shown.PublicKey != "whpk_"+base64.StdEncoding.EncodeToString(public) {
			t.Errorf("the receiver is shown %+v", shown)
		}
		h.trust(shown.PublicKey)
		h.awaitEvent(t, n.post(t, "user.created", `{}`).ID)
	})
}

func TestARefusalDoesNotQuoteTheSecret(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for _, own := range []string{ownSecret("whsec_", 16), ownSecret("whsec_", 80), ownSecret("sk_live_", 32)} {
		r := n.send(t, http.MethodPost, n.at("/endpoints"), newEndpoint{URL: newHook(t).url, Secret: own}).must(t, http.StatusBadRequest)
		if strings.Contains(string(r.body), own[len("whsec_")+2:]) {
			t.Errorf("it answers %s", r.body)
		}
	}
}

// Whoever has the database, the log or a list, but not the key file, has no secret.
func TestSecretsLieNowhereReadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := ownRelay(t, filepath.Join(dir, "relay.db"))
	n := p.newTenant(t, "discreet")
	fine, failing := newHook(t), newHook(t, status(500))
	own, private := ownSecret("whsec_", 40), ownSecret("whsk_", ed25519.SeedSize)
	secrets := []string{own, private}
	e := n.register(t, newEndpoint{ID: "fine", URL: fine.url, Secret: own})
	n.register(t, newEndpoint{ID: "failing", URL: failing.url, Signature: "v1a", Secret: private})
	secrets = append(secrets, n.rotate(t, e.ID, nil).Secret, n.rotate(t, e.ID, nil).Secret)
	fine.trust(secrets[3])
	a := n.post(t, "order.placed", `{}`)
	n.awaitState(t, a.ID, "fine", "delivered")
	n.awaitState(t, a.ID, "failing", "dead")

	places := map[string]string{}
	for _, path := range []string{n.at("/endpoints"), n.at("/endpoints/fine"), n.at("/events"), n.at("/events/%s", a.ID), n.at("/deliveries"), "/v1/tenants", "/v1/dead-letters"} {
		places[path] = string(n.get(t, path).body)
	}
	for i := range 2 { // with what is still in the write-ahead log, and after the end
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			places[fmt.Sprint(entry.Name(), " ", i)] = string(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
		}
	}
	places["what it prints"], places["its log"] = p.stdout.String(), p.stderr.String()
	if !strings.Contains(places["relay.db 1"], failing.url) {
		t.Fatal("the endpoints are not in the file, so that the search proves nothing")
	}
	for place, text := range places {
		for _, secret := range secrets {
			_, encoded, _ := strings.Cut(secret, "_")
			raw, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				t.Fatal(err)
			}
			again := base64.StdEncoding.EncodeToString([]byte(secret))
			for form, plain := range map[string]string{"as it is written": encoded[:20], "as bytes": string(raw), "in hexadecimal": hex.EncodeToString(raw), "in base64 again": again[:40]} {
				if strings.Contains(text, plain) {
					t.Errorf("%s holds a secret %s", place, form)
				}
			}
		}
	}
}
