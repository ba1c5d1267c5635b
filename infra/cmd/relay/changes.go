package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"webhookrelay/shared/signature"
)

// change is something that may have happened to a webhook on its way, or in
// the code that made or checks its signature. Nil fields change nothing.
type change struct {
	// assume completes "it does if …".
	assume string
	do     string

	body   func([]byte) ([]byte, bool)
	secret func(string) string
	// key makes the HMAC key of a secret, in place of the base64 after its prefix.
	key func(string) []byte
	// content makes what is signed.
	content func(w receivedWebhook, body []byte) []byte
	// digest writes the signature down.
	digest func([]byte) string
}

const (
	rawBytes   = "verify the raw bytes as they arrive, before a framework parses or a proxy rewrites them"
	signedHow  = "sign <webhook-id>.<webhook-timestamp>.<body>, as Standard Webhooks does"
	useLibrary = "decode the base64 after whsec_ and use those bytes; a Standard Webhooks library does it"
)

// changes lists what is tried, the likeliest first.
var changes = []change{
	{assume: "the final newline is removed: the body was changed after it was sent", do: rawBytes, body: cut("\n")},
	{assume: "the final newline is removed: the body was changed after it was sent", do: rawBytes, body: cut("\r\n")},
	{assume: "white space around the body is removed: the body was changed after it was sent", do: rawBytes, body: func(b []byte) ([]byte, bool) { return bytes.TrimSpace(b), true }},
	{assume: "a final newline is added: the body was cut after it was sent", do: rawBytes, body: func(b []byte) ([]byte, bool) { return append(bytes.Clone(b), '\n'), true }},
	{assume: "line ends are LF instead of CRLF: the body was changed after it was sent", do: rawBytes, body: replace("\r\n", "\n")},
	{assume: "line ends are CRLF instead of LF: the body was changed after it was sent", do: rawBytes, body: replace("\n", "\r\n")},
	{assume: "the byte order mark is removed: the body was changed after it was sent", do: rawBytes, body: func(b []byte) ([]byte, bool) { return bytes.CutPrefix(b, []byte("\uFEFF")) }},
	{assume: "the body is decoded from base64: a gateway encoded it", do: "decode the body first where the gateway says that it is encoded (isBase64Encoded)", body: unbase64},
	{assume: "the body is taken out of a JSON string: it was encoded twice", do: rawBytes, body: unquote},
	{assume: "the JSON is written without white space: it was parsed and written again", do: rawBytes, body: compact},
	{assume: "the JSON is written in the relay's order of fields: it was parsed and written again", do: rawBytes, body: reorder},
	{assume: "the JSON is written without escapes: it was parsed and written again", do: rawBytes, body: unescape},
	{assume: "quotes around the secret are taken off", do: "take them off: they are no part of it", secret: func(s string) string { return strings.Trim(s, `"'`) }},
	{assume: "the secret begins with whsec_", do: "copy the secret whole: relay endpoints secret ID", secret: func(s string) string { return signature.PrefixHMAC + s }},
	{assume: "the secret is used as text, not decoded", do: useLibrary, key: func(s string) []byte { return []byte(strings.TrimPrefix(s, signature.PrefixHMAC)) }},
	{assume: "the secret is used as text with its prefix, not decoded", do: useLibrary, key: func(s string) []byte { return []byte(s) }},
	{assume: "the signature is written in hex instead of base64", do: "write it in base64, after v1,", digest: hex.EncodeToString},
	{assume: "the body alone is signed", do: signedHow, content: func(_ receivedWebhook, body []byte) []byte { return body }},
	{assume: "the id is left out of what is signed", do: signedHow, content: func(w receivedWebhook, body []byte) []byte { return joined(w.timestamp, string(body)) }},
	{assume: "id and timestamp change places", do: signedHow, content: func(w receivedWebhook, body []byte) []byte { return joined(w.timestamp, w.id, string(body)) }},
	{assume: "the timestamp is in seconds instead of milliseconds", do: "send webhook-timestamp in seconds", content: func(w receivedWebhook, body []byte) []byte {
		return joined(w.id, strings.TrimSuffix(w.timestamp, "000"), string(body))
	}},
}

