// Package trace takes an event's place in a distributed trace from the headers
// of its request, and continues it towards endpoints (W3C Trace Context,
// https://www.w3.org/TR/trace-context/). It records no spans: whoever collects them
// sees the producer's and the receiver's, joined.
package trace

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"

	"webhookrelay/shared/webhook"
)

// Names of the headers.
const (
	HeaderParent = "Traceparent"
	HeaderState  = "Tracestate"
)

const (
	// version is the one written; a later one that comes is continued as this.
	version = "00"
	// parentLength is that of a traceparent of this version.
	parentLength = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	// maxState bounds a tracestate, in bytes: as many as the specification asks to
	// be passed on at least (section 3.3.1.5).
	maxState = 512
	// maxMembers is how many members a tracestate may have, and longMember the
	// length of those that are left out first where there are too many bytes.
	maxMembers = 32
	longMember = 128
	// knownFlags are sampled and random.
	knownFlags = 0x03
)

// Of returns the trace that the headers name, or none: what is malformed is as
// though it were not there (section 4.3).
func Of(header http.Header) webhook.Trace {
	parents := header.Values(HeaderParent)
	if len(parents) != 1 {
		return webhook.Trace{}
	}
	parent, ok := parse(strings.Trim(parents[0], " \t"))
	if !ok {
		return webhook.Trace{}
	}
	return webhook.Trace{Parent: parent, State: state(header.Values(HeaderState))}
}

// parse checks a traceparent and returns it in this version.
func parse(text string) (string, bool) {
	if len(text) < parentLength || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return "", false
	}
	later := text[:2] != version
	if !later && len(text) != parentLength || len(text) > parentLength && text[parentLength] != '-' {
		return "", false
	}
	if !isHex(text[:2]) || text[:2] == "ff" || !isID(text[3:35]) || !isID(text[36:52]) || !isHex(text[53:55]) {
		return "", false
	}
	flags, _ := hex.DecodeString(text[53:55]) // it is hexadecimal
	return version + text[2:53] + hex.EncodeToString([]byte{flags[0] & knownFlags}), true
}

func isHex(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

// isID reports whether text is hexadecimal and not all zeros.
func isID(text string) bool { return isHex(text) && strings.Trim(text, "0") != "" }

// state joins the lines of a tracestate and returns it within its bounds, or
// empty when it is malformed.
func state(lines []string) string {
	var members []string
	seen := map[string]bool{}
	for member := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		member = strings.Trim(member, " \t")
		if member == "" {
			continue // allowed, and of no meaning
		}
		key, value, ok := strings.Cut(member, "=")
		if !ok || !isKey(key) || !isValue(value) || seen[key] {
			return ""
		}
		seen[key] = true
		members = append(members, member)
	}
	if len(members) > maxMembers {
		return ""
	}
	return shorten(members)
}

// shorten leaves out long members from the end on, then any, until the rest fits
// (section 3.3.1.5).
func shorten(members []string) string {
	size := -1
	for _, member := range members {
		size += len(member) + 1
	}
	for _, least := range []int{longMember + 1, 0} {
		for i := len(members) - 1; i >= 0 && size > maxState; i-- {
			if len(members[i]) >= least {
				size -= len(members[i]) + 1
				members = append(members[:i:i], members[i+1:]...)
			}
		}
	}
	return strings.Join(members, ",")
}

// isKey reports whether text is the key of a member: simple, or tenant@system.
func isKey(text string) bool {
	tenant, system, both := strings.Cut(text, "@")
	if both {
		return len(tenant) <= 241 && len(system) <= 14 && keyPart(tenant, true) && keyPart(system, false)
	}
	return len(text) <= 256 && keyPart(text, false)
}

func keyPart(text string, digitFirst bool) bool {
	for i, r := range text {
		switch {
		case r >= 'a' && r <= 'z':
		case r >= '0' && r <= '9' && (i > 0 || digitFirst):
		case i > 0 && strings.ContainsRune("_-*/", r):
		default:
			return false
		}
	}
	return text != ""
}

// isValue: printable ASCII without comma and equals sign, at most 256, not
// ending in a space.
func isValue(text string) bool {
	return text != "" && len(text) <= 256 && !strings.HasSuffix(text, " ") &&
		!strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == ',' || r == '=' })
}

// ID returns the trace's id, empty when there is none.
func ID(t webhook.Trace) string {
	if len(t.Parent) != parentLength {
		return ""
	}
	return t.Parent[3:35]
}

// Span is one attempt in a trace.
type Span struct {
	// Trace, Parent and ID are hexadecimal: the trace's id, the producer's span and
	// this attempt's own.
	Trace, Parent, ID string
}

// Continue sets the headers of an attempt, whose span is a child of the producer's, and
// returns that span. Without a trace it sets nothing and returns no span.
func Continue(t webhook.Trace, header http.Header) Span {
	if len(t.Parent) != parentLength {
		return Span{}
	}
	s := Span{Trace: ID(t), Parent: t.Parent[36:52], ID: newID()}
	header.Set(HeaderParent, t.Parent[:36]+s.ID+t.Parent[52:])
	if t.State != "" {
		header.Set(HeaderState, t.State)
	}
	return s
}

func newID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	id[7] |= 1              // an id of zeros is invalid
	return hex.EncodeToString(id[:])
}
