package api

import (
	_ "embed"
	"net/http"

	"webhookrelay/shared/history"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/replay"
)

// OpenAPI is the description of every route, as served under /openapi.yaml.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Manage holds the routes by which operators and receivers configure the relay
// and look at what it did.
type Manage struct {
	Registry *registry.Registry
	History  history.History
	Replayer replay.Replayer
}

func (m Manage) routes() []route {
	const (
		tenant     = "/v1/tenants/{tenant}"
		endpoints  = tenant + "/endpoints"
		endpoint   = endpoints + "/{endpoint}"
		events     = tenant + "/events"
		deliveries = tenant + "/deliveries"
	)
	return []route{
		{method: http.MethodGet, pattern: "/healthz", handle: m.healthz, public: true},
		{method: http.MethodGet, pattern: "/openapi.yaml", handle: m.openAPI, public: true},
		{method: http.MethodGet, pattern: "/v1/tenants", handle: m.listTenants},
		{method: http.MethodPut, pattern: tenant, handle: m.putTenant},
		{method: http.MethodGet, pattern: tenant, handle: m.getTenant},
		{method: http.MethodPost, pattern: endpoints, handle: m.postEndpoint},
		{method: http.MethodGet, pattern: endpoints, handle: m.listEndpoints},
		{method: http.MethodGet, pattern: endpoint, handle: m.getEndpoint},
		{method: http.MethodPatch, pattern: endpoint, handle: m.patchEndpoint},
		{method: http.MethodDelete, pattern: endpoint, handle: m.deleteEndpoint},
		{method: http.MethodGet, pattern: endpoint + "/secret", handle: m.getSecret},
		{method: http.MethodPost, pattern: endpoint + "/secret/rotate", handle: m.rotateSecret},
		{method: http.MethodGet, pattern: events, handle: m.listEvents},
		{method: http.MethodGet, pattern: events + "/{event}", handle: m.getEvent},
		{method: http.MethodGet, pattern: deliveries, handle: m.listDeliveries},
		{method: http.MethodGet, pattern: deliveries + "/{delivery}", handle: m.getDelivery},
		{method: http.MethodPost, pattern: deliveries + "/{delivery}/retry", handle: m.retryDelivery},
		{method: http.MethodGet, pattern: "/v1/dead-letters", handle: m.listDeadLetters},
		{method: http.MethodPost, pattern: "/v1/dead-letters/redrive", handle: m.redrive},
	}
}

func (m Manage) healthz(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

func (m Manage) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(OpenAPI)
	return nil
}

// tenantExists answers an unknown tenant with 404 before a list shows it empty.
func (m Manage) tenantExists(r *http.Request) error {
	_, err := m.Registry.Store.Tenant(r.Context(), tenantOf(r))
	return err
}
