package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

var sentAt = time.Date(2026, 11, 23, 14, 3, 7, 0, time.UTC)

const sentBody = `{"type":"order.placed","timestamp":"2026-11-23T14:03:07.000Z","data":{"name":"Zoë & <b>","total":"19.90"}}`

func newSecretFor(t *testing.T, scheme webhook.Scheme) signature.Secret {
	t.Helper()
	secret, err := signature.NewSecret(scheme, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// signed returns the headers that sign prints.
func signed(t *testing.T, secret signature.Secret, body string) string {
	t.Helper()
	got := runWith(t, nil, nil, "sign", inFile(t, body), "--secret-file", inFile(t, string(secret)), "--id", "msg_1", "--at", sentAt.Format(time.RFC3339))
	if got.code != exitDone {
		t.Fatalf("%+v", got)
	}
	return got.out
}

// mac is a v1 signature by someone's own code.
func mac(key []byte, content string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(content))
	return m.Sum(nil)
}

func headersWith(signature string) string {
	return fmt.Sprintf("webhook-id: msg_1\nwebhook-timestamp: %d\nwebhook-signature: %s\n", sentAt.Unix(), signature)
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	hmacSecret, other := newSecretFor(t, webhook.SchemeHMAC), newSecretFor(t, webhook.SchemeHMAC)
	private := newSecretFor(t, webhook.SchemeEd25519)
	public, err := signature.PublicKey(private)
	if err != nil {
		t.Fatal(err)
	}
	good, goodEd := signed(t, hmacSecret, sentBody), signed(t, private, sentBody)
	secret := string(hmacSecret)
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	content := fmt.Sprintf("msg_1.%d.%s", sentAt.Unix(), sentBody)
	b64 := base64.StdEncoding.EncodeToString
	quoted, _ := json.Marshal(sentBody)
	var fields map[string]any
	_ = json.Unmarshal([]byte(sentBody), &fields)
	var pretty bytes.Buffer
	_ = json.Indent(&pretty, []byte(sentBody), "", "  ")
	resorted, _ := json.Marshal(fields) // fields by name, and < > & escaped

	for rule, c := range map[string]struct {
		head, body, secret string
		at                 time.Time
		fine               bool
		says               []string
	}{
		"NothingIsWrong":              {fine: true, says: []string{"ok    signature: matches"}},
		"NothingIsWrongWithEd25519":   {head: goodEd, secret: string(public), fine: true, says: []string{"ok    signature: matches"}},
		"OneOfTwoSecretsMatches":      {secret: string(other) + "\n" + secret, fine: true, says: []string{"matches by secret 2"}},
		"AFinalNewline":               {body: sentBody + "\n", says: []string{"final newline is removed", "raw bytes"}},
		"AFinalCRLF":                  {body: sentBody + "\r\n", says: []string{"final newline is removed"}},
		"IndentedJSON":                {body: pretty.String(), says: []string{"without white space", "parsed and written again"}},
		"AnotherOrderOfFields":        {body: strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(string(resorted)), says: []string{"order of fields"}},
		"EscapedCharacters":           {body: strings.NewReplacer("ë", `\u00eb`, "<", `\u003c`).Replace(sentBody), says: []string{"without escapes"}},
		"ABodyInBase64":               {body: b64([]byte(sentBody)), says: []string{"isBase64Encoded"}},
		"ABodyEncodedTwice":           {body: string(quoted), says: []string{"encoded twice"}},
		"AByteOrderMark":              {body: "\uFEFF" + sentBody, says: []string{"byte order mark"}},
		"AnotherSecret":               {secret: string(other), says: []string{"FAIL  signature: does not match", "another endpoint's"}},
		"ASecretWithoutPrefix":        {secret: strings.TrimPrefix(secret, "whsec_"), says: []string{"FAIL  secret: it does not begin with whsec_", "does if the secret begins with whsec_"}},
		"ASecretInQuotes":             {secret: `"` + secret + `"`, says: []string{"stands in quotes", "quotes around the secret are taken off"}},
		"ASecretThatIsCutOff":         {secret: strings.TrimRight(secret, "="), says: []string{"not base64"}},
		"AnHMACSecretForEd25519":      {head: goodEd, says: []string{"signed by ed25519", "whpk_"}},
		"AnEd25519KeyForHMAC":         {secret: string(public), says: []string{"signed by HMAC", "whsec_"}},
		"ThePrivateKey":               {head: goodEd, secret: string(private), says: []string{"private key of the sender"}},
		"AnOldRequest":                {at: sentAt.Add(6 * time.Minute), says: []string{"FAIL  clock", "6m0s old, 5m0s are allowed", "--received-at", "ok    signature: matches"}},
		"AClockThatIsBehind":          {at: sentAt.Add(-time.Hour), says: []string{"FAIL  clock", "1h0m0s in the future", "NTP"}},
		"NoSignatureHeader":           {head: "webhook-id: msg_1\n", says: []string{"webhook-timestamp, webhook-signature missing", "proxy"}},
		"HeadersOfAnother":            {head: strings.ReplaceAll(good, "webhook-", "svix-"), says: []string{"svix-id", "not from the relay"}},
		"ASecretUsedAsText":           {head: headersWith("v1," + b64(mac([]byte(strings.TrimPrefix(secret, "whsec_")), content))), says: []string{"used as text, not decoded", "base64"}},
		"ASecretUsedAsTextWithPrefix": {head: headersWith("v1," + b64(mac([]byte(secret), content))), says: []string{"used as text with its prefix"}},
		"ASignatureInHex":             {head: headersWith("v1," + hex.EncodeToString(mac(raw, content))), says: []string{"hex"}},
		"ABodySignedAlone":            {head: headersWith("v1," + b64(mac(raw, sentBody))), says: []string{"the body alone is signed"}},
		"IDAndTimestampSwapped":       {head: headersWith("v1," + b64(mac(raw, fmt.Sprintf("%d.msg_1.%s", sentAt.Unix(), sentBody)))), says: []string{"change places"}},
		"ATimestampThatIsNoNumber":    {head: strings.Replace(good, fmt.Sprint(sentAt.Unix()), "yesterday", 1), says: []string{"not a number of seconds"}},
		"ABodyWithAnotherContent":     {body: strings.Replace(sentBody, "19.90", "0.01", 1), says: []string{"does not match", "changed in a way that cannot be told"}},
		"ASignatureOfAnythingElse":    {head: headersWith("v1,AAAA"), says: []string{"does not match"}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			head, body, with, at := good, sentBody, secret, sentAt.Add(time.Second)
			if c.head != "" {
				head = c.head
			}
			if c.body != "" {
				body = c.body
			}
			if c.secret != "" {
				with = c.secret
			}
			if !c.at.IsZero() {
				at = c.at
			}
			code := exitProblem
			if c.fine {
				code = exitDone
			}
			got := runWith(t, nil, nil, "verify", "--headers", inFile(t, head), "--body", inFile(t, body),
				"--secret-file", inFile(t, with), "--received-at", at.Format(time.RFC3339))
			if got.code != code {
				t.Errorf("exit %d, want %d", got.code, code)
			}
			says(t, got.out, c.says...)
			if strings.Contains(got.out+got.err, strings.TrimSuffix(strings.TrimPrefix(secret, "whsec_"), "=")) {
				t.Error("the secret is shown")
			}
		})
	}
}

