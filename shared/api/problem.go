package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/webhook"
)

// Problem is an RFC 9457 error document. Its detail says what to do.
type Problem struct {
	// Type is "urn:webhookrelay:problem:" and a stable code.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Field names the part of the request that is wrong.
	Field string `json:"field,omitempty"`
	// Pointer is the JSON Pointer (RFC 6901) of the value within the event that
	// breaks the schema of the event's type.
	Pointer string `json:"pointer,omitempty"`

	retryAfter int
}

func problem(status int, code, title, detail string) *Problem {
	return &Problem{Type: "urn:webhookrelay:problem:" + code, Title: title, Status: status, Detail: detail}
}

// tooMany refuses a request for which there is room again after wait.
func tooMany(wait time.Duration) *Problem {
	p := problem(http.StatusTooManyRequests, "too-many-requests", "Too many requests",
		"The limit of requests per second is reached. Send the request again after the seconds that Retry-After names.")
	p.retryAfter = int((wait + time.Second - 1) / time.Second)
	return p
}

func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// problems is the one table from errors to statuses. The first match counts;
// what matches nothing is an internal error, whose text only the log gets.
var problems = []struct {
	err     error
	problem Problem
}{
	{auth.ErrUnauthenticated, Problem{
		Type: "unauthenticated", Status: http.StatusUnauthorized, Title: "No valid API key",
		Detail: "Send the header 'Authorization: Bearer <key>' with a key of this relay that has not expired.",
	}},
	{auth.ErrForbidden, Problem{
		Type: "forbidden", Status: http.StatusForbidden, Title: "Not allowed",
		Detail: "The key is valid, but its scope does not allow this. Use a key with another scope.",
	}},
	{webhook.ErrNotFound, Problem{
		Type: "not-found", Status: http.StatusNotFound, Title: "Not found",
		Detail: "There is nothing under this address: check the tenant and the id. Events expire after their retention.",
	}},
	{webhook.ErrExists, Problem{
		Type: "already-exists", Status: http.StatusConflict, Title: "Already exists",
		Detail: "The id is taken. Choose another, or change the existing one with PATCH.",
	}},
	{webhook.ErrFull, Problem{
		Type: "limit-reached", Status: http.StatusConflict, Title: "Limit reached",
		Detail: fmt.Sprintf("A tenant has at most %d endpoints and %d keys. Remove one that is not needed any more.", webhook.MaxEndpoints, keyring.MaxKeys),
	}},
	{webhook.ErrConflict, Problem{
		Type: "conflict", Status: http.StatusConflict, Title: "Changed meanwhile",
		Detail: "Someone else changed it at the same time. Read it and try again.",
	}},
	{webhook.ErrBadCursor, Problem{
		Type: "invalid-field", Status: http.StatusBadRequest, Title: "Invalid request", Field: "cursor",
		Detail: "cursor is not one this list returned as next_cursor. Begin again without it.",
	}},
	{webhook.ErrMoveRunning, Problem{
		Type: "redrive-running", Status: http.StatusConflict, Title: "A redrive is running",
		Detail: "The dead-letter queue is being redriven already. GET /v1/dead-letters shows its progress.",
	}},
	{replay.ErrCancelled, Problem{
		Type: "delivery-cancelled", Status: http.StatusConflict, Title: "The delivery was cancelled",
		Detail: "It was cancelled, or its endpoint or its event's payload is gone. It is not sent any more.",
	}},
	{replay.ErrNotScheduled, Problem{
		Type: "not-scheduled", Status: http.StatusConflict, Title: "The event is on its way",
		Detail: "It was not scheduled, or its time has come. What is still pending can be cancelled delivery by delivery.",
	}},
	{replay.ErrNotDue, Problem{
		Type: "scheduled", Status: http.StatusConflict, Title: "The event is scheduled for later",
		Detail: "It is sent at its deliver_at. To send it sooner, cancel it and post it anew.",
	}},
	{replay.ErrSettled, Problem{
		Type: "delivery-ended", Status: http.StatusConflict, Title: "The delivery has ended",
		Detail: "It is delivered or dead, so there is nothing left to cancel.",
	}},
	{replay.ErrDisabled, Problem{
		Type: "endpoint-disabled", Status: http.StatusConflict, Title: "The endpoint is disabled",
		Detail: "Its deliveries would die again at once. Enable it first, with PATCH.",
	}},
	{ingest.ErrKeyReused, Problem{
		Type: "key-reused", Status: http.StatusConflict, Title: "Key used with another request",
		Detail: "The Idempotency-Key or event id belongs to an event with another body. Use a new one for a new event.",
	}},
	{ingest.ErrInProgress, Problem{
		Type: "in-progress", Status: http.StatusServiceUnavailable, Title: "A request with the same key is in progress",
		Detail: "Send the same request again in a moment to get its answer.", retryAfter: 2,
	}},
	{seal.ErrUnavailable, Problem{
		Type: "unavailable", Status: http.StatusServiceUnavailable, Title: "Secrets cannot be used now",
		Detail: "The key service that secrets are sealed with gave no answer. Send the same request again in a moment.", retryAfter: 2,
	}},
	{seal.ErrBroken, Problem{
		Type: "secret-unreadable", Status: http.StatusConflict, Title: "The secret cannot be opened",
		Detail: "It was altered, or sealed under a key that is gone. Rotate it with overlap_seconds 0, and give the receiver the new one.",
	}},
	{ingest.ErrUnavailable, Problem{
		Type: "unavailable", Status: http.StatusServiceUnavailable, Title: "The event was not accepted",
		Detail: "It could not be stored and queued. Send it again, with the same Idempotency-Key if it had one.", retryAfter: 1,
	}},
}

// problemOf turns any error into the problem its caller may see.
func problemOf(err error) *Problem {
	if known, ok := errors.AsType[*Problem](err); ok {
		return known
	}
	if bad, ok := errors.AsType[*webhook.Invalid](err); ok {
		p := problem(http.StatusBadRequest, "invalid-field", "Invalid request", bad.Error()+".")
		p.Field = bad.Field
		return p
	}
	if bad, ok := errors.AsType[*catalogue.Violation](err); ok {
		return violated(bad)
	}
	for _, row := range problems {
		if errors.Is(err, row.err) {
			p := row.problem
			p.Type = "urn:webhookrelay:problem:" + p.Type
			return &p
		}
	}
	return problem(http.StatusInternalServerError, "internal", "Internal error",
		"The relay could not handle the request. Try again; the operator finds the cause in the log.")
}

// violated says where an event's data breaks its type's schema.
func violated(bad *catalogue.Violation) *Problem {
	at := "/data" + bad.Pointer
	detail := at + ": " + bad.Reason + "."
	if bad.More > 0 {
		detail += fmt.Sprintf(" There are %d more of these.", bad.More)
	}
	p := problem(http.StatusBadRequest, "schema-violated", "The data breaks the schema of its type",
		detail+" GET /v1/event-types/{type} shows the schema.")
	p.Field, p.Pointer = "data", at
	return p
}

// writeError answers with err's problem, and logs what the caller may not see.
func writeError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path,
			"status", p.Status, "request_id", w.Header().Get(headerRequestID), "error", err.Error())
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="webhook relay"`)
	}
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	write(w, "application/problem+json", p.Status, p)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	write(w, "application/json", status, value)
}

func write(w http.ResponseWriter, contentType string, status int, value any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // the client is gone; nothing is left to say
}
