package safedial_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"code.dny.dev/ssrf"
	"pgregory.net/rapid"

	"webhookrelay/shared/safedial"
)

// registered holds every row of IANA's special-purpose address registries, up
// to RFC 9780.
var registered = []string{
	"0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32",

	"::1/128", "::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
	"2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32",
	"2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48",
	"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
}

// unregistered holds what is no receiver's either and stands in other registries.
var unregistered = []string{
	"224.0.0.0/4", "ff00::/8", // multicast
	"::/96", "fec0::/10", // IPv4-compatible and site-local, deprecated
	"4000::/2", "8000::/1", // never assigned
}

// last returns the last address of a network.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

func TestSpecialPurposeAddressesAreRefusedFromTheFirstToTheLast(t *testing.T) {
	t.Parallel()
	for _, row := range slices.Concat(registered, unregistered) {
		network := netip.MustParsePrefix(row)
		for _, addr := range []netip.Addr{network.Addr(), network.Addr().Next(), last(network)} {
			if !network.Contains(addr) {
				continue // a network of one address
			}
			if err := (safedial.Policy{}).Check("https", netip.AddrPortFrom(addr, 443)); !refused(err) {
				t.Errorf("%s of %s: %v", addr, row, err)
			}
		}
	}
}

// edges are the first and last address of each range, and those beside them.
func edges() (list []netip.Addr) {
	for _, row := range slices.Concat(registered, unregistered) {
		network := netip.MustParsePrefix(row)
		first, end := network.Addr(), last(network)
		for _, addr := range []netip.Addr{first.Prev(), first, end, end.Next()} {
			if addr.IsValid() {
				list = append(list, addr)
			}
		}
	}
	return list
}

// addresses draws addresses of both families.
func addresses() *rapid.Generator[netip.Addr] {
	v4 := rapid.Map(rapid.Uint32(), func(n uint32) netip.Addr {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
	})
	v6 := rapid.Custom(func(t *rapid.T) netip.Addr {
		b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "global unicast") {
			b[0] = 0x20 | b[0]&0x1f
		}
		return netip.AddrFrom16(b)
	})
	return rapid.OneOf(v4, v6)
}

// code.dny.dev/ssrf is generated from the same registries by someone else. When
// one of the two lists learns of a range, the other hears of it here.
func TestOurRangesAreThoseOfAnIndependentList(t *testing.T) {
	t.Parallel()
	theirs := ssrf.New(ssrf.WithPorts(443))
	mustAgree := func(t interface{ Errorf(string, ...any) }, addr netip.Addr) {
		target := netip.AddrPortFrom(addr, 443)
		they, we := theirs.SafeAddrPort(target), safedial.Policy{}.Check("https", target)
		if (they == nil) != (we == nil) {
			t.Errorf("%s: ssrf says %v, we say %v", addr, they, we)
		}
	}
	for _, addr := range edges() {
		mustAgree(t, addr)
	}
	for _, network := range slices.Concat(ssrf.IPv4DeniedPrefixes, ssrf.IPv6DeniedPrefixes) {
		mustAgree(t, network.Addr())
		mustAgree(t, last(network))
	}
	rapid.Check(t, func(t *rapid.T) { mustAgree(t, addresses().Draw(t, "address")) })
}

// What made a policy of our own worth having: that library, with the same
// exceptions, lets each of these pass.
func TestWhatIsRefusedBeyondThatList(t *testing.T) {
	t.Parallel()
	wide := netip.MustParsePrefix("0.0.0.0/0")
	wide6 := netip.MustParsePrefix("::/0")
	runtimeAPI := netip.MustParseAddrPort("127.0.0.1:9001")
	for rule, tc := range map[string]struct {
		theirs []ssrf.Option
		ours   safedial.Policy
		scheme string
		target netip.AddrPort
	}{
		"Port80ByDefault":         {nil, safedial.Policy{}, "https", netip.MustParseAddrPort("8.8.8.8:80")},
		"PlainHTTPToThePublic":    {nil, safedial.Policy{}, "http", netip.MustParseAddrPort("8.8.8.8:443")},
		"MetadataInAnAllowedNet":  {[]ssrf.Option{ssrf.WithAllowedV4Prefixes(wide)}, safedial.Policy{Allow: []netip.Prefix{wide}}, "https", netip.MustParseAddrPort("169.254.169.254:443")},
		"MetadataOverIPv6":        {[]ssrf.Option{ssrf.WithAllowedV6Prefixes(wide6)}, safedial.Policy{Allow: []netip.Prefix{wide6}}, "https", netip.MustParseAddrPort("[fd00:ec2::254]:443")},
		"NAT64InAnAllowedNet":     {[]ssrf.Option{ssrf.WithAllowedV6Prefixes(wide6)}, safedial.Policy{Allow: []netip.Prefix{wide6}}, "https", netip.MustParseAddrPort("[64:ff9b::a00:1]:443")},
		"RuntimeAPIInAnAllowedIP": {[]ssrf.Option{ssrf.WithAllowedV4Prefixes(loopback), ssrf.WithAnyPort()}, safedial.Policy{Allow: []netip.Prefix{loopback}, Ports: []safedial.PortRange{{First: 1, Last: 65535}}, Deny: []netip.AddrPort{runtimeAPI}}, "http", runtimeAPI},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			if err := ssrf.New(tc.theirs...).SafeAddrPort(tc.target); err != nil {
				t.Errorf("that list refuses it too: %v", err)
			}
			if err := tc.ours.Check(tc.scheme, tc.target); !refused(err) {
				t.Errorf("we do not: %v", err)
			}
		})
	}
}
