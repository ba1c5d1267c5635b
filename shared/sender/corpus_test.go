package sender_test

import (
	"fmt"
	"net/netip"
	"strings"
)

// spelling is a URL that some client, somewhere, takes for an address that no
// delivery may go to.
type spelling struct {
	// url holds portMark where a test may put a port.
	url string
	// host is how the URL names it, as http.Transport would dial it, and means
	// the address that the most lenient resolver makes of that.
	host  string
	means netip.Addr
}

const portMark = ":{port}"

// at returns the URL with a port, or with the scheme's own when port is 0.
func (s spelling) at(port uint16) string {
	if port == 0 {
		return strings.ReplaceAll(s.url, portMark, "")
	}
	return strings.ReplaceAll(s.url, portMark, fmt.Sprintf(":%d", port))
}

// targets are the addresses that the spellings stand for: this machine, Lambda's
// Runtime API and a cloud's metadata service, and a private host of each kind.
var targets = []string{
	"127.0.0.1", "127.8.9.10", "0.0.0.0", "169.254.100.1", "169.254.169.254", "169.254.170.2", "10.0.0.1", "172.16.5.4", "192.168.0.1", "100.64.0.1",
}

// corpus returns every spelling, each over https and http.
func corpus() []spelling {
	var all []spelling
	add := func(host string, means netip.Addr) {
		for _, scheme := range []string{"https", "http"} {
			dialled := strings.Trim(strings.ReplaceAll(host, "%25", "%"), "[]")
			all = append(all, spelling{scheme + "://" + host + portMark + "/hook?x=1", dialled, means})
		}
	}
	for _, target := range targets {
		addr := netip.MustParseAddr(target)
		for _, host := range spellingsOf(addr.As4()) {
			add(host, addr)
		}
	}
	for _, addr := range privateIPv6 {
		literal := netip.MustParseAddr(addr)
		add("["+addr+"]", literal)
		add("["+strings.ToUpper(literal.StringExpanded())+"]", literal)
		add("["+addr+"%25lo]", literal)
	}
	here := netip.MustParseAddr("127.0.0.1")
	for _, name := range localNames {
		add(name, here)
	}
	for _, raw := range brokenURLs {
		all = append(all, spelling{raw, "127.0.0.1", here})
	}
	return all
}

// spellingsOf returns the ways to write an IPv4 address in a URL's host.
func spellingsOf(b [4]byte) []string {
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	four := func(format string) string { return fmt.Sprintf(format, b[0], b[1], b[2], b[3]) }
	dotted, hex := four("%d.%d.%d.%d"), fmt.Sprintf("%x:%x", n>>16, n&0xffff)
	return []string{
		dotted,
		dotted + ".",
		dotted + "..",
		four("%03d.%03d.%03d.%03d"),            // read as octal by some
		four("0%o.0%o.0%o.0%o"),                // octal
		four("00000%o.000%o.00%o.0%o"),         // octal with more zeros
		four("0x%x.0x%x.0x%x.0x%x"),            // hexadecimal
		four("0X%02X.0X%02X.0X%02X.0X%02X"),    // the same in capitals
		four("0x%08x.0x%04x.0x%03x.0x%02x"),    // with more zeros
		four("0x%x.0%o.%d.0x%x"),               // mixed
		four("%d.0x%x.0%o.%d"),                 // mixed otherwise
		fmt.Sprint(n),                          // one number
		fmt.Sprintf("0%o", n),                  // in octal
		fmt.Sprintf("0x%x", n),                 // in hexadecimal
		fmt.Sprintf("0x%08X.", n),              // with a dot
		fmt.Sprint(uint64(n) + 1<<32),          // overflowing
		fmt.Sprintf("%d.%d", b[0], n&0xffffff), // two parts
		fmt.Sprintf("0x%x.0x%x", b[0], n&0xffffff),
		fmt.Sprintf("%d.%d.%d", b[0], b[1], n&0xffff), // three parts
		fmt.Sprintf("0%o.0x%x.%d", b[0], b[1], n&0xffff),
		four("%d.%d.%d.%d") + "%20",
		four("%d.%d.%d.%d") + "%00",
		four("%d%%2e%d%%2e%d%%2e%d"),           // escaped dots
		strings.ReplaceAll(dotted, "1", "%31"), // escaped digits
		translate(dotted, "0123456789", "０１２３４５６７８９"), // full-width
		translate(dotted, "0123456789", "⓪①②③④⑤⑥⑦⑧⑨"), // circled
		translate(dotted, "0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"), // superscript
		translate(dotted, "0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"), // mathematical
		translate(dotted, ".", "。"),                   // ideographic full stop
		translate(dotted, ".", "．"),                   // full-width full stop
		translate(dotted, ".", "｡"),                   // half-width full stop
		strings.Replace(dotted, ".", ".\u00ad", 1),    // soft hyphen
		strings.Replace(dotted, ".", "\u200b.", 1),    // space of no width
		"[" + dotted + "]",
		"[::ffff:" + dotted + "]", // mapped
		"[::FFFF:" + hex + "]",
		"[0:0:0:0:0:ffff:" + hex + "]",
		"[0000:0000:0000:0000:0000:ffff:" + dotted + "]",
		"[::ffff:" + dotted + "%25lo]",
		"[::" + dotted + "]",             // compatible
		"[::ffff:0:" + dotted + "]",      // translated (RFC 2765)
		"[64:ff9b::" + dotted + "]",      // NAT64
		"[64:ff9b:1::" + hex + "]",       // NAT64 in a site
		"[2002:" + hex + "::1]",          // 6to4
		"[2002:" + hex + ":0:0:0:0:0:0]", // and with zeros spelt out, one too many for some
		fmt.Sprintf("[2001:0:808:808:0:ffff:%x:%x]", uint16(^n>>16), uint16(^n)), // Teredo
		"[fe80::5efe:" + dotted + "]",                                            // ISATAP
		"[fe80::200:5efe:" + hex + "]",
	}
}

