package main

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// sink is an endpoint that takes every webhook.
type sink struct {
	url    string
	server *http.Server

	mu sync.Mutex
	// wait is how long an answer takes.
	wait      time.Duration
	recording bool
	posts     []recordedPost
}

// recordedPost is one webhook as it came; infra/bench/floor posts it again.
type recordedPost struct {
	URL    string      `json:"url"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

func newSink() (*sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{url: "http://" + listener.Addr().String()}
	s.server = &http.Server{Handler: s}
	go func() { _ = s.server.Serve(listener) }() // ends when it is closed
	return s, nil
}

func (s *sink) close() { _ = s.server.Close() }

// set says how long answers take from now on.
func (s *sink) set(wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait = wait
}

// record returns what is posted while do runs.
func (s *sink) record(do func() error) ([]recordedPost, error) {
	s.mu.Lock()
	s.recording, s.posts = true, nil
	s.mu.Unlock()
	err := do()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recording = false
	return s.posts, err
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "broken body", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	if s.recording {
		s.posts = append(s.posts, recordedPost{s.url + r.URL.Path, r.Header, body})
	}
	wait := s.wait
	s.mu.Unlock()
	time.Sleep(wait)
	w.WriteHeader(http.StatusNoContent)
}
