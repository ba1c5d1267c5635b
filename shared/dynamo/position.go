package dynamo

import (
	"strings"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// position is where a list of events or deliveries goes on: at the start of a
// day, behind an event with all its deliveries, or behind one delivery of an
// event. As text it is "<day>", "<ref>" or "<ref>.<endpoint>"; the zero
// position, the newest end of the list, is "".
type position struct {
	day      day
	ref      webhook.EventRef
	endpoint webhook.EndpointID
}

func (p position) String() string {
	switch {
	case p.ref == "" && p.day == 0:
		return ""
	case p.ref == "":
		return p.day.String()
	case p.endpoint == "":
		return string(p.ref)
	default:
		return string(p.ref) + "." + string(p.endpoint)
	}
}

// notAfter is where a list goes on from p that leaves out events accepted at
// until or later; a zero until leaves out none.
func (p position) notAfter(until time.Time) position {
	if until.IsZero() {
		return p
	}
	first := position{day: dayOf(until), ref: id.First(until)}
	switch {
	case p == (position{}), p.day > first.day, p.ref > first.ref:
		return first
	}
	return p
}

// parsePosition takes only what String makes; day is the ref's where there is one.
func parsePosition(text string) (position, error) {
	if text == "" {
		return position{}, nil
	}
	if len(text) == len(dayLayout) {
		d, ok := parseDay(text)
		if !ok || d <= 0 {
			return position{}, webhook.ErrBadCursor
		}
		return position{day: d}, nil
	}
	ref, endpoint, both := strings.Cut(text, ".")
	if !isRef(ref) || both && webhook.CheckID("endpoint", endpoint) != nil {
		return position{}, webhook.ErrBadCursor
	}
	d, _, _ := placeOf(webhook.EventRef(ref))
	return position{day: d, ref: webhook.EventRef(ref), endpoint: webhook.EndpointID(endpoint)}, nil
}

// isRef reports whether text is a ULID in upper case.
func isRef(text string) bool {
	_, _, ok := placeOf(webhook.EventRef(text))
	return ok && text == strings.ToUpper(text)
}

// deadPosition is the delivery behind which a list of dead letters goes on, as
// text "<tenant>.<ref>.<endpoint>".
func deadPosition(k webhook.DeliveryKey) string {
	return string(k.Tenant) + "." + string(k.Event) + "." + string(k.Endpoint)
}

// parseDeadPosition takes only what deadPosition makes.
func parseDeadPosition(text string) (webhook.DeliveryKey, error) {
	tenant, rest, _ := strings.Cut(text, ".")
	ref, endpoint, _ := strings.Cut(rest, ".")
	if webhook.CheckID("tenant", tenant) != nil || !isRef(ref) || webhook.CheckID("endpoint", endpoint) != nil {
		return webhook.DeliveryKey{}, webhook.ErrBadCursor
	}
	return webhook.DeliveryKey{
		Tenant:   webhook.TenantID(tenant),
		Event:    webhook.EventRef(ref),
		Endpoint: webhook.EndpointID(endpoint),
	}, nil
}
