package portal

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/client"
)

const (
	// cookieName holds the portal token that the session stands for.
	cookieName = "relay_portal"
	// themeCookie holds light or dark, when one was chosen.
	themeCookie = "relay_theme"
	// signedInFor is how long a session lasts that begins with a key.
	signedInFor = 12 * time.Hour
)

// session is what the cookie says. Nothing of it is trusted: the API checks the
// token with each call.
type session struct {
	token string
	// tenant is whom it is for; empty for an operator's.
	tenant    string
	expiresAt time.Time
}

// Operator reports whether the session is for the whole installation.
func (s session) Operator() bool { return s.token != "" && s.tenant == "" }

// sessionOf reads a token, and returns false for what is none.
func sessionOf(token string) (session, bool) {
	link, ok := auth.ReadToken(token)
	if !ok {
		return session{}, false
	}
	return session{token: token, tenant: string(link.Tenant), expiresAt: link.ExpiresAt}, true
}

func (p *Portal) sessionIn(r *http.Request) session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return session{}
	}
	s, ok := sessionOf(cookie.Value)
	if !ok || !p.Now().Before(s.expiresAt) {
		return session{}
	}
	return s
}

// cookie returns a cookie of the portal's. In a frame of another site a browser
// sends only those that are Secure, SameSite=None and, where it parts them by
// the page around, Partitioned.
func (v *visit) cookie(name, value string, until time.Time) *http.Cookie {
	c := &http.Cookie{
		Name: name, Value: value, Path: v.root + Path, HttpOnly: true, Secure: isTLS(v.r), SameSite: http.SameSiteLaxMode,
		MaxAge: max(-1, int(until.Sub(v.Now()).Seconds())),
	}
	if len(v.Embedders) > 0 && (c.Secure || isLoopback(v.r.Host)) {
		c.Secure, c.SameSite, c.Partitioned = true, http.SameSiteNoneMode, true
	}
	return c
}

// isLoopback reports whether browsers take the host for secure without TLS.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (v *visit) forget() {
	http.SetCookie(v.w, v.cookie(cookieName, "", v.Now().Add(-time.Hour)))
	v.session = session{}
}

// begin makes the token the session's and leads to where it belongs.
func (v *visit) begin(s session) {
	http.SetCookie(v.w, v.cookie(cookieName, s.token, s.expiresAt))
	v.redirect("?entered=1")
}

// home leads a session to its first page, and shows everyone else the entrance.
func home(v *visit) error {
	switch {
	case v.session.Operator():
		v.redirect("/operator")
	case v.session.token != "":
		v.redirect("/t/" + url.PathEscape(v.session.tenant))
	case v.r.URL.Query().Get("entered") != "":
		v.entrance(http.StatusOK, "Your browser did not keep the session: it refuses cookies here. Allow them, or open the link in a tab of its own.")
	default:
		v.entrance(http.StatusOK, "")
	}
	return nil
}

// entrance is the page for who has no session.
func (v *visit) entrance(status int, message string) {
	v.render(status, "entrance", page{Title: "Webhook portal", Data: message})
}

// enter turns a portal link's token into a session. The token comes in a form, so
// that it is in no log and no address: portal.js sends what stood behind the
// link's "#", and who has no JavaScript pastes the link.
func enter(v *visit) error {
	text := strings.TrimSpace(v.r.PostFormValue("token"))
	if _, token, pasted := strings.Cut(text, "#"); pasted {
		text = token
	}
	s, ok := sessionOf(text)
	if !ok {
		v.entrance(http.StatusUnprocessableEntity, "That is not a portal link. Copy the whole link, with everything behind the #.")
		return nil
	}
	if err := v.works(s); err != nil {
		if client.IsStatus(err, http.StatusUnauthorized) {
			v.entrance(http.StatusUnauthorized, "This link has expired or was revoked. Get a fresh one from where you found it.")
			return nil
		}
		return err
	}
	v.begin(s)
	return nil
}

// works asks the API whether the session's token is good.
func (v *visit) works(s session) error {
	relay := v.relayFor(v.r, s.token)
	if s.Operator() {
		_, err := relay.ListTenants(v.r.Context(), client.PageOptions{Limit: 1})
		return err
	}
	_, err := relay.GetTenant(v.r.Context(), s.tenant)
	return err
}

// signIn turns an API key into a session, by a portal link that the key issues:
// no browser keeps the key, and the session ends with it.
func signIn(v *visit) error {
	key := strings.TrimSpace(v.r.PostFormValue("key"))
	link, err := v.linkOf(key)
	switch {
	case client.IsStatus(err, http.StatusUnauthorized):
		v.entrance(http.StatusUnauthorized, "No such key: it is mistyped, expired or revoked.")
		return nil
	case client.IsStatus(err, http.StatusForbidden):
		v.entrance(http.StatusForbidden, "This key may not open the portal. Use an admin key, or a key of scope tenant.")
		return nil
	case err != nil:
		return err
	}
	s, _ := sessionOf(link.Token) // the relay made it a moment ago
	v.begin(s)
	return nil
}

func (v *visit) linkOf(key string) (client.PortalLink, error) {
	relay, lasting := v.relayFor(v.r, key), client.NewPortalLink{ExpiresInSeconds: int(signedInFor.Seconds())}
	link, err := relay.CreateOperatorLink(v.r.Context(), lasting)
	if tenant, _, named := strings.Cut(strings.TrimPrefix(key, auth.KeyPrefix), "."); named && client.IsStatus(err, http.StatusForbidden) {
		return relay.CreatePortalLink(v.r.Context(), tenant, lasting)
	}
	return link, err
}

// leave ends the session in this browser.
func leave(v *visit) error {
	v.forget()
	v.redirect("")
	return nil
}

// setTheme remembers light, dark or neither.
func setTheme(v *visit) error {
	theme := v.r.PostFormValue("theme")
	until := v.Now().AddDate(1, 0, 0)
	if theme != "light" && theme != "dark" {
		theme, until = "", v.Now().Add(-time.Hour)
	}
	http.SetCookie(v.w, v.cookie(themeCookie, theme, until))
	v.back()
	return nil
}
