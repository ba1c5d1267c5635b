// Package api is the relay over HTTP: resources as JSON, errors as RFC 9457
// problems. openapi.yaml beside it describes every route, and a test holds the
// two together.
package api

import (
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/id"
	"webhookrelay/shared/throttle"
)

const headerRequestID = "X-Request-Id"

// Config holds what every route needs.
type Config struct {
	Auth *auth.Authenticator
	IDs  *id.Source
	Now  func() time.Time
	Log  *slog.Logger
	// KeyRate bounds the requests of a key that post no events; nil for no bound.
	KeyRate *throttle.Buckets
}

// route is one operation. Pattern is a path of net/http.ServeMux.
type route struct {
	method, pattern string
	// needs is what the caller must hold. A route that says nothing is for nobody.
	needs  auth.Permission
	handle func(w http.ResponseWriter, r *http.Request) error
}

// Group is a set of routes that one function serves.
type Group interface{ routes() []route }

// Handler serves the groups' routes to callers who hold what each needs.
func Handler(c Config, groups ...Group) http.Handler {
	mux := http.NewServeMux()
	for _, group := range groups {
		for _, route := range group.routes() {
			mux.HandleFunc(route.method+" "+route.pattern, func(w http.ResponseWriter, r *http.Request) {
				r, err := c.admit(w, r, route.needs)
				if err == nil {
					err = route.handle(w, r)
				}
				if err != nil {
					writeError(w, r, c.Log, err)
				}
			})
		}
	}
	return c.outermost(mux)
}

// admit checks that the caller may, and may now, do what needs the permission.
// The request it returns carries who that is, for the audit trail.
func (c Config) admit(w http.ResponseWriter, r *http.Request, needs auth.Permission) (*http.Request, error) {
	if needs == auth.Public {
		return r, nil
	}
	caller, err := c.Auth.Authenticate(r)
	if err != nil {
		return r, err
	}
	if err := caller.Admit(needs, tenantOf(r)); err != nil {
		return r, err
	}
	if needs != auth.Publish { // of which Accept keeps count
		if wait := c.KeyRate.Take(string(caller.Tenant)+"."+string(caller.Key), 1); wait > 0 {
			return r, tooMany(wait)
		}
	}
	actor := audit.Actor{
		Scope: caller.Scope, Key: caller.Key, RequestID: w.Header().Get(headerRequestID), Address: addressOf(r),
	}
	return r.WithContext(audit.By(r.Context(), actor)), nil
}

// addressOf returns the caller's IP address: API Gateway names it, and on a
// laptop the connection does.
func addressOf(r *http.Request) string {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return at.Addr().Unmap().String()
	}
	return r.RemoteAddr
}

// whole knows every address of the relay, so that an Allow header names also
// the methods that another function serves. It knows no handlers: they would
// bring the code of all functions into each. It is made when it is first asked,
// for few requests go astray and every cold start would wait for it.
var whole = sync.OnceValue(func() *http.ServeMux {
	mux := http.NewServeMux()
	for _, address := range addresses {
		mux.Handle(address, http.NotFoundHandler())
	}
	return mux
})

// addresses lists every route; a test holds it against the groups.
var addresses = []string{
	"GET /docs",
	"GET /healthz",
	"GET /openapi.yaml",
	"GET /v1/audit",
	"GET /v1/dead-letters",
	"POST /v1/dead-letters/redrive",
	"POST /v1/event-type-imports",
	"GET /v1/event-types",
	"DELETE /v1/event-types/{type}",
	"GET /v1/event-types/{type}",
	"PUT /v1/event-types/{type}",
	"GET /v1/keys",
	"POST /v1/keys",
	"DELETE /v1/keys/{key}",
	"POST /v1/portal-links",
	"GET /v1/tenants",
	"GET /v1/tenants/{tenant}",
	"PUT /v1/tenants/{tenant}",
	"GET /v1/tenants/{tenant}/audit",
	"GET /v1/tenants/{tenant}/deliveries",
	"GET /v1/tenants/{tenant}/deliveries/{delivery}",
	"POST /v1/tenants/{tenant}/deliveries/{delivery}/cancel",
	"POST /v1/tenants/{tenant}/deliveries/{delivery}/retry",
	"GET /v1/tenants/{tenant}/endpoints",
	"POST /v1/tenants/{tenant}/endpoints",
	"DELETE /v1/tenants/{tenant}/endpoints/{endpoint}",
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}",
	"PATCH /v1/tenants/{tenant}/endpoints/{endpoint}",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/cancel",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/recover",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/replay",
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}/secret",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/secret/rotate",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/test",
	"GET /v1/tenants/{tenant}/events",
	"POST /v1/tenants/{tenant}/events",
	"POST /v1/tenants/{tenant}/events/batch",
	"GET /v1/tenants/{tenant}/events/{event}",
	"POST /v1/tenants/{tenant}/events/{event}/cancel",
	"POST /v1/tenants/{tenant}/events/{event}/expunge",
	"GET /v1/tenants/{tenant}/export",
	"POST /v1/tenants/{tenant}/filters/test",
	"GET /v1/tenants/{tenant}/jobs",
	"DELETE /v1/tenants/{tenant}/jobs/{job}",
	"GET /v1/tenants/{tenant}/jobs/{job}",
	"GET /v1/tenants/{tenant}/keys",
	"POST /v1/tenants/{tenant}/keys",
	"DELETE /v1/tenants/{tenant}/keys/{key}",
	"POST /v1/tenants/{tenant}/portal-links",
	"GET /v1/tenants/{tenant}/stats",
}

// outermost gives each request an id, answers unknown paths and methods with a
// problem instead of the mux's plain text, and turns a panic into a 500.
func (c Config) outermost(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(headerRequestID, c.IDs.ULID(c.Now()))
		defer func() {
			if v := recover(); v != nil {
				c.Log.ErrorContext(r.Context(), "panic", "value", v, "path", r.URL.Path, "stack", string(debug.Stack()))
				writeError(w, r, c.Log, problem(http.StatusInternalServerError, "internal", "Internal error",
					"The relay could not handle the request. Try again; the operator finds the cause in the log."))
			}
		}()
		if _, pattern := mux.Handler(r); pattern == "" {
			writeError(w, r, c.Log, noRoute(whole(), w, r))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// noRoute says whether the path or only the method is unknown, as the mux sees it.
func noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) error {
	answer := probe{header: make(http.Header)}
	mux.ServeHTTP(&answer, r)
	if allow := answer.header.Get("Allow"); answer.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		return problem(http.StatusMethodNotAllowed, "method-not-allowed", "Method not allowed", "This address takes "+allow+".")
	}
	return problem(http.StatusNotFound, "not-found", "Not found", "There is no such address. GET /openapi.yaml lists all.")
}

// probe is a response that nobody reads but for its head.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
