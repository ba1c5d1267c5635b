package safedial

import (
	"net/netip"
	"slices"
)

// special covers every row of IANA's special-purpose address registries (RFC
// 6890 and its updates, up to RFC 9780), and multicast. Some rows in it are
// reachable from anywhere, such as the anycast addresses of RFC 7723 inside
// 192.0.0.0/24, but no receiver of webhooks lives there. The rest of IPv6 is
// refused without a list: see global.
//
//	https://www.iana.org/assignments/iana-ipv4-special-registry
//	https://www.iana.org/assignments/iana-ipv6-special-registry
var special = prefixes(
	"0.0.0.0/8",       // this network (RFC 791)
	"10.0.0.0/8",      // private (RFC 1918)
	"100.64.0.0/10",   // shared by carriers (RFC 6598)
	"127.0.0.0/8",     // loopback (RFC 1122)
	"169.254.0.0/16",  // link-local (RFC 3927)
	"172.16.0.0/12",   // private (RFC 1918)
	"192.0.0.0/24",    // IETF protocols (RFC 6890)
	"192.0.2.0/24",    // documentation (RFC 5737)
	"192.31.196.0/24", // AS112 (RFC 7535)
	"192.52.193.0/24", // AMT (RFC 7450)
	"192.88.99.0/24",  // 6to4 relays (RFC 7526)
	"192.168.0.0/16",  // private (RFC 1918)
	"192.175.48.0/24", // AS112 (RFC 7534)
	"198.18.0.0/15",   // benchmarks (RFC 2544)
	"198.51.100.0/24", // documentation (RFC 5737)
	"203.0.113.0/24",  // documentation (RFC 5737)
	"224.0.0.0/4",     // multicast (RFC 5771)
	"240.0.0.0/4",     // reserved (RFC 1112), and broadcast (RFC 919)

	"2001::/23",         // IETF protocols (RFC 2928), Teredo and ORCHID among them
	"2001:db8::/32",     // documentation (RFC 3849)
	"2002::/16",         // 6to4 (RFC 3056)
	"2620:4f:8000::/48", // AS112 (RFC 7534)
	"3fff::/20",         // documentation (RFC 9637)
)

// global is the only range from which IPv6 unicast addresses are assigned (RFC
// 4291, IANA's IPv6 address space). Outside it lie loopback, unique-local,
// link-local, site-local, discard-only, segment-routing and multicast addresses.
var global = netip.MustParsePrefix("2000::/3")

// never is refused even inside networks that the operator allowed, however wide
// they are: nothing that answers there is a receiver.
var never = prefixes(
	"0.0.0.0/8",          // reaches this machine
	"169.254.0.0/16",     // metadata, credentials, Lambda's Runtime API, the VPC's resolver
	"224.0.0.0/4",        // multicast
	"255.255.255.255/32", // broadcast
	"fd00:ec2::/32",      // what 169.254.0.0/16 is, over IPv6, at AWS
	"fe80::/10",          // link-local
	"ff00::/8",           // multicast
)

// carriers are the IPv6 ranges whose addresses hold an IPv4 address, to which
// something on the way would connect.
var carriers = prefixes(
	"::/96",          // IPv4-compatible (RFC 4291); and ::, which reaches this machine
	"::ffff:0:0/96",  // IPv4-mapped (RFC 4291)
	"64:ff9b::/96",   // NAT64 (RFC 6052)
	"64:ff9b:1::/48", // NAT64 in a site (RFC 8215)
	"2001::/32",      // Teredo (RFC 4380)
	"2002::/16",      // 6to4 (RFC 3056)
)

func holdsAnother(addr netip.Addr) bool {
	return contains(carriers, addr) && addr != netip.IPv6Loopback()
}

func isPublic(addr netip.Addr) bool {
	return (addr.Is4() || global.Contains(addr)) && !contains(special, addr)
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func prefixes(list ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(list))
	for i, text := range list {
		parsed[i] = netip.MustParsePrefix(text)
	}
	return parsed
}
