package api

import (
	_ "embed"
	"net/http"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/history"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/keyring"
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
	Registry   *registry.Registry
	Ingester   *ingest.Ingester
	History    history.History
	Replayer   replay.Replayer
	Withdrawer replay.Withdrawer
	Jobs       replay.Jobs
	Keyring    *keyring.Keyring
	Trail      audit.Trail
	Types      catalogue.Catalogue
}

func (m Manage) routes() []route {
	const (
		tenant     = "/v1/tenants/{tenant}"
		endpoints  = tenant + "/endpoints"
		endpoint   = endpoints + "/{endpoint}"
		events     = tenant + "/events"
		deliveries = tenant + "/deliveries"
		types      = "/v1/event-types"
	)
	return []route{
		{method: http.MethodGet, pattern: "/healthz", needs: auth.Public, handle: m.healthz},
		{method: http.MethodGet, pattern: "/docs", needs: auth.Public, handle: m.reference},
		{method: http.MethodGet, pattern: "/openapi.yaml", needs: auth.Public, handle: m.openAPI},
		{method: http.MethodGet, pattern: "/v1/tenants", needs: auth.Operate, handle: m.listTenants},
		{method: http.MethodPut, pattern: tenant, needs: auth.Operate, handle: m.putTenant},
		{method: http.MethodGet, pattern: tenant, needs: auth.Read, handle: m.getTenant},
		{method: http.MethodPost, pattern: endpoints, needs: auth.Configure, handle: m.postEndpoint},
		{method: http.MethodGet, pattern: endpoints, needs: auth.Read, handle: m.listEndpoints},
		{method: http.MethodGet, pattern: endpoint, needs: auth.Read, handle: m.getEndpoint},
		{method: http.MethodPatch, pattern: endpoint, needs: auth.Configure, handle: m.patchEndpoint},
		{method: http.MethodDelete, pattern: endpoint, needs: auth.Configure, handle: m.deleteEndpoint},
		{method: http.MethodGet, pattern: endpoint + "/secret", needs: auth.Configure, handle: m.getSecret},
		{method: http.MethodPost, pattern: endpoint + "/secret/rotate", needs: auth.Configure, handle: m.rotateSecret},
		{method: http.MethodPost, pattern: endpoint + "/test", needs: auth.Configure, handle: m.postTest},
		{method: http.MethodPost, pattern: tenant + "/filters/test", needs: auth.Read, handle: m.testFilter},
		{method: http.MethodGet, pattern: events, needs: auth.Read, handle: m.listEvents},
		{method: http.MethodGet, pattern: events + "/{event}", needs: auth.Read, handle: m.getEvent},
		{method: http.MethodPost, pattern: events + "/{event}/cancel", needs: auth.Withdraw, handle: m.cancelEvent},
		{method: http.MethodPost, pattern: events + "/{event}/expunge", needs: auth.Erase, handle: m.expungeEvent},
		{method: http.MethodGet, pattern: deliveries, needs: auth.Read, handle: m.listDeliveries},
		{method: http.MethodGet, pattern: deliveries + "/{delivery}", needs: auth.Read, handle: m.getDelivery},
		{method: http.MethodPost, pattern: deliveries + "/{delivery}/retry", needs: auth.Configure, handle: m.retryDelivery},
		{method: http.MethodPost, pattern: deliveries + "/{delivery}/cancel", needs: auth.Configure, handle: m.cancelDelivery},
		{method: http.MethodPost, pattern: endpoint + "/recover", needs: auth.Configure, handle: m.postRecover},
		{method: http.MethodPost, pattern: endpoint + "/replay", needs: auth.Configure, handle: m.postReplay},
		{method: http.MethodPost, pattern: endpoint + "/cancel", needs: auth.Configure, handle: m.postCancel},
		{method: http.MethodGet, pattern: tenant + "/export", needs: auth.Read, handle: m.exportEvents},
		{method: http.MethodGet, pattern: tenant + "/stats", needs: auth.Read, handle: m.getStats},
		{method: http.MethodGet, pattern: tenant + "/jobs", needs: auth.Read, handle: m.listJobs},
		{method: http.MethodGet, pattern: tenant + "/jobs/{job}", needs: auth.Read, handle: m.getJob},
		{method: http.MethodDelete, pattern: tenant + "/jobs/{job}", needs: auth.Configure, handle: m.cancelJob},
		{method: http.MethodPost, pattern: tenant + "/keys", needs: auth.Grant, handle: m.postKey},
		{method: http.MethodGet, pattern: tenant + "/keys", needs: auth.Grant, handle: m.listKeys},
		{method: http.MethodDelete, pattern: tenant + "/keys/{key}", needs: auth.Grant, handle: m.deleteKey},
		{method: http.MethodPost, pattern: tenant + "/portal-links", needs: auth.Grant, handle: m.postPortalLink},
		{method: http.MethodGet, pattern: tenant + "/audit", needs: auth.ReadAudit, handle: m.listAudit},
		{method: http.MethodPost, pattern: "/v1/portal-links", needs: auth.Operate, handle: m.postPortalLink},
		{method: http.MethodPost, pattern: "/v1/keys", needs: auth.Operate, handle: m.postAdminKey},
		{method: http.MethodGet, pattern: "/v1/keys", needs: auth.Operate, handle: m.listKeys},
		{method: http.MethodDelete, pattern: "/v1/keys/{key}", needs: auth.Operate, handle: m.deleteKey},
		{method: http.MethodGet, pattern: types, needs: auth.ReadTypes, handle: m.listTypes},
		{method: http.MethodPost, pattern: "/v1/event-type-imports", needs: auth.Operate, handle: m.importTypes},
		{method: http.MethodGet, pattern: types + "/{type}", needs: auth.ReadTypes, handle: m.getType},
		{method: http.MethodPut, pattern: types + "/{type}", needs: auth.Operate, handle: m.putType},
		{method: http.MethodDelete, pattern: types + "/{type}", needs: auth.Operate, handle: m.deleteType},
		{method: http.MethodGet, pattern: "/v1/audit", needs: auth.Operate, handle: m.listAllAudit},
		{method: http.MethodGet, pattern: "/v1/dead-letters", needs: auth.Operate, handle: m.listDeadLetters},
		{method: http.MethodPost, pattern: "/v1/dead-letters/redrive", needs: auth.Operate, handle: m.redrive},
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
