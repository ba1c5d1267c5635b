package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/api"
	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/telemetry"
)

// world is the whole API over a store in memory, as relay dev puts it together,
// without anything that delivers.
type world struct {
	t       testing.TB
	handler http.Handler
	// root is the bootstrap admin key.
	root string
}

func newWorld(t testing.TB, change ...func(*api.Config, *api.Accept)) *world {
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
	sealer := seal.New(dataKeys, time.Now)
	w := &world{t: t, root: auth.NewKey("", auth.Bootstrap)}
	ids, log := id.NewSource(), telemetry.NewLogger(io.Discard, 0)
	queue, past := store.Queue(), history.History{Store: store}
	trail := audit.Trail{Store: store, IDs: ids, Now: time.Now}
	callers := auth.New(auth.Config{Store: store, Admin: auth.DigestOf(w.root), Now: time.Now})
	config := api.Config{Auth: callers, IDs: ids, Now: time.Now, Log: log}
	accept := api.Accept{Ingester: ingest.New(ingest.Config{
		Store: store, Queue: queue, IDs: ids, Retention: 30 * 24 * time.Hour, Now: time.Now, Sleep: ingest.Sleep, Log: log,
	})}
	for _, f := range change {
		f(&config, &accept)
	}
	w.handler = api.Handler(config, accept,
		api.Manage{
			Registry: registry.New(registry.Config{
				Store: store, Sealer: sealer, IDs: ids, CheckURL: func(string) error { return nil }, Overlap: time.Hour, Now: time.Now,
			}),
			Ingester: accept.Ingester, History: past, Trail: trail, Types: catalogue.Catalogue{Store: store, IDs: ids, Now: time.Now},
			Replayer:   replay.Replayer{Deliveries: past, Rows: store, Queue: queue, DeadLetters: queue, Trail: trail, Now: time.Now},
			Withdrawer: replay.Withdrawer{Events: past, Store: store, Trail: trail, Now: time.Now},
			Jobs:       replay.Jobs{Store: store, Past: store, Endpoints: store, IDs: ids, Matcher: filter.NewMatcher(), Now: time.Now},
			Keyring: keyring.New(keyring.Config{
				Store: store, Tenants: store, Auth: callers, Sealer: sealer, Admin: auth.DigestOf(w.root), Trail: trail,
			}),
		})
	return w
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   string
}

// call makes a request; an empty key sends none. Options are pairs of a header's
// name and its value.
func (w *world) call(key, method, path, body string, options ...string) reply {
	w.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(options); i += 2 {
		request.Header.Set(options[i], options[i+1])
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, request)
	return reply{recorder.Code, recorder.Header(), recorder.Body.String()}
}

// must is call for a request that succeeds; it returns the answer's fields.
func (w *world) must(key, method, path, body string, options ...string) map[string]any {
	w.t.Helper()
	r := w.call(key, method, path, body, options...)
	if r.status >= 300 {
		w.t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
	}
	fields := map[string]any{}
	if r.body != "" {
		if err := json.Unmarshal([]byte(r.body), &fields); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, r.body)
		}
	}
	return fields
}

func (w *world) problem(r reply, status int, code string) api.Problem {
	w.t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != status || p.Type != "urn:webhookrelay:problem:"+code {
		w.t.Errorf("got %d %s, want %d %s", r.status, r.body, status, code)
	}
	return p
}
