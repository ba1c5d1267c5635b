package seal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/seal"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/storetest"
	"webhookrelay/shared/webhook"
)

var (
	shop   = seal.Place{Tenant: "acme", Endpoint: "shop", Purpose: seal.Signing}
	secret = []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
)

func localKey(t testing.TB) seal.LocalKey {
	t.Helper()
	random := make([]byte, seal.LocalKeySize)
	_, _ = rand.Read(random) // never fails
	key, err := seal.NewLocalKey(random)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestALocalKeyKeepsTheRules(t *testing.T) {
	t.Parallel()
	storetest.DataKeys(t, localKey(t))
	for _, size := range []int{0, 16, 31, 33} {
		if _, err := seal.NewLocalKey(make([]byte, size)); err == nil {
			t.Errorf("a key of %d bytes is accepted", size)
		}
	}
}

// service counts the calls to a key service; before each that unwraps, it asks answer.
type service struct {
	seal.DataKeys
	unwrapped atomic.Int64
	answer    func(ctx context.Context) error
}

func (s *service) Unwrap(ctx context.Context, wrapped []byte, at seal.Place) ([]byte, error) {
	s.unwrapped.Add(1)
	if s.answer != nil {
		if err := s.answer(ctx); err != nil {
			return nil, err
		}
	}
	return s.DataKeys.Unwrap(ctx, wrapped, at)
}

// bench is a sealer that has forgotten what another one sealed.
type bench struct {
	*seal.Sealer
	t       testing.TB
	now     time.Time
	service *service
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, now: time.Unix(1_700_000_000, 0), service: &service{DataKeys: localKey(t)}}
	b.Sealer = seal.New(b.service, func() time.Time { return b.now })
	return b
}

// sealed returns what another process sealed.
func (b *bench) sealed(at seal.Place, value []byte) []byte {
	b.t.Helper()
	got, err := seal.New(b.service.DataKeys, time.Now).Seal(context.Background(), at, value)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func (b *bench) wantOpen(at seal.Place, sealed []byte, calls int64) {
	b.t.Helper()
	got, err := b.Open(context.Background(), at, sealed)
	if err != nil || !bytes.Equal(got, secret) {
		b.t.Fatalf("opened %q, %v", got, err)
	}
	if n := b.service.unwrapped.Load(); n != calls {
		b.t.Fatalf("the key service was asked %d times, want %d", n, calls)
	}
}

func (b *bench) wantBroken(what string, at seal.Place, sealed []byte) {
	b.t.Helper()
	if got, err := b.Open(context.Background(), at, sealed); !errors.Is(err, seal.ErrBroken) || errors.Is(err, seal.ErrUnavailable) || got != nil {
		b.t.Fatalf("%s: opened %d bytes, %v", what, len(got), err)
	}
}

func TestWhatIsSealedOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	// Few letters, so that the same ones often lie on both sides of a border.
	name := rapid.StringMatching(`[ab]{0,3}`)
	place := rapid.Custom(func(t *rapid.T) seal.Place {
		return seal.Place{
			Tenant: webhook.TenantID(name.Draw(t, "tenant")), Endpoint: webhook.EndpointID(name.Draw(t, "endpoint")),
			Purpose: seal.Purpose(name.Draw(t, "purpose")),
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t)
		here, there, value := place.Draw(rt, "here"), place.Draw(rt, "there"), rapid.SliceOf(rapid.Byte()).Draw(rt, "value")
		sealed := b.sealed(here, value)
		for range 2 { // from the key service, then from memory
			got, err := b.Open(context.Background(), there, sealed)
			if here == there && (err != nil || !bytes.Equal(got, value)) {
				rt.Fatalf("does not open: %v", err)
			}
			if here != there && !errors.Is(err, seal.ErrBroken) {
				rt.Fatalf("opens elsewhere, or: %v", err)
			}
			if _, err := b.Open(context.Background(), here, sealed); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func TestEveryAlterationIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sealed := b.sealed(shop, secret)
	b.wantOpen(shop, sealed, 1) // what follows may find the data key in memory
	for i := range len(sealed) * 8 {
		altered := bytes.Clone(sealed)
		altered[i/8] ^= 1 << (i % 8)
		b.wantBroken(fmt.Sprintf("bit %d flipped", i), shop, altered)
	}
	for i := range sealed {
		b.wantBroken(fmt.Sprintf("cut to %d bytes", i), shop, sealed[:i])
	}
	b.wantBroken("a byte more", shop, append(bytes.Clone(sealed), 0))
	b.wantBroken("nothing", shop, nil)
	other := b.sealed(shop, secret)
	b.wantBroken("the data key of another", shop, append(bytes.Clone(other[:63]), sealed[63:]...))
	b.wantOpen(shop, sealed, b.service.unwrapped.Load())
}

func TestSealing(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(t *testing.T, b *bench)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, newBench(t))
		})
	}
	rule("TheSameValueNeverSealsToTheSameBytes", func(t *testing.T, b *bench) {
		first, second := b.sealed(shop, secret), b.sealed(shop, secret)
		if bytes.Equal(first, second) || bytes.Equal(first[:63], second[:63]) {
			t.Error("they share bytes")
		}
		if bytes.Contains(first, secret) || bytes.Contains(first, secret[6:]) {
			t.Error("the value can be read")
		}
	})
	rule("WhoSealedOpensWithoutACall", func(t *testing.T, b *bench) {
		sealed, err := b.Seal(t.Context(), shop, secret)
		if err != nil {
			t.Fatal(err)
		}
		b.wantOpen(shop, sealed, 0)
	})
	rule("AKeyServiceThatFailsSealsNothing", func(t *testing.T, _ *bench) {
		sealed, err := seal.New(away{}, time.Now).Seal(t.Context(), shop, secret)
		if !errors.Is(err, seal.ErrUnavailable) || sealed != nil {
			t.Errorf("%d bytes, %v", len(sealed), err)
		}
	})
}

