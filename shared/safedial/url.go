package safedial

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// CheckURL says early, before any lookup, that a URL can never be dialled under
// the policy. A nil error promises nothing: the address decides at dial time.
// The error's text completes the sentence "url …"; it wraps a *Refusal when the
// URL is well formed but leads where the policy does not.
func (p Policy) CheckURL(raw string) error {
	u, err := parseURL(raw)
	if err != nil {
		return err
	}
	port, err := portOf(u)
	if err != nil {
		return err
	}
	addr, err := parseHost(u.Hostname())
	switch {
	case err != nil:
		return err
	case addr.IsValid():
		err = p.Check(u.Scheme, netip.AddrPortFrom(addr, port))
	default:
		err = p.checkReach(u.Scheme, u.Hostname(), port)
	}
	if err != nil {
		return fmt.Errorf("cannot be used: %w", err)
	}
	return nil
}

// parseURL returns raw as an absolute http or https URL with a host and without
// credentials and fragment.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must start with https://")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("must name a host, such as https://example.com/webhooks")
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password; send credentials in headers")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("must not hold a fragment: remove the part from # on")
	}
	return u, nil
}

func portOf(u *url.URL) (uint16, error) {
	text := u.Port()
	switch {
	case text == "" && u.Scheme == "http":
		return 80, nil
	case text == "":
		return 443, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("has a port that is not between 1 and 65535")
	}
	return uint16(n), nil
}

// parseHost returns the address that host is, or the zero Addr for a name.
func parseHost(host string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, nil
	}
	return netip.Addr{}, checkName(host)
}

// checkName refuses what is not a domain name in ASCII. Full-width digits and
// other letters that are turned into ASCII on the way to the resolver are thus
// refused with all others, and so is every way to write an IPv4 address but the
// plain one: some resolvers read 0x7f.1 and 2130706433 as 127.0.0.1.
func checkName(host string) error {
	name := strings.TrimSuffix(host, ".")
	if len(name) > 253 {
		return errors.New("names a host of more than 253 characters")
	}
	label := ""
	for label = range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return errors.New("names a host that is not a domain name")
		}
		for i := range len(label) {
			c := label[i]
			if c >= 0x80 {
				return errors.New("must name its host in ASCII: write an international name in its xn-- form")
			}
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return errors.New("names a host that is not a domain name")
			}
		}
	}
	// No top-level domain begins with a digit (RFC 3696, section 2).
	if label[0] >= '0' && label[0] <= '9' {
		return errors.New("must write an IPv4 address as four decimal numbers, such as 192.0.2.1, without a dot at the end")
	}
	return nil
}

// localDomains are top-level domains that do not exist on the internet: those
// reserved for other uses (RFC 6761 and its registry), and those by which
// private networks name their own hosts.
var localDomains = []string{
	"alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost",
	"onion", "private", "test",
}

// metadataNames lead to a cloud's metadata service, whose address is refused in
// any case; the name says so sooner.
var metadataNames = []string{"instance-data", "instance-data.ec2.internal", "metadata", "metadata.goog", "metadata.google.internal"}

// checkReach refuses a name that can only lead where the policy does not.
func (p Policy) checkReach(scheme, host string, port uint16) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	top := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case slices.Contains(metadataNames, name):
		return refuse("it names a metadata service")
	case top == "localhost" && !p.allowsLoopback():
		return refuse("it names this machine itself")
	case len(p.Allow) == 0 && top == name:
		return refuse("a name without a dot leads to a private network; use the full domain name")
	case len(p.Allow) == 0 && slices.Contains(localDomains, top):
		return refuse("names under .%s lead nowhere on the internet", top)
	case len(p.Allow) == 0 && scheme != "https" && !p.PlainHTTP:
		return refuse("this relay sends to https only; start the URL with https://")
	}
	return p.checkPort(port)
}

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func (p Policy) allowsLoopback() bool {
	return slices.ContainsFunc(p.Allow, func(network netip.Prefix) bool {
		return network.Overlaps(loopback) || network.Contains(netip.IPv6Loopback())
	})
}
