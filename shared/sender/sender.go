// Package sender makes one signed POST and turns whatever happened into a
// webhook.Result. It never retries and never follows a redirect.
package sender

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/safedial"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/trace"
	"webhookrelay/shared/webhook"
)

// Bounds of one attempt. Standard Webhooks advises a timeout of 15 to 30 s.
const (
	DefaultTimeout = 15 * time.Second
	connectTimeout = 5 * time.Second
	// maxResponseRead is how much of an answer is read; only a part is kept.
	maxResponseRead   = 64 << 10
	maxResponseHeader = 64 << 10
)

// UserAgent is sent with every attempt.
const UserAgent = "webhookrelay/1.0"

// Sender posts events to endpoints. Safe for concurrent use.
type Sender struct {
	client *http.Client
	Config
}

// Config holds what a Sender works with.
type Config struct {
	// Policy says where it may connect.
	Policy safedial.Policy
	// Sealer opens the secrets that it signs with, and the headers it sends along.
	Sealer *seal.Sealer
	// Timeout bounds an attempt where the endpoint sets no other; 0: DefaultTimeout.
	Timeout time.Duration
	Now     func() time.Time
}

// New returns a Sender over c.
func New(c Config) *Sender {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	transport := newTransport("https", c.Policy)
	// The policy tells the two schemes apart; a transport's own dial function cannot.
	transport.RegisterProtocol("http", newTransport("http", c.Policy))
	return &Sender{
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Config: c,
	}
}

func newTransport(scheme string, policy safedial.Policy) *http.Transport {
	return &http.Transport{
		// No proxy from the environment: it would dial in our place, past the policy.
		Proxy:               nil,
		DialContext:         policy.DialContext(scheme, connectTimeout),
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: connectTimeout,
		ForceAttemptHTTP2:   true,
		// Nothing is inflated, so a small answer cannot become a large one.
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
	}
}

// Send signs e with the endpoint's active secrets and posts it once. When ctx
// ends before the attempt's own timeout the result is Aborted. An error says that
// secrets or headers cannot be opened now; then nothing was sent.
func (s *Sender) Send(ctx context.Context, endpoint webhook.Endpoint, e webhook.Event) (webhook.Result, error) {
	unsealed, err := s.open(ctx, endpoint)
	if errors.Is(err, seal.ErrBroken) {
		return webhook.Result{Reason: webhook.ReasonBadSecret, Detail: err.Error()}, nil
	}
	if err != nil {
		return webhook.Result{}, err
	}
	started := s.Now()
	attempt, cancel := context.WithTimeout(ctx, cmp.Or(endpoint.Terms.Timeout, s.Timeout))
	defer cancel()
	result := s.post(attempt, endpoint, e, unsealed, started)
	result.Duration = s.Now().Sub(started)
	if !result.Delivered() && ctx.Err() != nil {
		return webhook.Result{Aborted: true, Duration: result.Duration}, nil
	}
	return result, nil
}

// opened is what was sealed of an endpoint.
type opened struct {
	secrets []signature.Secret
	headers []webhook.Header
}

func (s *Sender) open(ctx context.Context, endpoint webhook.Endpoint) (o opened, err error) {
	if o.secrets, err = s.Sealer.Secrets(ctx, endpoint, s.Now()); err != nil {
		return opened{}, err
	}
	o.headers, err = s.Sealer.Headers(ctx, endpoint)
	return o, err
}

func (s *Sender) post(ctx context.Context, endpoint webhook.Endpoint, e webhook.Event, unsealed opened, at time.Time) webhook.Result {
	sig, err := signature.Sign(e.ID, at, e.Body, unsealed.secrets)
	if err != nil {
		return webhook.Result{Reason: webhook.ReasonBadSecret, Detail: err.Error()}
	}
	// What was registered may have been allowed then, or by another release.
	if err := s.Policy.CheckURL(endpoint.URL); err != nil {
		return webhook.Result{Reason: classifyURL(err), Detail: "the URL " + err.Error()}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.URL, bytes.NewReader(e.Body))
	if err != nil {
		return webhook.Result{Reason: webhook.ReasonBadURL, Detail: "the URL cannot be used for a request"}
	}
	for _, h := range unsealed.headers {
		// Another release may have let pass what is reserved today.
		if h.Reserved() == "" {
			request.Header.Set(h.Name, string(h.Value))
		}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", UserAgent)
	request.Header.Set(signature.HeaderID, string(e.ID))
	request.Header.Set(signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(signature.HeaderSignature, sig)
	span := trace.Continue(e.Trace, request.Header)
	result := s.do(request)
	result.Span = span.ID
	return result
}

func (s *Sender) do(request *http.Request) webhook.Result {
	response, err := s.client.Do(request)
	if err != nil {
		return failure(err)
	}
	defer response.Body.Close()
	// A body that stalls or breaks off changes nothing: the status has come.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxResponseRead))
	return answer(response, body, s.Now())
}

// answer reads what a response means: only 2xx is success (Standard Webhooks).
func answer(response *http.Response, body []byte, now time.Time) webhook.Result {
	result := webhook.Result{
		StatusCode: response.StatusCode,
		Response:   body[:min(len(body), webhook.MaxResponseKept)],
		Control:    control(response.Header.Get(headerControl)),
	}
	code := response.StatusCode
	switch {
	case code >= 200 && code < 300:
		result.Response = body[:min(len(body), webhook.MaxSuccessResponseKept)]
		return result
	case code >= 300 && code < 400:
		result.Reason = webhook.ReasonRedirect
		result.Detail = "answered with a redirect, which is never followed; register the final URL"
	case code == 404:
		result.Reason = webhook.ReasonHTTP404
	case code == 410:
		result.Reason = webhook.ReasonHTTP410
	case code == 429:
		result.Reason = webhook.ReasonHTTP429
	case code >= 400 && code < 500:
		result.Reason = webhook.ReasonHTTP4xx
	case code >= 500 && code < 600:
		result.Reason = webhook.ReasonHTTP5xx
	default:
		result.Reason = webhook.ReasonHTTPOther
		result.Detail = fmt.Sprintf("answered with status %03d, which is none of HTTP's", code)
	}
	result.RetryAfter = retryAfter(response.Header.Get("Retry-After"), now)
	return result
}

// headerControl is the response header by which a receiver tells the relay to stop.
const headerControl = "Webhook-Delivery"

// control reads that header. What it does not know asks for nothing.
func control(value string) webhook.Control {
	switch c := webhook.Control(strings.ToLower(strings.TrimSpace(value))); c {
	case webhook.ControlAbort, webhook.ControlDisable:
		return c
	}
	return ""
}

// retryAfter reads a Retry-After header (RFC 9110 §10.2.3): seconds or a date.
// What is neither, or lies in the past, asks for no wait.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}
