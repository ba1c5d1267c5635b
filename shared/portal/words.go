package portal

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/client"
	"webhookrelay/shared/webhook"
)

// stateWord is how the portal calls a delivery's state.
type stateWord struct {
	// Word stands on the page, Mark beside it so that colour says nothing alone.
	Word, Mark string
	// Meaning explains the word.
	Meaning string
}

var stateWords = map[client.State]stateWord{
	client.Queued:    {"Queued", "◌", "Accepted; the first try is still to come."},
	client.Retrying:  {"Retrying", "↻", "A try failed, and another is scheduled."},
	client.Parked:    {"On hold", "‖", "Kept, and not sent at the moment."},
	client.Delivered: {"Delivered", "✓", "The endpoint answered 2xx."},
	client.Dead:      {"Failed", "✕", "Given up; the event is kept and can be resent."},
	client.Cancelled: {"Cancelled", "–", "Not wanted any more, or its endpoint was deleted."},
}

// reasonWord says what a reason code means to a receiver.
type reasonWord struct {
	// What completes "Last try: …".
	What string
	// Do says what to do about it; empty when nothing is to be done.
	Do string
}

var reasonWords = map[webhook.Reason]reasonWord{
	webhook.ReasonHTTP4xx:        {"the endpoint refused it", "Read its answer. With 401 or 403, look for a login or firewall in front of it."},
	webhook.ReasonHTTP404:        {"nothing is at that path", "Correct the endpoint's URL."},
	webhook.ReasonHTTP410:        {"the endpoint said that it is gone", "It was disabled. Enable it when it is back."},
	webhook.ReasonHTTP429:        {"the endpoint was sent more than it takes", "Nothing: the relay slows down. A rate limit of its own keeps it from happening."},
	webhook.ReasonHTTP5xx:        {"the endpoint's server failed", "Look in its log at the time of the try, for the event's id."},
	webhook.ReasonHTTPOther:      {"the endpoint answered with a status that is none", "Answer 200 to 299 once the event has arrived."},
	webhook.ReasonRedirect:       {"the endpoint answered with a redirect", "Redirects are not followed: make the place that it leads to the endpoint's URL."},
	webhook.ReasonTimeout:        {"no answer in time", "Answer 2xx first, and do the work afterwards."},
	webhook.ReasonDNS:            {"the host's name does not resolve", "Check the spelling of the URL, and its DNS."},
	webhook.ReasonConnectRefused: {"nothing listens there", "Is the receiver running, on that port?"},
	webhook.ReasonConnectTimeout: {"no connection came about in time", "Look for a firewall that keeps the relay out."},
	webhook.ReasonConnectFailed:  {"no connection came about", "Is the receiver reachable from the internet?"},
	webhook.ReasonReset:          {"the connection broke off before an answer", "Look in the log of the receiver, or of the proxy in front of it."},
	webhook.ReasonTLSExpired:     {"the certificate has expired", "Renew it."},
	webhook.ReasonTLSName:        {"the certificate is for another name", "Use that name in the URL, or get a certificate for this one."},
	webhook.ReasonTLSChain:       {"the certificate leads to no known authority", "Serve the intermediate certificates too."},
	webhook.ReasonTLS:            {"no TLS connection came about", "The receiver must speak TLS 1.2 or later."},
	webhook.ReasonAddressBlocked: {"the address is not one that the relay sends to", "Use a public https URL, or ask the operator to allow the network or port."},
	webhook.ReasonBadURL:         {"the URL cannot be used", "Set the endpoint's URL again."},
	webhook.ReasonBadSecret:      {"the secret or the headers cannot be used", "Rotate the secret at once, and give the headers again."},

	webhook.ReasonExhausted:        {"the retry schedule is over", "Resend it once the endpoint is well."},
	webhook.ReasonEndpointDisabled: {"the endpoint is disabled", "Enable the endpoint, then recover what failed."},
	webhook.ReasonEndpointDeleted:  {"the endpoint was deleted", ""},
	webhook.ReasonManual:           {"someone disabled it", "Enable it to go on."},
	webhook.ReasonParkedTooLong:    {"it was on hold for too long", "Resend it once the endpoint is well."},
	webhook.ReasonReceiverStop:     {"the endpoint told the relay to stop", "Enable it when it is ready again."},
	webhook.ReasonFailingTooLong:   {"it did nothing but fail for days", "Enable it once it is well, then recover what failed."},
	webhook.ReasonFilterFailed:     {"the endpoint's filter failed on the event", "Correct the filter; it is asked again before the next try."},
	webhook.ReasonFiltered:         {"the endpoint's filter does not let it through", ""},
	webhook.ReasonEventCancelled:   {"its sender took the scheduled event back", ""},
	webhook.ReasonExpunged:         {"the event's payload was removed for good", ""},
	webhook.ReasonUnwanted:         {"someone cancelled it", ""},
}

