package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/client"
)

func newClient(t *testing.T, config client.Config) *client.Client {
	t.Helper()
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is one canned answer of a relay.
type answer struct {
	status     int
	body       string
	retryAfter string
}

const busy = `{"type":"urn:webhookrelay:problem:unavailable","title":"Not now","status":503,"detail":"Again."}`

// script is a relay that gives answers in turn, and a client of it that notes
// its waits instead of waiting.
type script struct {
	client   *client.Client
	requests []*http.Request
	bodies   []string
	waits    []time.Duration
}

func newScript(t *testing.T, config client.Config, answers ...answer) *script {
	t.Helper()
	s := &script{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := answers[min(len(s.requests), len(answers)-1)]
		s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(body))
		if a.retryAfter != "" {
			w.Header().Set("Retry-After", a.retryAfter)
		}
		w.Header().Set("X-Request-Id", "01REQUEST")
		w.WriteHeader(a.status)
		fmt.Fprint(w, a.body)
	}))
	t.Cleanup(server.Close)
	config.URL = server.URL
	config.Now = func() time.Time { return moment }
	config.Sleep = func(ctx context.Context, d time.Duration) error {
		s.waits = append(s.waits, d)
		return ctx.Err()
	}
	s.client = newClient(t, config)
	return s
}

func TestRetries(t *testing.T) {
	t.Parallel()
	created := answer{status: 201, body: `{"id":"shop"}`}
	create := func(s *script) error {
		_, err := s.client.CreateEndpoint(context.Background(), "acme", client.NewEndpoint{URL: "https://example.com"})
		return err
	}
	read := func(s *script) error {
		_, err := s.client.GetTenant(context.Background(), "acme")
		return err
	}
	for rule, c := range map[string]struct {
		config  client.Config
		call    func(*script) error
		answers []answer
		waits   []time.Duration
		status  int // of the error; 0 for none
	}{
		"A429IsRepeatedAfterTheTimeItNames":                 {call: create, answers: []answer{{429, "{}", "7"}, created}, waits: []time.Duration{7 * time.Second}},
		"ADateIsHeldAgainstTheClock":                        {call: read, answers: []answer{{503, busy, "Mon, 23 Nov 2026 12:00:09 GMT"}, created}, waits: []time.Duration{9 * time.Second}},
		"WithoutATimeTheWaitsDouble":                        {call: read, answers: []answer{{429, "", ""}}, waits: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, status: 429},
		"A503OfTheRelayIsRepeated":                          {call: create, answers: []answer{{503, busy, "2"}, created}, waits: []time.Duration{2 * time.Second}},
		"A503OfAGatewayIsNotRepeatedWhereItMayMakeASecond":  {call: create, answers: []answer{{503, `{"message":"Service Unavailable"}`, ""}, created}, status: 503},
		"A503OfAGatewayIsRepeatedWhereThatIsSafe":           {call: read, answers: []answer{{503, "<html>", ""}, created}, waits: []time.Duration{time.Second}},
		"A500IsNotRepeated":                                 {call: read, answers: []answer{{500, "", ""}, created}, status: 500},
		"ATimeLongerThanMaxWaitIsNotWaitedFor":              {call: read, answers: []answer{{429, "", "31"}, created}, status: 429},
		"MaxWaitIsForTheCallerToSet":                        {config: client.Config{MaxWait: time.Minute}, call: read, answers: []answer{{429, "", "31"}, created}, waits: []time.Duration{31 * time.Second}},
		"NegativeRetriesMeanNone":                           {config: client.Config{Retries: -1}, call: read, answers: []answer{{429, "", "1"}, created}, status: 429},
		"RetriesEndWithTheLastProblem":                      {config: client.Config{Retries: 1}, call: read, answers: []answer{{429, "", "1"}, {503, busy, "1"}, created}, waits: []time.Duration{time.Second}, status: 503},
		"ARetryAfterThatIsNeitherNumberNorDateIsAsIfAbsent": {call: read, answers: []answer{{429, "", "soon"}, created}, waits: []time.Duration{time.Second}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, c.config, c.answers...)
			err := c.call(s)
			if c.status == 0 && err != nil || c.status != 0 && !client.IsStatus(err, c.status) {
				t.Errorf("got error %v, want status %d", err, c.status)
			}
			if !slices.Equal(s.waits, c.waits) || len(s.requests) != len(c.waits)+1 {
				t.Errorf("waited %v in %d requests, want %v", s.waits, len(s.requests), c.waits)
			}
		})
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	c := newClient(t, client.Config{URL: server.URL, HTTP: &http.Client{Transport: cancelling{cancel}}})
	if _, err := c.GetTenant(ctx, "acme"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// cancelling ends a context when the answer is there, before anyone waits.
type cancelling struct{ cancel func() }

func (c cancelling) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.WriteHeader(http.StatusTooManyRequests)
	answer := w.Result()
	answer.Request = r
	c.cancel()
	return answer, nil
}

