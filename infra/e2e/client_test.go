package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// client calls one relay. Every answer is held against openapi.yaml.
type client struct{ base, key string }

var httpClient = &http.Client{
	Timeout:   time.Minute,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// option changes a request before it is sent.
type option func(*http.Request)

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func withoutHeader(name string) option {
	return func(r *http.Request) { r.Header.Del(name) }
}

// undocumented is for addresses that openapi.yaml does not list.
func undocumented(r *http.Request) { r.Header.Set(undocumentedMark, "yes") }

const undocumentedMark = "X-Undocumented"

// response is an answer that agrees with openapi.yaml.
type response struct {
	request string
	status  int
	header  http.Header
	body    []byte
}

// try makes a request. Body is sent as it is when it is a string, as JSON
// otherwise; nil sends none.
func (c client) try(method, path string, body any, options ...option) (response, error) {
	noteSources()
	var payload []byte
	switch b := body.(type) {
	case nil:
	case string:
		payload = []byte(b)
	default:
		var err error
		if payload, err = json.Marshal(b); err != nil {
			return response{}, err
		}
	}
	request, err := http.NewRequest(method, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return response{}, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, change := range options {
		change(request)
	}
	check := request.Header.Get(undocumentedMark) == ""
	request.Header.Del(undocumentedMark)
	answer, err := httpClient.Do(request)
	if err != nil {
		return response{}, err
	}
	defer answer.Body.Close()
	r := response{request: method + " " + path, status: answer.StatusCode, header: answer.Header}
	if r.body, err = io.ReadAll(answer.Body); err != nil {
		return r, fmt.Errorf("%s: %w", r.request, err)
	}
	if check {
		err = agreesWithOpenAPI(method, path, r)
	}
	return r, err
}

// send is try for a test's own goroutine.
func (c client) send(t testing.TB, method, path string, body any, options ...option) response {
	t.Helper()
	r, err := c.try(method, path, body, options...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (c client) get(t testing.TB, path string) response {
	t.Helper()
	return c.send(t, http.MethodGet, path, nil).must(t, http.StatusOK)
}

// must fails the test unless the answer has the status.
func (r response) must(t testing.TB, status int) response {
	t.Helper()
	if r.status != status {
		t.Fatalf("%s: got %s, want %d", r.request, r, status)
	}
	return r
}

func (r response) String() string {
	return fmt.Sprintf("%d %s", r.status, clip(strings.TrimSpace(string(r.body)), 500))
}

// as reads the answer's JSON.
func as[T any](t testing.TB, r response) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(r.body, &value); err != nil {
		t.Fatalf("%s: %v in %s", r.request, err, r)
	}
	return value
}

func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:limit], len(text))
}
