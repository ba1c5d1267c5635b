package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

// world is a registry over a store in memory, with a key service that can be away.
type world struct {
	*registry.Registry
	t    *testing.T
	now  time.Time
	away bool
	keys seal.DataKeys
}

const tenant, endpoint = webhook.TenantID("acme"), webhook.EndpointID("shop")

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: clock})
	w.must(err)
	t.Cleanup(func() { _ = store.Close() })
	w.keys, err = seal.NewLocalKey(make([]byte, seal.LocalKeySize))
	w.must(err)
	w.Registry = registry.New(registry.Config{
		Store: store, Sealer: seal.New(w, clock), IDs: id.NewSource(), CheckURL: func(string) error { return nil }, Overlap: 24 * time.Hour, Now: clock,
	})
	_, _, err = w.PutTenant(t.Context(), tenant, "")
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

var errAway = errors.New("connection refused")

func (w *world) NewDataKey(ctx context.Context, at seal.Place) (key, wrapped []byte, err error) {
	if w.away {
		return nil, nil, errAway
	}
	return w.keys.NewDataKey(ctx, at)
}

func (w *world) Unwrap(ctx context.Context, wrapped []byte, at seal.Place) ([]byte, error) {
	if w.away {
		return nil, errAway
	}
	return w.keys.Unwrap(ctx, wrapped, at)
}

func (w *world) create() webhook.Endpoint {
	w.t.Helper()
	e, err := w.CreateEndpoint(w.t.Context(), tenant, registry.NewEndpoint{ID: endpoint, URL: "https://example.com/"})
	w.must(err)
	return e
}

func (w *world) rotate(overlap time.Duration) error {
	_, err := w.RotateSecret(w.t.Context(), tenant, endpoint, registry.Rotation{Overlap: &overlap})
	return err
}

// signing returns the secrets that sign now, as they are stored.
func (w *world) signing() []signature.Secret {
	w.t.Helper()
	e, err := w.Store.Endpoint(w.t.Context(), tenant, endpoint)
	w.must(err)
	secrets, err := w.Sealer.Secrets(w.t.Context(), e, w.now)
	w.must(err)
	return secrets
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(w *world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newWorld(t))
		})
	}
	rule("EachRotationPutsANewSecretFirst", func(w *world) {
		w.create()
		var all []signature.Secret
		for range 3 {
			all = append(w.signing()[:1], all...)
			w.must(w.rotate(time.Hour))
		}
		if got := w.signing(); len(got) != 4 || !slices.Equal(got[1:], all) {
			w.t.Fatalf("%d secrets sign", len(got))
		}
	})
	rule("AnOldSecretSignsUntilItsOverlapEndsAndNoLonger", func(w *world) {
		w.create()
		w.must(w.rotate(time.Hour))
		w.now = w.now.Add(time.Hour - time.Millisecond)
		if n := len(w.signing()); n != 2 {
			w.t.Fatalf("%d secrets sign before the end", n)
		}
		w.now = w.now.Add(time.Millisecond)
		if n := len(w.signing()); n != 1 {
			w.t.Fatalf("%d secrets sign after it", n)
		}
	})
	rule("AnotherRotationDoesNotLengthenAnOverlap", func(w *world) {
		w.create()
		w.must(w.rotate(time.Hour))
		w.must(w.rotate(24 * time.Hour))
		w.now = w.now.Add(time.Hour)
		if n := len(w.signing()); n != 2 {
			w.t.Fatalf("%d secrets sign", n)
		}
	})
	rule("WhatHasExpiredIsForgottenWithTheNextRotation", func(w *world) {
		w.create()
		w.must(w.rotate(time.Hour))
		w.now = w.now.Add(2 * time.Hour)
		w.must(w.rotate(0))
		e, err := w.Store.Endpoint(w.t.Context(), tenant, endpoint)
		if err != nil || len(e.Secrets) != 1 {
			w.t.Fatalf("%d secrets are stored, %v", len(e.Secrets), err)
		}
	})
	rule("NoMoreSecretsSignAtOnceThanTheBound", func(w *world) {
		w.create()
		for range webhook.MaxSecrets - 1 {
			w.must(w.rotate(time.Hour))
		}
		if bad, ok := errors.AsType[*webhook.Invalid](w.rotate(time.Hour)); !ok || bad.Field != "secret" {
			w.t.Fatalf("got %v", bad)
		}
		w.must(w.rotate(0))
	})
	rule("ACallersOwnSecretIsChecked", func(w *world) {
		const short = "whsec_c2hvcnQ="
		_, err := w.CreateEndpoint(w.t.Context(), tenant, registry.NewEndpoint{ID: endpoint, URL: "https://example.com/", Secret: short})
		if bad, ok := errors.AsType[*webhook.Invalid](err); !ok || bad.Field != "secret" {
			w.t.Fatalf("create: got %v", err)
		}
		w.create()
		_, err = w.RotateSecret(w.t.Context(), tenant, endpoint, registry.Rotation{Secret: short})
		if bad, ok := errors.AsType[*webhook.Invalid](err); !ok || bad.Field != "secret" {
			w.t.Fatalf("rotate: got %v", err)
		}
	})
	rule("WithoutTheKeyServiceNothingIsCreatedOrRotated", func(w *world) {
		w.away = true
		_, err := w.CreateEndpoint(w.t.Context(), tenant, registry.NewEndpoint{ID: endpoint, URL: "https://example.com/"})
		if !errors.Is(err, seal.ErrUnavailable) {
			w.t.Fatalf("create: got %v", err)
		}
		if _, err := w.Store.Endpoint(w.t.Context(), tenant, endpoint); !errors.Is(err, webhook.ErrNotFound) {
			w.t.Fatalf("it is stored: %v", err)
		}
		w.away = false
		before := w.create()
		w.away = true
		if err := w.rotate(0); !errors.Is(err, seal.ErrUnavailable) {
			w.t.Fatalf("rotate: got %v", err)
		}
		if after, err := w.Store.Endpoint(w.t.Context(), tenant, endpoint); err != nil || after.Rev != before.Rev {
			w.t.Fatalf("it was changed: %v", err)
		}
	})
	rule("AChangeOfTheEndpointNeedsNoKeyService", func(w *world) {
		w.create()
		before := w.signing()
		w.away = true
		disabled := webhook.EndpointDisabled
		_, err := w.ChangeEndpoint(w.t.Context(), tenant, endpoint, registry.EndpointChange{State: &disabled})
		w.must(err)
		w.away = false
		if !slices.Equal(w.signing(), before) {
			w.t.Fatal("it changed the secrets")
		}
	})
	rule("AReceiverIsShownTheNewestSecret", func(w *world) {
		w.create()
		w.must(w.rotate(time.Hour))
		e, err := w.Store.Endpoint(w.t.Context(), tenant, endpoint)
		w.must(err)
		key, err := w.VerifyingKey(w.t.Context(), e)
		if err != nil || key != w.signing()[0] {
			w.t.Fatalf("got another, %v", err)
		}
		e.Secrets = nil
		if _, err := w.VerifyingKey(w.t.Context(), e); !errors.Is(err, webhook.ErrNotFound) {
			w.t.Fatalf("without any: %v", err)
		}
	})
}
