package portal

import (
	"bytes"
	"io"
	"net/http"

	"webhookrelay/shared/client"
)

// inProcess calls the API without a network, on behalf of whoever asked for the
// page: the audit trail names that address.
type inProcess struct {
	api     http.Handler
	address string
	// host and scheme are how the page was asked for, for links that the API makes.
	host, scheme string
}

// RoundTrip answers a request of the client's.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	inner := r.Clone(r.Context())
	inner.RemoteAddr, inner.Host, inner.RequestURI = t.address, t.host, r.URL.RequestURI()
	inner.Header.Set("X-Forwarded-Proto", t.scheme)
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	answer := &answer{header: make(http.Header)}
	t.api.ServeHTTP(answer, inner)
	return &http.Response{
		StatusCode: answer.status, Header: answer.header, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(&answer.body), ContentLength: int64(answer.body.Len()),
	}, nil
}

// answer is the API's, in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// relayFor returns a client of the API that shows the key or token.
func (p *Portal) relayFor(r *http.Request, key string) *client.Client {
	scheme := "http"
	if isTLS(r) {
		scheme = "https"
	}
	c, err := client.New(client.Config{
		URL: "http://relay", Key: key, Retries: -1,
		HTTP: &http.Client{Transport: inProcess{api: p.API, address: r.RemoteAddr, host: r.Host, scheme: scheme}},
	})
	if err != nil {
		panic(err) // the URL above is one
	}
	return c
}
