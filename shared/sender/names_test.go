package sender_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is the tests' only resolver. It says of a name what a test told
// it to, an answer further with each question, and of any other name that it is
// this machine: what an attacker's server would say.
type nameServer struct {
	conn net.PacketConn

	mu    sync.Mutex
	names map[string]*name
}

// name is how the server answers for one name.
type name struct {
	// alias, if any, is returned as a CNAME before the addresses.
	alias string
	// answers are given in turn, the last one for good. Each holds addresses of
	// both families.
	answers [][]netip.Addr
	// asked counts the questions for A and AAAA records apart, since one lookup asks both.
	asked map[dnsmessage.Type]int
}

// absent names do not exist, nor does what a resolver's search list makes of
// the attacker's.
func absent(host string) bool {
	return strings.Contains(host+".", ".invalid.") || strings.Contains(host, domain)
}

func newNameServer() (*nameServer, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &nameServer{conn: conn, names: make(map[string]*name)}
	go s.serve()
	return s, nil
}

func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// set makes the server give the answers in turn for a name.
func (s *nameServer) set(host, alias string, answers ...[]netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[host] = &name{alias: alias, answers: answers, asked: make(map[dnsmessage.Type]int)}
}

// questions returns how often a name's addresses of either family were asked for.
func (s *nameServer) questions(host string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.names[host].asked
	return max(asked[dnsmessage.TypeA], asked[dnsmessage.TypeAAAA])
}

func (s *nameServer) serve() {
	buffer := make([]byte, 1<<12)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(buffer[:n]) != nil || len(query.Questions) != 1 {
			continue
		}
		answer := s.answer(query)
		if packed, err := answer.Pack(); err == nil {
			_, _ = s.conn.WriteTo(packed, from)
		}
	}
}

func (s *nameServer) answer(query dnsmessage.Message) dnsmessage.Message {
	question := query.Questions[0]
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: query.ID, Response: true, RecursionDesired: true, RecursionAvailable: true},
		Questions: query.Questions,
	}
	host := strings.ToLower(strings.TrimSuffix(question.Name.String(), "."))
	alias, addrs, ok := s.next(host, question.Type)
	if !ok {
		reply.RCode = dnsmessage.RCodeNameError
		return reply
	}
	owner := question.Name
	add := func(kind dnsmessage.Type, body dnsmessage.ResourceBody) {
		header := dnsmessage.ResourceHeader{Name: owner, Type: kind, Class: dnsmessage.ClassINET}
		reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: body})
	}
	if alias != "" {
		target := dnsmessage.MustNewName(alias + ".")
		add(dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: target})
		owner = target
	}
	for _, addr := range addrs {
		switch {
		case question.Type == dnsmessage.TypeA && addr.Is4():
			add(dnsmessage.TypeA, &dnsmessage.AResource{A: addr.As4()})
		case question.Type == dnsmessage.TypeAAAA && addr.Is6():
			add(dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: addr.As16()})
		}
	}
	return reply
}

// next returns what is to be said of a name this time; not ok: that there is none.
func (s *nameServer) next(host string, kind dnsmessage.Type) (alias string, addrs []netip.Addr, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.names[host]
	if !ok {
		return "", []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, !absent(host)
	}
	turn := min(known.asked[kind], len(known.answers)-1)
	known.asked[kind]++
	return known.alias, known.answers[turn], true
}
