package webhook

import "time"

// Reason is a stable code for why an attempt failed, an endpoint was disabled
// or a delivery ended. The same codes appear in the API, logs and documentation.
type Reason string

// Reasons an attempt fails.
const (
	ReasonHTTP404        Reason = "http_404"
	ReasonHTTP410        Reason = "http_410"
	ReasonHTTP429        Reason = "http_429"
	ReasonHTTP4xx        Reason = "http_4xx"
	ReasonHTTP5xx        Reason = "http_5xx"
	ReasonHTTPOther      Reason = "http_other"
	ReasonRedirect       Reason = "redirect"
	ReasonTimeout        Reason = "timeout"
	ReasonDNS            Reason = "dns"
	ReasonConnectRefused Reason = "connect_refused"
	ReasonConnectTimeout Reason = "connect_timeout"
	ReasonConnectFailed  Reason = "connect_failed"
	ReasonReset          Reason = "reset"
	ReasonTLSExpired     Reason = "tls_expired"
	ReasonTLSName        Reason = "tls_name"
	ReasonTLSChain       Reason = "tls_chain"
	ReasonTLS            Reason = "tls"
	ReasonAddressBlocked Reason = "address_blocked"
	ReasonBadURL         Reason = "bad_url"
	ReasonBadSecret      Reason = "bad_secret"
	// ReasonFilterFailed: nothing was sent, for the endpoint's filter failed on the event.
	ReasonFilterFailed Reason = "filter_failed"
)

// Reasons a delivery ends or an endpoint is disabled, besides the above.
const (
	ReasonExhausted        Reason = "attempts_exhausted"
	ReasonEndpointDisabled Reason = "endpoint_disabled"
	ReasonEndpointDeleted  Reason = "endpoint_deleted"
	ReasonManual           Reason = "manual"
	ReasonParkedTooLong    Reason = "parked_too_long"
	// ReasonReceiverStop: the receiver answered with a header that tells the
	// relay to stop (see Control).
	ReasonReceiverStop Reason = "receiver_stop"
	// ReasonFailingTooLong: nothing but failures for as long as the operator allows.
	ReasonFailingTooLong Reason = "failing_too_long"
	// ReasonUnwanted: someone cancelled the delivery.
	ReasonUnwanted Reason = "unwanted"
	// ReasonEventCancelled: the event was scheduled and taken back before its time.
	ReasonEventCancelled Reason = "event_cancelled"
	// ReasonExpunged: the event's payload was removed for good.
	ReasonExpunged Reason = "expunged"
	// ReasonFiltered: the endpoint's filter, which had failed on the event, is one now
	// that does not let it through.
	ReasonFiltered Reason = "filtered"
)

// Trigger says what made an attempt happen.
type Trigger string

// Triggers.
const (
	// TriggerSchedule: the first attempt, or a retry that fell due.
	TriggerSchedule Trigger = "schedule"
	// TriggerManual: someone asked for this one attempt.
	TriggerManual Trigger = "manual"
	// TriggerRedrive: the first attempt after the message came back from the dead-letter queue.
	TriggerRedrive Trigger = "redrive"
	// TriggerRecover: the first attempt after a job recovered the delivery.
	TriggerRecover Trigger = "recover"
	// TriggerReplay: the first attempt of a delivery that a job made.
	TriggerReplay Trigger = "replay"
)

// Limits on what is kept of a receiver's answer, in bytes. The latest attempt
// keeps more, because each attempt rewrites the whole row and a store bills by size.
const (
	MaxResponseKept    = 4 << 10
	MaxOldResponseKept = 1 << 10
	// MaxSuccessResponseKept leaves the row of a first-time success under
	// DynamoDB's write unit of 1 KB.
	MaxSuccessResponseKept = 512
)

// MaxAttemptsKept bounds the attempts a delivery's row holds; older ones are
// dropped, the count goes on.
const MaxAttemptsKept = 50

// Control is what a receiver may tell the relay besides a status, by the
// response header Webhook-Delivery.
type Control string

// Controls.
const (
	// ControlAbort gives this delivery up: more attempts are of no use.
	ControlAbort Control = "abort-message"
	// ControlDisable disables the endpoint.
	ControlDisable Control = "disable"
)

// Result is what one POST to an endpoint came to.
type Result struct {
	// Reason is empty when the endpoint answered 2xx.
	Reason     Reason
	StatusCode int
	// Detail explains Reason in words, without secrets or payload.
	Detail   string
	Response []byte
	// RetryAfter is the wait the endpoint asked for, 0 if none.
	RetryAfter time.Duration
	// Control is what the endpoint told the relay to do, empty if nothing.
	Control  Control
	Duration time.Duration
	// Span is the attempt's own in the event's trace, 16 hexadecimal digits; empty
	// without a trace.
	Span string
	// Aborted: the relay itself cut the attempt short; it says nothing of the endpoint.
	Aborted bool
}

// Delivered reports whether the endpoint took the event.
func (r Result) Delivered() bool { return r.Reason == "" && !r.Aborted }

// Attempt is one HTTP request of a delivery and its result.
type Attempt struct {
	// Number counts from 1 over the delivery's whole life.
	Number     int
	At         time.Time
	Trigger    Trigger
	Reason     Reason
	StatusCode int
	Detail     string
	Response   []byte
	Duration   time.Duration
}
