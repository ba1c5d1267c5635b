package main

import (
	"fmt"
	"strings"
	"time"

	"webhookrelay/shared/client"
)

type endpointsCommand struct {
	remote
	List   endpointsList   `cmd:"" default:"withargs" help:"List endpoints with their health."`
	Create endpointsCreate `cmd:"" help:"Register an endpoint."`
	Get    endpointsGet    `cmd:"" help:"Show an endpoint."`
	Update endpointsUpdate `cmd:"" help:"Change the fields given; enable or disable."`
	Delete endpointsDelete `cmd:"" help:"Remove an endpoint; deliveries under way are cancelled."`
	Secret endpointsSecret `cmd:"" help:"Print what its receiver verifies with."`
	Rotate endpointsRotate `cmd:"" help:"Replace its secret, and print the new one."`

	TestFilter endpointsTestFilter `cmd:"" help:"Say whether a filter lets an example through, and why."`
}

type endpointsList struct{ listFlags }

// Run lists endpoints.
func (c endpointsList) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	return list(s, c.listFlags, []string{"ID", "STATE", "HEALTH", "EVENT TYPES", "URL"}, relay.AllEndpoints(s.ctx, tenant, c.options()),
		func(e client.Endpoint) []string {
			return []string{e.ID, e.State, e.Health.State, typesOf(e), e.URL}
		})
}

func typesOf(e client.Endpoint) string {
	if len(e.EventTypes) == 0 {
		return "all"
	}
	return strings.Join(e.EventTypes, ",")
}

// endpointLines describe an endpoint.
func (s *session) endpointLines(e client.Endpoint) []string {
	state := s.paint(e.State)
	if e.DisabledReason != "" {
		state += " (" + cell(e.DisabledReason) + ")"
	}
	health := s.paint(e.Health.State)
	if e.Health.FailingSince != nil {
		health += fmt.Sprintf(": %d failures in a row since %s", e.Health.Failures, s.timeIf(e.Health.FailingSince))
	}
	if e.Health.NextProbeAt != nil {
		health += ", next probe " + s.timeIf(e.Health.NextProbeAt)
	}
	names := make([]string, 0, len(e.Headers))
	for name := range e.Headers {
		names = append(names, name)
	}
	return []string{
		"id           " + cell(e.ID),
		"url          " + cell(e.URL),
		"description  " + cell(e.Description),
		"event types  " + cell(typesOf(e)),
		"filter       " + cell(e.Filter),
		"headers      " + cell(strings.Join(names, ", ")),
		"signature    " + cell(e.Signature),
		"state        " + state,
		"health       " + health,
		"created      " + s.time(e.CreatedAt),
		"updated      " + s.time(e.UpdatedAt),
	}
}

type endpointsCreate struct {
	URL         string   `arg:"" name:"url" help:"Where events are posted."`
	ID          string   `name:"id" placeholder:"ID" help:"Your own id for it."`
	Types       []string `placeholder:"PATTERN,…" help:"Event types, such as order.*; all when left out."`
	Filter      string   `placeholder:"CEL" help:"Only events for which this is true, such as 'data.total > 100'."`
	Description string   `placeholder:"TEXT" help:"What it is for."`
	HeadersFile string   `placeholder:"FILE" help:"File of 'Name: value' lines that are sent with every delivery; - for standard input."`
	Signature   string   `placeholder:"SCHEME" help:"v1 (HMAC-SHA256, the default) or v1a (ed25519)."`
	SecretFile  string   `placeholder:"FILE" help:"File that holds your own secret; - for standard input."`
}

// Run registers an endpoint.
func (c endpointsCreate) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	headers, err := s.headers(c.HeadersFile)
	if err != nil {
		return err
	}
	secret, err := s.secret(c.SecretFile)
	if err != nil {
		return err
	}
	endpoint, err := relay.CreateEndpoint(s.ctx, tenant, client.NewEndpoint{
		ID: c.ID, URL: c.URL, Description: c.Description, EventTypes: c.Types, Filter: c.Filter, Headers: headers, Signature: c.Signature, Secret: secret,
	})
	if err != nil {
		return err
	}
	s.note("Created. Its secret: relay endpoints secret %s --tenant %s", endpoint.ID, tenant)
	return s.show(endpoint, s.endpointLines(endpoint)...)
}

// headers reads a file of "Name: value" lines; none for an empty path. Values
// may be secrets, so that there is no flag for them.
func (s *session) headers(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := s.read(path)
	if err != nil {
		return nil, usage("--headers-file: %w", err)
	}
	headers := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, usage("--headers-file: each line must be 'Name: value'")
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return headers, nil
}

