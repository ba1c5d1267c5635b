package webhook_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"webhookrelay/shared/webhook"
)

func TestHeadersThatMayBeSet(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"Authorization": "Bearer abc.def-ghi", "authorization": "Basic YTpi", "X-Api-Key": "k", "Cookie": "a=b; c=d", "X-Webhook-Token": "t",
		"Idempotency-Key": "1", "X_Under": "a\tb", "!#$%&'*+-.^_`|~09azAZ": "~", "X-Long": strings.Repeat("x", webhook.MaxHeaderBytes-len("X-Long")),
		"Contents": "a", "Hosts": "a", "X-Amber": "a", "Webhook": "a",
	} {
		if err := webhook.CheckHeaders([]webhook.Header{{Name: name, Value: webhook.HeaderValue(value)}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeadersThatMayNotBeSet(t *testing.T) {
	t.Parallel()
	check := func(field, rule string, headers ...webhook.Header) {
		t.Helper()
		err := webhook.CheckHeaders(headers)
		bad, ok := errors.AsType[*webhook.Invalid](err)
		if !ok || bad.Field != field {
			t.Errorf("%s: %v, want a refusal of %s", rule, err, field)
		}
		for _, h := range headers {
			if err != nil && len(h.Value) > 3 && strings.Contains(err.Error(), string(h.Value)) {
				t.Errorf("%s: the error quotes a value: %v", rule, err)
			}
		}
	}
	for _, name := range []string{
		"webhook-id", "Webhook-Signature", "WEBHOOK-TIMESTAMP", "webhook-anything", "webhook_id", "Content-Type", "content-length", "Content-Encoding",
		"Content-Digest", "Host", "User-Agent", "Connection", "Keep-Alive", "Proxy-Authorization", "proxy-connection", "TE", "Trailer",
		"Transfer-Encoding", "transfer_encoding", "Upgrade", "HTTP2-Settings", "Expect", "Accept-Encoding", "Max-Forwards", "Forwarded",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via", "X-Amz-Security-Token", "X-Amzn-Trace-Id", "traceparent", "tracestate", "Baggage",
		"Metadata", "Metadata-Flavor", "X-Google-Metadata-Request", "X-aws-ec2-metadata-token", "Lambda-Runtime-Function-Error-Type",
		"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method",
	} {
		check("headers."+name, name, webhook.Header{Name: name, Value: "value"})
	}
	for _, name := range []string{"", " ", "X Y", "X:", "X\r\nY", "X\x00", "Ä", "X\u200b", "(X)", `"X"`, "X/Y", "X=Y", "{X}", ":authority"} {
		check("headers", fmt.Sprintf("%q", name), webhook.Header{Name: name, Value: "value"})
	}
	for _, value := range []string{"", " ", " a", "a ", "\ta", "a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\x1bb", "a\x7fb", "ä", "\xff", "a\u2028b"} {
		check("headers.X-A", fmt.Sprintf("%q", value), webhook.Header{Name: "X-A", Value: webhook.HeaderValue(value)})
	}
	shown, _ := webhook.HeaderValue("secret").MarshalText()
	check("headers.X-A", "what is shown", webhook.Header{Name: "X-A", Value: webhook.HeaderValue(shown)})
	check("headers.x-a", "twice", webhook.Header{Name: "X-A", Value: "1"}, webhook.Header{Name: "x-a", Value: "2"})
	check("headers", "too long", webhook.Header{Name: "X-A", Value: webhook.HeaderValue(strings.Repeat("x", webhook.MaxHeaderBytes-2))})
	half := webhook.HeaderValue(strings.Repeat("x", webhook.MaxHeaderBytes/2))
	check("headers", "too long together", webhook.Header{Name: "X-A", Value: half}, webhook.Header{Name: "X-B", Value: half})
	var many []webhook.Header
	for i := range webhook.MaxHeaders + 1 {
		many = append(many, webhook.Header{Name: fmt.Sprint("X-", i), Value: "v"})
	}
	check("headers", "too many", many...)
	if err := webhook.CheckHeaders(many[1:]); err != nil {
		t.Errorf("as many as are allowed: %v", err)
	}
}

// What passes the check cannot end its line, whatever it is.
func TestAHeaderThatPassesStaysOnItsLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := webhook.Header{Name: rapid.String().Draw(t, "name"), Value: webhook.HeaderValue(rapid.String().Draw(t, "value"))}
		if webhook.CheckHeaders([]webhook.Header{h}) != nil {
			return
		}
		line := h.Name + ": " + string(h.Value)
		if strings.ContainsAny(line, "\r\n\x00") || strings.ContainsAny(h.Name, ": \t") {
			t.Fatalf("%q passes", line)
		}
	})
}

func TestAValueIsNeitherPrintedNorLoggedNorMarshalled(t *testing.T) {
	t.Parallel()
	const value = "s3cr3t-value"
	headers := []webhook.Header{{Name: "Authorization", Value: value}}
	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&logged, nil), slog.NewTextHandler(&logged, nil)} {
		slog.New(handler).Info("headers", "headers", headers, "header", headers[0], "value", headers[0].Value)
	}
	marshalled, err := json.Marshal(headers)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{logged.String(), string(marshalled), fmt.Sprint(headers), fmt.Sprintf("%+v %#v", headers, headers)}
	for _, text := range texts {
		if !strings.Contains(text, "Authorization") || strings.Contains(text, value) {
			t.Errorf("shows the value, or no header at all: %s", text)
		}
	}
}
