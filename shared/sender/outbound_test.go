package sender_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/safedial"
	"webhookrelay/shared/sender"
	"webhookrelay/shared/webhook"
)

// everywhere is set where every address of the internet is this machine, see
// TestOutboundWhereEveryAddressIsThisMachine.
var everywhere = os.Getenv("SENDER_TEST_EVERYWHERE") != ""

// everyPort leaves the address alone to decide.
var everyPort = []safedial.PortRange{{First: 1, Last: 65535}}

// world is where an outbound test happens.
type world struct {
	// policy allows nothing that the corpus may reach.
	policy safedial.Policy
	// port is what the corpus is sent to; 0 stands for the scheme's own.
	port    uint16
	watches []*watch
}

// newWorld returns a world in which all connections that are made are seen:
// those to this machine, on a port that the policy opens and over plain http
// too, so that nothing but the address stands in their way. Where every address
// is this machine it is the policy of a deployment, on its own ports.
func newWorld(t *testing.T) world {
	if everywhere {
		return world{watches: []*watch{answerPrivately(t, ":443"), answerPrivately(t, ":80")}}
	}
	w := answerPrivately(t, ":0")
	return world{policy: safedial.Policy{Ports: everyPort, PlainHTTP: true}, port: w.port(), watches: []*watch{w}}
}

// privateAnswer is what no tenant may see of a host that it may not reach.
const privateAnswer = "the private host's answer"

// answerPrivately serves that on an address, the wildcard of all the machine has.
func answerPrivately(t *testing.T, address string) *watch {
	t.Helper()
	w := mustWatch(t, address)
	serve(t, w, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Connection", "close")
		_, _ = io.WriteString(rw, privateAnswer)
	}))
	return w
}

func serve(t *testing.T, listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
}

func (w world) calls(t *testing.T) (all []netip.Addr) {
	for _, watch := range w.watches {
		all = append(all, watch.calls(t)...)
	}
	return all
}

// outbound is a real sender with an endpoint that it can sign for.
type outbound struct {
	*sender.Sender
	endpoint webhook.Endpoint
}

func newOutbound(t *testing.T, policy safedial.Policy) outbound {
	s, endpoint := newSender(t, policy, 0, "")
	return outbound{s, endpoint}
}

// seal seals headers for the endpoint.
func (o outbound) seal(t *testing.T, headers []webhook.Header) webhook.SealedHeaders {
	t.Helper()
	sealed, err := o.Sealer.SealHeaders(t.Context(), o.endpoint.Tenant, o.endpoint.ID, headers)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// sendTo makes one attempt.
func sendTo(t *testing.T, o outbound, url string) webhook.Result {
	o.endpoint.URL = url
	result, err := o.Send(t.Context(), o.endpoint, event)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestOutboundNoSpellingIsRegisteredOrConnectedTo(t *testing.T) {
	w, all := newWorld(t), corpus()
	s := newOutbound(t, w.policy)
	for _, spelling := range all {
		url := spelling.at(w.port)
		if (safedial.Policy{}).CheckURL(spelling.at(0)) == nil {
			t.Errorf("%q may be registered", spelling.at(0))
		}
		got := sendTo(t, s, url)
		if got.Delivered() || got.Reason != webhook.ReasonAddressBlocked && got.Reason != webhook.ReasonBadURL {
			t.Errorf("%q: %+v", url, got)
		}
		if got.StatusCode != 0 || len(got.Response) > 0 || strings.Contains(got.Detail, privateAnswer) || strings.Contains(got.Detail, "127.0.0.1") {
			t.Errorf("%q shows what is private: %+v", url, got)
		}
		if t.Failed() {
			break // what is dialled by mistake may be anywhere
		}
	}
	if seen := w.calls(t); len(seen) > 0 {
		t.Errorf("%d connections were made, to %v", len(seen), seen)
	}
	t.Logf("%d URLs, no connection", len(all))
}

// The check when a connection is dialled stands alone: the check of the URL is
// left out, and the resolver makes of a spelling what the most lenient would.
func TestOutboundTheDialAloneRefusesEverySpelling(t *testing.T) {
	w, all := newWorld(t), corpus()
	meaning := meanings(all)
	dialled := 0
	for _, scheme := range []string{"https", "http"} {
		transport := sender.NewTransport(scheme, w.policy)
		guarded := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled++
			conn, err := guarded(ctx, network, meaning(address))
			if !nobodyCalled(err) {
				t.Errorf("%q was dialled: %v", address, err)
			}
			return conn, err
		}
		try(t, transport, scheme, all, w.port)
	}
	if seen := w.calls(t); len(seen) > 0 {
		t.Errorf("%d connections were made, to %v", len(seen), seen)
	}
	t.Logf("%d dials, no connection", dialled)
	if dialled < 500 {
		t.Error("the corpus hardly got as far as dialling")
	}
}

// The harness is no proof unless it can fail: without any guard the same URLs
// make connections, and the watches see each of them.
func TestOutboundWithoutTheGuardTheWatchSeesConnections(t *testing.T) {
	w, all := newWorld(t), corpus()
	meaning := meanings(all)
	var dialer net.Dialer
	made := 0
	open := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		target, err := netip.ParseAddrPort(meaning(address))
		if err != nil || !everywhere && !target.Addr().IsLoopback() {
			return nil, fmt.Errorf("%q stays undialled: it is not this machine", address)
		}
		conn, err := dialer.DialContext(ctx, network, target.String())
		if err == nil {
			made++
		}
		return conn, err
	}}
	try(t, open, "https", all, w.port)
	try(t, open, "http", all, w.port)
	seen := w.calls(t)
	t.Logf("%d of %d URLs made a connection", made, len(all))
	want := 100
	if everywhere {
		want = 600
	}
	if made < want || len(seen) != made {
		t.Errorf("the watch saw %d of %d connections", len(seen), made)
	}
}

