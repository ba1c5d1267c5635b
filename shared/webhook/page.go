package webhook

// Page asks for one page of a list.
type Page struct {
	// Limit is how many items at most, at least 1.
	Limit int
	// After is where the page before ended, as the list call returned it; empty
	// for the first page. A list call returns an empty position at the end, and
	// ErrBadCursor for a position it never returned. A page may hold fewer items
	// than Limit, even none, before the end: the work per call is bounded.
	After string
}
