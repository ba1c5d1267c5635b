// Package gateway turns API Gateway proxy events into requests for a plain
// http.Handler and its response back. It reads payload format 1.0, which REST
// APIs send and HTTP APIs send when told to, so one adapter serves both.
package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// reserve is kept of each invocation for the answer when a service hangs: of one
// that is cut off, API Gateway says 502 and nothing else, and its process is lost.
const reserve = 2 * time.Second

// Serve returns a Lambda handler that answers through h, whose requests end
// before the invocation does. It fails only on an event it cannot read, which
// API Gateway answers with 502.
func Serve(h http.Handler) func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
			defer cancel()
		}
		request, err := newRequest(ctx, event)
		if err != nil {
			return events.APIGatewayProxyResponse{}, err
		}
		recorder := &recorder{header: make(http.Header)}
		h.ServeHTTP(recorder, request)
		return recorder.response(), nil
	}
}

func newRequest(ctx context.Context, event events.APIGatewayProxyRequest) (*http.Request, error) {
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(event.Body)
		if err != nil {
			return nil, fmt.Errorf("body of %s %s: %w", event.HTTPMethod, event.Path, err)
		}
		body = decoded
	}
	query := url.Values(event.MultiValueQueryStringParameters)
	if query == nil {
		query = url.Values{}
		for name, value := range event.QueryStringParameters {
			query.Set(name, value)
		}
	}
	request, err := http.NewRequestWithContext(ctx, event.HTTPMethod, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("request %s %s: %w", event.HTTPMethod, event.Path, err)
	}
	// Not by way of text: a path that begins with two slashes would be taken for a host.
	target := url.URL{Path: event.Path, RawQuery: query.Encode()}
	request.URL = &target
	for name, value := range event.Headers {
		request.Header.Set(name, value)
	}
	for name, values := range event.MultiValueHeaders {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	request.Host = request.Header.Get("Host")
	request.RemoteAddr = event.RequestContext.Identity.SourceIP
	// The gateway's own path begins with its stage; see api's links to itself.
	asked := target
	if path := event.RequestContext.Path; path != "" {
		asked.Path = path
	}
	request.RequestURI = asked.RequestURI()
	return request, nil
}

// recorder collects a response in memory; Lambda answers with the whole of it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *recorder) response() events.APIGatewayProxyResponse {
	r.WriteHeader(http.StatusOK)
	response := events.APIGatewayProxyResponse{
		StatusCode: r.status, Headers: map[string]string{}, MultiValueHeaders: map[string][]string{},
	}
	// Each header in one of the two only: not every gateway merges them.
	for name, values := range r.header {
		if len(values) == 1 {
			response.Headers[name] = values[0]
		} else {
			response.MultiValueHeaders[name] = values
		}
	}
	if utf8.Valid(r.body.Bytes()) {
		response.Body = r.body.String()
	} else {
		response.Body, response.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.body.Bytes()), true
	}
	return response
}
