package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/signature"
)

// diagnose says of a received webhook what verifies and what does not: its
// headers, the clock, the secret, and whether the body is the one that was signed.
func diagnose(header http.Header, body []byte, secrets []string, received time.Time) []finding {
	f, complete := checkHeaders(header)
	findings := []finding{f}
	if !complete {
		return findings
	}
	for i, secret := range secrets {
		findings = append(findings, checkSecret(secret, i, len(secrets), header))
	}
	return append(findings, checkClock(header, received), checkSignature(header, body, secrets))
}

func checkHeaders(header http.Header) (finding, bool) {
	f := finding{Check: "headers", Verdict: verdictFail}
	var missing, renamed []string
	for _, name := range []string{signature.HeaderID, signature.HeaderTimestamp, signature.HeaderSignature} {
		if header.Get(name) != "" {
			continue
		}
		missing = append(missing, name)
		if other := strings.Replace(name, "webhook-", "svix-", 1); header.Get(other) != "" {
			renamed = append(renamed, other)
		}
	}
	switch {
	case len(renamed) > 0:
		f.Found = "the request carries " + strings.Join(renamed, ", ")
		f.Do = "this is not from the relay, which sends webhook-id, webhook-timestamp and webhook-signature"
	case len(missing) > 0:
		f.Found = strings.Join(missing, ", ") + " missing"
		f.Do = "capture the whole request; does a proxy or framework drop headers?"
	default:
		f.Verdict, f.Found = verdictOK, "webhook-id "+header.Get(signature.HeaderID)
		return f, true
	}
	return f, false
}

// checkSecret says whether a secret has the form that the signature needs. It
// shows no more of it than the last four characters.
func checkSecret(secret string, i, of int, header http.Header) finding {
	f := finding{Check: "secret", Verdict: verdictFail}
	if of > 1 {
		f.Check = fmt.Sprintf("secret %d", i+1)
	}
	prefix, encoded, found := strings.Cut(secret, "_")
	prefix += "_"
	raw, err := base64.StdEncoding.DecodeString(encoded)
	has := map[string]bool{}
	for one := range strings.FieldsSeq(header.Get(signature.HeaderSignature)) {
		version, _, _ := strings.Cut(one, ",")
		has[version] = true
	}
	switch {
	case strings.Trim(secret, `"'`) != secret:
		f.Found, f.Do = "it stands in quotes", "take them off: they are no part of it"
	case !found || prefix != signature.PrefixHMAC && prefix != signature.PrefixPublic && prefix != signature.PrefixPrivate:
		f.Found, f.Do = "it does not begin with whsec_ or whpk_", "copy it whole: relay endpoints secret ID"
	case err != nil:
		f.Found, f.Do = "what follows its prefix is not base64", "copy it whole, with the = at its end: relay endpoints secret ID"
	case prefix == signature.PrefixPrivate:
		f.Found, f.Do = "it is the private key of the sender", "verify with the public key, whpk_…: relay endpoints secret ID"
	case prefix == signature.PrefixHMAC && !has["v1"]:
		f.Found, f.Do = "the request is signed by ed25519 (v1a), and this is an HMAC secret", "verify with the public key, whpk_…: relay endpoints secret ID"
	case prefix == signature.PrefixPublic && !has["v1a"]:
		f.Found, f.Do = "the request is signed by HMAC (v1), and this is an ed25519 key", "verify with the secret, whsec_…: relay endpoints secret ID"
	default:
		f.Verdict, f.Found = verdictOK, fmt.Sprintf("%s…%s, %d bytes", prefix, encoded[max(0, len(encoded)-4):], len(raw))
	}
	return f
}

func checkClock(header http.Header, received time.Time) finding {
	f := finding{Check: "clock", Verdict: verdictFail}
	text := header.Get(signature.HeaderTimestamp)
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f.Found, f.Do = "webhook-timestamp is not a number of seconds", "capture the request as it came"
		return f
	}
	sent := time.Unix(seconds, 0)
	age := received.Sub(sent).Round(time.Second)
	f.Found = fmt.Sprintf("sent %s, received %s", sent.UTC().Format(time.RFC3339), received.UTC().Format(time.RFC3339))
	switch {
	case age > tolerance:
		f.Found += fmt.Sprintf(": %s old, %s are allowed", age, tolerance)
		f.Do = "for an old capture, say when it came: --received-at; otherwise set the receiver's clock (NTP), and look for a queue in front of it"
	case age < -tolerance:
		f.Found += fmt.Sprintf(": %s in the future", -age)
		f.Do = "set the receiver's clock (NTP)"
	default:
		f.Verdict = verdictOK
	}
	return f
}

// checkSignature says whether a signature matches, and if not, under which
// assumption it would.
func checkSignature(header http.Header, body []byte, secrets []string) finding {
	f := finding{Check: "signature", Verdict: verdictFail}
	w := newWebhook(header)
	asIs := change{}
	for i, secret := range secrets {
		if w.matches(secret, body, asIs) {
			f.Verdict, f.Found = verdictOK, "matches"
			if len(secrets) > 1 {
				f.Found = fmt.Sprintf("matches by secret %d", i+1)
			}
			return f
		}
	}
	f.Found = "does not match"
	for _, what := range changes {
		for _, secret := range secrets {
			if w.matches(secret, body, what) {
				f.Found += "; it does if " + what.assume
				f.Do = what.do
				return f
			}
		}
	}
	f.Do = "either the secret is another endpoint's, or one that was rotated away (relay endpoints secret ID shows the present one), " +
		"or the body was changed in a way that cannot be told: verify the raw bytes, before any parsing"
	return f
}
