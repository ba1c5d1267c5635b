package main

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"webhookrelay/shared/client"
)

// session is what a command has to work with besides its arguments: all that
// a test sets differently.
type session struct {
	ctx      context.Context
	in       io.Reader
	out, err io.Writer
	// terminal says of each whether a person reads, or types, there.
	inTerminal, outTerminal, errTerminal bool

	getenv func(string) string
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
	zone   *time.Location
	http   *http.Client

	remote remote
}

// newSession is a session of this process.
func newSession() *session {
	return &session{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTerminal:  isatty.IsTerminal(os.Stdin.Fd()),
		outTerminal: isatty.IsTerminal(os.Stdout.Fd()),
		errTerminal: isatty.IsTerminal(os.Stderr.Fd()),
		getenv:      os.Getenv, now: time.Now, sleep: wait, zone: time.Local,
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// remote holds the flags of every command that calls a relay.
type remote struct {
	Context string `short:"c" group:"Which relay" placeholder:"NAME" help:"Context of the configuration file (RELAY_CONTEXT)."`
	URL     string `name:"url" group:"Which relay" placeholder:"URL" help:"Address of the relay (RELAY_URL)."`
	KeyFile string `group:"Which relay" placeholder:"FILE" help:"File that holds the API key; - for standard input (or the key itself in RELAY_KEY)."`
	Tenant  string `short:"t" group:"Which relay" placeholder:"ID" help:"Tenant (RELAY_TENANT; else the one of the key)."`
	JSON    bool   `name:"json" group:"Output" help:"Print one JSON object a line; errors as problem JSON on standard error."`
}

// AfterApply hands the flags to the session, and has the first interrupt end
// what the command waits for; a second one ends the process.
//
//nolint:unparam // kong asks for an error
func (r *remote) AfterApply(s *session) error {
	s.remote = *r
	if s.ctx == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		s.ctx = ctx
	}
	return nil
}

// connect returns a client of the relay that flags, environment and file name,
// and what they say.
func (s *session) connect() (*client.Client, target, error) {
	to, err := s.target()
	if err != nil {
		return nil, to, err
	}
	c, err := client.New(client.Config{URL: to.URL, Key: to.Key, HTTP: s.http, UserAgent: "relay-cli", Sleep: s.sleep, Now: s.now})
	if err != nil {
		return nil, to, usage("%s: %w", cmp.Or(to.urlFrom, "--url"), err)
	}
	return c, to, nil
}

// tenant is connect for a command about one tenant.
func (s *session) tenant() (*client.Client, string, error) {
	c, to, err := s.connect()
	if err != nil {
		return nil, "", err
	}
	if to.Tenant == "" {
		return nil, "", usage("which tenant? Add --tenant ID, set RELAY_TENANT, or write it into a context (relay context set)")
	}
	return c, to.Tenant, nil
}