// away is a key service that does not answer.
type away struct{ seal.DataKeys }

func (away) NewDataKey(context.Context, seal.Place) (key, wrapped []byte, err error) {
	return nil, nil, errors.New("connection refused")
}

func TestTheKeyServiceIsAskedOnceAnHour(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sealed := b.sealed(shop, secret)
	for range 3 {
		b.wantOpen(shop, sealed, 1)
	}
	b.now = b.now.Add(seal.MaxKeyAge - time.Second)
	b.wantOpen(shop, sealed, 1)
	b.now = b.now.Add(time.Second)
	b.wantOpen(shop, sealed, 2)
	b.wantOpen(shop, sealed, 2)
}

func TestNoMoreKeysAreRememberedThanTheBound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, calls := b.sealed(shop, secret), int64(0)
	open := func(sealed []byte) {
		calls++
		b.wantOpen(shop, sealed, calls)
	}
	open(first)
	var last []byte
	for range seal.MaxKeys - 1 {
		last = b.sealed(shop, secret)
		open(last)
	}
	b.wantOpen(shop, first, calls)
	open(b.sealed(shop, secret)) // one too many: the oldest is forgotten
	b.wantOpen(shop, last, calls)
	open(first)
}

func TestAFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sealed := b.sealed(shop, secret)
	b.service.answer = func(context.Context) error { return errors.New("throttled") }
	if _, err := b.Open(t.Context(), shop, sealed); !errors.Is(err, seal.ErrUnavailable) || errors.Is(err, seal.ErrBroken) {
		t.Fatalf("got error %v, want ErrUnavailable", err)
	}
	b.service.answer = nil
	b.wantOpen(shop, sealed, 2)
}

func TestThoseWhoAskAtOnceShareOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		sealed := b.sealed(shop, secret)
		proceed := make(chan struct{})
		b.service.answer = func(context.Context) error {
			<-proceed
			return nil
		}
		impatient, giveUp := context.WithCancel(t.Context())
		gaveUp := make(chan error, 1)
		go func() {
			_, err := b.Open(impatient, shop, sealed)
			gaveUp <- err
		}()
		synctest.Wait()
		opened := make(chan error, 20)
		for range cap(opened) {
			go func() {
				got, err := b.Open(t.Context(), shop, sealed)
				if err == nil && !bytes.Equal(got, secret) {
					err = fmt.Errorf("opened %q", got)
				}
				opened <- err
			}()
		}
		synctest.Wait()
		// Whose call it is does not wait for it, and does not end it.
		giveUp()
		if err := <-gaveUp; !errors.Is(err, seal.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
		close(proceed)
		for range cap(opened) {
			if err := <-opened; err != nil {
				t.Error(err)
			}
		}
		b.wantOpen(shop, sealed, 1)
	})
}

func TestAKeyServiceThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		sealed := b.sealed(shop, secret)
		b.service.answer = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		began := time.Now()
		if _, err := b.Open(t.Context(), shop, sealed); !errors.Is(err, seal.ErrUnavailable) {
			t.Errorf("got error %v, want ErrUnavailable", err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("after %s", took)
		}
	})
}

func TestSecretsOfAnEndpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	e := webhook.Endpoint{Tenant: "acme", ID: "shop"}
	add := func(value signature.Secret, expires time.Time) {
		sealed, err := b.SealSecret(ctx, e.Tenant, e.ID, value)
		if err != nil {
			t.Fatal(err)
		}
		e.Secrets = append(e.Secrets, webhook.Secret{Sealed: sealed, ExpiresAt: expires})
	}
	add("newest", time.Time{})
	add("older", b.now.Add(time.Hour))
	add("expired", b.now)
	secrets, err := b.Secrets(ctx, e, b.now)
	if err != nil || !slices.Equal(secrets, []signature.Secret{"newest", "older"}) {
		t.Fatalf("%d secrets, %v", len(secrets), err)
	}
	e.Secrets[1].Sealed = nil
	if _, err := b.Secrets(ctx, e, b.now); !errors.Is(err, seal.ErrBroken) {
		t.Fatalf("got error %v, want ErrBroken", err)
	}
}

func FuzzOpen(f *testing.F) {
	b := newBench(f)
	sealed := b.sealed(shop, secret)
	f.Add(sealed)
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, forged []byte) {
		if _, err := b.Open(t.Context(), shop, forged); err == nil && !bytes.Equal(forged, sealed) {
			t.Fatal("a forgery opens")
		}
	})
}
