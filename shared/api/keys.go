package api

import (
	"net/http"
	"strings"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/webhook"
)

type keyView struct {
	ID auth.KeyID `json:"id"`
	// Prefix is how the key's text begins; the rest nobody knows but its holder.
	Prefix    string     `json:"prefix"`
	Scope     auth.Scope `json:"scope"`
	Name      string     `json:"name"`
	CreatedAt timestamp  `json:"created_at"`
	CreatedBy auth.KeyID `json:"created_by"`
	ExpiresAt timestamp  `json:"expires_at"`
}

func viewKey(k auth.Key) keyView {
	return keyView{k.ID, k.Prefix(), k.Scope, k.Name, timestamp(k.CreatedAt), k.CreatedBy, timestamp(k.ExpiresAt)}
}

// createdKeyView is the one answer that shows the key.
type createdKeyView struct {
	keyView
	Key string `json:"key"`
}

func (m Manage) postKey(w http.ResponseWriter, r *http.Request) error {
	n := keyring.NewKey{Tenant: tenantOf(r)}
	err := decode(r, maxBody, fields{
		"scope":      into("scope", "a string", &n.Scope),
		"name":       into("name", "a string", &n.Name),
		"expires_at": intoTime("expires_at", &n.ExpiresAt),
	})
	if err != nil {
		return err
	}
	return m.createKey(w, r, n)
}

func (m Manage) postAdminKey(w http.ResponseWriter, r *http.Request) error {
	n := keyring.NewKey{Scope: auth.ScopeAdmin}
	err := decodeOptional(r, fields{
		"name":       into("name", "a string", &n.Name),
		"expires_at": intoTime("expires_at", &n.ExpiresAt),
	})
	if err != nil {
		return err
	}
	return m.createKey(w, r, n)
}

func (m Manage) createKey(w http.ResponseWriter, r *http.Request, n keyring.NewKey) error {
	key, text, err := m.Keyring.Create(r.Context(), n)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, createdKeyView{viewKey(key), text})
	return nil
}

// listKeys lists a tenant's keys, or the admin keys where the path names no tenant.
func (m Manage) listKeys(w http.ResponseWriter, r *http.Request) error {
	p, err := listPage(r, "keys")
	if err != nil {
		return err
	}
	keys, next, err := m.Keyring.List(r.Context(), tenantOf(r), p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("keys", next, keys, viewKey))
	return nil
}

func (m Manage) deleteKey(w http.ResponseWriter, r *http.Request) error {
	key := r.PathValue("key")
	if webhook.CheckID("key", key) != nil {
		return webhook.ErrNotFound
	}
	if err := m.Keyring.Revoke(r.Context(), tenantOf(r), auth.KeyID(key)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type portalLinkView struct {
	ID        auth.KeyID `json:"id"`
	URL       string     `json:"url"`
	Token     string     `json:"token"`
	ExpiresAt timestamp  `json:"expires_at"`
}

// postPortalLink issues a link to the path's tenant, or to all where it names none.
func (m Manage) postPortalLink(w http.ResponseWriter, r *http.Request) error {
	var seconds *int64
	err := decodeOptional(r, fields{"expires_in_seconds": intoPointer("expires_in_seconds", "a whole number of seconds", &seconds)})
	if err != nil {
		return err
	}
	lifetime := keyring.DefaultLinkLifetime
	if seconds != nil {
		lifetime = bounded(*seconds, keyring.MaxLinkLifetime)
	}
	link, err := m.Keyring.Issue(r.Context(), tenantOf(r), lifetime)
	if err != nil {
		return err
	}
	// Behind the "#", the token reaches no server's log.
	url := baseOf(r) + "/portal#" + link.Token
	writeJSON(w, http.StatusCreated, portalLinkView{link.ID, url, link.Token, timestamp(link.ExpiresAt)})
	return nil
}

// bounded turns seconds into a duration. What lies outside 0 and most comes out
// outside it too, without an overflow.
func bounded(seconds int64, most time.Duration) time.Duration {
	return time.Duration(max(-1, min(seconds, int64(most/time.Second)+1))) * time.Second
}

// baseOf returns the address under which the caller reached the relay: API
// Gateway puts its stage before the paths that the relay knows.
func baseOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	stage, _ := strings.CutSuffix(path, r.URL.EscapedPath())
	return scheme + "://" + r.Host + stage
}
