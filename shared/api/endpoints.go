package api

import (
	"encoding/json"
	"net/http"
	"time"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

type tenantView struct {
	ID        webhook.TenantID `json:"id"`
	Name      string           `json:"name"`
	CreatedAt timestamp        `json:"created_at"`
}

func viewTenant(t webhook.Tenant) tenantView {
	return tenantView{t.ID, t.Name, timestamp(t.CreatedAt)}
}

func (m Manage) putTenant(w http.ResponseWriter, r *http.Request) error {
	var name string
	if err := decodeOptional(r, fields{"name": into("name", "a string", &name)}); err != nil {
		return err
	}
	tenant, created, err := m.Registry.PutTenant(r.Context(), tenantOf(r), name)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	writeJSON(w, status, viewTenant(tenant))
	return nil
}

func (m Manage) getTenant(w http.ResponseWriter, r *http.Request) error {
	tenant, err := m.Registry.Store.Tenant(r.Context(), tenantOf(r))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewTenant(tenant))
	return nil
}

func (m Manage) listTenants(w http.ResponseWriter, r *http.Request) error {
	p, err := listPage(r, "tenants")
	if err != nil {
		return err
	}
	tenants, next, err := m.Registry.Store.Tenants(r.Context(), p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("tenants", next, tenants, viewTenant))
	return nil
}

// listPage reads the parameters of a list without filters.
func listPage(r *http.Request, kind string) (webhook.Page, error) {
	values, err := query(r, "limit", "cursor")
	if err != nil {
		return webhook.Page{}, err
	}
	return page(values, kind)
}

type endpointView struct {
	ID          webhook.EndpointID `json:"id"`
	URL         string             `json:"url"`
	Description string             `json:"description"`
	EventTypes  []webhook.Pattern  `json:"event_types"`
	Channels    []webhook.Channel  `json:"channels"`
	Filter      string             `json:"filter"`
	Headers     headersView        `json:"headers"`
	termsView
	Tags           []webhook.Tag         `json:"tags"`
	Metadata       map[string]string     `json:"metadata"`
	State          webhook.EndpointState `json:"state"`
	DisabledReason webhook.Reason        `json:"disabled_reason,omitempty"`
	Signature      webhook.Scheme        `json:"signature"`
	Health         healthView            `json:"health"`
	CreatedAt      timestamp             `json:"created_at"`
	UpdatedAt      timestamp             `json:"updated_at"`
}

// healthView says how the endpoint answers, in a word and since when.
type healthView struct {
	// State is ok, failing (since the last success, something failed) or open
	// (the breaker is: deliveries are on hold until a probe succeeds).
	State        string     `json:"state"`
	Failures     int        `json:"failures,omitempty"`
	FailingSince *timestamp `json:"failing_since,omitempty"`
	NextProbeAt  *timestamp `json:"next_probe_at,omitempty"`
}

func viewHealth(h webhook.Health) healthView {
	if h.Well() {
		return healthView{State: "ok"}
	}
	since := timestamp(h.FailingSince)
	view := healthView{State: "failing", Failures: h.Failures, FailingSince: &since}
	if h.Open() {
		probe := timestamp(h.OpenUntil)
		view.State, view.NextProbeAt = "open", &probe
	}
	return view
}

// headersView shows which headers are sent. Their values hide themselves.
type headersView map[string]webhook.HeaderValue

func viewHeaders(headers webhook.SealedHeaders) headersView {
	view := make(headersView, len(headers.Names))
	for _, name := range headers.Names {
		view[name] = "" // shown as every value is
	}
	return view
}

func viewEndpoint(e webhook.Endpoint) endpointView {
	metadata := e.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return endpointView{
		ID: e.ID, URL: e.URL, Description: e.Description, EventTypes: listed(e.EventTypes), Channels: listed(e.Channels), Filter: e.Filter,
		Headers: viewHeaders(e.Headers), termsView: viewTerms(e.Terms), Tags: listed(e.Tags), Metadata: metadata, State: e.State,
		DisabledReason: e.DisabledReason, Signature: e.Scheme, Health: viewHealth(e.Health),
		CreatedAt: timestamp(e.CreatedAt), UpdatedAt: timestamp(e.UpdatedAt),
	}
}

// listed returns what JSON shows as a list, also when it is empty.
func listed[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func (m Manage) postEndpoint(w http.ResponseWriter, r *http.Request) error {
	var n registry.NewEndpoint
	err := decode(r, maxBody, fields{
		"id":          intoID("id", &n.ID),
		"url":         into("url", "a string", &n.URL),
		"description": into("description", "a string", &n.Description),
		"event_types": into("event_types", "a list of strings", &n.EventTypes),
		"headers":     intoHeaders("headers", &n.Headers),
		"signature":   into("signature", "a string", &n.Scheme),
		"secret":      intoSecret(&n.Secret),

		"channels":        into("channels", "a list of strings", &n.Channels),
		"filter":          into("filter", "a string", &n.Filter),
		"timeout_seconds": intoSeconds("timeout_seconds", &n.Terms.Timeout),
		"retry_schedule":  intoSchedule("retry_schedule", &n.Terms.Schedule),
		"rate_limit":      intoRate("rate_limit", &n.Terms.Rate),
		"max_concurrency": intoCount("max_concurrency", &n.Terms.Concurrency),
		"tags":            into("tags", "a list of strings", &n.Tags),
		"metadata":        intoStrings("metadata", &n.Metadata),
	})
	if err != nil {
		return err
	}
	endpoint, err := m.Registry.CreateEndpoint(r.Context(), tenantOf(r), n)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, viewEndpoint(endpoint))
	return nil
}

