package portal

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"webhookrelay/shared/client"
)

// Config holds what a Portal works with. API and Now are required.
type Config struct {
	// API is the relay's own API, whose routes the pages call.
	API http.Handler
	Now func() time.Time
	Log *slog.Logger
	// Embedders are the origins whose pages may show the portal in a frame, such as
	// https://app.example.com; none for nobody.
	Embedders []string
	// OperatorTenant is the tenant that gets operational events.
	OperatorTenant string
}

// Portal serves the pages under /portal. Safe for concurrent use.
type Portal struct {
	Config
	mux *http.ServeMux
	// crossOrigin refuses forms that another site has sent.
	crossOrigin *http.CrossOriginProtection
}

// Path is where the portal lies.
const Path = "/portal"

// maxForm bounds a form, in bytes: an example event of 256 KiB, percent-encoded.
const maxForm = 1 << 20

// New returns a Portal over c.
func New(c Config) *Portal {
	p := &Portal{Config: c, mux: http.NewServeMux(), crossOrigin: http.NewCrossOriginProtection()}
	for _, route := range routes {
		p.mux.HandleFunc(route.method+" "+Path+route.pattern, func(w http.ResponseWriter, r *http.Request) {
			p.serve(w, r, route)
		})
	}
	p.mux.HandleFunc("GET "+Path+"/assets/{hash}/{name}", serveAsset)
	return p
}

// Beside returns a handler that serves the portal under its path and the API
// everywhere else.
func (p *Portal) Beside(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == Path || strings.HasPrefix(r.URL.Path, Path+"/") {
			p.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// ServeHTTP answers one request for a page, form or asset.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.guard(w, r)
	if err := p.sameOrigin(r); err != nil {
		p.visit(w, r).refuse(http.StatusForbidden, "This form came from another site",
			"The portal takes forms from its own pages only. Go back to the page and send the form there.")
		return
	}
	if _, pattern := p.mux.Handler(r); pattern == "" {
		p.visit(w, r).refuse(http.StatusNotFound, "There is no such page", "Check the address, or begin at the overview.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	p.mux.ServeHTTP(w, r)
}

// sameOrigin refuses a form of another site. Every browser says where a form
// comes from; what does not say is none.
func (p *Portal) sameOrigin(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return errors.New("the request does not say where it comes from")
	}
	return p.crossOrigin.Check(r)
}

// guard sets the headers that keep a page to itself.
func (p *Portal) guard(w http.ResponseWriter, r *http.Request) {
	ancestors := "'none'"
	if len(p.Embedders) > 0 {
		ancestors = strings.Join(p.Embedders, " ")
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors "+ancestors)
	if len(p.Embedders) == 0 {
		h.Set("X-Frame-Options", "DENY")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer, with which a browser also keeps a form's origin to itself.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), clipboard-write=(self)")
	h.Set("Cache-Control", "no-store")
	if isTLS(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func isTLS(r *http.Request) bool { return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" }

// access says who may ask for a page. The API decides; this only leads those
// without a session to the entrance.
type access int

const (
	// open pages are for everyone.
	open access = iota
	// ofTenant pages are about the tenant in their path.
	ofTenant
	// ofOperator pages are about the whole installation.
	ofOperator
)

// route is one page or form.
type route struct {
	method, pattern string
	access          access
	handle          func(v *visit) error
}

func (p *Portal) serve(w http.ResponseWriter, r *http.Request, route route) {
	v := p.visit(w, r)
	v.tenant = r.PathValue("tenant")
	if route.access != open && v.session.token == "" {
		v.redirect("")
		return
	}
	if err := route.handle(v); err != nil {
		v.fail(err)
	}
}

// fail answers with what an error means to the person in front of the page.
func (v *visit) fail(err error) {
	p, known := errors.AsType[*client.Problem](err)
	switch {
	case !known:
		if v.Log != nil {
			v.Log.ErrorContext(v.r.Context(), "portal page failed", "path", v.r.URL.Path, "error", err.Error())
		}
		v.refuse(http.StatusInternalServerError, "This page could not be made", "Try again in a moment; the operator finds the cause in the log.")
	case p.Status == http.StatusUnauthorized:
		v.forget()
		v.entrance(http.StatusUnauthorized, "Your session has ended. Open the portal again from where you got the link.")
	case p.Status == http.StatusNotFound:
		v.refuse(p.Status, "There is nothing here", "It was removed, has expired, or is not yours to see.")
	case p.Status == http.StatusForbidden:
		v.refuse(p.Status, "This session may not do that", "Ask whoever gave you the link, or sign in with another key.")
	default:
		v.refuse(p.Status, p.Title, p.Detail)
	}
}

// refuse answers with a page that says what is wrong.
func (v *visit) refuse(status int, title, detail string) {
	v.render(status, "problem", page{Title: title, Data: detail})
}
