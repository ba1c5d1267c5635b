package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// codePrefix begins the type of every problem of a relay.
const codePrefix = "urn:webhookrelay:problem:"

// maxProblem bounds what is read of an error's document, in bytes.
const maxProblem = 64 << 10

// Problem is an error that the relay answered: its RFC 9457 document, and what
// the headers add.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong and what to do.
	Detail string `json:"detail,omitempty"`
	// Field names the part of the request that is wrong.
	Field string `json:"field,omitempty"`
	// Pointer is the JSON Pointer of the value in an event that breaks its type's schema.
	Pointer string `json:"pointer,omitempty"`

	// RequestID is what the relay's log and audit trail know the request by.
	RequestID string `json:"-"`
	// RetryAfter is how long the relay asked to wait; 0 when it did not.
	RetryAfter time.Duration `json:"-"`
}

// Code is the stable name of the problem, such as "not-found"; empty when
// something before the relay answered.
func (p *Problem) Code() string {
	code, ok := strings.CutPrefix(p.Type, codePrefix)
	if !ok {
		return ""
	}
	return code
}

// Error says title, status, what to do, and the request's id.
func (p *Problem) Error() string {
	text := fmt.Sprintf("%s (%d)", p.Title, p.Status)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.RequestID != "" {
		text += " [request " + p.RequestID + "]"
	}
	return text
}

// IsStatus says whether err is a problem with the HTTP status.
func IsStatus(err error, status int) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Status == status
}

// IsCode says whether err is a problem with the code, such as "redrive-running".
func IsCode(err error, code string) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Code() == code
}

// problemOf reads and closes an answer that is an error.
func problemOf(answer *http.Response, now time.Time) *Problem {
	defer answer.Body.Close()
	p := &Problem{}
	raw, _ := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err := json.Unmarshal(raw, p); err != nil || !strings.HasPrefix(p.Type, codePrefix) {
		p = &Problem{
			Type: "about:blank", Title: http.StatusText(answer.StatusCode),
			Detail: "The answer is not one of a relay. Check the URL, and what lies between it and you.",
		}
	}
	p.Status = answer.StatusCode
	p.RequestID = answer.Header.Get("X-Request-Id")
	p.RetryAfter = retryAfter(answer.Header.Get("Retry-After"), now)
	return p
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3); 0 when it is neither.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// again says whether, and after how long, a request may follow one that met
// the problem. A 429 did nothing. Nor did a 503 of the relay's own; that of a
// gateway may have come after the relay did its work.
func (p *Problem) again(made int, repeatable bool) (time.Duration, bool) {
	switch p.Status {
	case http.StatusTooManyRequests:
	case http.StatusServiceUnavailable:
		if !repeatable && p.Code() == "" {
			return 0, false
		}
	default:
		return 0, false
	}
	if p.RetryAfter > 0 {
		return p.RetryAfter, true
	}
	return backoff(made), true
}
