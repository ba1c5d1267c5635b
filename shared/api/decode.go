package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"webhookrelay/shared/webhook"
)

// maxDepth bounds how deep objects and lists may lie in each other, the request's
// own object included. It is the least that common receivers read without being
// told: the default of .NET (JsonSerializerOptions.MaxDepth).
const maxDepth = 64

// maxBody bounds a request's body where no payload is expected, in bytes.
const maxBody = 64 << 10

// fields reads a JSON object's members, each by the function under its name.
type fields map[string]func(raw json.RawMessage) error

// decode reads the request's JSON object of at most limit bytes strictly: an
// unknown or repeated member, a wrong type and anything after the object are
// refused by name. Each member's bytes reach its function untouched.
func decode(r *http.Request, limit int64, members fields) error {
	return decodeWithin(r, limit, maxDepth, members)
}

// decodeWithin is decode for a request of another depth than most.
func decodeWithin(r *http.Request, limit int64, depth int, members fields) error {
	body, err := readBody(r, limit)
	if err != nil {
		return err
	}
	return decodeObject(body, depth, members)
}

// decodeOptional is decode for a request that may come without a body.
func decodeOptional(r *http.Request, members fields) error {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	return decode(r, maxBody, members)
}

func readBody(r *http.Request, limit int64) ([]byte, error) {
	contentType := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
		return nil, problem(http.StatusUnsupportedMediaType, "unsupported-media-type", "Unsupported media type",
			"Send JSON with the header 'Content-Type: application/json'.")
	}
	var read bytes.Buffer
	read.Grow(int(max(0, min(r.ContentLength, maxBody))) + bytes.MinRead)
	if _, err := read.ReadFrom(io.LimitReader(r.Body, limit+1)); err != nil {
		return nil, problem(http.StatusBadRequest, "unreadable-body", "The body could not be read", "The connection broke off. Send the request again.")
	}
	body := read.Bytes()
	if int64(len(body)) > limit {
		return nil, tooLarge(fmt.Sprintf("The request body is larger than %d bytes.", limit))
	}
	return body, nil
}

func tooLarge(detail string) error {
	return problem(http.StatusRequestEntityTooLarge, "too-large", "Payload too large", detail)
}

func malformed(detail string) error {
	return problem(http.StatusBadRequest, "malformed-json", "Malformed JSON", detail)
}

// decodeObject is decode for bytes. The members' functions may keep theirs.
func decodeObject(body []byte, depth int, members fields) error {
	if !utf8.Valid(body) {
		return malformed("The body is not valid UTF-8.")
	}
	if deeper(body, depth) {
		return problem(http.StatusBadRequest, "too-deep", "Nested too deep",
			fmt.Sprintf("Objects and lists may lie at most %d deep in each other.", depth))
	}
	if start := bytes.TrimLeft(body, whitespace); len(start) == 0 || start[0] != '{' {
		return malformed("The body must be one JSON object.")
	}
	if !json.Valid(body) {
		return syntax(json.Unmarshal(body, new(json.RawMessage)))
	}
	seen := make(map[string]bool, len(members))
	for name, raw := range membersOf(body) {
		read, known := members[name]
		if !known {
			return &webhook.Invalid{Field: name, Reason: "is not a field of this request"}
		}
		if seen[name] {
			return &webhook.Invalid{Field: name, Reason: "is given twice"}
		}
		seen[name] = true
		if err := read(raw); err != nil {
			return err
		}
	}
	return nil
}

// deeper reports whether body nests objects and lists more than limit deep. Of
// what is no JSON it may say either.
func deeper(body []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = endOfString(body, i) - 1
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

func syntax(err error) error {
	if at, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformed(fmt.Sprintf("At byte %d: %s.", at.Offset, at.Error()))
	}
	return malformed("The JSON object is incomplete.")
}

// into reads a member into target; want names the JSON type in an error.
func into[T any](field, want string, target *T) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var value *T
		if err := json.Unmarshal(raw, &value); err != nil || value == nil {
			return &webhook.Invalid{Field: field, Reason: "must be " + want}
		}
		*target = *value
		return nil
	}
}

// intoPointer is into for a member that may be left out.
func intoPointer[T any](field, want string, target **T) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		*target = new(T)
		return into(field, want, *target)(raw)
	}
}

// intoID reads a caller's own id.
func intoID[T ~string](field string, target *T) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		if err := into(field, "a string", target)(raw); err != nil {
			return err
		}
		return webhook.CheckID(field, string(*target))
	}
}

// intoHeaders reads an object of strings into target, which is then not nil.
// Names that repeat are kept for webhook.CheckHeaders to refuse.
func intoHeaders(field string, target *[]webhook.Header) func(json.RawMessage) error {
	wrong := &webhook.Invalid{Field: field, Reason: "must be an object whose values are strings"}
	return func(raw json.RawMessage) error {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
			return wrong
		}
		headers := []webhook.Header{}
		for decoder.More() {
			name, nameErr := decoder.Token()
			value, valueErr := decoder.Token()
			text, ok := value.(string)
			if nameErr != nil || valueErr != nil || !ok {
				return wrong
			}
			headers = append(headers, webhook.Header{Name: name.(string), Value: webhook.HeaderValue(text)})
		}
		*target = headers
		return nil
	}
}

// intoTime reads an RFC 3339 timestamp.
func intoTime(field string, target *time.Time) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return &webhook.Invalid{Field: field, Reason: "must be an RFC 3339 string such as 2026-01-31T12:00:00Z"}
		}
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil || parsed.UTC().Year() < 1970 || parsed.UTC().Year() > 9999 {
			return &webhook.Invalid{Field: field, Reason: "must be an RFC 3339 string such as 2026-01-31T12:00:00Z"}
		}
		*target = parsed
		return nil
	}
}

// query returns the request's parameters, refusing any but those named, so that
// a misspelt filter does not silently match everything.
func query(r *http.Request, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &webhook.Invalid{Field: "query", Reason: "is not well formed"}
	}
	for name, given := range values {
		if !slices.Contains(names, name) {
			return nil, &webhook.Invalid{Field: name, Reason: "is not a parameter of this list"}
		}
		if len(given) > 1 {
			return nil, &webhook.Invalid{Field: name, Reason: "is given twice"}
		}
		if given[0] == "" && name != "cursor" { // an empty cursor asks for the first page
			return nil, &webhook.Invalid{Field: name, Reason: "is empty; leave it out"}
		}
	}
	return values, nil
}

// Bounds of a list's limit.
const (
	defaultLimit = 50
	maxLimit     = 250
)

// page reads limit and cursor for the list named kind.
func page(values url.Values, kind string) (webhook.Page, error) {
	p := webhook.Page{Limit: defaultLimit}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return p, &webhook.Invalid{Field: "limit", Reason: fmt.Sprintf("must be a number from 1 to %d", maxLimit)}
		}
		p.Limit = n
	}
	after, err := decodeCursor(values.Get("cursor"), kind)
	p.After = after
	return p, err
}
