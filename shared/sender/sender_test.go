package sender_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"webhookrelay/shared/safedial"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sender"
	"webhookrelay/shared/webhook"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

var loopback = safedial.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Ports: everyPort}

var event = webhook.Event{ID: "evt_1", Body: []byte(`{"type":"a","data":1}`)}

// newSender returns a sender, and an endpoint at url whose secret it can open.
func newSender(t testing.TB, policy safedial.Policy, timeout time.Duration, url string) (*sender.Sender, webhook.Endpoint) {
	t.Helper()
	key, err := seal.NewLocalKey(make([]byte, seal.LocalKeySize))
	if err != nil {
		t.Fatal(err)
	}
	sealer := seal.New(key, time.Now)
	endpoint := webhook.Endpoint{Tenant: "acme", ID: "shop", URL: url}
	sealed, err := sealer.SealSecret(t.Context(), endpoint.Tenant, endpoint.ID, secret)
	if err != nil {
		t.Fatal(err)
	}
	endpoint.Secrets = []webhook.Secret{{Sealed: sealed}}
	return sender.New(sender.Config{Policy: policy, Sealer: sealer, Timeout: timeout, Now: time.Now}), endpoint
}

func send(t *testing.T, policy safedial.Policy, timeout time.Duration, url string) webhook.Result {
	t.Helper()
	s, endpoint := newSender(t, policy, timeout, url)
	result, err := s.Send(t.Context(), endpoint, event)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestTheRequestIsASignedPost(t *testing.T) {
	t.Parallel()
	official, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := official.Verify(body, r.Header); err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" ||
			r.Header.Get("User-Agent") != sender.UserAgent || r.Header.Get("webhook-id") != "evt_1" || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
	}))
	defer server.Close()
	if got := send(t, loopback, 0, server.URL); !got.Delivered() || got.StatusCode != 200 {
		t.Fatalf("got %+v", got)
	}
}

