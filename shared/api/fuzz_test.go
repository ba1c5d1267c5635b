package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"webhookrelay/shared/api"
	"webhookrelay/shared/webhook"
)

// fuzzed is a world with a tenant "acme" that has an endpoint "shop" and an event "order-1".
func fuzzed(f *testing.F) *world {
	f.Helper()
	w := newWorld(f)
	for _, step := range [][3]string{
		{"PUT", "/v1/tenants/acme", `{}`},
		{"POST", "/v1/tenants/acme/endpoints", `{"id":"shop","url":"https://example.com/"}`},
		{"POST", "/v1/tenants/acme/events", `{"id":"order-1","type":"order.placed","data":1}`},
	} {
		if got := w.ask(step[0], step[1], "", "application/json", []byte(step[2])); got.Code >= 300 {
			f.Fatalf("%v: %d %s", step, got.Code, got.Body)
		}
	}
	return w
}

// ask makes a request of which every part may be anything.
func (w *world) ask(method, path, query, contentType string, body []byte) *httptest.ResponseRecorder {
	r := (&http.Request{
		Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}, Host: "relay.example",
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}).WithContext(context.Background())
	r.Header.Set("Authorization", "Bearer "+w.root)
	r.Header.Set("Content-Type", contentType)
	return w.serve(r)
}

func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer
}

// FuzzRequest asks anything of any address: ids, cursors and filters are in it.
func FuzzRequest(f *testing.F) {
	w := fuzzed(f)
	for _, seed := range [][3]string{
		{"GET", "/v1/tenants/acme/deliveries", "limit=5&status=dead&endpoint=shop"},
		{"GET", "/v1/tenants/acme/deliveries/dlv_01M83XJ8800000000000000000_shop", ""},
		{"POST", "/v1/tenants/acme/deliveries/dlv_01M83XJ8800000000000000000_shop/retry", ""},
		{"GET", "/v1/tenants/acme/events/order-1", ""},
		{"GET", "/v1/tenants/acme/events", "cursor=ZXZlbnRzCmUuMDFKRA"},
		{"GET", "/v1/tenants/acme/endpoints/shop/secret", ""},
		{"POST", "/v1/tenants/acme/endpoints/shop/secret/rotate", ""},
		{"PUT", "/v1/tenants/ACME_1-x", ""},
		{"GET", "/v1/dead-letters", "cursor=%zz&limit=0"},
		{"POST", "/v1/tenants/acme/events/batch", ""},
		{"DELETE", "/v1/tenants/acme/keys/key_01", ""},
		{"GET", "/v1/audit", "cursor=x"},
		{"DELETE", "/v1/tenants/../acme//endpoints/%2e", ""},
		{"CONNECT", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], []byte(`{"overlap_seconds":60}`))
	}
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte) {
		got := w.ask(method, path, query, "application/json", body)
		answered(t, got)
	})
}

// FuzzAuthorization lets a caller say anything of who they are.
func FuzzAuthorization(f *testing.F) {
	w := fuzzed(f)
	var made struct{ Key, Token string }
	for _, path := range []string{"/v1/tenants/acme/keys", "/v1/tenants/acme/portal-links"} {
		body := `{"name":"a","scope":"read"}`
		if strings.HasSuffix(path, "links") {
			body = ""
		}
		if got := w.ask(http.MethodPost, path, "", "application/json", []byte(body)); got.Code >= 300 || json.Unmarshal(got.Body.Bytes(), &made) != nil {
			f.Fatalf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	for _, seed := range []string{
		"Bearer " + w.root, "bearer  " + w.root, "Bearer " + made.Key, "Bearer " + made.Token, "Basic YTpi", "Bearer ", "",
		"Bearer relay_acme.key_01_x", "Bearer eyJhbGciOiJub25lIn0.e30.",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/v1/tenants"}, Header: http.Header{"Authorization": {header}}}).WithContext(t.Context())
		got := w.serve(r)
		answered(t, got)
		if got.Code < 300 && !strings.Contains(header, w.root) {
			t.Fatalf("%q may list the tenants", header)
		}
	})
}

// answered checks that a caller can do something with the answer.
func answered(t *testing.T, got *httptest.ResponseRecorder) {
	t.Helper()
	if got.Code >= 500 || got.Code < 200 {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	if got.Code < 400 {
		return
	}
	var p api.Problem
	if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil || p.Detail == "" || p.Title == "" || p.Status != got.Code {
		t.Fatalf("%d %s, %v", got.Code, got.Body, err)
	}
}

// FuzzEndpoint creates an endpoint from one body and changes it by another.
func FuzzEndpoint(f *testing.F) {
	w := fuzzed(f)
	for _, seed := range [][2]string{
		{`{"url":"https://example.com/webhooks","event_types":["invoice.*"],"description":"x","signature":"v1a","id":"mail"}`, `{"state":"disabled","event_types":[]}`},
		{`{"url":"https://example.com/","url":"https://example.com/"}`, `{"url":null}`},
		{`{"url":"http://127.0.0.1/"}`, `{"description":"\ud800"}`},
		{`{"id":"a.b","url":"https://user:pw@example.com/"}`, `[]`},
		{`{"url":"https://example.com/","headers":{"X-Key":"1"},"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`, `{"headers":{"Host":"x"}}`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, create, change []byte) {
		created := w.ask(http.MethodPost, "/v1/tenants/acme/endpoints", "", "application/json", create)
		answered(t, created)
		if created.Code != http.StatusCreated {
			return
		}
		before := endpointIn(t, created)
		path := "/v1/tenants/acme/endpoints/" + string(before.ID)
		defer w.ask(http.MethodDelete, path, "", "", nil)
		changed := w.ask(http.MethodPatch, path, "", "application/json", change)
		answered(t, changed)
		want := before
		if changed.Code == http.StatusOK {
			want = endpointIn(t, changed)
		}
		got := endpointIn(t, w.ask(http.MethodGet, path, "", "", nil))
		if got.URL != want.URL || got.Description != want.Description || len(got.EventTypes) != len(want.EventTypes) || got.State != want.State {
			t.Fatalf("%s then %s: stored %+v, answered %+v", create, change, got, want)
		}
	})
}

type endpointAnswer struct {
	ID          webhook.EndpointID `json:"id"`
	URL         string             `json:"url"`
	Description string             `json:"description"`
	EventTypes  []webhook.Pattern  `json:"event_types"`
	State       string             `json:"state"`
}

func endpointIn(t *testing.T, answer *httptest.ResponseRecorder) (e endpointAnswer) {
	t.Helper()
	if err := json.Unmarshal(answer.Body.Bytes(), &e); err != nil {
		t.Fatalf("%s: %v", answer.Body, err)
	}
	if !utf8.ValidString(e.URL + e.Description) {
		t.Fatalf("%+v is not UTF-8", e)
	}
	if err := webhook.CheckID("id", string(e.ID)); err != nil {
		t.Fatal(err)
	}
	return e
}
