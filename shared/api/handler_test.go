package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/telemetry"
)

// Each function answers for the whole API: which methods an address takes does
// not depend on who was asked.
func TestAllowNamesTheMethodsOfAllFunctions(t *testing.T) {
	t.Parallel()
	c := Config{IDs: id.NewSource(), Now: time.Now, Log: telemetry.NewLogger(io.Discard, 0)}
	for name, handler := range map[string]http.Handler{"ingest": Handler(c, Accept{}), "api": Handler(c, Manage{})} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPut, "/v1/tenants/a/events", nil))
		if got := answer.Header().Get("Allow"); answer.Code != http.StatusMethodNotAllowed || got != "GET, HEAD, POST" {
			t.Errorf("%s answers %d, Allow %q", name, answer.Code, got)
		}
	}
}

func TestWhatACallerIsToldOfSecretsThatDoNotOpen(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{seal.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
		{seal.ErrBroken, http.StatusConflict, "secret-unreadable"},
	} {
		w := httptest.NewRecorder()
		writeError(w, httptest.NewRequest(http.MethodGet, "/", nil), telemetry.NewLogger(io.Discard, 0), fmt.Errorf("open a secret: %w: KMS said no", tc.err))
		body := w.Body.String()
		if w.Code != tc.status || !strings.Contains(body, "urn:webhookrelay:problem:"+tc.code) || strings.Contains(body, "KMS said") {
			t.Errorf("%v answers %d %s", tc.err, w.Code, body)
		}
		if retry := w.Header().Get("Retry-After"); (retry != "") != (tc.status == http.StatusServiceUnavailable) {
			t.Errorf("%v: Retry-After %q", tc.err, retry)
		}
	}
}

func TestLinksBeginWhereTheCallerReachedTheRelay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ asked, path, want string }{
		{"/v1/tenants/a/portal-links", "/v1/tenants/a/portal-links", "https://relay.example"},
		{"/stage/v1/tenants/a/portal-links?x=1", "/v1/tenants/a/portal-links", "https://relay.example/stage"},
	} {
		r := httptest.NewRequest(http.MethodPost, "https://relay.example"+tc.path, nil)
		r.RequestURI = tc.asked
		if got := baseOf(r); got != tc.want {
			t.Errorf("asked for as %s: %s, want %s", tc.asked, got, tc.want)
		}
	}
}