func TestTheEndpointsHeadersAreSentBesideTheRelaysOwn(t *testing.T) {
	t.Parallel()
	requests := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r }))
	defer server.Close()
	out := newOutbound(t, loopback)
	out.endpoint.Headers = out.seal(t, []webhook.Header{
		{Name: "Authorization", Value: "Bearer abc"},
		{Name: "x-api_key", Value: "k\tl"},
		// As if stored before these were reserved.
		{Name: "webhook-id", Value: "forged"}, {Name: "Host", Value: "forged"}, {Name: "Content-Type", Value: "forged"},
		{Name: "user-agent", Value: "forged"}, {Name: "Connection", Value: "forged"}, {Name: "Transfer-Encoding", Value: "chunked"},
		{Name: "X-Forwarded-For", Value: "forged"},
	})
	got := sendTo(t, out, server.URL)
	if !got.Delivered() {
		t.Fatalf("got %+v", got)
	}
	r := <-requests
	for name, want := range map[string]string{
		"Authorization": "Bearer abc", "X-Api_key": "k\tl", "Webhook-Id": "evt_1", "Content-Type": "application/json", "User-Agent": sender.UserAgent,
		"Connection": "", "X-Forwarded-For": "", "Content-Length": strconv.Itoa(len(event.Body)),
	} {
		if got := strings.Join(r.Header.Values(name), "|"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if r.Host != server.Listener.Addr().String() || len(r.TransferEncoding) > 0 {
		t.Errorf("Host %q, Transfer-Encoding %q", r.Host, r.TransferEncoding)
	}
}

// What lies in the store as headers is sent in the open, so nothing but what was
// sealed as headers may lie there.
func TestHeadersThatDoNotOpenAreAFailure(t *testing.T) {
	t.Parallel()
	receiver := answerPrivately(t, "127.0.0.1:0")
	out := newOutbound(t, loopback)
	sealed := out.seal(t, []webhook.Header{{Name: "Authorization", Value: "Bearer abc"}})
	for rule, stored := range map[string][]byte{
		"ASigningSecret": out.endpoint.Secrets[0].Sealed,
		"Altered":        append(bytes.Clone(sealed.Sealed), 0),
	} {
		out.endpoint.Headers = webhook.SealedHeaders{Names: sealed.Names, Sealed: stored}
		if got := sendTo(t, out, "http://"+receiver.Addr().String()); got.Reason != webhook.ReasonBadSecret || got.Detail == "" {
			t.Errorf("%s: got %+v", rule, got)
		}
	}
	if seen := receiver.calls(t); len(seen) > 0 {
		t.Errorf("%d connections", len(seen))
	}
}

// Another host would learn what one receiver was trusted with.
func TestHeadersAreNotSentWhereARedirectLeads(t *testing.T) {
	t.Parallel()
	elsewhere := answerPrivately(t, "127.0.0.1:0")
	server := httptest.NewServer(http.RedirectHandler("http://"+elsewhere.Addr().String(), http.StatusPermanentRedirect))
	defer server.Close()
	out := newOutbound(t, loopback)
	out.endpoint.Headers = out.seal(t, []webhook.Header{{Name: "Authorization", Value: "Bearer abc"}})
	sendTo(t, out, server.URL)
	if seen := elsewhere.calls(t); len(seen) > 0 {
		t.Errorf("%d connections", len(seen))
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule       string
		code       int
		header     http.Header
		reason     webhook.Reason
		retryAfter time.Duration
	}{
		{"200IsSuccess", 200, nil, "", 0},
		{"299IsSuccess", 299, nil, "", 0},
		{"204IsSuccess", 204, nil, "", 0},
		{"301IsAFailure", 301, http.Header{"Location": {"/elsewhere"}}, webhook.ReasonRedirect, 0},
		{"307IsAFailure", 307, http.Header{"Location": {"/elsewhere"}}, webhook.ReasonRedirect, 0},
		{"400", 400, nil, webhook.ReasonHTTP4xx, 0},
		{"404", 404, nil, webhook.ReasonHTTP404, 0},
		{"410", 410, nil, webhook.ReasonHTTP410, 0},
		{"429WithSeconds", 429, http.Header{"Retry-After": {"17"}}, webhook.ReasonHTTP429, 17 * time.Second},
		{"503WithNonsense", 503, http.Header{"Retry-After": {"soon"}}, webhook.ReasonHTTP5xx, 0},
		{"503WithANegative", 503, http.Header{"Retry-After": {"-5"}}, webhook.ReasonHTTP5xx, 0},
		{"503WithAPastDate", 503, http.Header{"Retry-After": {"Wed, 21 Oct 2015 07:28:00 GMT"}}, webhook.ReasonHTTP5xx, 0},
		{"600", 600, nil, webhook.ReasonHTTPOther, 0},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests++
				maps.Copy(w.Header(), tc.header)
				w.WriteHeader(tc.code)
				if tc.code != 204 {
					_, _ = io.WriteString(w, "said")
				}
			}))
			defer server.Close()
			got := send(t, loopback, 0, server.URL)
			if got.StatusCode != tc.code || got.Reason != tc.reason || got.RetryAfter != tc.retryAfter || got.Delivered() != (tc.reason == "") {
				t.Fatalf("got %+v", got)
			}
			if requests != 1 {
				t.Fatalf("%d requests", requests)
			}
			if tc.code != 204 && string(got.Response) != "said" {
				t.Fatalf("response %q", got.Response)
			}
		})
	}
	t.Run("ARetryAfterDateIsAWaitFromNow", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		}))
		defer server.Close()
		if got := send(t, loopback, 0, server.URL).RetryAfter; got < 59*time.Minute || got > time.Hour {
			t.Fatalf("got %s", got)
		}
	})
	t.Run("AtMost4KiBOfTheAnswerAreKept", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}))
		defer server.Close()
		if got := send(t, loopback, 0, server.URL); len(got.Response) != webhook.MaxResponseKept || got.Reason != webhook.ReasonHTTP5xx {
			t.Fatalf("%d bytes, %q", len(got.Response), got.Reason)
		}
	})
}

