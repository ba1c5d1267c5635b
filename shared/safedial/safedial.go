// Package safedial opens outbound connections to addresses chosen by
// strangers. It decides on the address a name resolved to, at dial time and for
// every address tried, so neither a DNS answer that changes (rebinding) nor an
// unusual spelling of an address gets past it.
package safedial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Policy says where connections may lead. The zero Policy allows https to
// public addresses on port 443. What it allows beyond that is the operator's
// to set, never a tenant's.
type Policy struct {
	// Allow lists networks that are allowed although they are not public, over
	// plain http too. A few addresses stay refused even inside: see never.
	Allow []netip.Prefix
	// Ports lists the ports that are open besides 443, at every address.
	Ports []PortRange
	// PlainHTTP allows plain http to public addresses too. For a laptop.
	PlainHTTP bool
	// Deny lists addresses that are refused even inside Allow: the Lambda
	// Runtime API has no authentication, and a POST to it could forge the
	// function's own reply.
	Deny []netip.AddrPort
}

// Refusal is a connection that was refused before it was made. Its text names
// no address: whoever chose the endpoint may read it, and must not learn what a
// name resolves to inside the relay's network.
type Refusal struct{ reason string }

func (r *Refusal) Error() string { return r.reason }

func refuse(format string, args ...any) error {
	return &Refusal{fmt.Sprintf(format, args...)}
}

// Check returns a *Refusal unless the policy allows a connection to target for
// a URL of the given scheme, "https" or "http".
func (p Policy) Check(scheme string, target netip.AddrPort) error {
	addr := target.Addr()
	allowed := contains(p.Allow, addr)
	switch {
	case addr.Zone() != "":
		return refuse("its address has a zone")
	case holdsAnother(addr):
		return refuse("its address holds another one inside; use that one itself")
	case contains(never, addr):
		return refuse("its address is link-local, multicast or this machine itself")
	case p.denies(target):
		return refuse("its address belongs to the relay's own runtime")
	case !allowed && !isPublic(addr):
		return refuse("its address is not public")
	case scheme != "https" && !allowed && !p.PlainHTTP:
		return refuse("plain http goes to networks that the operator allowed, and nowhere else; use https")
	}
	return p.checkPort(target.Port())
}

func (p Policy) denies(target netip.AddrPort) bool {
	return slices.ContainsFunc(p.Deny, func(denied netip.AddrPort) bool {
		return denied.Addr().Unmap() == target.Addr() && denied.Port() == target.Port()
	})
}

func (p Policy) checkPort(port uint16) error {
	if port == 443 || slices.ContainsFunc(p.Ports, func(r PortRange) bool { return r.First <= port && port <= r.Last }) {
		return nil
	}
	if len(p.Ports) == 0 {
		return refuse("port %d is not open, only 443 is", port)
	}
	return refuse("port %d is not open, only 443 and %s are", port, formatPorts(p.Ports))
}

// DialContext returns a dial function for the connections of http.Transport to
// URLs of the given scheme. It connects only where the policy allows; the error
// then wraps a *Refusal. connect bounds one connection attempt.
func (p Policy) DialContext(scheme string, connect time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{
		Timeout:   connect,
		KeepAlive: 30 * time.Second,
		// Runs after the name was resolved, once for each address tried.
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil || network != "tcp4" && network != "tcp6" {
				return refuse("its address is not one of the internet")
			}
			return p.Check(scheme, target)
		},
	}
	return dialer.DialContext
}
