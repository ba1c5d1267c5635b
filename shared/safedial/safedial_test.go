package safedial_test

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"webhookrelay/shared/safedial"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func refused(err error) bool {
	_, ok := errors.AsType[*safedial.Refusal](err)
	return ok
}

func TestWithoutSettingsOnlyHTTPSToPublicAddressesOnPort443(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		target string
		ok     bool
	}{
		{"8.8.8.8:443", true},
		{"[2606:4700:4700::1111]:443", true},
		{"8.8.8.8:80", false},
		{"8.8.8.8:8443", false},
		{"172.15.255.255:443", true},
		{"172.32.0.0:443", true},
		{"11.0.0.0:443", true},
		{"100.128.0.0:443", true},
		{"192.0.1.0:443", true},
		{"198.17.255.255:443", true},
		{"223.255.255.255:443", true},
		{"[2001:200::]:443", true},
		{"[2003::]:443", true},
		{"[3ffe:ffff::]:443", true},
		{"[::ffff:8.8.8.8]:443", false}, // nobody needs the mapped form of an address
		{"[::7f00:1]:443", false},
		{"[64:ff9b::7f00:1]:443", false},
		{"[64:ff9b::808:808]:443", false},
		{"[2002:7f00:1::1]:443", false},
		{"[fd00:ec2::254]:443", false},
		{"[fec0::1]:443", false}, // site-local, deprecated
		{"[2606:4700::1111%eth0]:443", false},
		{"[4000::1]:443", false}, // never assigned
	} {
		err := safedial.Policy{}.Check("https", netip.MustParseAddrPort(tc.target))
		if (err == nil) != tc.ok || err != nil && !refused(err) {
			t.Errorf("%s: %v", tc.target, err)
		}
	}
	if err := (safedial.Policy{}).Check("http", netip.MustParseAddrPort("8.8.8.8:443")); !refused(err) {
		t.Errorf("plain http: %v", err)
	}
}

func TestSettingsOpenWhatTheySayAndNoMore(t *testing.T) {
	t.Parallel()
	runtimeAPI := netip.MustParseAddrPort("127.0.0.1:9001")
	policy := safedial.Policy{
		Allow: []netip.Prefix{loopback, netip.MustParsePrefix("fd12::/16")},
		Ports: []safedial.PortRange{{First: 8080, Last: 8080}, {First: 9000, Last: 9010}},
		Deny:  []netip.AddrPort{runtimeAPI},
	}
	for _, tc := range []struct {
		scheme, target string
		ok             bool
	}{
		{"http", "127.0.0.1:8080", true},
		{"https", "127.0.0.1:8080", true},
		{"https", "127.0.0.1:443", true},
		{"http", "127.0.0.1:80", false},
		{"http", "127.0.0.1:9000", true},
		{"http", "127.0.0.1:9010", true},
		{"http", "127.0.0.1:9011", false},
		{"http", "[fd12::1]:8080", true},
		{"http", "127.0.0.1:9001", false}, // the Runtime API
		{"http", "127.0.0.2:9001", true},
		{"http", "[::ffff:127.0.0.1]:8080", false},
		{"http", "[::ffff:127.0.0.1]:9001", false},
		{"http", "[::1]:8080", false},
		{"https", "10.0.0.1:443", false},
		{"https", "8.8.8.8:8080", true},
		{"http", "8.8.8.8:8080", false},
	} {
		if err := policy.Check(tc.scheme, netip.MustParseAddrPort(tc.target)); (err == nil) != tc.ok {
			t.Errorf("%s to %s: %v", tc.scheme, tc.target, err)
		}
	}
	mapped := safedial.Policy{Allow: policy.Allow, Ports: policy.Ports, Deny: []netip.AddrPort{netip.MustParseAddrPort("[::ffff:127.0.0.1]:9001")}}
	if err := mapped.Check("http", runtimeAPI); !refused(err) {
		t.Errorf("the Runtime API, given as a mapped address: %v", err)
	}
	laptop := safedial.Policy{PlainHTTP: true, Ports: []safedial.PortRange{{First: 1, Last: 65535}}}
	if err := laptop.Check("http", netip.MustParseAddrPort("8.8.8.8:80")); err != nil {
		t.Error(err)
	}
}

// However wide a network the operator opens, these stay refused.
func TestSomeAddressesAreNeverAllowed(t *testing.T) {
	t.Parallel()
	everything := safedial.Policy{
		Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("169.254.0.0/16")},
		Ports: []safedial.PortRange{{First: 1, Last: 65535}},
	}
	for target, ok := range map[string]bool{
		"0.0.0.0": false, "169.254.169.254": false, "169.254.100.1": false, "169.254.170.2": false, "224.0.0.1": false, "255.255.255.255": false,
		"::": false, "::7f00:1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "64:ff9b:1::1": false, "2001::1": false,
		"2002:a00:1::1": false, "fd00:ec2::254": false, "fe80::1": false, "ff02::1": false,
		"10.0.0.1": true, "127.0.0.1": true, "::1": true, "fd12::1": true, "240.0.0.1": true, "2001:db8::1": true,
	} {
		if err := everything.Check("https", netip.AddrPortFrom(netip.MustParseAddr(target), 443)); (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestARefusalNamesNoAddress(t *testing.T) {
	t.Parallel()
	dial := safedial.Policy{}.DialContext("https", time.Second)
	_, err := dial(t.Context(), "tcp", "127.0.0.1:443")
	refusal, ok := errors.AsType[*safedial.Refusal](err)
	if !ok || refusal.Error() != "its address is not public" {
		t.Fatalf("got %v", err)
	}
}

// What the policy refuses is never connected to: the listener sees nobody.
func TestARefusedAddressSeesNoConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	every := []safedial.PortRange{{First: 1, Last: 65535}}

	dial := safedial.Policy{Ports: every, PlainHTTP: true}.DialContext("http", time.Second)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		conn, err := dial(t.Context(), "tcp", host+":"+port)
		if err == nil {
			conn.Close()
			t.Errorf("%s was dialled", host)
		} else if !refused(err) {
			t.Errorf("%s: %v", host, err)
		}
	}
	open := safedial.Policy{Allow: []netip.Prefix{loopback}, Ports: every}
	for network, address := range map[string]string{"udp": "127.0.0.1:" + port, "unix": filepath.Join(t.TempDir(), "socket")} {
		if conn, err := open.DialContext("http", time.Second)(t.Context(), network, address); !refused(err) {
			t.Errorf("over %s: %v", network, err)
			if err == nil {
				conn.Close()
			}
		}
	}
	// A connection that is allowed is then the first the listener sees.
	conn, err := open.DialContext("http", time.Second)(t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	seen, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Close()
	if seen.RemoteAddr().String() != conn.LocalAddr().String() {
		t.Fatal("someone else connected before")
	}
}

func TestPortsAreReadStrictly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "443": 1, "8443, 9000-9100": 2, "1-65535": 1, ",": 0} {
		if got, err := safedial.ParsePorts(text); err != nil || len(got) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "65536", "-1", "1-", "-", "9-8", "0-9", "http", "80 81", "+80", "0x50", "1-2-3"} {
		if got, err := safedial.ParsePorts(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
