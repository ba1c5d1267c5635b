package seal_test

import (
	"errors"
	"slices"
	"testing"

	"webhookrelay/shared/seal"
	"webhookrelay/shared/webhook"
)

func TestHeadersOpenAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	headers := []webhook.Header{{Name: "X-B", Value: "a\"b\\c <d>\t"}, {Name: "Authorization", Value: "Bearer abc"}}
	sealed, err := b.SealHeaders(t.Context(), shop.Tenant, shop.Endpoint, headers)
	if err != nil || !slices.Equal(sealed.Names, []string{"Authorization", "X-B"}) {
		t.Fatalf("names %v, %v", sealed.Names, err)
	}
	e := webhook.Endpoint{Tenant: shop.Tenant, ID: shop.Endpoint, Headers: sealed}
	if got, err := b.Headers(t.Context(), e); err != nil || !slices.Equal(got, headers) {
		t.Errorf("opened as %v, %v", got, err)
	}
	for rule, elsewhere := range map[string]webhook.Endpoint{
		"OfAnotherEndpoint": {Tenant: shop.Tenant, ID: "crm", Headers: sealed},
		"OfAnotherTenant":   {Tenant: "bolt", ID: shop.Endpoint, Headers: sealed},
	} {
		if _, err := b.Headers(t.Context(), elsewhere); !errors.Is(err, seal.ErrBroken) {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if _, err := b.OpenSecret(t.Context(), e, webhook.Secret{Sealed: sealed.Sealed}); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("as a signing secret: %v", err)
	}
}

func TestNoHeadersNeedNoKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sealed, err := b.SealHeaders(t.Context(), shop.Tenant, shop.Endpoint, []webhook.Header{})
	if err != nil || len(sealed.Names) > 0 || len(sealed.Sealed) > 0 {
		t.Errorf("sealed as %+v, %v", sealed, err)
	}
	got, err := b.Headers(t.Context(), webhook.Endpoint{Tenant: shop.Tenant, ID: shop.Endpoint})
	if err != nil || len(got) > 0 || b.service.unwrapped.Load() > 0 {
		t.Errorf("opened as %v, %v, after %d calls", got, err, b.service.unwrapped.Load())
	}
}