// translate replaces each letter of from by the one of to in its place.
func translate(text, from, to string) string {
	letters := []rune(to)
	var b strings.Builder
	for _, r := range text {
		if i := strings.IndexRune(from, r); i >= 0 {
			b.WriteRune(letters[i])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

var privateIPv6 = []string{
	"::1", "::", "fc00::1", "fd00::1", "fd00:ec2::254", "fd00:ec2::23", "fe80::1", "fe80::a9fe:a9fe", "fec0::1", "ff02::1", "ff0e::1",
	"100::1", "100:0:0:1::1", "64:ff9b::7f00:1", "2001::1", "2001:db8::1", "2001:10::1", "2001:20::1", "2002::1", "3fff::1", "5f00::1",
	"2620:4f:8000::1", "4000::1", "::7f00:1", "::ffff:0:7f00:1",
}

// localNames lead to this machine, or to what only a machine inside can reach.
var localNames = []string{
	"localhost", "LOCALHOST", "LocalHost.", "localhost.localdomain", "a.localhost", "localhost.localhost.", "ip6-localhost", "ip6-loopback",
	"ｌｏｃａｌｈｏｓｔ", "ⓛocalhost", "localhost%00", "localhost%2eexample.net", "lo\u00adcalhost", "broadcasthost", "host.docker.internal",
	"gateway.docker.internal", "kubernetes.default.svc.cluster.local", "metadata", "metadata.google.internal", "METADATA.GOOGLE.INTERNAL.",
	"metadata.goog", "instance-data", "instance-data.ec2.internal", "ip-10-0-0-1.ec2.internal", "ip-10-0-0-1.eu-west-1.compute.internal",
	"sandbox.localdomain", "sandbox", "db", "redis", "intranet", "com", "router.lan", "nas.home", "fritz.box.home.arpa", "printer.local",
	"wiki.corp", "a.private", "receiver.test", "receiver.example", "receiver.invalid", "abc.onion", "abc.alt", "1.0.0.127.in-addr.arpa",
	"-", ".", "..", "a..b.com", ".example.net", "*.example.net", "a b.example.net", "example.net,127.0.0.1", "127.0.0.1;example.net",
	"127.0.0.1,example.net", "127.0.0.1&example.net", "127.0.0.1'", "127.0.0.1!", "(127.0.0.1)", "127.0.0.1$", "127.0.0.1=", "example.net+",
	"example.0x7f000001", "example.127", "1.2.3.4.5", "999.999.999.999", "256.0.0.1", "0x", "0x7f.0x", "09.08.07.06", "1e3.1",
}

// brokenURLs are no URLs, or such that clients disagree on their host.
var brokenURLs = []string{
	"", " ", "/", "//", "///", "https", "https:", "https:/", "https://", "https:///", "https:////", "https://:443/", "https://?", "https://#",
	"127.0.0.1:{port}", "127.0.0.1:{port}/hook", "//127.0.0.1:{port}/", "///127.0.0.1:{port}/", "\\\\127.0.0.1:{port}\\", "://127.0.0.1:{port}/",
	"https:127.0.0.1:{port}/", "https:/127.0.0.1:{port}/", "https:///127.0.0.1:{port}/", "https:\\\\127.0.0.1:{port}/", "https:/\\127.0.0.1:{port}/",
	"https:\\/127.0.0.1:{port}/", "https://\\127.0.0.1:{port}/", "http:////127.0.0.1:{port}/", "http:127.0.0.1:{port}", "http:0", "http:0x7f000001",
	" https://127.0.0.1:{port}/", "\thttps://127.0.0.1:{port}/", "https://127.0.0.1:{port}/\n", "https://127.0.0.1:{port}/\r\nHost: example.net",
	"ht\ntps://127.0.0.1:{port}/", "ht\ttps://127.0.0.1:{port}/", "https://127.0\t.0.1:{port}/", "https://127.0.\n0.1:{port}/", "https://\x00127.0.0.1:{port}/",
	"https://127.0.0.1\x00.example.net:{port}/", "https://127.0.0.1\x7f:{port}/", "https://\xff127.0.0.1:{port}/", "https://127.0.0.1:{port}\\@example.net/",
	"https://user@127.0.0.1:{port}/", "https://user:pass@127.0.0.1:{port}/", "https://@127.0.0.1:{port}/", "https://:@127.0.0.1:{port}/",
	"https://example.net@127.0.0.1:{port}/", "https://example.net:443@127.0.0.1:{port}/", "https://example.net%2f@127.0.0.1:{port}/",
	"https://example.net%23@127.0.0.1:{port}/", "https://example.net%40127.0.0.1:{port}/", "https://a@b@127.0.0.1:{port}/", "https://example.net\\@127.0.0.1:{port}/",
	"https://example.net#@127.0.0.1:{port}/", "https://example.net?@127.0.0.1:{port}/#", "https://example.net/#@127.0.0.1:{port}/", "https://127.0.0.1:{port}#@example.net/",
	"https://127.0.0.1:{port}/#", "https://127.0.0.1:{port}#", "https://example.net/#", "https://[::1]:{port}/#a", "https://[::1:{port}/", "https://::1:{port}/",
	"https://::1]:{port}/", "https://[[::1]]:{port}/", "https://[::1]x:{port}/", "https://[::1]@example.net/", "https://[::1%25]:{port}/", "https://[::1%lo]:{port}/",
	"https://[::1%252525lo]:{port}/", "https://[:::1]:{port}/", "https://[::1::]:{port}/", "https://[1::g]:{port}/", "https://[]:{port}/", "https://[v1.127.0.0.1]:{port}/",
	"https://[localhost]:{port}/", "https://[127.1]:{port}/", "https://127.0.0.1::{port}/", "https://127.0.0.1:{port}:443/", "https://127.0.0.1:443:{port}/",
	"https://127.0.0.1:+443/", "https://127.0.0.1:-1/", "https://127.0.0.1:0/", "https://127.0.0.1:65536/", "https://127.0.0.1:99999999999/", "https://127.0.0.1:0x50/",
	"https://127.0.0.1:４４３/", "https://127.0.0.1:443a/", "https://127.0.0.1: 443/", "https://127.0.0.1:22/", "https://127.0.0.1:25/",
	"https://127.0.0.1:2000/", "https://127.0.0.1:6379/", "https://127.0.0.1:9001/2018-06-01/runtime/invocation/1/response", "https://example.net:0/", "https://example.net:65536/",
	"http+unix://127.0.0.1:{port}/", "unix:///var/run/docker.sock", "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "ftp://127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_POST",
	"dict://127.0.0.1:{port}/", "ldap://127.0.0.1:{port}/", "jar:https://127.0.0.1:{port}/", "ws://127.0.0.1:{port}/", "wss://127.0.0.1:{port}/", "data:text/plain,a",
	"javascript:alert(1)", "about:blank", "blob:https://127.0.0.1:{port}/", "view-source:https://127.0.0.1:{port}/", "httpss://127.0.0.1:{port}/", "h\u0442tps://127.0.0.1:{port}/",
	"HTTPS://127.0.0.1:{port}/", "hTTp://127.0.0.1:{port}/", "https://127.0.0.1:{port}", "https://127.0.0.1:{port}?a=b", "https://127.0.0.1:{port}/../../", "https://127.0.0.1:{port}//example.net/",
}
