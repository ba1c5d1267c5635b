// Package client calls a relay over HTTP: one method per operation of
// openapi.yaml, under its operationId. Methods named All… walk a whole paged
// list, as many items at once as the limit says. Every error that the relay
// answers is a *Problem.
package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults of Config.
const (
	DefaultTimeout = 30 * time.Second
	DefaultRetries = 3
	DefaultMaxWait = 30 * time.Second
)

// Config says which relay to call, and how. URL alone is required.
type Config struct {
	// URL is where the relay lives, such as https://abc.execute-api.eu-west-1.amazonaws.com.
	URL string
	// Key is an API key or a portal token, sent as a bearer token.
	Key string
	// HTTP makes the requests; nil for a client with DefaultTimeout that follows no redirect.
	HTTP *http.Client
	// UserAgent is sent when it is set.
	UserAgent string
	// Retries is how often a request is made again after a 429, or a 503 that
	// makes nothing twice; 0 for DefaultRetries, below 0 for none.
	Retries int
	// MaxWait is the longest Retry-After that is waited for; 0 for
	// DefaultMaxWait. A longer one is answered with the problem at once.
	MaxWait time.Duration
	// Sleep waits for d or until ctx ends; nil for a real one.
	Sleep func(ctx context.Context, d time.Duration) error
	// Now is the clock that a Retry-After date is held against; nil for time.Now.
	Now func() time.Time
}

// Client calls one relay. It is safe for concurrent use.
type Client struct {
	config Config
	base   string
}

// New returns a client of the relay that config names. It fails when the URL
// is not an absolute http or https URL; nothing is called yet.
func New(config Config) (*Client, error) {
	base, err := url.Parse(config.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("the relay's URL must begin with http:// or https:// and name a host")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the relay's URL must hold no credentials, query or fragment")
	}
	if config.HTTP == nil {
		config.HTTP = &http.Client{
			Timeout:       DefaultTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if config.Retries == 0 {
		config.Retries = DefaultRetries
	}
	if config.MaxWait == 0 {
		config.MaxWait = DefaultMaxWait
	}
	if config.Sleep == nil {
		config.Sleep = sleep
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Client{config: config, base: strings.TrimRight(config.URL, "/")}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
