package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// NewFilterTest is a filter with an example of an event.
type NewFilterTest struct {
	Filter string       `json:"filter"`
	Event  ExampleEvent `json:"event"`
}

// ExampleEvent is an event that is not posted. Type and Data are required.
type ExampleEvent struct {
	Type      string          `json:"type"`
	Data      json.RawMessage `json:"data"`
	ID        string          `json:"id,omitempty"`
	Channels  []string        `json:"channels,omitempty"`
	Timestamp *time.Time      `json:"timestamp,omitempty"`
}

// What a filter makes of an event.
const (
	FilterMatches = "match"
	FilterRefuses = "no_match"
	FilterFailed  = "failed"
)

// FilterTest says what a filter makes of an event, and why.
type FilterTest struct {
	// Result is FilterMatches, FilterRefuses, or FilterFailed for the reason in Detail.
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
	// DecidedBy are the parts of the expression that settled it.
	DecidedBy []FilterPart `json:"decided_by"`
}

// FilterPart is a part of an expression, with its value unless it failed or is long.
type FilterPart struct {
	Expression string          `json:"expression"`
	Line       int             `json:"line"`
	Column     int             `json:"column"`
	Value      json.RawMessage `json:"value,omitempty"`
	Detail     string          `json:"detail,omitempty"`
	// Of are the values that it was made of.
	Of []FilterPart `json:"of,omitempty"`
}

// TestFilter says whether a filter lets an event through, and why. Nothing is
// stored or sent.
func (c *Client) TestFilter(ctx context.Context, tenant string, test NewFilterTest) (FilterTest, error) {
	var answer FilterTest
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: at("/v1/tenants/", tenant, "/filters/test"), body: test, repeatable: true,
	}, &answer)
	return answer, err
}
