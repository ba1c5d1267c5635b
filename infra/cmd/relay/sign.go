package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

type signCommand struct {
	Body       string    `arg:"" help:"File that holds the body, byte for byte; - for standard input."`
	SecretFile string    `required:"" placeholder:"FILE" help:"File of secrets (whsec_… or whsk_…), one a line; each signs."`
	ID         string    `name:"id" placeholder:"ID" help:"The webhook-id; drawn when left out."`
	At         time.Time `placeholder:"TIME" help:"The webhook-timestamp, such as 2026-11-23T12:00:00Z; now when left out."`
	JSON       bool      `name:"json" help:"Print the headers as a JSON object."`
}

// Run prints the three headers that the relay would send with the body.
func (c signCommand) Run(s *session) error {
	s.remote.JSON = c.JSON
	secrets, err := s.secrets(c.SecretFile)
	if err != nil {
		return err
	}
	body, err := s.read(c.Body)
	if err != nil {
		return usage("body: %w", err)
	}
	at := c.At
	if at.IsZero() {
		at = s.now()
	}
	event := c.ID
	if event == "" {
		event = "test_" + id.NewSource().ULID(at)
	}
	header, err := signature.Sign(webhook.EventID(event), at, body, secrets)
	if err != nil {
		return usage("--secret-file: %w", err)
	}
	headers := [][2]string{
		{signature.HeaderID, event},
		{signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10)},
		{signature.HeaderSignature, header},
	}
	object, lines := map[string]string{}, []string{}
	for _, h := range headers {
		object[h[0]] = h[1]
		lines = append(lines, fmt.Sprintf("%s: %s", h[0], h[1]))
	}
	return s.show(object, lines...)
}

// secrets reads secrets from a file, one a line.
func (s *session) secrets(path string) ([]signature.Secret, error) {
	raw, err := s.read(path)
	if err != nil {
		return nil, usage("--secret-file: %w", err)
	}
	var secrets []signature.Secret
	for line := range strings.FieldsSeq(string(raw)) {
		secrets = append(secrets, signature.Secret(line))
	}
	if len(secrets) == 0 {
		return nil, usage("--secret-file: %s is empty", path)
	}
	return secrets, nil
}
