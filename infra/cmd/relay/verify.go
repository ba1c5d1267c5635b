package main

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"time"

	"webhookrelay/shared/signature"
)

type verifyCommand struct {
	remote
	Capture    string    `arg:"" optional:"" help:"File of a captured request: header lines, an empty line, the body; - for standard input. Or use --headers and --body."`
	Headers    string    `placeholder:"FILE" help:"File of the request's header lines."`
	Body       string    `placeholder:"FILE" help:"File of the request's body, byte for byte."`
	SecretFile string    `xor:"secret" placeholder:"FILE" help:"File of what your code verifies with (whsec_… or whpk_…), one a line."`
	Endpoint   string    `short:"e" xor:"secret" placeholder:"ID" help:"Ask the relay for this endpoint's secret instead."`
	ReceivedAt time.Time `placeholder:"TIME" help:"When the request was received, such as 2026-11-23T12:00:00Z; now when left out."`
}

// Run checks a captured request, and ends by 5 when something is wrong with it.
func (c verifyCommand) Run(s *session) error {
	header, body, err := c.request(s)
	if err != nil {
		return err
	}
	secrets, err := c.secrets(s)
	if err != nil {
		return err
	}
	received := c.ReceivedAt
	if received.IsZero() {
		received = s.now()
	}
	findings := diagnose(header, body, secrets, received)
	wrong := false
	for _, f := range findings {
		wrong = wrong || f.Verdict == verdictFail
		if s.remote.JSON {
			err = s.json(f)
		} else {
			err = s.show(nil, s.findingLines(f)...)
		}
		if err != nil {
			return err
		}
	}
	if wrong {
		return silent(exitProblem)
	}
	return nil
}

func (c verifyCommand) secrets(s *session) ([]string, error) {
	if c.Endpoint != "" {
		relay, tenant, err := s.tenant()
		if err != nil {
			return nil, err
		}
		secret, err := relay.GetSecret(s.ctx, tenant, c.Endpoint)
		return []string{secret.Secret + secret.PublicKey}, err
	}
	if c.SecretFile == "" {
		return nil, usage("what to verify with? Add --secret-file FILE, or --endpoint ID to ask the relay")
	}
	read, err := s.secrets(c.SecretFile)
	texts := make([]string, len(read))
	for i, secret := range read {
		texts[i] = string(secret)
	}
	return texts, err
}

// request reads the captured headers and body.
func (c verifyCommand) request(s *session) (http.Header, []byte, error) {
	if c.Capture != "" {
		raw, err := s.read(c.Capture)
		if err != nil {
			return nil, nil, usage("capture: %w", err)
		}
		head, body, found := cutHead(raw)
		if !found {
			return nil, nil, usage("the capture has no empty line between headers and body: give the two with --headers and --body")
		}
		return parseHeader(head), body, nil
	}
	if c.Headers == "" || c.Body == "" {
		return nil, nil, usage("give a captured request: a file with headers, an empty line and the body, or --headers FILE --body FILE")
	}
	head, err := s.read(c.Headers)
	if err != nil {
		return nil, nil, usage("--headers: %w", err)
	}
	body, err := s.read(c.Body)
	if err != nil {
		return nil, nil, usage("--body: %w", err)
	}
	return parseHeader(head), body, nil
}

// cutHead cuts a request at its first empty line. The body stays as it is.
func cutHead(raw []byte) (head, body []byte, found bool) {
	crlf, lf := bytes.Index(raw, []byte("\r\n\r\n")), bytes.Index(raw, []byte("\n\n"))
	if crlf >= 0 && (lf < 0 || crlf < lf) {
		return raw[:crlf], raw[crlf+4:], true
	}
	if lf >= 0 {
		return raw[:lf], raw[lf+2:], true
	}
	return nil, nil, false
}

// parseHeader reads "Name: value" lines; others, such as a request line, say nothing.
func parseHeader(head []byte) http.Header {
	header := http.Header{}
	lines := bufio.NewScanner(bytes.NewReader(head))
	lines.Buffer(nil, len(head)+1)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && !strings.ContainsAny(name, " \t") {
			header.Add(name, strings.TrimSpace(value))
		}
	}
	return header
}

// tolerance is how far apart a receiver's clock and a timestamp may be.
const tolerance = signature.Tolerance