func joined(parts ...string) []byte { return []byte(strings.Join(parts, ".")) }

func cut(suffix string) func([]byte) ([]byte, bool) {
	return func(b []byte) ([]byte, bool) { return bytes.CutSuffix(b, []byte(suffix)) }
}

func replace(old, with string) func([]byte) ([]byte, bool) {
	return func(b []byte) ([]byte, bool) { return bytes.ReplaceAll(b, []byte(old), []byte(with)), true }
}

func unbase64(b []byte) ([]byte, bool) {
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b)))
	return raw, err == nil
}

func unquote(b []byte) ([]byte, bool) {
	var text string
	err := json.Unmarshal(b, &text)
	return []byte(text), err == nil
}

func compact(b []byte) ([]byte, bool) {
	var out bytes.Buffer
	err := json.Compact(&out, b)
	return out.Bytes(), err == nil
}

// reorder writes an object as the relay does: type, timestamp, data.
func reorder(b []byte) ([]byte, bool) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil || len(fields) != 3 {
		return nil, false
	}
	var out bytes.Buffer
	for i, name := range []string{"type", "timestamp", "data"} {
		value, ok := compact(fields[name])
		if !ok {
			return nil, false
		}
		out.WriteString([]string{`{"`, `,"`, `,"`}[i] + name + `":`)
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), true
}

// unescape writes characters that a JSON library escaped (\u00e9, \u003c, \/)
// as themselves. Control characters, quotes and backslashes stay escaped.
func unescape(b []byte) ([]byte, bool) {
	b, ok := compact(b)
	if !ok {
		return nil, false
	}
	var out bytes.Buffer
	for len(b) > 0 {
		if b[0] != '"' {
			out.WriteByte(b[0])
			b = b[1:]
			continue
		}
		end := 1
		for b[end] != '"' {
			if b[end] == '\\' {
				end++
			}
			end++
		}
		var text string
		if err := json.Unmarshal(b[:end+1], &text); err != nil {
			return nil, false
		}
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(text); err != nil {
			return nil, false
		}
		out.Truncate(out.Len() - 1) // Encode ends with a newline
		b = b[end+1:]
	}
	return out.Bytes(), true
}

// receivedWebhook is what the headers say.
type receivedWebhook struct {
	header        http.Header
	id, timestamp string
	signatures    []string
}

func newWebhook(header http.Header) receivedWebhook {
	return receivedWebhook{
		header: header, id: header.Get(signature.HeaderID), timestamp: header.Get(signature.HeaderTimestamp),
		signatures: strings.Fields(header.Get(signature.HeaderSignature)),
	}
}

// matches says whether a signature is right under a change.
func (w receivedWebhook) matches(secret string, body []byte, c change) bool {
	if c.body != nil {
		changed, ok := c.body(body)
		if !ok {
			return false
		}
		body = changed
	}
	if c.secret != nil {
		secret = c.secret(secret)
	}
	if c.key == nil && c.content == nil && c.digest == nil {
		return signature.Verify(w.header, body, []signature.Secret{signature.Secret(secret)}, w.sent()) == nil
	}
	key := c.keyOf(secret)
	content := joined(w.id, w.timestamp, string(body))
	if c.content != nil {
		content = c.content(w, body)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if c.digest != nil {
		want = c.digest(mac.Sum(nil))
	}
	for _, have := range w.signatures {
		if strings.TrimPrefix(have, "v1,") == want {
			return true
		}
	}
	return false
}

func (c change) keyOf(secret string) []byte {
	if c.key != nil {
		return c.key(secret)
	}
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, signature.PrefixHMAC))
	return raw
}

// sent is the webhook's own time, so that its age does not decide here.
func (w receivedWebhook) sent() time.Time {
	seconds, _ := time.ParseDuration(w.timestamp + "s")
	return time.Unix(0, 0).Add(seconds)
}
