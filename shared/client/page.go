package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// Page is a part of a list. It may hold fewer items than asked for, even none,
// and still name a next one.
type Page[T any] struct {
	Data []T `json:"data"`
	// NextCursor asks for the next page; nil at the end.
	NextCursor *string `json:"next_cursor"`
}

// PageOptions say which part of a list to answer.
type PageOptions struct {
	// Limit is the most items of a page, 1 to 250; 0 for the relay's default.
	Limit int
	// Cursor is the NextCursor of the page before; empty for the first.
	Cursor string
}

func (o PageOptions) query() url.Values {
	query := url.Values{}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Cursor != "" {
		query.Set("cursor", o.Cursor)
	}
	return query
}

// MaxPage is the most items that a page may be asked for.
const MaxPage = 250

// get answers a repeatable GET of path.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var answer T
	_, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, repeatable: true}, &answer)
	return answer, err
}

// all walks a list page by page, from the cursor of options and with its limit
// to each page. It ends after the first error.
func all[T any](options PageOptions, fetch func(PageOptions) (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		options := options // each walk begins anew
		for {
			page, err := fetch(options)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Data {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextCursor == nil {
				return
			}
			options.Cursor = *page.NextCursor
		}
	}
}
