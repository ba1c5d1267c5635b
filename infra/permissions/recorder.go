package permissions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Recorder is a proxy before an emulator of AWS that notes which function makes
// which calls. Safe for concurrent use.
type Recorder struct {
	// URL is the address for the functions: {function} in it stands for the name
	// of the one that calls.
	URL     string
	server  *http.Server
	forward *httputil.ReverseProxy

	mu     sync.Mutex
	used   map[string]map[Use]bool
	faults []error
}

// Record returns a recorder before upstream, such as http://127.0.0.1:4566.
func Record(upstream string) (*Recorder, error) {
	target, err := url.Parse(upstream)
	if err != nil || target.Host == "" {
		return nil, fmt.Errorf("%q is not an address such as http://127.0.0.1:4566", upstream)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Recorder{
		URL: "http://" + listener.Addr().String() + "/{function}",
		forward: &httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(target)
				p.Out.URL.Path = "/"
			},
			Transport: &http.Transport{MaxIdleConnsPerHost: 64},
			ErrorLog:  log.New(io.Discard, "", 0), // callers that are killed leave many lines
		},
		used: make(map[string]map[Use]bool),
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(listener) }() // ends when it is closed
	return r, nil
}

// Close ends the recorder, with all connections.
func (r *Recorder) Close() error { return r.server.Close() }

func (r *Recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	r.note(strings.Trim(request.URL.Path, "/"), request.Header.Get("X-Amz-Target"), body)
	r.forward.ServeHTTP(w, request)
}

func (r *Recorder) note(function, target string, body []byte) {
	uses, err := Uses(target, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%s: %w", function, err))
		return
	}
	if r.used[function] == nil {
		r.used[function] = make(map[Use]bool)
	}
	for _, use := range uses {
		r.used[function][use] = true
	}
}

// Used returns what each function used so far, by its name. The error tells of
// calls that could not be understood.
func (r *Recorder) Used() (map[string][]Use, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string][]Use)
	for function, uses := range r.used {
		for use := range uses {
			all[function] = append(all[function], use)
		}
	}
	return all, errors.Join(r.faults...)
}
