package portal

import (
	"net/http"
	"net/url"
	"strings"

	"webhookrelay/shared/client"
)

// visit is one request for a page, or one form.
type visit struct {
	*Portal
	w       http.ResponseWriter
	r       *http.Request
	session session
	// relay is the API, called as the session.
	relay *client.Client
	// root is what stands before /portal in the address: API Gateway puts its stage there.
	root string
	// tenant is the one in the path; empty where a page names none.
	tenant string
}

func (p *Portal) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{Portal: p, w: w, r: r, session: p.sessionIn(r), root: rootOf(r)}
	v.relay = p.relayFor(r, v.session.token)
	return v
}

// redirect leads to a page of the portal; below begins with "/" or "?" or is empty.
func (v *visit) redirect(below string) {
	v.w.Header().Set("Location", v.root+Path+below)
	v.w.WriteHeader(http.StatusSeeOther)
}

// back leads to the page that a form was on.
func (v *visit) back() {
	from, err := url.Parse(v.r.Header.Get("Referer"))
	below, ours := "", false
	if err == nil && from.Host == v.r.Host {
		below, ours = strings.CutPrefix(from.EscapedPath(), v.root+Path)
	}
	if !ours {
		below = ""
	} else if from.RawQuery != "" {
		below += "?" + from.RawQuery
	}
	v.redirect(below)
}

// done leads to a page of the visit's tenant, which then says what was done.
func (v *visit) done(what string, parts ...string) error {
	v.redirect(v.below(parts...) + "?done=" + what)
	return nil
}

// below returns where a page of the visit's tenant lies, below Path.
func (v *visit) below(parts ...string) string {
	path := []string{"", "t", url.PathEscape(v.tenant)}
	for _, part := range parts {
		path = append(path, url.PathEscape(part))
	}
	return strings.Join(path, "/")
}

// rootOf returns what a gateway puts before the paths that the portal knows, and
// nothing where that is no path that links may begin with.
func rootOf(r *http.Request) string {
	asked, _, _ := strings.Cut(r.RequestURI, "?")
	plain, err := url.PathUnescape(asked) // the same path may be escaped in several ways
	root, found := strings.CutSuffix(plain, r.URL.Path)
	if err != nil || !found || !strings.HasPrefix(root, "/") || strings.HasPrefix(root, "//") ||
		strings.ReplaceAll(url.PathEscape(root), "%2F", "/") != root {
		return ""
	}
	return root
}
