package safedial_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"webhookrelay/shared/safedial"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func TestCheck(t *testing.T) {
	t.Parallel()
	none := safedial.Policy{}
	for _, tc := range []struct {
		target string
		ok     bool
	}{
		{"8.8.8.8:443", true},
		{"[2606:4700:4700::1111]:443", true},
		{"8.8.8.8:80", false},
		{"8.8.8.8:8443", false},
		{"0.0.0.0:443", false},
		{"10.1.2.3:443", false},
		{"100.64.0.1:443", false},
		{"127.0.0.1:443", false},
		{"169.254.169.254:443", false},
		{"169.254.100.1:9001", false},
		{"172.16.0.1:443", false},
		{"172.32.0.1:443", true},
		{"192.0.0.1:443", false},
		{"192.0.2.1:443", false},
		{"192.88.99.1:443", false},
		{"192.168.1.1:443", false},
		{"198.18.0.1:443", false},
		{"198.51.100.1:443", false},
		{"203.0.113.1:443", false},
		{"224.0.0.1:443", false},
		{"255.255.255.255:443", false},
		{"[::]:443", false},
		{"[::1]:443", false},
		{"[::7f00:1]:443", false},             // IPv4-compatible 127.0.0.1
		{"[::ffff:127.0.0.1]:443", false},     // IPv4-mapped
		{"[::ffff:8.8.8.8]:443", true},        // IPv4-mapped, public
		{"[64:ff9b::7f00:1]:443", false},      // NAT64
		{"[64:ff9b:1::1]:443", false},         // local NAT64
		{"[100::1]:443", false},               // discard
		{"[2001::1]:443", false},              // Teredo
		{"[2001:db8::1]:443", false},          // documentation
		{"[2002:7f00:1::1]:443", false},       // 6to4 of 127.0.0.1
		{"[3fff::1]:443", false},              // documentation
		{"[5f00::1]:443", false},              // segment routing
		{"[fc00::1]:443", false},              // unique local
		{"[fd00:ec2::254]:443", false},        // instance metadata over IPv6
		{"[fe80::1]:443", false},              // link local
		{"[fec0::1]:443", false},              // site local
		{"[ff02::1]:443", false},              // multicast
		{"[2606:4700::1111%eth0]:443", false}, // with a zone
		{"[4000::1]:443", false},              // never assigned
	} {
		err := none.Check(netip.MustParseAddrPort(tc.target))
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.target, err)
		}
		if err != nil && !errors.Is(err, safedial.ErrBlocked) {
			t.Errorf("%s: not ErrBlocked: %v", tc.target, err)
		}
	}
}

func TestAllowAndDeny(t *testing.T) {
	t.Parallel()
	policy := safedial.Policy{Allow: []netip.Prefix{loopback}, Deny: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9001")}}
	for target, ok := range map[string]bool{
		"127.0.0.1:8080":          true,
		"[::ffff:127.0.0.1]:8080": true,
		"127.0.0.1:9001":          false,
		"[::ffff:127.0.0.1]:9001": false,
		"[::1]:8080":              false,
		"10.0.0.1:443":            false,
		"8.8.8.8:80":              false,
	} {
		if err := policy.Check(netip.MustParseAddrPort(target)); (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
	if err := (safedial.Policy{AnyPort: true}).Check(netip.MustParseAddrPort("8.8.8.8:80")); err != nil {
		t.Error(err)
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	strict, dev := safedial.Policy{}, safedial.Policy{Allow: []netip.Prefix{loopback}, AnyPort: true}
	for _, tc := range []struct {
		url         string
		strict, dev bool
	}{
		{"https://example.com/hooks?a=b", true, true},
		{"https://example.com:443/", true, true},
		{"http://example.com/", false, true},
		{"http://127.0.0.1:9000/", false, true},
		{"http://localhost:9000/", false, true},
		{"https://localhost/", false, true},
		{"https://a.localhost./", false, true},
		{"https://10.0.0.1/", false, false},
		{"https://[::ffff:10.0.0.1]/", false, false},
		{"https://[fe80::1%25eth0]/", false, false},
		{"ftp://example.com/", false, false},
		{"//example.com/", false, false},
		{"example.com", false, false},
		{"https://", false, false},
		{"https:///path", false, false},
		{"https:example.com", false, false},
		{"https://user:pass@example.com/", false, false},
		{"https://user@example.com/", false, false},
		{"https://example.com/#part", false, false},
		{"https://example.com/#", false, false},
		{"https://example.com:0/", false, false},
		{"https://example.com:99999/", false, false},
		{"https://exa mple.com/", false, false},
		{"https://example.com/\n", false, false},
		{"javascript:alert(1)", false, false},
	} {
		if err := strict.CheckURL(tc.url); (err == nil) != tc.strict {
			t.Errorf("%s: %v", tc.url, err)
		}
		if err := dev.CheckURL(tc.url); (err == nil) != tc.dev {
			t.Errorf("%s in dev: %v", tc.url, err)
		}
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

	dial := safedial.Policy{}.DialContext(time.Second)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		conn, err := dial(t.Context(), "tcp", host+":"+port)
		if err == nil {
			conn.Close()
			t.Errorf("%s was dialled", host)
		} else if !errors.Is(err, safedial.ErrBlocked) {
			t.Errorf("%s: %v", host, err)
		}
	}

	// A connection that is allowed is then the first the listener sees.
	conn, err := safedial.Policy{Allow: []netip.Prefix{loopback}}.DialContext(time.Second)(t.Context(), "tcp", "127.0.0.1:"+port)
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
