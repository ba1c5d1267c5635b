package sqlite

import (
	"fmt"
	"strings"

	"webhookrelay/shared/webhook"
)

// Kinds of list position, its first part, so that one list's position is not
// taken for another's.
const (
	atTenant     = "t" // tenant
	atKey        = "k" // key
	atLine       = "a" // event, for a line's id has the same form
	atJob        = "j" // job
	atEndpoint   = "n" // endpoint
	atEvent      = "e" // event
	atFailed     = "f" // event, endpoint
	atDelivery   = "d" // event, endpoint, or event and nothing once all its deliveries were seen
	atDeadLetter = "x" // tenant, event, endpoint
)

// position joins parts, none of which may hold a dot: the rules for ids say so.
func position[T ~string](kind string, parts ...T) string {
	var b strings.Builder
	b.WriteString(kind)
	for _, part := range parts {
		b.WriteByte('.')
		b.WriteString(string(part))
	}
	return b.String()
}

// parsePosition returns the parts of a position of the given kind, or nil for
// the empty position. forms holds a name per part; a part named "event" is a
// webhook.EventRef, any other an id.
func parsePosition(text, kind string, forms ...string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, ".")
	if len(parts) != len(forms)+1 || parts[0] != kind {
		return nil, fmt.Errorf("position %.80q: %w", text, webhook.ErrBadCursor)
	}
	parts = parts[1:]
	for i, part := range parts {
		if kind == atDelivery && i == 1 && part == "" {
			continue
		}
		if webhook.CheckID(forms[i], part) != nil || forms[i] == "event" && len(part) != webhook.RefLength {
			return nil, fmt.Errorf("position %.80q: %w", text, webhook.ErrBadCursor)
		}
	}
	return parts, nil
}

// maxExamined bounds the rows one list call looks at, most of which may fall
// through its filter.
const maxExamined = 1000

// page reads one page: query, whose last argument is its row limit, yields
// rows in order; scan reads one and returns its position and whether it
// belongs in the list. Where full is given, it says when the page ends before its limit.
func page[T any](c *conn, limit int, query string, args []any, scan func(scanner) (item T, position string, keep bool, err error), full ...func() bool) (items []T, next string, err error) {
	var examined int
	var last string
	err = c.each(query, append(args, maxExamined+1), func(row scanner) (bool, error) {
		if len(items) >= limit || examined == maxExamined || len(full) > 0 && full[0]() {
			next = last
			return false, nil
		}
		item, at, keep, err := scan(row)
		if err != nil {
			return false, err
		}
		examined, last = examined+1, at
		if keep {
			items = append(items, item)
		}
		return true, nil
	})
	if err != nil {
		return nil, "", err
	}
	return items, next, nil
}
