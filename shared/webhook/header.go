package webhook

import "strings"

// Header is a request header that an endpoint's owner has sent along with every
// delivery, such as a receiver's API key.
type Header struct {
	// Name is as the owner wrote it; its case means nothing.
	Name  string
	Value HeaderValue
}

// SealedHeaders are headers as they are stored: the names for everyone to see,
// and the headers sealed (package seal).
type SealedHeaders struct {
	// Names are sorted.
	Names []string
	// Sealed holds names and values; empty when there are none.
	Sealed []byte
}

// HeaderValue may be a credential, and which ones are is not to be told from
// their names, so all are treated as one. Converting it to a string is the only
// way to its text: printed, logged or marshalled, it says nothing.
type HeaderValue string

// hidden stands for a value. It is no text that a header may have, so what the
// API showed cannot be sent back as a value by mistake.
const hidden = "••••••••"

func (HeaderValue) String() string { return hidden }

// GoString hides the value from %#v.
func (HeaderValue) GoString() string { return hidden }

// MarshalText hides the value from JSON, and so from the API's answers and the log.
func (HeaderValue) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Limits on the headers of an endpoint.
const (
	MaxHeaders = 20
	// MaxHeaderBytes bounds all names and values together. Receivers refuse
	// requests whose headers exceed some 8 KiB.
	MaxHeaderBytes = 4 << 10
)

// reserved lists the names that an endpoint's owner may not set, in lower case,
// by why. A name that ends in a star stands for all that begin so.
var reserved = []struct {
	why   string
	names []string
}{
	{"is set by the relay itself", []string{"webhook-*", "content-*", "host", "user-agent"}},
	{"is for the connection and not for the request", []string{
		"connection", "keep-alive", "proxy-*", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "expect", "accept-encoding",
		"max-forwards",
	}},
	{"says where a request comes from, which is for the network to say", []string{
		"forwarded", "x-forwarded-*", "x-real-ip", "via", "x-amz*", "traceparent", "tracestate", "baggage",
	}},
	{"opens services that are no receivers", []string{"metadata", "metadata-flavor", "x-google-metadata-request", "x-aws-*", "lambda-*"}},
	{"changes what the request is", []string{"x-http-method", "x-http-method-override", "x-method-override"}},
}

// Reserved says why the header may not be set by an endpoint's owner, or "".
func (h Header) Reserved() string {
	// Gateways that pass headers in variables cannot tell the two apart.
	name := strings.ReplaceAll(strings.ToLower(h.Name), "_", "-")
	for _, group := range reserved {
		for _, pattern := range group.names {
			prefix, open := strings.CutSuffix(pattern, "*")
			if name == pattern || open && strings.HasPrefix(name, prefix) {
				return group.why
			}
		}
	}
	return ""
}

// CheckHeaders returns an *Invalid unless there are at most 20 headers of
// together 4 KiB, with names that are tokens (RFC 9110, section 5.6.2), not
// reserved and given once, and values of visible ASCII characters with spaces
// and tabs between them.
func CheckHeaders(headers []Header) error {
	const field = "headers"
	if len(headers) > MaxHeaders {
		return invalid(field, "must be at most %d", MaxHeaders)
	}
	size, seen := 0, make(map[string]bool, len(headers))
	for _, h := range headers {
		if !isToken(h.Name) {
			return invalid(field, "must have names of letters, digits, - and _")
		}
		named := field + "." + h.Name
		if len(h.Name)+len(h.Value) > MaxHeaderBytes {
			named = field // not to quote what is too long
		}
		if why := h.Reserved(); why != "" {
			return invalid(named, "cannot be set: it %s", why)
		}
		lower := strings.ToLower(h.Name)
		if seen[lower] {
			return invalid(named, "is given twice")
		}
		seen[lower] = true
		if size += len(h.Name) + len(h.Value); size > MaxHeaderBytes {
			return invalid(field, "must be at most %d bytes in all, names and values together", MaxHeaderBytes)
		}
		if err := checkHeaderValue(named, string(h.Value)); err != nil {
			return err
		}
	}
	return nil
}

func checkHeaderValue(field, value string) error {
	switch {
	case value == "":
		return invalid(field, "must not be empty; leave it out instead")
	case value == hidden:
		return invalid(field, "is what stands for a value that is not shown; send the value itself, or leave headers out to keep them")
	case strings.Trim(value, " \t") != value:
		return invalid(field, "must not begin or end with a space")
	case strings.ContainsFunc(value, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }):
		return invalid(field, "must hold ASCII characters only, and no line breaks or other control characters")
	}
	return nil
}

// isToken reports whether name may name a header field (RFC 9110, section 5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
