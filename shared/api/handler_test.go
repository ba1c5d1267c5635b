package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"webhookrelay/shared/id"
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
