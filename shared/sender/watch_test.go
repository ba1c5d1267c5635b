package sender_test

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
)

// watch is a listener that remembers every connection. It is the only witness
// of what was connected to: what the code says of itself counts for nothing.
type watch struct {
	net.Listener

	mu       sync.Mutex
	accepted *sync.Cond
	seen     []call
}

// call is a connection: who made it, and to which of this machine's addresses.
type call struct{ from, to netip.AddrPort }

func newWatch(address string) (*watch, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	w := &watch{Listener: listener}
	w.accepted = sync.NewCond(&w.mu)
	return w, nil
}

// mustWatch is newWatch for a test. Whoever calls it has to accept connections.
func mustWatch(t *testing.T, address string) *watch {
	t.Helper()
	w, err := newWatch(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func (w *watch) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	if err == nil {
		w.mu.Lock()
		w.seen = append(w.seen, call{end(conn.RemoteAddr()), end(conn.LocalAddr())})
		w.mu.Unlock()
		w.accepted.Broadcast()
	}
	return conn, err
}

func end(addr net.Addr) netip.AddrPort {
	parsed := netip.MustParseAddrPort(addr.String())
	return netip.AddrPortFrom(parsed.Addr().Unmap(), parsed.Port())
}

func (w *watch) port() uint16 { return end(w.Addr()).Port() }

// calls returns the addresses that the connections made so far came to. One of
// its own is queued behind them: once that is accepted, so are they.
func (w *watch) calls(t *testing.T) (to []netip.Addr) {
	t.Helper()
	last, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), w.port()).String())
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	isLast := func(c call) bool { return c.from == end(last.LocalAddr()) }
	w.mu.Lock()
	defer w.mu.Unlock()
	for !slices.ContainsFunc(w.seen, isLast) {
		w.accepted.Wait()
	}
	w.seen = slices.DeleteFunc(w.seen, isLast)
	for _, c := range w.seen {
		to = append(to, c.to.Addr())
	}
	return to
}
