package webhook

import (
	"errors"
	"fmt"
)

// Sentinels that stores and use cases return, wrapped with what they concern.
// The api package holds the one table that maps them to HTTP statuses.
var (
	// ErrNotFound: the tenant, endpoint, event or delivery does not exist, or has expired.
	ErrNotFound = errors.New("not found")
	// ErrExists: the caller chose an id that is taken.
	ErrExists = errors.New("already exists")
	// ErrFull: there are as many as there may be.
	ErrFull = errors.New("no more of these are allowed")
	// ErrConflict: the row changed since it was read; read it again and decide anew.
	ErrConflict = errors.New("changed meanwhile")
	// ErrBadCursor: a list position that this relay did not hand out.
	ErrBadCursor = errors.New("unknown cursor")
	// ErrUnreadable: a stored row that is damaged, or written by a newer version
	// than this one. It concerns that row alone.
	ErrUnreadable = errors.New("row cannot be read")
	// ErrMoveRunning: a redrive of the dead-letter queue is already under way.
	ErrMoveRunning = errors.New("a redrive is already running")
)

// Invalid reports one field of a request that breaks a rule. Reason completes
// the sentence "<field> …" and says what would be right.
type Invalid struct {
	Field  string
	Reason string
}

func (e *Invalid) Error() string { return fmt.Sprintf("%s %s", e.Field, e.Reason) }

func invalid(field, format string, args ...any) error {
	return &Invalid{Field: field, Reason: fmt.Sprintf(format, args...)}
}
