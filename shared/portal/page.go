package portal

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

//go:embed templates
var templateFiles embed.FS

// page is what a template shows.
type page struct {
	Title string
	// Nav names the entry of the navigation that the page belongs to.
	Nav string
	// Alert: something on the page needs attention; the tab's icon says so.
	Alert bool
	Data  any

	v *visit
}

// templates are parsed when the first page is asked for, so that a function that
// serves none starts no later.
var templates = sync.OnceValue(func() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // embedded
	}
	parsed := make(map[string]*template.Template)
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), ".html")
		parsed[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, "templates/"+entry.Name()))
	}
	return parsed
})

// render answers with a page, whole or not at all.
func (v *visit) render(status int, name string, p page) {
	p.v = v
	var body bytes.Buffer
	if err := templates()[name].ExecuteTemplate(&body, "layout", p); err != nil {
		if v.Log != nil {
			v.Log.ErrorContext(v.r.Context(), "portal template failed", "template", name, "error", err.Error())
		}
		http.Error(v.w, "This page could not be made.", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(body.Bytes()) // the browser is gone; nothing is left to say
}

// show is render of a page that is as it should be.
func (v *visit) show(name string, p page) error {
	v.render(http.StatusOK, name, p)
	return nil
}

// What follows is for templates.

// Root is the portal's own address, without a host.
func (p page) Root() string { return p.v.root + Path }

// Asset is the address of a file that the page loads.
func (p page) Asset(name string) string {
	return p.Root() + "/assets/" + assets()[name].hash + "/" + name
}

// Tenant is the one that the page is about.
func (p page) Tenant() string { return p.v.tenant }

// Operator reports whether the session is an operator's.
func (p page) Operator() bool { return p.v.session.Operator() }

// OperatorTenant is the tenant that gets operational events.
func (p page) OperatorTenant() string { return p.v.OperatorTenant }

// SignedIn reports whether there is a session, and until when.
func (p page) SignedIn() bool { return p.v.session.token != "" }

// Until is when the session ends.
func (p page) Until() time.Time { return p.v.session.expiresAt }

// Now is the time at which the page is made.
func (p page) Now() time.Time { return p.v.Now() }

// To is the address of a page of the tenant's, by the parts of its path.
func (p page) To(parts ...string) string { return p.Root() + p.v.below(parts...) }

// Of is To for another tenant.
func (p page) Of(tenant string, parts ...string) string {
	other := visit{tenant: tenant}
	return p.Root() + other.below(parts...)
}

// Here is the page's own address, with some of its query's parameters replaced:
// names and values in turn.
func (p page) Here(pairs ...string) string {
	query := p.v.r.URL.Query()
	query.Del("done")
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Del(pairs[i])
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	address := url.URL{Path: p.v.root + p.v.r.URL.Path, RawQuery: query.Encode()}
	return address.String()
}

// Theme is light, dark, or empty for the system's.
func (p page) Theme() string {
	cookie, err := p.v.r.Cookie(themeCookie)
	if err != nil || cookie.Value != "light" && cookie.Value != "dark" {
		return ""
	}
	return cookie.Value
}

// Done says what was done before this page came, in words.
func (p page) Done() string { return doneWords[p.v.r.URL.Query().Get("done")] }

// Ago says how far off a time is.
func (p page) Ago(t time.Time) string { return distance(t.Sub(p.v.Now())) }

// Icon is the tab's.
func (p page) Icon() string {
	if p.Alert {
		return p.Asset("icon-alert.svg")
	}
	return p.Asset("icon.svg")
}
