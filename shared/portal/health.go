package portal

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"webhookrelay/shared/client"
)

// health is how an endpoint does, in a word, with the reason for the word.
type health struct {
	Word, Mark string
	// Tone is the class of its colours.
	Tone string
	// Why completes the word, as a sentence.
	Why string
	// Since is when it began to be so; nil when that is not known.
	Since *time.Time
	// Urgency orders what needs attention; 0 needs none.
	Urgency int
}

// notCounted stands for a health that nothing is known of.
var notCounted = health{Word: "Not counted", Mark: "–", Tone: "cancelled", Why: "The counts could not be had just now."}

// degradedBelow is the part of deliveries that must arrive for an endpoint to
// count as healthy.
const degradedBelow = .95

// healthOf judges an endpoint by its state, its breaker and its last 24 hours.
func healthOf(e client.Endpoint, t client.Tally) health {
	failures := 0
	for _, n := range t.Failures {
		failures += n
	}
	switch {
	case e.State == "disabled":
		h := health{Word: "Disabled", Mark: "✕", Tone: "dead", Why: "It gets no events: " + reason(e.DisabledReason).What + ".", Urgency: 5, Since: &e.UpdatedAt}
		if e.DisabledReason == "manual" {
			h.Urgency = 1
		}
		return h
	case e.State == "paused":
		return health{Word: "Paused", Mark: "‖", Tone: "parked", Why: "Events are kept until it is resumed.", Urgency: 1, Since: &e.UpdatedAt}
	case e.Health.State == "open":
		return health{
			Word: "Failing", Mark: "✕", Tone: "dead", Since: e.Health.FailingSince, Urgency: 4,
			Why: fmt.Sprintf("%s in a row failed. Deliveries are on hold, and one is tried from time to time.", plural(e.Health.Failures, "try", "tries")),
		}
	case e.Health.State == "failing":
		return health{
			Word: "Degraded", Mark: "!", Tone: "retrying", Since: e.Health.FailingSince, Urgency: 2,
			Why: "It answers with errors or not at all, and what fails is tried again.",
		}
	case t.SuccessRate != nil && *t.SuccessRate < degradedBelow:
		return health{Word: "Degraded", Mark: "!", Tone: "retrying", Urgency: 2, Why: "It answers, but some deliveries failed for good in the last 24 hours."}
	case t.Attempts == 0:
		return health{Word: "No traffic", Mark: "–", Tone: "cancelled", Why: "Nothing was sent to it in the last 24 hours."}
	case failures > 0:
		return health{Word: "Healthy", Mark: "✓", Tone: "delivered", Why: fmt.Sprintf("It answers. %s of %s failed in the last 24 hours.", count(failures), plural(t.Attempts, "try", "tries"))}
	default:
		return health{Word: "Healthy", Mark: "✓", Tone: "delivered", Why: "Every try of the last 24 hours arrived."}
	}
}

// nameOf is how an endpoint is called: by the first line of its description, or
// by its host.
func nameOf(e client.Endpoint) string {
	name, _, _ := strings.Cut(strings.TrimSpace(e.Description), "\n")
	if runes := []rune(name); len(runes) > 60 {
		name = string(runes[:59]) + "…"
	}
	if u, err := url.Parse(e.URL); err == nil {
		name = cmp.Or(name, u.Host)
	}
	return cmp.Or(name, e.ID)
}

// row is an endpoint on the overview.
type row struct {
	client.Endpoint
	Name   string
	Health health
	Tally  client.Tally
	// Last is the latest try that failed in the last 24 hours; nil for none.
	Last *client.Attempt
}

// Waiting counts what is still to be delivered.
func (r row) Waiting() int { return waiting(r.Tally) }

func waiting(t client.Tally) int {
	return t.Deliveries[client.Queued] + t.Deliveries[client.Retrying] + t.Deliveries[client.Parked]
}

// Delivered counts what arrived.
func (r row) Delivered() int { return r.Tally.Deliveries[client.Delivered] }

// Failed counts what was given up.
func (r row) Failed() int { return r.Tally.Deliveries[client.Dead] }

// NeedsAttention reports whether somebody should look at it.
func (r row) NeedsAttention() bool { return r.Health.Urgency > 0 || r.Failed() > 0 }

// verdict says in a sentence or two whether all is well, and whether anything is lost.
func verdict(rows []row, total client.Tally) string {
	troubled, failed, waits := 0, total.Deliveries[client.Dead], waiting(total)
	for _, r := range rows {
		if r.NeedsAttention() {
			troubled++
		}
	}
	var text string
	switch {
	case troubled == 0 && total.Attempts == 0:
		return "All is quiet: nothing was sent in the last 24 hours."
	case troubled == 0 && len(rows) == 1:
		text = "Your endpoint is well."
	case troubled == 0:
		text = fmt.Sprintf("All %d endpoints are well.", len(rows))
	case troubled == 1 && len(rows) == 1:
		text = "Your endpoint needs attention."
	case troubled == 1:
		text = fmt.Sprintf("1 of %d endpoints needs attention.", len(rows))
	default:
		text = fmt.Sprintf("%d of %d endpoints need attention.", troubled, len(rows))
	}
	switch {
	case failed > 0 && waits > 0:
		return text + fmt.Sprintf(" %s failed and can be resent; %s on the way.", plural(failed, "delivery", "deliveries"), are(waits))
	case failed > 0:
		return text + fmt.Sprintf(" %s failed; the events are kept and can be resent.", plural(failed, "delivery", "deliveries"))
	case waits > 0:
		return text + fmt.Sprintf(" Nothing is lost: %s still on the way.", are(waits))
	case troubled > 0:
		return text + " Nothing is lost."
	default:
		return text + fmt.Sprintf(" %s in the last 24 hours.", plural(total.Deliveries[client.Delivered], "event delivered", "events delivered"))
	}
}

func are(n int) string {
	if n == 1 {
		return "1 delivery is"
	}
	return count(n) + " deliveries are"
}

// byUrgency returns what needs attention, the most urgent first.
func byUrgency(rows []row) []row {
	var urgent []row
	for _, r := range rows {
		if r.NeedsAttention() {
			urgent = append(urgent, r)
		}
	}
	slices.SortStableFunc(urgent, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.Health.Urgency, a.Health.Urgency), cmp.Compare(b.Failed(), a.Failed()))
	})
	return urgent
}
