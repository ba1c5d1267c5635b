package sender_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/config"
	"webhookrelay/shared/safedial"
	"webhookrelay/shared/webhook"
)

// domain is the attacker's, who runs its name server.
const domain = ".hooks.example.net"

// site has one address that deliveries may go to, and others that they may not.
type site struct {
	*watch
	policy safedial.Policy
	scheme string
	port   string
	good   netip.Addr
	traps  []netip.Addr
}

// newSite returns a site on loopback addresses, of which the policy allows one;
// or, where every address is this machine, one on real addresses under the
// policy of a deployment.
func newSite(t *testing.T) site {
	traps := addrs("127.0.0.2", "::1", "0.0.0.0", "::", "10.0.0.1", "169.254.169.254", "fd00:ec2::254", "64:ff9b::7f00:2", "2002:7f00:2::1", "::7f00:2")
	if everywhere {
		w := mustWatch(t, ":443")
		certificate := outside.authority.issue(t, "*"+domain, time.Now().Add(time.Hour))
		serve(t, tls.NewListener(w, certificate), http.HandlerFunc(greet))
		return site{watch: w, scheme: "https", good: netip.MustParseAddr("93.184.215.14"), traps: append(traps, addrs("127.0.0.1", "192.168.0.1")...)}
	}
	w := mustWatch(t, ":0")
	serve(t, w, http.HandlerFunc(greet))
	good := netip.MustParseAddr("127.0.0.1")
	return site{
		watch: w, scheme: "http", port: fmt.Sprintf(":%d", w.port()), good: good, traps: traps,
		policy: safedial.Policy{Allow: []netip.Prefix{netip.PrefixFrom(good, 32)}, Ports: everyPort},
	}
}

func addrs(list ...string) (parsed []netip.Addr) {
	for _, text := range list {
		parsed = append(parsed, netip.MustParseAddr(text))
	}
	return parsed
}

// greet answers so that each attempt has to look the name up again.
func greet(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }

// register sets what the attacker's server says of a name in turn, checks the
// URL as a registration does, and returns it.
func (s site) register(t *testing.T, label, alias string, answers ...[]netip.Addr) string {
	t.Helper()
	host := label + domain
	outside.names.set(host, alias, answers...)
	url := s.scheme + "://" + host + s.port + "/"
	if err := s.policy.CheckURL(url); err != nil {
		t.Fatalf("%s cannot be registered: %v", url, err)
	}
	if n := outside.names.questions(host); n != 0 {
		t.Fatalf("%d lookups before the attempt: what they said could have changed", n)
	}
	return url
}

// mustCall checks that connections were made to the good address only, n of them.
func (s site) mustCall(t *testing.T, n int) {
	t.Helper()
	seen := s.calls(t)
	if len(seen) != n || slices.ContainsFunc(seen, func(to netip.Addr) bool { return to != s.good }) {
		t.Errorf("%d connections to %v, want %d to %s", len(seen), seen, n, s.good)
	}
}

func TestOutboundTheAddressDecidesAndNotTheName(t *testing.T) {
	s := newSite(t)
	post := newOutbound(t, s.policy)
	blocked := func(t *testing.T, url string) {
		t.Helper()
		got := sendTo(t, post, url)
		if got.Reason != webhook.ReasonAddressBlocked || got.StatusCode != 0 || len(got.Response) > 0 {
			t.Errorf("%s: %+v", url, got)
		}
		for _, trap := range s.traps {
			if len(trap.String()) > 3 && strings.Contains(got.Detail, trap.String()) {
				t.Errorf("the detail tells what the name resolves to: %s", got.Detail)
			}
		}
	}
	delivered := func(t *testing.T, url string) {
		t.Helper()
		if got := sendTo(t, post, url); !got.Delivered() {
			t.Errorf("%s: %+v", url, got)
		}
	}
	for i, trap := range s.traps {
		blocked(t, s.register(t, fmt.Sprintf("direct-%d", i), "", []netip.Addr{trap}))
		blocked(t, s.register(t, fmt.Sprintf("alias-%d", i), "internal.example.org", []netip.Addr{trap}))
		s.mustCall(t, 0)
	}
	blocked(t, s.register(t, "all", "", s.traps))
	s.mustCall(t, 0)

	// Of several addresses, those that are refused are passed over.
	delivered(t, s.register(t, "first-bad", "", append(slices.Clone(s.traps), s.good)))
	delivered(t, s.register(t, "first-good", "", append([]netip.Addr{s.good}, s.traps...)))
	delivered(t, s.register(t, "bad-over-ipv6", "", addrs("::1", s.good.String())))
	s.mustCall(t, 3)

	// A name that changes between attempts, with an answer that may not be cached.
	bad := []netip.Addr{s.traps[0]}
	url := s.register(t, "rebinding", "", []netip.Addr{s.good}, bad, []netip.Addr{s.good}, bad)
	delivered(t, url)
	blocked(t, url)
	delivered(t, url)
	blocked(t, url)
	s.mustCall(t, 5)

	// One lookup serves the check and the connection: nothing lies between them.
	outside.names.set("once"+domain, "", []netip.Addr{s.good}, bad)
	delivered(t, s.scheme+"://once"+domain+s.port+"/")
	if n := outside.names.questions("once" + domain); n != 1 {
		t.Errorf("%d lookups in one attempt", n)
	}
	s.mustCall(t, 6)
}