func TestVerifyTakesACapture(t *testing.T) {
	t.Parallel()
	secret := newSecretFor(t, webhook.SchemeHMAC)
	head := signed(t, secret, sentBody)
	file := inFile(t, string(secret))
	verify := func(capture string, more ...string) outcome {
		args := append([]string{"verify", "-", "--secret-file", file, "--received-at", sentAt.Format(time.RFC3339)}, more...)
		return runWith(t, nil, []option{typing(capture)}, args...)
	}
	request := "POST /hook HTTP/1.1\r\nHost: example.com\r\n" + strings.ReplaceAll(head, "\n", "\r\n") + "\r\n" + sentBody
	for _, capture := range []string{head + "\n" + sentBody, request} {
		if got := verify(capture); got.code != exitDone {
			t.Errorf("%+v", got)
		}
	}
	if got := verify(head); got.code != exitUsage {
		t.Errorf("%+v", got)
	}
	findings := objectsIn(t, verify(request+"\n", "--json").out)
	last := findings[len(findings)-1]
	if last["check"] != "signature" || last["verdict"] != verdictFail || last["do"] == nil {
		t.Errorf("%v", findings)
	}
}

func TestVerifyAsksTheRelayForTheSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := strings.TrimSpace(w.ok("endpoints", "secret", demoEndpoint))
	head := signed(t, signature.Secret(secret), sentBody)
	got := w.relay([]option{typing(head + "\n" + sentBody)}, "verify", "-", "--endpoint", demoEndpoint, "--received-at", sentAt.Format(time.RFC3339))
	if got.code != exitDone {
		t.Errorf("%+v", got)
	}
}