func TestPostedEventsCarryTheSameKeyInEveryTry(t *testing.T) {
	t.Parallel()
	accepted := answer{status: 202, body: `{"id":"e1"}`}
	data := json.RawMessage(`{"price":1.10,"html":"<b>&"}`)
	t.Run("OneIsDrawnWhereThereIsNone", func(t *testing.T) {
		s := newScript(t, client.Config{}, answer{503, busy, "1"}, accepted)
		if _, err := s.client.PostEvent(t.Context(), "acme", client.NewEvent{Type: "a.b", Data: data}); err != nil {
			t.Fatal(err)
		}
		first, again := s.requests[0].Header.Get("Idempotency-Key"), s.requests[1].Header.Get("Idempotency-Key")
		if len(first) < 26 || first != again || s.bodies[0] != s.bodies[1] {
			t.Errorf("keys %q and %q, bodies %v", first, again, s.bodies)
		}
		if !strings.Contains(s.bodies[0], string(data)) {
			t.Errorf("the data was altered: %s", s.bodies[0])
		}
	})
	t.Run("TheCallersOwnIsTaken", func(t *testing.T) {
		s := newScript(t, client.Config{}, accepted)
		if _, err := s.client.PostEvent(t.Context(), "acme", client.NewEvent{Type: "a.b", Data: data, IdempotencyKey: "mine"}); err != nil {
			t.Fatal(err)
		}
		if got := s.requests[0].Header.Get("Idempotency-Key"); got != "mine" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("AnIDIsKeyEnough", func(t *testing.T) {
		s := newScript(t, client.Config{}, accepted)
		if _, err := s.client.PostEvent(t.Context(), "acme", client.NewEvent{Type: "a.b", Data: data, ID: "e1"}); err != nil {
			t.Fatal(err)
		}
		if got := s.requests[0].Header.Get("Idempotency-Key"); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("EachEventOfABatchHasItsOwn", func(t *testing.T) {
		s := newScript(t, client.Config{}, answer{429, "", "1"}, answer{status: 202, body: `{}`})
		events := []client.NewEvent{{Type: "a.b", Data: data}, {Type: "a.b", Data: data}, {Type: "a.b", Data: data, IdempotencyKey: "mine"}}
		if _, err := s.client.PostEvents(t.Context(), "acme", events); err != nil {
			t.Fatal(err)
		}
		var body struct {
			Events []struct {
				Key string `json:"idempotency_key"`
			} `json:"events"`
		}
		if err := json.Unmarshal([]byte(s.bodies[1]), &body); err != nil {
			t.Fatal(err)
		}
		keys := body.Events
		if s.bodies[0] != s.bodies[1] || len(keys) != 3 || keys[0].Key == "" || keys[0] == keys[1] || keys[2].Key != "mine" {
			t.Errorf("%v", s.bodies)
		}
	})
}

func TestProblems(t *testing.T) {
	t.Parallel()
	t.Run("TheRelaysOwnSayWhatToDo", func(t *testing.T) {
		t.Parallel()
		s := newScript(t, client.Config{}, answer{404, `{"type":"urn:webhookrelay:problem:not-found","title":"Not found","status":404,"detail":"Check the id."}`, ""})
		_, err := s.client.GetEvent(t.Context(), "acme", "e1")
		if !client.IsCode(err, "not-found") || !client.IsStatus(err, 404) {
			t.Fatalf("got %v", err)
		}
		if want := "Not found (404): Check the id. [request 01REQUEST]"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	})
	t.Run("WhatIsNotOfARelayIsNamedSo", func(t *testing.T) {
		t.Parallel()
		s := newScript(t, client.Config{}, answer{403, `{"message":"Forbidden"}`, ""})
		_, err := s.client.GetTenant(t.Context(), "acme")
		p, ok := errors.AsType[*client.Problem](err)
		if !ok || p.Code() != "" || p.Status != 403 || p.Title != "Forbidden" || !strings.Contains(p.Detail, "Check the URL") {
			t.Errorf("got %+v", err)
		}
	})
	t.Run("ARedirectIsNotFollowed", func(t *testing.T) {
		t.Parallel()
		s := newScript(t, client.Config{}, answer{302, "", ""})
		if _, err := s.client.GetTenant(t.Context(), "acme"); !client.IsStatus(err, 302) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AnAnswerThatIsNoJSONIsAnError", func(t *testing.T) {
		t.Parallel()
		s := newScript(t, client.Config{}, answer{200, "<html>", ""})
		if _, err := s.client.GetTenant(t.Context(), "acme"); err == nil || !strings.Contains(err.Error(), "/v1/tenants/acme") {
			t.Errorf("got %v", err)
		}
	})
}

func TestLists(t *testing.T) {
	t.Parallel()
	pages := []answer{
		{status: 200, body: `{"data":[{"id":"a"},{"id":"b"}],"next_cursor":"1"}`},
		{status: 200, body: `{"data":[],"next_cursor":"2"}`},
		{status: 200, body: `{"data":[{"id":"c"}],"next_cursor":null}`},
	}
	t.Run("AreWalkedToTheEndOverEmptyPages", func(t *testing.T) {
		t.Parallel()
		s := newScript(t, client.Config{}, pages...)
		var ids, cursors []string
		for tenant, err := range s.client.AllTenants(t.Context(), noPage) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, tenant.ID)
		}
		for _, r := range s.requests {
			cursors = append(cursors, r.URL.Query().Get("cursor"))
		}
		if !slices.Equal(ids, []string{"a", "b", "c"}) || !slices.Equal(cursors, []string{"", "1", "2"}) {
			t.Errorf("got %v by cursors %v", ids, cursors)
		}
	})
	t.Run("ArePagedNoFurtherThanTheyAreRead", func(t *testing.T) {
		t.Parallel()
		s := newScript(t, client.Config{}, pages...)
		for range s.client.AllTenants(t.Context(), noPage) {
			break
		}
		if len(s.requests) != 1 {
			t.Errorf("%d requests", len(s.requests))
		}
	})
	t.Run("EndWithTheFirstError", func(t *testing.T) {
		t.Parallel()
		s := newScript(t, client.Config{}, pages[0], answer{status: 500})
		var last error
		n := 0
		for _, err := range s.client.AllTenants(t.Context(), noPage) {
			n, last = n+1, err
		}
		if n != 3 || !client.IsStatus(last, 500) {
			t.Errorf("%d items, then %v", n, last)
		}
	})
}

func TestIDsStayInTheirPlace(t *testing.T) {
	t.Parallel()
	s := newScript(t, client.Config{}, answer{status: 200, body: "{}"})
	if _, err := s.client.GetEndpoint(t.Context(), "a/b", "c?d=e#f%"); err != nil {
		t.Fatal(err)
	}
	if got := s.requests[0].URL.EscapedPath(); got != "/v1/tenants/a%2Fb/endpoints/c%3Fd=e%23f%25" || s.requests[0].URL.RawQuery != "" {
		t.Errorf("called %s", s.requests[0].URL)
	}
	for _, id := range []string{"", ".", ".."} {
		if err := s.client.RevokeKey(t.Context(), "acme", id); err == nil {
			t.Errorf("the id %q was sent", id)
		}
	}
	if len(s.requests) != 1 {
		t.Errorf("%d requests", len(s.requests))
	}
}

func TestURLsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "example.com", "ftp://example.com", "https://", "https://user:pw@example.com", "https://example.com?a=b", "%"} {
		if _, err := client.New(client.Config{URL: url}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
