// Package faultproxy stands between the relay's functions and an emulator of
// AWS, and lets the calls to one service fail the way calls to AWS do.
package faultproxy

import (
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Service is one that the relay calls, by what its X-Amz-Target begins with.
type Service string

// The services.
const (
	DynamoDB Service = "DynamoDB"
	SQS      Service = "AmazonSQS"
)

// Kind is how a call fails.
type Kind string

// The kinds.
const (
	// Fail answers 500. Nothing is done.
	Fail Kind = "fail"
	// Throttle answers that the caller asks too often. Nothing is done.
	Throttle Kind = "throttle"
	// Hang answers nothing; once the fault is over, the connection is closed.
	// Nothing is done.
	Hang Kind = "hang"
	// Cut closes the connection. Nothing is done.
	Cut Kind = "cut"
	// LoseAnswer lets the call take effect, and closes the connection.
	LoseAnswer Kind = "lose answer"
)

// Fault is what befalls a service's calls.
type Fault struct {
	Service Service
	Kind    Kind
	// Share of the calls that are struck, at random: 1 is all.
	Share float64
}

func (f Fault) String() string { return fmt.Sprintf("%s %s %.0f%%", f.Service, f.Kind, 100*f.Share) }

// Proxy passes calls on, but for those that a fault strikes. Safe for
// concurrent use.
type Proxy struct {
	// URL is where it listens, on loopback.
	URL     string
	server  *http.Server
	forward *httputil.ReverseProxy

	mu    sync.Mutex
	fault Fault
	// over is closed when the fault is.
	over chan struct{}
	// struck counts the calls struck, by operation such as "DynamoDB_20120810.PutItem".
	struck map[string]int
}

// Start returns a proxy in front of upstream, such as http://127.0.0.1:4566,
// that passes everything on.
func Start(upstream string) (*Proxy, error) {
	target, err := url.Parse(upstream)
	if err != nil || target.Host == "" {
		return nil, fmt.Errorf("%q is not an address such as http://127.0.0.1:4566", upstream)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		URL: "http://" + listener.Addr().String(),
		forward: &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport: &http.Transport{MaxIdleConnsPerHost: 64},
			ErrorLog:  log.New(io.Discard, "", 0), // callers that are killed leave many lines
		},
		over: make(chan struct{}), struck: make(map[string]int),
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener) }() // ends when it is closed
	return p, nil
}

// Close ends the fault and the proxy, with all connections.
func (p *Proxy) Close() error {
	p.Heal()
	return p.server.Close()
}

// Strike lets f befall the calls that come from now on, in place of the fault before.
func (p *Proxy) Strike(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.over)
	p.fault, p.over = f, make(chan struct{})
	clear(p.struck)
}

// Heal ends the fault.
func (p *Proxy) Heal() { p.Strike(Fault{}) }

// Struck returns how many calls the fault of the moment has struck, by operation.
func (p *Proxy) Struck() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.struck)
}

// fate returns what befalls the next call to operation, with an empty Kind when
// nothing does.
func (p *Proxy) fate(operation string) (kind Kind, over <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spared := p.fault.Kind == "" || !strings.HasPrefix(operation, string(p.fault.Service))
	if spared || rand.Float64() >= p.fault.Share {
		return "", nil
	}
	p.struck[operation]++
	return p.fault.Kind, p.over
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, over := p.fate(r.Header.Get("X-Amz-Target"))
	switch kind {
	case Fail:
		refuse(w, http.StatusInternalServerError, "InternalFailure")
	case Throttle:
		refuse(w, http.StatusBadRequest, "ThrottlingException")
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the caller has gone
		select {
		case <-over:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case Cut:
		panic(http.ErrAbortHandler)
	case LoseAnswer:
		p.forward.ServeHTTP(unheard{}, r)
		panic(http.ErrAbortHandler)
	default:
		p.forward.ServeHTTP(w, r)
	}
}

// refuse answers as both services do (their API References, "Common Errors").
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"__type":"com.amazonaws#%s","message":"a fault of the test"}`, code) // the caller may be gone
}

// unheard takes an answer that nobody gets.
type unheard struct{}

func (unheard) Header() http.Header         { return http.Header{} }
func (unheard) Write(b []byte) (int, error) { return len(b), nil }
func (unheard) WriteHeader(int)             {}
