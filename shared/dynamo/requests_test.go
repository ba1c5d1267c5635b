package dynamo_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/api"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

// taken takes every message.
type taken struct{}

func (taken) Send(context.Context, []webhook.DeliveryKey) error { return nil }

// An API key costs ingest one read in 30 seconds and process, and the bootstrap
// key none. Each event costs what it always did: the tenant's version and the row.
func TestWhatAKeyAddsToTheRequestsOfIngest(t *testing.T) {
	root, key := auth.NewKey("", auth.Bootstrap), auth.NewKey("acme", "key_1")
	digest := auth.DigestOf(key)
	f := newFake(t, func(_ int, c call) (int, string) {
		if c.Operation != "GetItem" {
			return 200, `{"Items":[]}`
		}
		if c.Key["pk"] == (attribute{"K#acme"}) {
			return 200, fmt.Sprintf(`{"Item":{"pk":{"S":"K#acme"},"sk":{"S":"key_1"},"sc":{"S":"publish"},"d":{"B":"%s"}}}`,
				base64.StdEncoding.EncodeToString(digest[:]))
		}
		return 200, `{"Item":{"pk":{"S":"T#acme"},"sk":{"S":"META"},"ver":{"N":"7"}}}`
	})
	now, ids, log := fixedNow, id.NewSource(), telemetry.NewLogger(io.Discard, 0)
	clock := func() time.Time { return now }
	handler := api.Handler(api.Config{
		Auth: auth.New(auth.Config{Store: f.Store, Admin: auth.DigestOf(root), Now: clock}), IDs: ids, Now: clock, Log: log,
	}, api.Accept{Ingester: ingest.New(ingest.Config{
		Store: f.Store, Queue: taken{}, IDs: ids, Retention: time.Hour, Now: clock, Sleep: ingest.Sleep, Log: log,
	})})
	post := func(key string) {
		t.Helper()
		request := httptest.NewRequest(http.MethodPost, "/v1/tenants/acme/events", strings.NewReader(`{"type":"a","data":1}`))
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		if handler.ServeHTTP(answer, request); answer.Code != http.StatusAccepted {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
	}
	post(root) // reads the endpoints, once per version
	const events = 29
	for _, tc := range []struct {
		key        string
		reads      int
		afterwards time.Duration
	}{{root, 0, 0}, {key, 1, 0}, {key, 0, time.Second}, {key, 1, 0}} {
		f.calls = nil
		for range events {
			post(tc.key)
			now = now.Add(time.Second / events)
		}
		got := map[string]int{}
		for _, c := range f.calls {
			got[c.Operation]++
		}
		if diff := cmp.Diff(map[string]int{"GetItem": events + tc.reads, "PutItem": events}, got); diff != "" {
			t.Errorf("requests for %d events, expected (-) and made (+): %s", events, diff)
		}
		now = now.Add(tc.afterwards * 30)
	}
}
