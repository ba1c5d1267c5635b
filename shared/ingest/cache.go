package ingest

import (
	"context"
	"sync"

	"webhookrelay/shared/webhook"
)

// maxCachedTenants bounds the memory the cache takes; past it, it starts anew.
const maxCachedTenants = 1000

// endpointCache keeps each tenant's endpoints with the config version they
// were read under. Every use compares that version with the store's, so an
// endpoint created a moment ago gets the next event and a disabled one does not.
type endpointCache struct {
	store Store
	mu    sync.Mutex
	held  map[webhook.TenantID]cachedEndpoints
}

type cachedEndpoints struct {
	version   int64
	endpoints []webhook.Endpoint
}

func newEndpointCache(store Store) *endpointCache {
	return &endpointCache{store: store, held: make(map[webhook.TenantID]cachedEndpoints)}
}

// of returns the tenant's endpoints as they are now. Callers must not change them.
func (c *endpointCache) of(ctx context.Context, tenant webhook.TenantID) ([]webhook.Endpoint, error) {
	version, err := c.store.ConfigVersion(ctx, tenant)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	cached, ok := c.held[tenant]
	c.mu.Unlock()
	if ok && cached.version == version {
		return cached.endpoints, nil
	}
	// Read after the version: what is read is of that version or newer, and a
	// newer one shows at the next use.
	endpoints, err := c.store.AllEndpoints(ctx, tenant)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if len(c.held) >= maxCachedTenants {
		clear(c.held)
	}
	c.held[tenant] = cachedEndpoints{version, endpoints}
	c.mu.Unlock()
	return endpoints, nil
}