func (m Manage) listEndpoints(w http.ResponseWriter, r *http.Request) error {
	p, err := listPage(r, "endpoints")
	if err != nil {
		return err
	}
	if err := m.tenantExists(r); err != nil {
		return err
	}
	endpoints, next, err := m.Registry.Store.Endpoints(r.Context(), tenantOf(r), p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("endpoints", next, endpoints, viewEndpoint))
	return nil
}

func endpointOf(r *http.Request) webhook.EndpointID {
	return webhook.EndpointID(r.PathValue("endpoint"))
}

func (m Manage) endpoint(r *http.Request) (webhook.Endpoint, error) {
	return m.Registry.Store.Endpoint(r.Context(), tenantOf(r), endpointOf(r))
}

func (m Manage) getEndpoint(w http.ResponseWriter, r *http.Request) error {
	endpoint, err := m.endpoint(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewEndpoint(endpoint))
	return nil
}

func (m Manage) patchEndpoint(w http.ResponseWriter, r *http.Request) error {
	var c registry.EndpointChange
	err := decode(r, maxBody, fields{
		"url":         intoPointer("url", "a string", &c.URL),
		"description": intoPointer("description", "a string", &c.Description),
		"event_types": intoPointer("event_types", "a list of strings", &c.EventTypes),
		"headers":     intoHeaders("headers", &c.Headers),
		"state":       intoPointer("state", "a string", &c.State),

		"channels":        intoPointer("channels", "a list of strings", &c.Channels),
		"filter":          intoPointer("filter", "a string", &c.Filter),
		"timeout_seconds": given(&c.Timeout, func(t *time.Duration) reader { return intoSeconds("timeout_seconds", t) }),
		"retry_schedule":  given(&c.Schedule, func(t *[]time.Duration) reader { return intoSchedule("retry_schedule", t) }),
		"rate_limit":      given(&c.Rate, func(t *webhook.Rate) reader { return intoRate("rate_limit", t) }),
		"max_concurrency": given(&c.Concurrency, func(t *int) reader { return intoCount("max_concurrency", t) }),
		"tags":            intoPointer("tags", "a list of strings", &c.Tags),
		"metadata":        given(&c.Metadata, func(t *map[string]string) reader { return intoStrings("metadata", t) }),
	})
	if err != nil {
		return err
	}
	endpoint, err := m.Registry.ChangeEndpoint(r.Context(), tenantOf(r), endpointOf(r), c)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewEndpoint(endpoint))
	return nil
}

func (m Manage) deleteEndpoint(w http.ResponseWriter, r *http.Request) error {
	if err := m.Registry.DeleteEndpoint(r.Context(), tenantOf(r), endpointOf(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// secretView shows what a receiver verifies with: the HMAC secret, or the
// public half of an ed25519 key.
type secretView struct {
	Secret    string `json:"secret,omitempty"`
	PublicKey string `json:"public_key,omitempty"`
	// PreviousExpiresAt is when the last of the older secrets stops signing.
	PreviousExpiresAt *timestamp `json:"previous_expires_at,omitempty"`
}

// intoSecret reads a secret that the caller brings.
func intoSecret(target *signature.Secret) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		err := into("secret", "a string", target)(raw)
		if err == nil && *target == "" {
			err = &webhook.Invalid{Field: "secret", Reason: "must not be empty: leave it out to get a fresh one"}
		}
		return err
	}
}

func (m Manage) getSecret(w http.ResponseWriter, r *http.Request) error {
	endpoint, err := m.endpoint(r)
	if err != nil {
		return err
	}
	entry := audit.Entry{Tenant: endpoint.Tenant, Action: audit.SecretRead, Target: string(endpoint.ID)}
	if err := m.Trail.Record(r.Context(), entry); err != nil {
		return err
	}
	return m.writeSecret(w, r, endpoint)
}

func (m Manage) rotateSecret(w http.ResponseWriter, r *http.Request) error {
	var n registry.Rotation
	var seconds *int64
	err := decodeOptional(r, fields{
		"overlap_seconds": intoPointer("overlap_seconds", "a whole number of seconds", &seconds),
		"secret":          intoSecret(&n.Secret),
	})
	if err != nil {
		return err
	}
	if seconds != nil {
		// Bounded before the multiplication, which could overflow; registry says what is allowed.
		d := time.Duration(max(-1, min(*seconds, int64(2*registry.MaxOverlap/time.Second)))) * time.Second
		n.Overlap = &d
	}
	endpoint, err := m.Registry.RotateSecret(r.Context(), tenantOf(r), endpointOf(r), n)
	if err != nil {
		return err
	}
	return m.writeSecret(w, r, endpoint)
}

func (m Manage) writeSecret(w http.ResponseWriter, r *http.Request, endpoint webhook.Endpoint) error {
	key, err := m.Registry.VerifyingKey(r.Context(), endpoint)
	if err != nil {
		return err
	}
	var view secretView
	if endpoint.Scheme == webhook.SchemeEd25519 {
		view.PublicKey = string(key)
	} else {
		view.Secret = string(key)
	}
	var expires time.Time // the present one does not
	for _, s := range endpoint.ActiveSecrets(m.Registry.Now()) {
		if s.ExpiresAt.After(expires) {
			expires = s.ExpiresAt
		}
	}
	if !expires.IsZero() {
		previous := timestamp(expires)
		view.PreviousExpiresAt = &previous
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}
