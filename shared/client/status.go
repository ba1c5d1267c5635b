package client

import (
	"context"
	"net/http"
	"time"
)

// Status is the relay's word that it answers.
type Status struct {
	Status string `json:"status"`
	// Clock is the time on the answering server, to the second; zero when it named none.
	Clock time.Time `json:"-"`
}

// Health asks whether the relay answers. It needs no key.
func (c *Client) Health(ctx context.Context) (Status, error) {
	var answer Status
	header, err := c.do(ctx, call{method: http.MethodGet, path: "/healthz", repeatable: true}, &answer)
	if err != nil {
		return answer, err
	}
	answer.Clock, _ = http.ParseTime(header.Get("Date"))
	return answer, nil
}

// OpenAPI returns the relay's description of itself: OpenAPI 3.1 as YAML. It needs no key.
func (c *Client) OpenAPI(ctx context.Context) ([]byte, error) {
	return get[[]byte](ctx, c, "/openapi.yaml", nil)
}

// Reference returns the relay's description of itself as a page, HTML. It needs no key.
func (c *Client) Reference(ctx context.Context) ([]byte, error) {
	return get[[]byte](ctx, c, "/docs", nil)
}
