package signature_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"

	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

// The constants of the reference libraries' own tests.
const (
	vectorID   = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorBody = `{"test": 2432232314}`
)

var vectorTime = time.Unix(1614265330, 0)

func TestSign(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule   string
		secret signature.Secret
		want   string
	}{
		{
			"V1MatchesTheReferenceVector", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		},
		{
			"V1aMatchesTheReferenceVector", "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=",
			"v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==",
		},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			got, err := signature.Sign(vectorID, vectorTime, []byte(vectorBody), []signature.Secret{tc.secret})
			if err != nil || got != tc.want {
				t.Fatalf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
	t.Run("SeveralSecretsMakeSeveralSignaturesInOrder", func(t *testing.T) {
		t.Parallel()
		got, err := signature.Sign(vectorID, vectorTime, nil, []signature.Secret{
			"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			"whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=",
		})
		if err != nil {
			t.Fatal(err)
		}
		if parts := strings.Fields(got); len(parts) != 2 || !strings.HasPrefix(parts[0], "v1,") || !strings.HasPrefix(parts[1], "v1a,") {
			t.Fatalf("got %q", got)
		}
	})
	for rule, secret := range map[string]string{
		"AShortSecretIsRefused":        "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)),
		"ALongSecretIsRefused":         "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)),
		"AnUnknownPrefixIsRefused":     "sec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"BrokenBase64IsRefused":        "whsec_!!!!",
		"AShortPrivateKeyIsRefused":    "whsk_" + base64.StdEncoding.EncodeToString(make([]byte, 31)),
		"ASecretWithoutPrefixIsFaulty": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			_, err := signature.Sign(vectorID, vectorTime, nil, []signature.Secret{signature.Secret(secret)})
			if err == nil {
				t.Fatal("signed")
			}
			if strings.Contains(err.Error(), secret) {
				t.Fatalf("the error quotes the secret: %v", err)
			}
		})
	}
	t.Run("WithoutASecretNothingIsSigned", func(t *testing.T) {
		t.Parallel()
		if _, err := signature.Sign(vectorID, vectorTime, nil, nil); err == nil {
			t.Fatal("signed")
		}
	})
}

// Whatever we sign, the official library accepts, and a changed byte is refused.
func TestTheOfficialLibraryAcceptsWhatWeSign(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret, err := signature.NewSecret(webhook.SchemeHMAC, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		id := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`).Draw(t, "id")
		header := headers(t, id, time.Now(), body, secret)
		official, err := standardwebhooks.NewWebhook(string(secret))
		if err != nil {
			t.Fatal(err)
		}
		if err := official.Verify(body, header); err != nil {
			t.Fatalf("official library: %v", err)
		}
		if err := official.Verify(append(body, 'x'), header); err == nil {
			t.Fatal("official library accepts a changed body")
		}
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	secret, _ := signature.NewSecret(webhook.SchemeHMAC, rand.Reader)
	private, _ := signature.NewSecret(webhook.SchemeEd25519, rand.Reader)
	public, err := signature.PublicKey(private)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"type":"a"}`)
	for _, tc := range []struct {
		rule    string
		header  http.Header
		body    []byte
		secrets []signature.Secret
		want    error
	}{
		{"AGenuineV1Passes", headers(t, "evt_1", now, body, secret), body, []signature.Secret{secret}, nil},
		{"AGenuineV1aPassesUnderThePublicKey", headers(t, "evt_1", now, body, private), body, []signature.Secret{public}, nil},
		{"AnyOfSeveralSecretsMayMatch", headers(t, "evt_1", now, body, secret), body, []signature.Secret{public, secret}, nil},
		{"AnyOfSeveralSignaturesMayMatch", headers(t, "evt_1", now, body, private, secret), body, []signature.Secret{secret}, nil},
		{"AChangedBodyIsRefused", headers(t, "evt_1", now, body, secret), []byte("x"), []signature.Secret{secret}, signature.ErrNoMatch},
		{"AnotherSecretIsRefused", headers(t, "evt_1", now, body, private), body, []signature.Secret{secret}, signature.ErrNoMatch},
		{"AnOldTimestampIsRefused", headers(t, "evt_1", now.Add(-6*time.Minute), body, secret), body, []signature.Secret{secret}, signature.ErrTooOld},
		{"AFutureTimestampIsRefused", headers(t, "evt_1", now.Add(6*time.Minute), body, secret), body, []signature.Secret{secret}, signature.ErrTooNew},
		{"MissingHeadersAreRefused", http.Header{}, body, []signature.Secret{secret}, signature.ErrMissingHeader},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			if err := signature.Verify(tc.header, tc.body, tc.secrets, now); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	const secret signature.Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	f.Add(vectorID, "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", []byte(vectorBody))
	f.Add("", "x", " , v1 v1a,", []byte{})
	f.Fuzz(func(t *testing.T, id, timestamp, sig string, body []byte) {
		header := http.Header{}
		header.Set(signature.HeaderID, id)
		header.Set(signature.HeaderTimestamp, timestamp)
		header.Set(signature.HeaderSignature, sig)
		err := signature.Verify(header, body, []signature.Secret{secret}, vectorTime)
		genuine := id == vectorID && timestamp == "1614265330" && bytes.Equal(body, []byte(vectorBody))
		if err == nil && !genuine {
			t.Fatal("a forgery passed")
		}
	})
}

type fataler interface{ Fatal(...any) }

func headers(t fataler, id string, at time.Time, body []byte, secrets ...signature.Secret) http.Header {
	sig, err := signature.Sign(webhook.EventID(id), at, body, secrets)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	header.Set(signature.HeaderID, id)
	header.Set(signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(signature.HeaderSignature, sig)
	return header
}
