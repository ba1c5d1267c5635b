package portal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"webhookrelay/shared/client"
)

// lastFailure returns the latest try that failed, or nil.
func lastFailure(d client.Delivery) *client.Attempt {
	for i := len(d.Attempts) - 1; i >= 0; i-- {
		if d.Attempts[i].Reason != "" {
			return &d.Attempts[i]
		}
	}
	return nil
}

// httpWords says what a try came to: "503 Service Unavailable", "No answer in time".
func httpWords(a client.Attempt) string {
	if a.StatusCode > 0 {
		return fmt.Sprintf("%d %s", a.StatusCode, http.StatusText(a.StatusCode))
	}
	if a.Reason == "" {
		return "Delivered"
	}
	what := []rune(reason(a.Reason).What)
	what[0] -= 'a' - 'A' // all of them begin with a small letter of ASCII
	return string(what)
}

// deliveryPage is one delivery, told so that nothing is left to ask.
type deliveryPage struct {
	client.Delivery
	// Endpoint is nil when it was deleted.
	Endpoint *client.Endpoint
	// Tries are the attempts, each with what followed.
	Tries []try
	// Payload is what is posted, laid out for reading.
	Payload string
	Bytes   int
	// ExpungedAt is when the payload was removed; nil while it is there.
	ExpungedAt *time.Time
	Headers    []header
	// Poll is in how many seconds the page looks again; 0 for not at all.
	Poll int
}

// try is one attempt on the timeline.
type try struct {
	client.Attempt
	// Wait is how long after it the next one came; 0 for the last.
	Wait string
	Last bool
}

type header struct{ Name, Value string }

func showDelivery(v *visit) error {
	d, err := v.relay.GetDelivery(v.r.Context(), v.tenant, v.r.PathValue("delivery"))
	if err != nil {
		return err
	}
	event, err := v.relay.GetEvent(v.r.Context(), v.tenant, d.EventID)
	if err != nil {
		return err
	}
	shown := deliveryPage{Delivery: d, Tries: tries(d), Payload: laidOut(event.Payload), Bytes: len(event.Payload), ExpungedAt: event.ExpungedAt, Headers: sent(d)}
	endpoint, err := v.relay.GetEndpoint(v.r.Context(), v.tenant, d.EndpointID)
	if err == nil {
		shown.Endpoint = &endpoint
	} else if !client.IsStatus(err, http.StatusNotFound) {
		return err
	}
	shown.Poll = shown.interval(v.Now(), v.r.URL.Query().Get("done") != "")
	return v.show("delivery", page{
		Title: fmt.Sprintf("%s · %s", stateWords[d.State].Word, d.EventType), Nav: "deliveries",
		Alert: d.State == client.Dead, Data: shown,
	})
}

func tries(d client.Delivery) []try {
	shown := make([]try, len(d.Attempts))
	for i, a := range d.Attempts {
		shown[i] = try{Attempt: a, Last: i == len(d.Attempts)-1}
		if !shown[i].Last {
			shown[i].Wait = span(d.Attempts[i+1].At.Sub(a.At))
		}
	}
	return shown
}

// interval says how soon something new may be there to see.
func (d deliveryPage) interval(now time.Time, asked bool) int {
	recent := now.Sub(d.UpdatedAt) < time.Minute
	switch {
	case d.State == client.Queued && d.NextAttemptAt == nil, asked && recent:
		return 2
	case d.State.Final():
		return 0
	case d.NextAttemptAt != nil && d.NextAttemptAt.Sub(now) < time.Minute:
		return 2
	default:
		return 15
	}
}

// laidOut indents a payload for reading; what is posted are its own bytes.
func laidOut(payload json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, payload, "", "  ") != nil {
		return string(payload)
	}
	return b.String()
}

// sent are the headers of Standard Webhooks that the latest try carried. The
// signature is not kept.
func sent(d client.Delivery) []header {
	headers := []header{{"content-type", "application/json"}, {"webhook-id", d.EventID}}
	if n := len(d.Attempts); n > 0 {
		headers = append(headers, header{"webhook-timestamp", fmt.Sprint(d.Attempts[n-1].At.Unix())})
	}
	return append(headers, header{"webhook-signature", "made anew for each try"})
}

