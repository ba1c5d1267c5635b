package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/id"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/safedial"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sender"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

// NoSecretIsStored has a relay over store make, take over, rotate and use secrets,
// and then looks for them in what dump returns: all that lies at rest.
func NoSecretIsStored(t *testing.T, store StoreUnderTest, dump func() []byte) {
	ctx := t.Context()
	var log bytes.Buffer
	s := &bench{StoreUnderTest: store, t: t, clock: newClock(), ids: id.NewSource()}
	s.tenant = s.newTenant()
	key, err := seal.NewLocalKey(random(seal.LocalKeySize))
	must(t, err)
	sealer := seal.New(key, s.clock.Now)
	endpoints := registry.New(registry.Config{
		Store: store, Sealer: sealer, IDs: s.ids, CheckURL: func(string) error { return nil }, Overlap: time.Hour, Now: s.clock.Now,
	})

	// The second post fails; the last deliveries find what does not open.
	var posts atomic.Int64
	credential := webhook.HeaderValue("Bearer " + hex.EncodeToString(random(16)))
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != string(credential) {
			t.Errorf("arrived with %q", r.Header.Get("Authorization"))
		}
		if posts.Add(1) == 2 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(receiver.Close)
	own := signature.Secret("whsec_" + base64.StdEncoding.EncodeToString(random(24)))
	headers := []webhook.Header{{Name: "Authorization", Value: credential}}
	e, err := endpoints.CreateEndpoint(ctx, s.tenant, registry.NewEndpoint{ID: "ep", URL: receiver.URL, Secret: own, Headers: headers})
	must(t, err)
	e, err = endpoints.RotateSecret(ctx, s.tenant, e.ID, registry.Rotation{})
	must(t, err)
	other, err := endpoints.CreateEndpoint(ctx, s.tenant, registry.NewEndpoint{ID: "ed", URL: receiver.URL, Scheme: webhook.SchemeEd25519})
	must(t, err)
	other, err = endpoints.ChangeEndpoint(ctx, s.tenant, other.ID, registry.EndpointChange{Headers: headers})
	must(t, err)
	secrets, err := sealer.Secrets(ctx, e, s.clock.Now())
	must(t, err)
	private, err := sealer.Secrets(ctx, other, s.clock.Now())
	must(t, err)
	if len(secrets) != 2 || secrets[1] != own || len(private) != 1 {
		t.Fatalf("%d and %d secrets sign", len(secrets), len(private))
	}

	loopback, err := safedial.ParseCIDRs("127.0.0.0/8")
	must(t, err)
	dispatcher := dispatch.New(dispatch.Config{
		Store: store, Queue: unhidden{}, Policy: retry.Policy{Schedule: []time.Duration{time.Second}},
		Sender:  sender.New(sender.Config{Policy: safedial.Policy{Allow: loopback, Ports: []safedial.PortRange{{First: 1, Last: 65535}}}, Sealer: sealer, Now: s.clock.Now}),
		Breaker: breaker.Policy{Failures: 20, Window: time.Minute}, Lifetime: time.Hour,
		Now: s.clock.Now, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	deliver := func(to webhook.EndpointID, want webhook.State) webhook.Delivery {
		t.Helper()
		event := s.put(s.event(0, to))
		k := webhook.DeliveryKey{Tenant: s.tenant, Event: event.Ref, Endpoint: to}
		dispatcher.Handle(ctx, []dispatch.Message{{ID: "m", Body: []byte(envelope.Encode(envelope.Envelope{DeliveryKey: k})), Receives: 1}})
		d, err := store.Delivery(ctx, k)
		must(t, err)
		if d.State != want {
			t.Fatalf("the delivery is %s, want %s", d.State, want)
		}
		return d
	}
	deliver(e.ID, webhook.Delivered)
	deliver(e.ID, webhook.Retrying)
	deliver(other.ID, webhook.Delivered)
	e.Secrets[1].Sealed[70] ^= 1
	must(t, store.UpdateEndpoint(ctx, e))
	if d := deliver(e.ID, webhook.Retrying); d.Attempts[0].Reason != webhook.ReasonBadSecret {
		t.Fatalf("an altered secret makes %+v", d.Attempts[0])
	}

	other.Headers.Sealed[len(other.Headers.Sealed)-1] ^= 1
	must(t, store.UpdateEndpoint(ctx, other))
	if d := deliver(other.ID, webhook.Retrying); d.Attempts[0].Reason != webhook.ReasonBadSecret {
		t.Fatalf("an altered header makes %+v", d.Attempts[0])
	}

	stored := dump()
	for _, sealed := range [][]byte{e.Secrets[0].Sealed, e.Headers.Sealed} {
		if !bytes.Contains(stored, sealed) && !bytes.Contains(stored, []byte(base64.StdEncoding.EncodeToString(sealed))) {
			t.Fatal("what is sealed is not found either, so the search proves nothing")
		}
	}
	for where, text := range map[string][]byte{"the store": stored, "the log": log.Bytes()} {
		for _, secret := range append(secrets, private...) {
			for form, plain := range formsOf(t, secret) {
				if bytes.Contains(text, plain) {
					t.Errorf("%s holds a secret, %s", where, form)
				}
			}
		}
		for _, plain := range []string{string(credential), base64.StdEncoding.EncodeToString([]byte(credential))} {
			if bytes.Contains(text, []byte(plain)) {
				t.Errorf("%s holds the value of a header, as %s", where, plain)
			}
		}
	}
}

// formsOf returns a secret in the forms in which it might show.
func formsOf(t *testing.T, secret signature.Secret) map[string][]byte {
	t.Helper()
	_, text, _ := strings.Cut(string(secret), "_")
	raw, err := base64.StdEncoding.DecodeString(text)
	must(t, err)
	return map[string][]byte{
		"as it is written": []byte(text[:20]), "as bytes": raw, "in hexadecimal": []byte(hex.EncodeToString(raw)),
		"in base64 once more":    []byte(base64.StdEncoding.EncodeToString([]byte(secret))),
		"in the URLs' base64":    []byte(base64.RawURLEncoding.EncodeToString(raw)),
		"in hexadecimal as text": []byte(hex.EncodeToString([]byte(text))),
	}
}

// random returns bytes that no other test has stored.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// unhidden is a queue that hides nothing.
type unhidden struct{}

func (unhidden) Hide(context.Context, []dispatch.Hiding) []string { return nil }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