// secret reads a secret from a file; empty for an empty path.
func (s *session) secret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	raw, err := s.read(path)
	if err != nil {
		return "", usage("--secret-file: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

type endpointsGet struct {
	Endpoint string `arg:"" help:"Its id."`
}

// Run shows an endpoint.
func (c endpointsGet) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	endpoint, err := relay.GetEndpoint(s.ctx, tenant, c.Endpoint)
	if err != nil {
		return err
	}
	return s.show(endpoint, s.endpointLines(endpoint)...)
}

type endpointsUpdate struct {
	Endpoint    string   `arg:"" help:"Its id."`
	NewURL      *string  `name:"new-url" placeholder:"URL" help:"Where events are posted from now on."`
	Types       []string `xor:"types" placeholder:"PATTERN,…" help:"Event types instead of those it has."`
	AllTypes    bool     `xor:"types" help:"Subscribe to all event types."`
	Filter      *string  `placeholder:"CEL" help:"Only events for which this is true; '' for all."`
	Description *string  `placeholder:"TEXT" help:"What it is for."`
	HeadersFile string   `xor:"headers" placeholder:"FILE" help:"Headers instead of those it has; - for standard input."`
	NoHeaders   bool     `xor:"headers" help:"Remove its headers."`
	Enable      bool     `xor:"state" help:"Deliver to it again."`
	Disable     bool     `xor:"state" help:"Deliver nothing to it; deliveries under way end dead."`
}

// Run changes an endpoint.
func (c endpointsUpdate) Run(s *session) error {
	change, err := c.change(s)
	if err != nil {
		return err
	}
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	endpoint, err := relay.ChangeEndpoint(s.ctx, tenant, c.Endpoint, change)
	if err != nil {
		return err
	}
	return s.show(endpoint, s.endpointLines(endpoint)...)
}

func (c endpointsUpdate) change(s *session) (client.EndpointChange, error) {
	change := client.EndpointChange{URL: c.NewURL, Description: c.Description, Filter: c.Filter}
	switch {
	case c.AllTypes:
		change.EventTypes = &[]string{}
	case len(c.Types) > 0:
		change.EventTypes = &c.Types
	}
	headers, err := s.headers(c.HeadersFile)
	if err != nil {
		return change, err
	}
	switch {
	case c.NoHeaders:
		change.Headers = &map[string]string{}
	case headers != nil:
		change.Headers = &headers
	}
	switch {
	case c.Enable:
		change.State = new("enabled")
	case c.Disable:
		change.State = new("disabled")
	}
	if change == (client.EndpointChange{}) {
		return change, usage("nothing to change: give a flag such as --types order.* or --disable")
	}
	return change, nil
}

type endpointsDelete struct {
	Endpoint string `arg:"" help:"Its id."`
	Yes      bool   `short:"y" help:"Do not ask."`
}

// Run removes an endpoint, after asking.
func (c endpointsDelete) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	endpoint, err := relay.GetEndpoint(s.ctx, tenant, c.Endpoint)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Delete %s (%s) of %s? Deliveries under way to it are cancelled. "+
		"To keep them, disable it instead.", endpoint.ID, endpoint.URL, tenant)
	if err := s.confirm(c.Yes, question); err != nil {
		return err
	}
	if err := relay.DeleteEndpoint(s.ctx, tenant, c.Endpoint); err != nil {
		return err
	}
	s.note("Deleted %s.", endpoint.ID)
	return nil
}

type endpointsSecret struct {
	Endpoint string `arg:"" help:"Its id."`
}

// Run prints a secret, alone on standard output.
func (c endpointsSecret) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	secret, err := relay.GetSecret(s.ctx, tenant, c.Endpoint)
	if err != nil {
		return err
	}
	return s.showSecret(secret)
}

func (s *session) showSecret(secret client.Secret) error {
	if secret.PreviousExpiresAt != nil {
		s.note("The secret before it signs too until %s.", s.timeIf(secret.PreviousExpiresAt))
	}
	return s.show(secret, secret.Secret+secret.PublicKey)
}

type endpointsRotate struct {
	Endpoint   string         `arg:"" help:"Its id."`
	Overlap    *time.Duration `placeholder:"24h" help:"How long the old secret goes on signing; 0s ends it at once."`
	SecretFile string         `placeholder:"FILE" help:"File that holds your own secret; - for standard input."`
	Yes        bool           `short:"y" help:"Do not ask, with --overlap 0s."`
}

// Run replaces a secret. Without overlap it asks first: what was given out
// ceases to verify.
func (c endpointsRotate) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	var rotation client.Rotation
	if rotation.Secret, err = s.secret(c.SecretFile); err != nil {
		return err
	}
	if c.Overlap != nil {
		rotation.OverlapSeconds = new(int(c.Overlap.Seconds()))
		if *rotation.OverlapSeconds == 0 {
			if err := s.confirm(c.Yes, "End the old secret of "+c.Endpoint+" at once? Its receiver refuses deliveries until it has the new one."); err != nil {
				return err
			}
		}
	}
	secret, err := relay.RotateSecret(s.ctx, tenant, c.Endpoint, rotation)
	if err != nil {
		return err
	}
	return s.showSecret(secret)
}