func resend(v *visit) error {
	id := v.r.PathValue("delivery")
	if _, err := v.relay.RetryDelivery(v.r.Context(), v.tenant, id); err != nil {
		return err
	}
	return v.done("resent", "deliveries", id)
}

func cancelDelivery(v *visit) error {
	id := v.r.PathValue("delivery")
	if _, err := v.relay.CancelDelivery(v.r.Context(), v.tenant, id); err != nil {
		return err
	}
	return v.done("cancelled", "deliveries", id)
}

// deliveriesPage is a list, with what it was narrowed to.
type deliveriesPage struct {
	Deliveries []client.Delivery
	Names      map[string]string
	Endpoints  []client.Endpoint
	// The filter, as it stands in the form.
	Endpoint, Status, Type, Tag, Time, From, To string
	// Filters counts those that are set.
	Filters int
	Next    string
	Cursor  bool
}

// times are the spans that lists may be narrowed to.
var times = []struct {
	Value, Word string
	Span        time.Duration
}{
	{"1h", "the last hour", time.Hour},
	{"24h", "the last 24 hours", 24 * time.Hour},
	{"7d", "the last 7 days", 7 * 24 * time.Hour},
}

// Times are those that the form offers.
func (deliveriesPage) Times() any { return times }

const (
	// pageSize is how many rows a list shows.
	pageSize = 25
	// maxPages bounds how many pages of the API are read for one of the portal's:
	// a filter may leave some empty.
	maxPages = 6
)

func listDeliveries(v *visit) error {
	query := v.r.URL.Query()
	shown := deliveriesPage{
		Endpoint: query.Get("endpoint"), Status: query.Get("status"), Type: query.Get("type"), Tag: query.Get("tag"), Time: query.Get("time"),
		From: query.Get("from"), To: query.Get("to"), Cursor: query.Get("cursor") != "",
	}
	for _, set := range []string{shown.Endpoint, shown.Status, shown.Type, shown.Tag, shown.Time, shown.From, shown.To} {
		if set != "" {
			shown.Filters++
		}
	}
	filter, err := shown.filter(v.Now())
	if err != nil {
		return err
	}
	if shown.Endpoints, err = v.endpoints(); err != nil {
		return err
	}
	shown.Names = names(shown.Endpoints)
	options := client.PageOptions{Limit: pageSize, Cursor: query.Get("cursor")}
	for range maxPages {
		found, err := v.relay.ListDeliveries(v.r.Context(), v.tenant, filter, options)
		if err != nil {
			return err
		}
		shown.Deliveries = append(shown.Deliveries, found.Data...)
		if shown.Next = ""; found.NextCursor != nil {
			shown.Next = *found.NextCursor
		}
		if options.Cursor = shown.Next; len(shown.Deliveries) > 0 || shown.Next == "" {
			break
		}
	}
	return v.show("deliveries", page{Title: "Deliveries", Nav: "deliveries", Data: shown})
}

// filter reads the form's fields. Times are in UTC.
func (d deliveriesPage) filter(now time.Time) (client.DeliveryFilter, error) {
	f := client.DeliveryFilter{Endpoint: d.Endpoint, State: client.State(d.Status), EventType: d.Type, Tag: d.Tag}
	for _, span := range times {
		if d.Time == span.Value {
			f.Since = now.Add(-span.Span)
		}
	}
	var err error
	if d.From != "" {
		f.Since, err = fieldAsTime("From", d.From)
	}
	if d.To != "" && err == nil {
		f.Until, err = fieldAsTime("To", d.To)
	}
	return f, err
}

// fieldAsTime reads a field of type datetime-local, with or without seconds, as UTC.
func fieldAsTime(name, text string) (time.Time, error) {
	for _, layout := range []string{fieldTime, fieldTime + ":05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &client.Problem{
		Status: http.StatusBadRequest, Title: "Not a time", Detail: name + " must be a date and time such as 2026-01-31T12:00.",
	}
}

