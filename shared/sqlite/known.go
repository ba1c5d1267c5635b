package sqlite

import (
	"strings"
	"sync"

	"webhookrelay/shared/webhook"
)

// known keeps in memory what every event asks for and hardly ever changes:
// endpoints, and the versions of tenants' configurations. One process owns the
// file, so nobody else changes them. The writer forgets them all when it has
// changed a tenant or an endpoint. The zero known is ready.
type known struct {
	mu sync.Mutex
	// age rises whenever all is forgotten.
	age       int64
	versions  map[webhook.TenantID]int64
	endpoints map[endpointKey]webhook.Endpoint
}

// maxKnown bounds how many tenants and endpoints are kept; past it they are
// forgotten and read again.
const maxKnown = 10_000

// changesKnown reports whether a statement may change what is kept.
func changesKnown(query string) bool {
	return !strings.HasPrefix(query, "SELECT") && (strings.Contains(query, " tenants") || strings.Contains(query, " endpoints"))
}

// now returns the age that what is read from here on has.
func (k *known) now() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.age
}

// forget drops all, and what was read before the call is not taken any more.
func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.age++
	clear(k.versions)
	clear(k.endpoints)
}

func (k *known) version(tenant webhook.TenantID) (version int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	version, ok = k.versions[tenant]
	return version, ok
}

// keepVersion keeps what was read at that age.
func (k *known) keepVersion(age int64, tenant webhook.TenantID, version int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if age == k.age {
		keep(&k.versions, tenant, version)
	}
}

func (k *known) endpoint(key endpointKey) (e webhook.Endpoint, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok = k.endpoints[key]
	return e, ok
}

// keepEndpoint keeps what was read at that age.
func (k *known) keepEndpoint(age int64, e webhook.Endpoint) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if age == k.age {
		keep(&k.endpoints, endpointKey{e.Tenant, e.ID}, e)
	}
}

func keep[K comparable, V any](in *map[K]V, key K, value V) {
	if *in == nil || len(*in) >= maxKnown {
		*in = make(map[K]V)
	}
	(*in)[key] = value
}
