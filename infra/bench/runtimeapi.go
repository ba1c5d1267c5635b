package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"time"

	"webhookrelay/infra/measure"
)

// function is a Lambda function's binary run as a process, with the bench in
// the place of Lambda: it serves the Runtime API that the process polls.
type function struct {
	address string
	server  *http.Server
	command *exec.Cmd
	output  measure.Output
	// polled holds the time of the first request for work.
	polled  chan time.Time
	work    chan []byte
	replies chan reply
	// ended is closed when the process has ended, after err was set.
	ended chan struct{}
	err   error
	// last is how long the last invocation took.
	last time.Duration
}

type reply struct {
	body   []byte
	failed bool
}

const invocationDeadline = time.Minute

// launch starts a binary and returns how long it took from exec until it asked
// for work the first time.
func launch(binary string, environment ...string) (*function, time.Duration, error) {
	return launchWithin(nil, binary, environment...)
}

// launchWithin is launch of a process that gets no more than its quota of a
// processor; nil: all it wants.
func launchWithin(limit *quota, binary string, environment ...string) (*function, time.Duration, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	f := &function{
		address: listener.Addr().String(),
		polled:  make(chan time.Time, 1), work: make(chan []byte), replies: make(chan reply, 1), ended: make(chan struct{}),
	}
	const invocation = "/2018-06-01/runtime/invocation/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+invocation+"next", f.next)
	mux.HandleFunc("POST "+invocation+"{id}/response", func(w http.ResponseWriter, r *http.Request) { f.answer(w, r, false) })
	mux.HandleFunc("POST "+invocation+"{id}/error", func(w http.ResponseWriter, r *http.Request) { f.answer(w, r, true) })
	f.server = &http.Server{Handler: mux}
	go func() { _ = f.server.Serve(listener) }() // ends when it is closed

	f.command = limit.command(binary)
	f.command.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + f.address, "AWS_LAMBDA_FUNCTION_NAME=bench", "AWS_LAMBDA_FUNCTION_VERSION=1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "_HANDLER=bootstrap",
	}, environment...)
	f.command.Stdout, f.command.Stderr = &f.output, &f.output
	began := time.Now()
	if err := f.command.Start(); err != nil {
		_ = f.server.Close()
		return nil, 0, err
	}
	go func() {
		f.err = f.command.Wait()
		close(f.ended)
	}()
	select {
	case at := <-f.polled:
		return f, at.Sub(began), nil
	case <-f.ended:
		f.stop()
		return nil, 0, fmt.Errorf("it ended with %w before it asked for work: %s", f.err, f.output.String())
	case <-time.After(20 * time.Second):
		f.stop()
		return nil, 0, errors.New("it did not ask for work within 20 s")
	}
}

// stop ends the process without ceremony, as Lambda does.
func (f *function) stop() {
	_ = f.command.Process.Kill() // it may have ended already
	<-f.ended
	_ = f.server.Close()
}

func (f *function) next(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	select {
	case f.polled <- now:
	default:
	}
	select {
	case <-r.Context().Done():
	case payload := <-f.work:
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", "00000000-0000-4000-8000-000000000000")
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(invocationDeadline).UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+region+":000000000000:function:bench")
		_, _ = w.Write(payload) // invoke notices when no reply comes
	}
}

func (f *function) answer(w http.ResponseWriter, r *http.Request, failed bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		failed, body = true, []byte(err.Error())
	}
	f.replies <- reply{body, failed}
	w.WriteHeader(http.StatusAccepted)
}

// invoke hands the function one event and decodes its reply into out.
func (f *function) invoke(event, out any) error {
	payload, err := json.Marshal(event)
	if err != nil {
		return err
	}
	late := time.NewTimer(invocationDeadline)
	defer late.Stop()
	select {
	case f.work <- payload:
	case <-late.C:
		return fmt.Errorf("the function does not ask for work: %s", f.output.String())
	}
	handed := time.Now()
	select {
	case got := <-f.replies:
		f.last = time.Since(handed)
		if got.failed {
			return fmt.Errorf("the function failed: %s", got.body)
		}
		return json.NewDecoder(bytes.NewReader(got.body)).Decode(out)
	case <-f.ended:
		return fmt.Errorf("the function ended with %w: %s", f.err, f.output.String())
	case <-late.C:
		return fmt.Errorf("the function did not reply: %s", f.output.String())
	}
}
