package portal_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"webhookrelay/shared/api"
	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/client"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/portal"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/telemetry"
)

// world is a portal over the real API and a store in memory. Nothing is
// delivered in it.
type world struct {
	t       testing.TB
	handler http.Handler
	root    string
	relay   *client.Client
	// now is the portal's clock, which the test moves.
	now time.Time
	// asked counts requests for statistics, and uncounted fails them.
	asked     atomic.Int32
	uncounted atomic.Bool
}

// counted counts and fails requests for statistics.
func (w *world) counted(relay http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/stats") {
			if w.asked.Add(1); w.uncounted.Load() {
				http.Error(rw, "down", http.StatusInternalServerError)
				return
			}
		}
		relay.ServeHTTP(rw, r)
	})
}

func newWorld(t testing.TB, embedders ...string) *world {
	t.Helper()
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	dataKeys, err := seal.NewLocalKey(make([]byte, seal.LocalKeySize))
	if err != nil {
		t.Fatal(err)
	}
	sealer, ids, log := seal.New(dataKeys, time.Now), id.NewSource(), telemetry.NewLogger(io.Discard, 0)
	w := &world{t: t, root: auth.NewKey("", auth.Bootstrap), now: time.Now()}
	queue, past := store.Queue(), history.History{Store: store}
	trail := audit.Trail{Store: store, IDs: ids, Now: time.Now}
	callers := auth.New(auth.Config{Store: store, Admin: auth.DigestOf(w.root), Now: time.Now})
	ingester := ingest.New(ingest.Config{
		Store: store, Queue: queue, IDs: ids, Retention: 30 * 24 * time.Hour, Now: time.Now, Sleep: ingest.Sleep, Log: log,
	})
	relay := api.Handler(api.Config{Auth: callers, IDs: ids, Now: time.Now, Log: log}, api.Accept{Ingester: ingester}, api.Manage{
		Registry: registry.New(registry.Config{
			Store: store, Sealer: sealer, IDs: ids, CheckURL: func(string) error { return nil }, Overlap: time.Hour, Now: time.Now,
		}),
		Ingester: ingester, History: past, Trail: trail, Types: catalogue.Catalogue{Store: store, IDs: ids, Now: time.Now},
		Replayer: replay.Replayer{Deliveries: past, Rows: store, Queue: queue, DeadLetters: queue, Trail: trail, Now: time.Now},
		Jobs:     replay.Jobs{Store: store, Past: store, Endpoints: store, IDs: ids, Matcher: filter.NewMatcher(), Now: time.Now},
		Keyring: keyring.New(keyring.Config{
			Store: store, Tenants: store, Auth: callers, Sealer: sealer, Admin: auth.DigestOf(w.root), Trail: trail,
		}),
	})
	w.handler = portal.New(portal.Config{
		API: w.counted(relay), Now: func() time.Time { return w.now }, Log: log, Embedders: embedders, OperatorTenant: "operator",
	}).Beside(relay)
	server := httptest.NewServer(relay)
	t.Cleanup(server.Close)
	if w.relay, err = client.New(client.Config{URL: server.URL, Key: w.root}); err != nil {
		t.Fatal(err)
	}
	return w
}

// reply is a page.
type reply struct {
	status  int
	header  http.Header
	body    string
	cookies []*http.Cookie
}

// browser keeps a session, as a browser does.
type browser struct {
	w      *world
	cookie *http.Cookie
	// as is what it sends besides; by default, that a form comes from the portal itself.
	as http.Header
}

func (w *world) browser() *browser {
	return &browser{w: w, as: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
}

func (b *browser) do(method, path string, form url.Values) reply {
	b.w.t.Helper()
	return b.send("", method, path, form)
}

// at is do behind a gateway, which puts its stage before the path.
func (b *browser) at(stage, method, path string) reply {
	b.w.t.Helper()
	return b.send(stage, method, path, nil)
}

func (b *browser) send(stage, method, path string, form url.Values) reply {
	b.w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.RequestURI = stage + r.RequestURI
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(r.Header, b.as)
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	recorder := httptest.NewRecorder()
	b.w.handler.ServeHTTP(recorder, r)
	answer := recorder.Result()
	for _, c := range answer.Cookies() {
		if c.Name == "relay_portal" {
			b.cookie = c
		}
	}
	return reply{answer.StatusCode, answer.Header, recorder.Body.String(), answer.Cookies()}
}

func (b *browser) get(path string) reply { b.w.t.Helper(); return b.do(http.MethodGet, path, nil) }

func (b *browser) post(path string, pairs ...string) reply {
	b.w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

// page is get of a page that is there.
func (b *browser) page(path string) string {
	b.w.t.Helper()
	r := b.get(path)
	if r.status != http.StatusOK {
		b.w.t.Fatalf("%s: %d\n%s", path, r.status, r.body)
	}
	return r.body
}

// leads fails the test unless the reply leads to the address.
func (b *browser) leads(r reply, to string) {
	b.w.t.Helper()
	if at := r.header.Get("Location"); r.status != http.StatusSeeOther || !regexp.MustCompile("^"+to+"$").MatchString(at) {
		b.w.t.Fatalf("%d leads to %q, want %q\n%s", r.status, at, to, r.body)
	}
}

// shows fails the test unless the page has all the texts.
func (w *world) shows(page string, texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			w.t.Errorf("the page does not say %q:\n%s", text, page)
			return
		}
	}
}

// receiver is a browser of the tenant's, with a link.
func (w *world) receiver(tenant string) *browser {
	w.t.Helper()
	if _, err := w.relay.PutTenant(w.t.Context(), tenant, ""); err != nil {
		w.t.Fatal(err)
	}
	link, err := w.relay.CreatePortalLink(w.t.Context(), tenant, client.NewPortalLink{})
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	b.leads(b.post("/portal/enter", "token", link.Token), `/portal\?entered=1`)
	return b
}

func (w *world) operator() *browser {
	w.t.Helper()
	b := w.browser()
	b.leads(b.post("/portal/sign-in", "key", w.root), `/portal\?entered=1`)
	return b
}

// endpoint adds one for all events.
func (w *world) endpoint(tenant, name string) {
	w.t.Helper()
	_, err := w.relay.CreateEndpoint(w.t.Context(), tenant, client.NewEndpoint{ID: name, URL: "https://" + name + ".example/"})
	if err != nil {
		w.t.Fatal(err)
	}
}

// event posts one and returns it with its deliveries.
func (w *world) event(tenant, eventType, data string) client.EventDetail {
	w.t.Helper()
	made, err := w.relay.PostEvent(w.t.Context(), tenant, client.NewEvent{Type: eventType, Data: []byte(data)})
	if err != nil {
		w.t.Fatal(err)
	}
	event, err := w.relay.GetEvent(w.t.Context(), tenant, made.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return event
}
