package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"webhookrelay/shared/client"
)

// Exit codes. infra/docs/cli.md lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitNotAllowed  = 4
	exitProblem     = 5 // a check found a problem
	exitSome        = 6 // done, but not for all
	exitAgain       = 7 // the relay cannot be reached, or is busy
	exitInterrupted = 130
)

// ended is an error that says by which code the process is to end.
type ended struct {
	code int
	err  error
}

func (e *ended) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *ended) Unwrap() error { return e.err }

// usage is an error in how the command was called or configured.
func usage(format string, values ...any) error {
	return &ended{exitUsage, fmt.Errorf(format, values...)}
}

// silent ends the command by a code, where all is said already.
func silent(code int) error { return &ended{code: code} }

// codeOf returns the exit code for an error.
func codeOf(err error) int {
	if e, ok := errors.AsType[*ended](err); ok {
		return e.code
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if p, ok := errors.AsType[*client.Problem](err); ok {
		switch p.Status {
		case http.StatusNotFound:
			return exitNotFound
		case http.StatusUnauthorized, http.StatusForbidden:
			return exitNotAllowed
		case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
			return exitAgain
		}
		return exitFailed
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return exitAgain
	}
	if err != nil {
		return exitFailed
	}
	return exitDone
}

// adviceOf says what the person at the command line can do about an error,
// beyond what it says itself.
func (s *session) adviceOf(err error) string {
	p, isProblem := errors.AsType[*client.Problem](err)
	_, isTransport := errors.AsType[*url.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case isTransport:
		return "Is the address right, and the relay running? See: relay doctor"
	case !isProblem:
		return ""
	case p.Status == http.StatusUnauthorized:
		return "Set RELAY_KEY, or use --key-file or a context that has a key (relay context list)."
	case p.Status == http.StatusForbidden && p.Code() != "":
		return "relay doctor says what the key may do."
	}
	return ""
}

// report says what went wrong, if anything, and returns the exit code.
func (s *session) report(err error) int {
	code := codeOf(err)
	if err == nil || err.Error() == "" {
		return code
	}
	if p, ok := errors.AsType[*client.Problem](err); ok && s.remote.JSON {
		if raw, encodeErr := json.Marshal(p); encodeErr == nil {
			s.note("%s", raw)
			return code
		}
	}
	if code == exitInterrupted {
		s.note("relay: interrupted")
		return code
	}
	s.note("relay: %s", printable(err.Error()))
	if advice := s.adviceOf(err); advice != "" {
		s.note("%s", advice)
	}
	return code
}