// Networks that the operator allowed take plain http. Whether a name leads there
// or to the public, only its address says.
func TestOutboundPlainHTTPStaysInAllowedNetworks(t *testing.T) {
	policy := safedial.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Ports: []safedial.PortRange{{First: 80, Last: 80}}}
	s := newOutbound(t, policy)
	outside.names.set("public"+domain, "", addrs("93.184.215.14"))
	outside.names.set("site"+domain, "", addrs("10.1.2.3"))
	for _, url := range []string{"http://public" + domain + "/", "http://public" + domain + ":443/"} {
		if got := sendTo(t, s, url); got.Reason != webhook.ReasonAddressBlocked || !strings.Contains(got.Detail, "plain http") {
			t.Errorf("%s: %+v", url, got)
		}
	}
	if everywhere {
		answerPrivately(t, ":80")
		if got := sendTo(t, s, "http://site"+domain+"/"); !got.Delivered() {
			t.Errorf("to the allowed network: %+v", got)
		}
	}
}

// A POST to Lambda's Runtime API could answer in the function's name. It is
// refused by value, even in a network that the operator allowed.
func TestOutboundTheRuntimeAPIIsNeverCalled(t *testing.T) {
	if everywhere {
		t.Skip("needs an allowed loopback network")
	}
	t.Parallel()
	runtimeAPI := answerPrivately(t, "127.0.0.1:0")
	neighbour := mustWatch(t, "127.0.0.1:0")
	const path = "/2018-06-01/runtime/invocation/8476a536/response"
	serve(t, neighbour, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+runtimeAPI.Addr().String()+path, http.StatusTemporaryRedirect)
	}))
	env := map[string]string{
		"AWS_LAMBDA_RUNTIME_API": runtimeAPI.Addr().String(), "RELAY_ALLOW_CIDRS": "127.0.0.0/8,::1/128", "RELAY_ALLOW_PORTS": "1-65535",
	}
	source := config.From(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	policy := source.Outbound()
	if err := source.Err(); err != nil {
		t.Fatal(err)
	}
	s := newOutbound(t, policy)
	for _, spelling := range corpus() {
		sendTo(t, s, spelling.at(runtimeAPI.port()))
	}
	outside.names.set("runtime"+domain, "", addrs("127.0.0.1"))
	for _, host := range []string{"127.0.0.1", "localhost", "runtime" + domain} {
		if got := sendTo(t, s, fmt.Sprintf("http://%s:%d%s", host, runtimeAPI.port(), path)); got.Delivered() || got.StatusCode != 0 || len(got.Response) > 0 {
			t.Errorf("%s: %+v", host, got)
		}
	}
	if got := sendTo(t, s, "http://"+neighbour.Addr().String()); got.Reason != webhook.ReasonRedirect {
		t.Errorf("the neighbour: %+v", got)
	}
	if seen := runtimeAPI.calls(t); len(seen) > 0 {
		t.Errorf("the Runtime API was called %d times", len(seen))
	}
	if seen := neighbour.calls(t); len(seen) != 1 {
		t.Errorf("the neighbour, which is allowed, was called %d times", len(seen))
	}
}

func TestOutboundRedirectsLeadNowhere(t *testing.T) {
	if everywhere {
		t.Skip("needs an allowed loopback network")
	}
	t.Parallel()
	refused, allowed := answerPrivately(t, "127.0.0.1:0"), answerPrivately(t, "127.0.0.1:0")
	policy := safedial.Policy{Allow: loopback.Allow, Ports: everyPort, Deny: []netip.AddrPort{end(refused.Addr())}}
	s := newOutbound(t, policy)
	for _, target := range []*watch{refused, allowed} {
		for _, code := range []int{300, 301, 302, 303, 304, 305, 307, 308, 399} {
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://"+target.Addr().String()+"/")
				w.Header().Set("Refresh", "0; url=http://"+target.Addr().String()+"/")
				w.Header().Set("Alt-Svc", `h2="`+target.Addr().String()+`"`)
				w.WriteHeader(code)
			}))
			if got := sendTo(t, s, receiver.URL); got.Reason != webhook.ReasonRedirect || got.StatusCode != code {
				t.Errorf("%d: %+v", code, got)
			}
			receiver.Close()
		}
		if seen := target.calls(t); len(seen) > 0 {
			t.Errorf("%d redirects were followed", len(seen))
		}
	}
}

// The environment names a proxy, which would dial in the relay's place.
func TestOutboundNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	if everywhere {
		t.Skip("what a deployment sends to is not reached by way of loopback")
	}
	receiver := httptest.NewServer(http.HandlerFunc(greet))
	defer receiver.Close()
	outside.names.set("proxied"+domain, "", addrs("127.0.0.1"))
	_, port, _ := net.SplitHostPort(receiver.Listener.Addr().String())
	url := "http://proxied" + domain + ":" + port + "/"

	if got := send(t, loopback, 0, url); !got.Delivered() {
		t.Errorf("got %+v", got)
	}
	if seen := outside.proxy.calls(t); len(seen) > 0 {
		t.Errorf("the proxy was called %d times", len(seen))
	}
	// The proxy is one that a client of Go's own making does use.
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if seen := outside.proxy.calls(t); len(seen) != 1 {
		t.Errorf("the proxy was called %d times by a client that obeys the environment", len(seen))
	}
}
