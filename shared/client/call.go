package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// call is one request. Path segments are escaped by at.
type call struct {
	method, path string
	query        url.Values
	body         any
	// idempotencyKey goes into the header of that name.
	idempotencyKey string
	// repeatable says that the request made twice does what it does once, so that
	// it may also follow a 503 of which is not known whether the relay itself gave it.
	repeatable bool
}

// at joins literal and escaped segments of a path: at("/v1/tenants/", "a b", "/keys").
// Every second part is an id.
func at(parts ...string) string {
	for i := 1; i < len(parts); i += 2 {
		parts[i] = segment(parts[i])
	}
	return strings.Join(parts, "")
}

// noID stands in a path for an id that would make it another path.
const noID = "%00"

func segment(id string) string {
	if id == "" || id == "." || id == ".." {
		return noID
	}
	return url.PathEscape(id)
}

// do makes the request, again where that is safe, and reads the answer's JSON
// into target unless that is nil. It returns the answer's headers.
func (c *Client) do(ctx context.Context, r call, target any) (http.Header, error) {
	answer, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if target == nil {
		return answer.Header, nil
	}
	if raw, ok := target.(*[]byte); ok {
		*raw, err = io.ReadAll(answer.Body)
	} else {
		err = json.NewDecoder(answer.Body).Decode(target)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", r.method, r.path, err)
	}
	return answer.Header, nil
}

// send returns an answer of 200 to 299, whose body the caller closes.
func (c *Client) send(ctx context.Context, r call) (*http.Response, error) {
	if strings.Contains(r.path, noID) {
		return nil, errors.New("an id is empty, or no id at all")
	}
	var payload []byte
	if r.body != nil {
		var err error
		if payload, err = encode(r.body); err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
	}
	for made := 0; ; made++ {
		answer, err := c.once(ctx, r, payload)
		if err != nil {
			return nil, err
		}
		if answer.StatusCode/100 == 2 {
			return answer, nil
		}
		problem := problemOf(answer, c.config.Now())
		wait, again := problem.again(made, r.repeatable)
		if !again || made >= c.config.Retries || wait > c.config.MaxWait {
			return nil, problem
		}
		if err := c.config.Sleep(ctx, wait); err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
	}
}

func (c *Client) once(ctx context.Context, r call, payload []byte) (*http.Response, error) {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	for name, value := range map[string]string{
		"Accept": "application/json", "User-Agent": c.config.UserAgent, "Idempotency-Key": r.idempotencyKey,
	} {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	if c.config.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.config.Key)
	}
	if payload != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return c.config.HTTP.Do(request)
}

// encode writes JSON without escaping <, > and &, so that an event's data
// stays as it is but for white space.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// backoff is the wait before the next try where the relay names none: 1 s, 2 s, 4 s.
func backoff(made int) time.Duration {
	return time.Second << min(made, 5)
}
