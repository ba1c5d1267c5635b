package registry_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

func TestATenantHasNoMoreEndpointsThanItMay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	key, err := seal.NewLocalKey(make([]byte, seal.LocalKeySize))
	if err != nil {
		t.Fatal(err)
	}
	endpoints := registry.New(registry.Config{
		Store: store, Sealer: seal.New(key, time.Now), IDs: id.NewSource(), CheckURL: func(string) error { return nil }, Now: time.Now,
	})
	create := func(tenant webhook.TenantID, endpoint webhook.EndpointID) error {
		_, err := endpoints.CreateEndpoint(ctx, tenant, registry.NewEndpoint{ID: endpoint, URL: "https://example.com/"})
		return err
	}
	for _, tenant := range []webhook.TenantID{"full", "other"} {
		if _, _, err := endpoints.PutTenant(ctx, tenant, ""); err != nil {
			t.Fatal(err)
		}
	}
	for n := range webhook.MaxEndpoints - 1 {
		e := webhook.Endpoint{Tenant: "full", ID: webhook.EndpointID(fmt.Sprint("e", n)), State: webhook.EndpointEnabled}
		if err := store.CreateEndpoint(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := create("full", "last"); err != nil {
		t.Errorf("the last one: %v", err)
	}
	if err := create("full", "more"); !errors.Is(err, webhook.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if err := create("full", "e7"); !errors.Is(err, webhook.ErrExists) {
		t.Errorf("one that is there: %v", err)
	}
	if err := create("other", "first"); err != nil {
		t.Errorf("of another tenant: %v", err)
	}
	if err := store.DeleteEndpoint(ctx, "full", "e7"); err != nil {
		t.Fatal(err)
	}
	if err := create("full", "more"); err != nil {
		t.Errorf("in place of one that was deleted: %v", err)
	}
	if err := create("nobody", "e"); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("of no tenant: %v", err)
	}
}