// reason returns the words of a code, and the code itself where there are none yet.
func reason(code string) reasonWord {
	if word, ok := reasonWords[webhook.Reason(code)]; ok {
		return word
	}
	return reasonWord{What: strings.ReplaceAll(code, "_", " ")}
}

// causeWords say by which rule the next try is made; each completes "… because".
var causeWords = map[webhook.NextCause]string{
	webhook.NextSchedule:    "by the retry schedule",
	webhook.NextRetryAfter:  "the endpoint asked for this wait (Retry-After)",
	webhook.NextSlowDown:    "the endpoint was overloaded, so the wait is doubled",
	webhook.NextBreaker:     "the endpoint keeps failing, and is tried from time to time",
	webhook.NextRecover:     "it was recovered, and this is its turn",
	webhook.NextScheduled:   "the sender chose this time",
	webhook.NextReplay:      "it was replayed, and this is its turn",
	webhook.NextPaused:      "the endpoint is paused; it is looked at again then",
	webhook.NextTurn:        "its turn by the endpoint's rate limit",
	webhook.NextRateLimit:   "the endpoint's rate limit is used up for now",
	webhook.NextConcurrency: "the endpoint has as many tries at once as it takes",
}

// triggerWords say what made a try; the schedule needs no words.
var triggerWords = map[webhook.Trigger]string{
	webhook.TriggerManual:  "resent by hand",
	webhook.TriggerRedrive: "sent again after it had failed",
	webhook.TriggerRecover: "recovered",
	webhook.TriggerReplay:  "replayed",
}

// doneWords say what a form did, by the word in the address that it leads to.
var doneWords = map[string]string{
	"added":     "The endpoint is added. Copy its secret into your receiver, then send a test.",
	"saved":     "Saved.",
	"paused":    "Paused. Events are kept until you resume.",
	"enabled":   "Enabled. Deliveries go out again.",
	"disabled":  "Disabled. It gets no new events.",
	"deleted":   "The endpoint is deleted.",
	"resent":    "Accepted: one try is made now. This page shows what comes of it.",
	"cancelled": "Cancelled: it is not sent any more.",
	"stopped":   "Stopped. What was already put back to work stays so.",
	"revoked":   "Revoked. It ends everywhere within 30 seconds.",
	"redriven":  "Started. The relay puts the dead letters back to work.",
	"tenant":    "Saved.",
	"tested":    "The test event is on its way. This page shows what comes of it.",
}

// functions are those that templates use besides a page's methods.
var functions = map[string]any{
	"state":    func(s client.State) stateWord { return stateWords[s] },
	"states":   func() []client.State { return client.States },
	"reason":   reason,
	"cause":    func(code string) string { return causeWords[webhook.NextCause(code)] },
	"trigger":  func(code string) string { return triggerWords[webhook.Trigger(code)] },
	"clock":    clock,
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"field":    func(t time.Time) string { return t.UTC().Format(fieldTime) },
	"count":    count,
	"percent":  percent,
	"duration": duration,
	"plural":   plural,
	"join":     strings.Join,
	"visible":  visible,
	"text":     func(raw json.RawMessage) string { return string(raw) },
	"deref":    func(t *time.Time) time.Time { return *t },
	"short":    short,
	"http":     httpWords,
	"name":     nameOf,
	"failed":   func(d *client.Delivery) *client.Attempt { return lastFailure(*d) },
}

// fieldTime is how a form's field of type datetime-local writes a time.
const fieldTime = "2006-01-02T15:04"

// clock writes a time as 24 Nov 2026, 14:05:09 UTC.
func clock(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") }

// count writes 1204 as 1,204.
func count(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// percent writes a part as 99.2 %. What is not whole is never rounded up to all.
func percent(part float64) string {
	if part == 1 || part == 0 {
		return fmt.Sprintf("%.0f %%", 100*part)
	}
	return fmt.Sprintf("%.1f %%", min(99.9, max(.1, 100*part)))
}

// duration writes milliseconds as 214 ms or 15.0 s.
func duration(ms int64) string {
	if ms < 1000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return fmt.Sprintf("%.1f s", float64(ms)/1000)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// distance says how far off a time is: "in 12 min", "3 h ago", "now".
func distance(d time.Duration) string {
	text := span(d.Abs())
	switch {
	case text == "":
		return "now"
	case d > 0:
		return "in " + text
	default:
		return text + " ago"
	}
}

// span writes a duration in its largest unit; empty below a second.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return ""
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	default:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
}

// visible shows control and bidirectional characters of foreign text as escapes,
// so that it cannot pretend to be other text.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		hidden := r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 ||
			r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x2069 || r == 0x061c || r == 0xfeff
		if hidden {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// short cuts a long id in the middle.
func short(id string) string {
	const kept = 22
	if len(id) <= kept {
		return id
	}
	return id[:10] + "…" + id[len(id)-10:]
}