// endpoints returns all of the tenant's.
func (v *visit) endpoints() ([]client.Endpoint, error) {
	var all []client.Endpoint
	for endpoint, err := range v.relay.AllEndpoints(v.r.Context(), v.tenant, client.PageOptions{Limit: client.MaxPage}) {
		if err != nil {
			return nil, err
		}
		all = append(all, endpoint)
	}
	return all, nil
}

// names says how endpoints are called, by id.
func names(endpoints []client.Endpoint) map[string]string {
	called := make(map[string]string, len(endpoints))
	for _, e := range endpoints {
		called[e.ID] = nameOf(e)
	}
	return called
}

type eventsPage struct {
	Events []client.Event
	// The filter, as it stands in the form.
	Type, Tag, Time string
	Next            string
	Cursor          bool
}

// Times are those that the form offers.
func (eventsPage) Times() any { return times }

// Filtered reports whether the list is narrowed.
func (e eventsPage) Filtered() bool { return e.Type+e.Tag+e.Time != "" }

func listEvents(v *visit) error {
	query := v.r.URL.Query()
	shown := eventsPage{Type: query.Get("type"), Tag: query.Get("tag"), Time: query.Get("time"), Cursor: query.Get("cursor") != ""}
	narrowed, err := deliveriesPage{Time: shown.Time}.filter(v.Now())
	if err != nil {
		return err
	}
	filter := client.EventFilter{EventType: shown.Type, Tag: shown.Tag, Since: narrowed.Since}
	options := client.PageOptions{Limit: pageSize, Cursor: query.Get("cursor")}
	for range maxPages {
		found, err := v.relay.ListEvents(v.r.Context(), v.tenant, filter, options)
		if err != nil {
			return err
		}
		shown.Events = append(shown.Events, found.Data...)
		if shown.Next = ""; found.NextCursor != nil {
			shown.Next = *found.NextCursor
		}
		if options.Cursor = shown.Next; len(shown.Events) > 0 || shown.Next == "" {
			break
		}
	}
	return v.show("events", page{Title: "Events", Nav: "events", Data: shown})
}

type eventPage struct {
	client.EventDetail
	Names   map[string]string
	Payload string
	// Others are endpoints that it did not go to.
	Others []client.Endpoint
}

func showEvent(v *visit) error {
	event, err := v.relay.GetEvent(v.r.Context(), v.tenant, v.r.PathValue("event"))
	if err != nil {
		return err
	}
	endpoints, err := v.endpoints()
	if err != nil {
		return err
	}
	shown := eventPage{EventDetail: event, Names: names(endpoints), Payload: laidOut(event.Payload)}
	for _, e := range endpoints {
		if !slices.ContainsFunc(event.Deliveries, func(d client.Delivery) bool { return d.EndpointID == e.ID }) {
			shown.Others = append(shown.Others, e)
		}
	}
	return v.show("event", page{Title: event.Type, Nav: "events", Data: shown})
}

// rowsOf is what the part "rows" shows.
type rowsOf struct {
	Page       page
	Deliveries []client.Delivery
	// Names say whose they are; nil leaves the column out.
	Names map[string]string
}

// LastOf returns a delivery's latest try, or nil.
func (rowsOf) LastOf(d client.Delivery) *client.Attempt {
	if len(d.Attempts) == 0 {
		return nil
	}
	return &d.Attempts[len(d.Attempts)-1]
}

// Rows hands deliveries to the part "rows".
func (p page) Rows(deliveries []client.Delivery, names map[string]string) rowsOf {
	return rowsOf{p, deliveries, names}
}

// NextNumber is that of the try to come.
func (d deliveryPage) NextNumber() int { return d.AttemptCount + 1 }

// DeliveredOn is the number of the first try that arrived.
func (d deliveryPage) DeliveredOn() int {
	for _, a := range d.Attempts {
		if a.Reason == "" {
			return a.Number
		}
	}
	return d.AttemptCount
}

// Ptr is the delivery for template functions that take one.
func (d deliveryPage) Ptr() *client.Delivery { return &d.Delivery }
