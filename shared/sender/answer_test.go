package sender_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

// receive starts a receiver that speaks what the sender prefers: HTTP/2 under a
// certificate that is trusted. It returns its URL.
func receive(t *testing.T, host string, configuration *tls.Config, handler http.HandlerFunc) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the tests' authority is trusted by way of SSL_CERT_FILE, which only Linux reads")
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = configuration
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	outside.names.set(host, "", addrs("127.0.0.1"))
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	return "https://" + host + ":" + port + "/"
}

func TestOnlyAVerifiedCertificateIsSentTo(t *testing.T) {
	t.Parallel()
	stranger, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	inAnHour := time.Now().Add(time.Hour)
	for _, tc := range []struct {
		rule, host    string
		configuration func(host string) *tls.Config
		want          webhook.Reason
	}{
		{"Good", "good", func(host string) *tls.Config { return outside.authority.issue(t, host, inAnHour) }, ""},
		{"Expired", "expired", func(host string) *tls.Config { return outside.authority.issue(t, host, time.Now().Add(-time.Hour)) }, webhook.ReasonTLSExpired},
		{"OfAnotherName", "other", func(string) *tls.Config { return outside.authority.issue(t, "good"+domain, inAnHour) }, webhook.ReasonTLSName},
		{"OfAStranger", "stranger", func(host string) *tls.Config { return stranger.issue(t, host, inAnHour) }, webhook.ReasonTLSChain},
		{"TLS11", "old", func(host string) *tls.Config {
			c := outside.authority.issue(t, host, inAnHour)
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			return c
		}, webhook.ReasonTLS},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			host, requests := tc.host+domain, make(chan string, 1)
			url := receive(t, host, tc.configuration(host), func(_ http.ResponseWriter, r *http.Request) { requests <- r.Proto })
			if got := send(t, loopback, 0, url); got.Reason != tc.want {
				t.Errorf("got %+v", got)
			}
			close(requests)
			if proto, sent := <-requests; sent != (tc.want == "") || sent && proto != "HTTP/2.0" {
				t.Errorf("request sent: %t, over %s", sent, proto)
			}
		})
	}
}

// What a receiver answers costs the relay no more than it allows, over either
// version of HTTP.
func TestAnAnswerIsBounded(t *testing.T) {
	t.Parallel()
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	_, _ = io.WriteString(packer, zeros(8<<20))
	packer.Close()

	for rule, tc := range map[string]struct {
		handler http.HandlerFunc
		check   func(webhook.Result) bool
	}{
		"ABodyWithoutEnd": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			for chunk := zeros(64 << 10); ; {
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
		}, func(got webhook.Result) bool {
			return got.StatusCode == 500 && len(got.Response) == webhook.MaxResponseKept
		}},
		"ADecompressionBomb": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("asks for %s", r.Header.Get("Accept-Encoding"))
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(bomb.Bytes())
		}, func(got webhook.Result) bool {
			return got.StatusCode == 500 && bytes.Equal(got.Response, bomb.Bytes()[:webhook.MaxResponseKept])
		}},
		"HeadersThatAreTooLarge": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 128<<10))
		}, func(got webhook.Result) bool { return !got.Delivered() && got.StatusCode == 0 && len(got.Detail) < 200 }},
		"InformationWithoutEnd": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 1<<10))
			for range 1 << 10 {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}, func(got webhook.Result) bool { return !got.Delivered() && got.StatusCode == 0 }},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			plain := httptest.NewUnstartedServer(tc.handler)
			plain.Config.ErrorLog = log.New(io.Discard, "", 0)
			plain.Start()
			t.Cleanup(plain.Close)
			host := strings.ToLower(rule) + domain
			urls := []string{plain.URL, receive(t, host, outside.authority.issue(t, host, time.Now().Add(time.Hour)), tc.handler)}
			for _, url := range urls {
				if got := send(t, loopback, 0, url); !tc.check(got) {
					t.Errorf("%s: got %d %s %q and %d bytes", url, got.StatusCode, got.Reason, got.Detail, len(got.Response))
				}
			}
		})
	}
}
