package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sqlite"
)

// world is a whole relay in this process, delivering, with the demo's tenant
// and receiver.
type world struct {
	t        *testing.T
	url, key string
	env      map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var c commands
	if _, err := parser(&c, quiet(io.Discard)).Parse([]string{"dev", "--log-level", "error"}); err != nil {
		t.Fatal(err)
	}
	set, err := c.Dev.settings()
	if err != nil {
		t.Fatal(err)
	}
	set.schedule, set.breaker.Failures = []time.Duration{time.Millisecond}, 0
	store, err := sqlite.Open(sqlite.Config{Path: sqlite.Memory, MaxReceives: len(set.schedule) + 1 + receiveSlack})
	if err != nil {
		t.Fatal(err)
	}
	dataKeys, err := seal.NewLocalKey(make([]byte, seal.LocalKeySize))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	w := &world{t: t, url: "http://" + server.Listener.Addr().String(), key: auth.NewKey("", auth.Bootstrap)}
	r := newRelay(c.Dev, set, store, seal.New(dataKeys, time.Now), w.key, w.url)
	server.Config.Handler = r.handler
	server.Start()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { newMapping(r.queue, r.dispatcher, r.log).run(ctx) })
	running.Go(func() {
		every(ctx, 5*time.Millisecond, func(ctx context.Context) { r.advance(ctx); r.releaseEvents(ctx); r.releaseHeld(ctx) })
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		server.Close()
		_ = store.Close()
	})
	if err := r.demo.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.env = map[string]string{
		"RELAY_URL": w.url, "RELAY_KEY": w.key, "RELAY_TENANT": demoTenant,
		"RELAY_CONFIG": filepath.Join(t.TempDir(), "config.yaml"),
	}
	return w
}

// outcome is what a command left behind.
type outcome struct {
	code     int
	out, err string
}

// option changes a session before its command.
type option func(*session)

func typing(text string) option { return func(s *session) { s.in = strings.NewReader(text) } }

func onTerminal(s *session) { s.inTerminal, s.outTerminal, s.errTerminal = true, true, true }

func with(name, value string) option {
	return func(s *session) {
		before := s.getenv
		s.getenv = func(asked string) string {
			if asked == name {
				return value
			}
			return before(asked)
		}
	}
}

// relay runs a command as from a shell, with output that is no terminal.
func (w *world) relay(options []option, args ...string) outcome {
	w.t.Helper()
	return runWith(w.t, w.env, options, args...)
}

func runWith(t *testing.T, env map[string]string, options []option, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	s := &session{
		ctx: t.Context(), in: strings.NewReader(""), out: &out, err: &errs, zone: time.UTC,
		getenv: func(name string) string { return env[name] }, now: time.Now,
		sleep: func(ctx context.Context, _ time.Duration) error { return wait(ctx, 5*time.Millisecond) },
	}
	for _, change := range options {
		change(s)
	}
	code := run(args, s)
	return outcome{code, out.String(), errs.String()}
}

// ok is relay for a command that must succeed; it returns what it printed.
func (w *world) ok(args ...string) string {
	w.t.Helper()
	got := w.relay(nil, args...)
	if got.code != exitDone {
		w.t.Fatalf("relay %s: exit %d\n%s%s", strings.Join(args, " "), got.code, got.out, got.err)
	}
	return got.out
}

// objects is ok for a command with --json.
func (w *world) objects(args ...string) []map[string]any {
	w.t.Helper()
	return objectsIn(w.t, w.ok(append(args, "--json")...))
}

// objectsIn reads JSON Lines.
func objectsIn(t *testing.T, text string) (objects []map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	for {
		var object map[string]any
		if err := decoder.Decode(&object); err == io.EOF {
			return objects
		} else if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		objects = append(objects, object)
	}
}

// says fails the test unless text holds all parts.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// inFile writes text into a file and returns its path.
func inFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, text)
	return path
}