// nobodyCalled reports whether a dial ended before it began: refused, or without
// an address.
func nobodyCalled(err error) bool {
	var (
		refusal *safedial.Refusal
		unknown *net.DNSError
		invalid *net.AddrError
	)
	return errors.As(err, &refusal) || errors.As(err, &unknown) || errors.As(err, &invalid)
}

// meanings returns a resolver, from host:port to address:port, that understands
// every spelling of the corpus.
func meanings(all []spelling) func(address string) string {
	known := make(map[string]netip.Addr)
	for _, s := range all {
		known[s.host] = s.means
	}
	return func(address string) string {
		host, port, err := net.SplitHostPort(address)
		if addr, ok := known[host]; ok && err == nil && !strings.Contains(host, ":") {
			return net.JoinHostPort(addr.String(), port)
		}
		return address
	}
}

// try posts to the URLs of one scheme, until the test has failed: what is
// dialled by mistake may be anywhere.
func try(t *testing.T, transport *http.Transport, scheme string, all []spelling, port uint16) {
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	defer transport.CloseIdleConnections()
	for _, s := range all {
		if t.Failed() {
			return
		}
		if url := s.at(port); strings.HasPrefix(strings.ToLower(url), scheme+":") {
			if response, err := client.Post(url, "application/json", strings.NewReader("{}")); err == nil {
				response.Body.Close()
			}
		}
	}
}

// In a network namespace of its own, the kernel can be told that all addresses
// are local ones. There the tests above watch the whole internet, on the real
// ports and under the policy of a deployment.
func TestOutboundWhereEveryAddressIsThisMachine(t *testing.T) {
	if everywhere {
		t.Skip("this is it")
	}
	t.Parallel()
	const setUp = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo"
	if out, err := exec.Command("unshare", "--map-root-user", "--net", "sh", "-c", setUp).CombinedOutput(); err != nil {
		t.Skipf("no network namespace can be made here: %v: %s", err, out)
	}
	inside := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--net", "sh", "-c", setUp+` && exec "$0" "$@"`,
		os.Args[0], "-test.run=^TestOutbound", "-test.v")
	inside.Env = append(os.Environ(), "SENDER_TEST_EVERYWHERE=1")
	out, err := inside.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "outbound_test.go") || strings.HasPrefix(line, "--- ") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if !slices.Contains(strings.Split(string(out), "\n"), "PASS") {
		t.Fatalf("the tests did not run:\n%s", out)
	}
}