func TestWhyNoAnswerCame(t *testing.T) {
	t.Parallel()
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(hang.Close)
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	t.Cleanup(cut.Close)
	quiet := log.New(io.Discard, "", 0)
	selfSigned := httptest.NewUnstartedServer(http.NotFoundHandler())
	selfSigned.Config.ErrorLog = quiet
	selfSigned.StartTLS()
	t.Cleanup(selfSigned.Close)
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.Config.ErrorLog = quiet
	old.StartTLS()
	t.Cleanup(old.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()

	for _, tc := range []struct {
		rule, url string
		want      webhook.Reason
	}{
		{"Timeout", hang.URL, webhook.ReasonTimeout},
		{"Reset", cut.URL, webhook.ReasonReset},
		{"UnknownIssuer", selfSigned.URL, webhook.ReasonTLSChain},
		{"OldTLS", old.URL, webhook.ReasonTLS},
		{"TLSToAPlainServer", strings.Replace(plain.URL, "http:", "https:", 1), webhook.ReasonTLS},
		{"Refused", "http://" + closed.Addr().String(), webhook.ReasonConnectRefused},
		{"UnknownName", "https://no-such-name.invalid/", webhook.ReasonDNS},
		{"BlockedAddress", "https://10.0.0.1/?token=hidden", webhook.ReasonAddressBlocked},
		{"BrokenURL", "https://%zz/", webhook.ReasonBadURL},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute // a busy machine may take its time over a handshake
			if tc.want == webhook.ReasonTimeout {
				timeout = 300 * time.Millisecond
			}
			got := send(t, loopback, timeout, tc.url)
			if got.Reason != tc.want || got.Detail == "" || got.StatusCode != 0 || got.Aborted {
				t.Fatalf("got %+v", got)
			}
			if strings.Contains(got.Detail, "token") {
				t.Fatalf("the detail quotes the URL: %s", got.Detail)
			}
		})
	}
	t.Run("AnUnknownNameTellsNothingOfTheResolver", func(t *testing.T) {
		t.Parallel()
		if got := send(t, loopback, 0, "https://no-such-name.invalid/"); got.Detail != "looking up no-such-name.invalid: no such host" {
			t.Fatalf("got %q", got.Detail)
		}
	})
	t.Run("TheRelaysOwnDeadlineSaysNothingOfTheEndpoint", func(t *testing.T) {
		t.Parallel()
		s, endpoint := newSender(t, loopback, 0, hang.URL)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got, err := s.Send(ctx, endpoint, event)
		if !got.Aborted || got.Delivered() || err != nil {
			t.Fatalf("got %+v, %v", got, err)
		}
	})
}

// unreachable is a key service that does not answer.
type unreachable struct{ seal.DataKeys }

func (unreachable) Unwrap(context.Context, []byte, seal.Place) ([]byte, error) {
	return nil, errors.New("connection refused")
}

func TestNothingIsSentUnsigned(t *testing.T) {
	t.Parallel()
	untouched := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }))
	t.Cleanup(untouched.Close)
	s, endpoint := newSender(t, loopback, 0, untouched.URL)
	for rule, unusable := range map[string]func(e *webhook.Endpoint){
		"WithoutASecret":                 func(e *webhook.Endpoint) { e.Secrets = nil },
		"WithAnExpiredSecret":            func(e *webhook.Endpoint) { e.Secrets[0].ExpiresAt = time.Now().Add(-time.Second) },
		"WithTheSecretOfAnotherEndpoint": func(e *webhook.Endpoint) { e.ID = "shop2" },
		"WithTheSecretOfAnotherTenant":   func(e *webhook.Endpoint) { e.Tenant = "acme2" },
		"WithAnAlteredSecret":            func(e *webhook.Endpoint) { e.Secrets[0].Sealed[40] ^= 1 },
		"WithOneAlteredSecretOfTwo": func(e *webhook.Endpoint) {
			e.Secrets = append(e.Secrets, webhook.Secret{Sealed: []byte("nonsense")})
		},
	} {
		t.Run(rule, func(t *testing.T) {
			e := endpoint
			e.Secrets = []webhook.Secret{{Sealed: bytes.Clone(endpoint.Secrets[0].Sealed)}}
			unusable(&e)
			got, err := s.Send(t.Context(), e, event)
			if got.Reason != webhook.ReasonBadSecret || got.Detail == "" || err != nil {
				t.Fatalf("got %+v, %v", got, err)
			}
		})
	}
	t.Run("WhileTheKeyServiceIsAwayItIsTheRelayThatFailed", func(t *testing.T) {
		away := sender.New(sender.Config{Policy: loopback, Sealer: seal.New(unreachable{}, time.Now), Now: time.Now})
		if got, err := away.Send(t.Context(), endpoint, event); !errors.Is(err, seal.ErrUnavailable) {
			t.Fatalf("got %+v, %v", got, err)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "5", "-1", "99999999999999999999", "Wed, 21 Oct 2065 07:28:00 GMT", "0x10", " 7 "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if got := sender.RetryAfter(value, time.Unix(1_700_000_000, 0)); got < 0 {
			t.Fatalf("%q asks for %s", value, got)
		}
	})
}
