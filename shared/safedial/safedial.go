// Package safedial opens outbound connections to addresses chosen by
// strangers. It decides on the address a name resolved to, at dial time and for
// every address tried, so neither a DNS answer that changes (rebinding) nor an
// unusual spelling of an address gets past it.
package safedial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrBlocked marks a connection that was refused before it was made.
var ErrBlocked = errors.New("address is not allowed")

// Policy says which addresses may be dialled. The zero Policy allows public
// addresses on port 443 only.
type Policy struct {
	// Allow lists networks that are allowed although they are not public, on any
	// port and over plain http.
	Allow []netip.Prefix
	// AnyPort allows plain http, and every port, to public addresses too.
	AnyPort bool
	// Deny lists addresses that are refused even inside Allow: the Lambda
	// Runtime API has no authentication, and a POST to it could forge the
	// function's own reply.
	Deny []netip.AddrPort
}

// special holds the IPv4 and IPv6 ranges that are not globally reachable
// receivers (IANA special-purpose address registries), and those that carry an
// IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo).
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

// global is the only IPv6 range from which unicast addresses are assigned;
// everything outside it is refused without a list.
var global = netip.MustParsePrefix("2000::/3")

// Check returns ErrBlocked, wrapped with the address, unless the policy allows
// a connection to it.
func (p Policy) Check(target netip.AddrPort) error {
	addr := target.Addr()
	if addr.Zone() != "" {
		return fmt.Errorf("%w: %s has a zone", ErrBlocked, addr)
	}
	addr = addr.Unmap()
	for _, denied := range p.Deny {
		if denied.Addr().Unmap() == addr && denied.Port() == target.Port() {
			return fmt.Errorf("%w: %s belongs to the relay's own runtime", ErrBlocked, target)
		}
	}
	for _, allowed := range p.Allow {
		if allowed.Contains(addr) {
			return nil
		}
	}
	if addr.Is6() && !global.Contains(addr) {
		return fmt.Errorf("%w: %s is not a public address", ErrBlocked, addr)
	}
	for _, prefix := range special {
		if prefix.Contains(addr) {
			return fmt.Errorf("%w: %s is not a public address", ErrBlocked, addr)
		}
	}
	if target.Port() != 443 && !p.AnyPort {
		return fmt.Errorf("%w: port %d, only 443 is open to public addresses", ErrBlocked, target.Port())
	}
	return nil
}

// CheckURL says early, before any lookup, that a URL can never be dialled under
// the policy. A nil error promises nothing: the address decides at dial time.
// The error's text completes the sentence "url …".
func (p Policy) CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not a URL")
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must start with https://")
	case u.Opaque != "" || host == "":
		return errors.New("must name a host, such as https://example.com/webhooks")
	case u.User != nil:
		return errors.New("must not hold a user name or password")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return errors.New("must not hold a fragment: remove the part from # on")
	}
	port := uint16(443)
	if u.Scheme == "http" {
		port = 80
	}
	if text := u.Port(); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return errors.New("has a port that is not between 1 and 65535")
		}
		port = uint16(n)
	}
	plain := u.Scheme == "http"
	if addr, err := netip.ParseAddr(host); err == nil {
		if err := p.Check(netip.AddrPortFrom(addr, port)); err != nil {
			return fmt.Errorf("points to an address that is not allowed (%w)", err)
		}
		return nil
	}
	if plain && !p.AnyPort && len(p.Allow) == 0 {
		return errors.New("must start with https://: this relay sends to https only")
	}
	if isLocalName(host) && !p.allowsLoopback() {
		return errors.New("points to this machine itself, which is not allowed")
	}
	return nil
}

func isLocalName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func (p Policy) allowsLoopback() bool {
	for _, prefix := range p.Allow {
		if prefix.Addr().IsLoopback() {
			return true
		}
	}
	return false
}

// DialContext returns a dial function for http.Transport that connects only
// where the policy allows. connect bounds one connection attempt.
func (p Policy) DialContext(connect time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{
		Timeout:   connect,
		KeepAlive: 30 * time.Second,
		// Runs after the name was resolved, once for each address tried.
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			if network != "tcp4" && network != "tcp6" {
				return fmt.Errorf("%w: network %s", ErrBlocked, network)
			}
			target, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %q", ErrBlocked, address)
			}
			return p.Check(target)
		},
	}
	return dialer.DialContext
}

// ParseCIDRs reads comma-separated networks such as "127.0.0.0/8,::1/128".
func ParseCIDRs(text string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.1.0.0/16", part)
		}
		list = append(list, prefix.Masked())
	}
	return list, nil
}

func prefixes(list ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(list))
	for i, text := range list {
		parsed[i] = netip.MustParsePrefix(text)
	}
	return parsed
}
