package portal

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"webhookrelay/shared/client"
)

// endpointForm is what stands in the form for an endpoint, as it was typed.
type endpointForm struct {
	// ID is empty for a new one.
	ID, Name string

	URL, Description string
	// All is "yes" for all events, "no" for those of Types, and empty until chosen.
	All string
	// Types are patterns, one a line.
	Types string
	// Headers are lines of "Name: value"; Kept are the names of those that are set.
	Headers string
	Kept    []string
	Timeout string
	// RateCount events in RateSeconds.
	RateCount, RateSeconds string
	// Filter is an expression in CEL; Preview is what it makes of the example,
	// which is an event of PreviewType with PreviewData. Nil until it was asked for.
	Filter                   string
	PreviewType, PreviewData string
	Preview                  *client.FilterTest
	PreviewFault             string
	// Known are types to choose from.
	Known knownTypes
	// Double is the name of an endpoint that has the same URL already.
	Double string
	// Faults are by field; the form repeats them.
	Faults []fault
}

// fault says what is wrong with a field.
type fault struct{ Field, Text string }

// Fault returns what is wrong with a field, or nothing.
func (f endpointForm) Fault(field string) string {
	for _, fault := range f.Faults {
		if fault.Field == field {
			return fault.Text
		}
	}
	return ""
}

// Chosen reports whether a known type is among the patterns.
func (f endpointForm) Chosen(known string) bool { return slices.Contains(lines(f.Types), known) }

// lines are those of a text that hold something.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func newEndpoint(v *visit) error {
	return v.showForm(http.StatusOK, endpointForm{})
}

func (v *visit) showForm(status int, f endpointForm) error {
	known, err := v.knownTypes()
	if err != nil {
		return err
	}
	f.Known = known
	if f.PreviewData == "" {
		if err := v.example(&f); err != nil {
			return err
		}
	}
	title := "Add an endpoint"
	if f.ID != "" {
		title = "Edit " + f.Name
	}
	if len(f.Faults) > 0 {
		title = "Error: " + title
	}
	v.render(status, "form", page{Title: title, Nav: "overview", Data: f})
	return nil
}

// readForm reads the form as it was sent. Boxes that are ticked join the lines.
func (v *visit) readForm() endpointForm {
	value := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
	f := endpointForm{
		URL: value("url"), Description: value("description"), All: value("all"), Types: value("types"), Headers: value("headers"),
		Filter: value("filter"), PreviewType: value("preview_type"), PreviewData: value("preview_data"),
		Timeout: value("timeout"), RateCount: value("rate_count"), RateSeconds: value("rate_seconds"),
	}
	for _, ticked := range v.r.PostForm["type"] {
		if ticked = strings.TrimSpace(ticked); ticked != "" && !f.Chosen(ticked) {
			f.Types = strings.TrimSpace(f.Types + "\n" + ticked)
		}
	}
	return f
}

// check finds what the API would refuse in words that are not the form's, and
// what it would take although nobody can have meant it.
func (f *endpointForm) check() {
	u, err := url.Parse(f.URL)
	switch {
	case f.URL == "":
		f.add("url", "Enter the URL that will receive events.")
	case err != nil || u.Scheme == "":
		f.add("url", "Start the URL with https://")
	}
	switch {
	case f.All == "":
		f.add("all", "Choose all events, or only some.")
	case f.All == "no" && len(lines(f.Types)) == 0:
		f.add("types", "Choose at least one event type.")
	}
	if _, ok := f.headers(); !ok {
		f.add("headers", "Write one header a line, as Name: value.")
	}
	for field, text := range map[string]string{"timeout": f.Timeout, "rate_count": f.RateCount, "rate_seconds": f.RateSeconds} {
		if n, err := strconv.Atoi(text); text != "" && (err != nil || n < 1) {
			f.add(field, "Enter a whole number above 0, or nothing.")
		}
	}
	if (f.RateCount == "") != (f.RateSeconds == "") {
		f.add("rate_count", "A rate needs both numbers, or neither.")
	}
}

func (f *endpointForm) add(field, text string) { f.Faults = append(f.Faults, fault{field, text}) }

// patterns are what the endpoint subscribes to; none stands for all.
func (f endpointForm) patterns() []string {
	if f.All == "yes" {
		return []string{}
	}
	return lines(f.Types)
}

// headers reads "Name: value" lines, nil when there are none, and returns false
// for a line of another form.
func (f endpointForm) headers() (headers map[string]string, ok bool) {
	for _, line := range lines(f.Headers) {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, false
		}
		if headers == nil {
			headers = make(map[string]string)
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return headers, true
}

// number reads a field that was checked; nil when it is empty.
func number(text string) *int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil
	}
	return &n
}

func (f endpointForm) rate() *client.RateLimit {
	count, seconds := number(f.RateCount), number(f.RateSeconds)
	if count == nil || seconds == nil {
		return nil
	}
	return &client.RateLimit{Count: *count, Seconds: *seconds}
}

// fieldNames say which field of the form a field of the API is.
var fieldNames = map[string]string{
	"event_types": "types", "timeout_seconds": "timeout", "rate_limit.count": "rate_count", "rate_limit.seconds": "rate_seconds",
}

// refused turns the API's refusal of a field into a fault; other errors it returns.
func (f *endpointForm) refused(err error) error {
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Status != http.StatusBadRequest && p.Status != http.StatusConflict {
		return err
	}
	field := cmp.Or(fieldNames[p.Field], p.Field, "url")
	text := strings.TrimPrefix(p.Detail, p.Field+" ")
	f.add(field, strings.ToUpper(text[:min(1, len(text))])+text[min(1, len(text)):])
	return nil
}

func addEndpoint(v *visit) error {
	f := v.readForm()
	if v.r.PostFormValue("preview") != "" {
		return v.previewFilter(f)
	}
	if f.check(); len(f.Faults) > 0 {
		return v.showForm(http.StatusUnprocessableEntity, f)
	}
	if v.r.PostFormValue("double") == "" {
		endpoints, err := v.endpoints()
		if err != nil {
			return err
		}
		for _, e := range endpoints {
			if e.URL == f.URL {
				f.Double = nameOf(e)
				return v.showForm(http.StatusUnprocessableEntity, f)
			}
		}
	}
	headers, _ := f.headers() // checked
	created, err := v.relay.CreateEndpoint(v.r.Context(), v.tenant, client.NewEndpoint{
		URL: f.URL, Description: f.Description, EventTypes: f.patterns(), Filter: f.Filter, Headers: headers,
		TimeoutSeconds: number(f.Timeout), RateLimit: f.rate(),
	})
	if err != nil {
		if err = f.refused(err); err != nil {
			return err
		}
		return v.showForm(http.StatusUnprocessableEntity, f)
	}
	return v.done("added", "endpoints", created.ID, "secret")
}

func (v *visit) endpoint() (client.Endpoint, error) {
	return v.relay.GetEndpoint(v.r.Context(), v.tenant, v.r.PathValue("endpoint"))
}

func editEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	f := endpointForm{URL: e.URL, Description: e.Description, All: "no", Types: strings.Join(e.EventTypes, "\n"), Filter: e.Filter}
	if len(e.EventTypes) == 0 {
		f.All = "yes"
	}
	if e.TimeoutSeconds != nil {
		f.Timeout = strconv.Itoa(*e.TimeoutSeconds)
	}
	if e.RateLimit != nil {
		f.RateCount, f.RateSeconds = strconv.Itoa(e.RateLimit.Count), strconv.Itoa(e.RateLimit.Seconds)
	}
	f.of(e)
	return v.showForm(http.StatusOK, f)
}

// of says which endpoint the form is for.
func (f *endpointForm) of(e client.Endpoint) {
	f.ID, f.Name = e.ID, nameOf(e)
	for name := range e.Headers {
		f.Kept = append(f.Kept, name)
	}
	slices.Sort(f.Kept)
}

func changeEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	f := v.readForm()
	f.of(e)
	if v.r.PostFormValue("preview") != "" {
		return v.previewFilter(f)
	}
	if f.check(); len(f.Faults) > 0 {
		return v.showForm(http.StatusUnprocessableEntity, f)
	}
	timeout, rate, patterns := number(f.Timeout), f.rate(), f.patterns()
	change := client.EndpointChange{Description: &f.Description, EventTypes: &patterns, Filter: &f.Filter, TimeoutSeconds: &timeout, RateLimit: &rate}
	if f.URL != e.URL {
		change.URL = &f.URL
	}
	if headers, _ := f.headers(); headers != nil {
		change.Headers = &headers
	} else if v.r.PostFormValue("no_headers") != "" {
		change.Headers = &map[string]string{}
	}
	if _, err := v.relay.ChangeEndpoint(v.r.Context(), v.tenant, e.ID, change); err != nil {
		if err = f.refused(err); err != nil {
			return err
		}
		return v.showForm(http.StatusUnprocessableEntity, f)
	}
	return v.done("saved", "endpoints", e.ID)
}

func setState(v *visit) error {
	id, state := v.r.PathValue("endpoint"), v.r.PostFormValue("state")
	if _, err := v.relay.ChangeEndpoint(v.r.Context(), v.tenant, id, client.EndpointChange{State: &state}); err != nil {
		return err
	}
	return v.done(state, "endpoints", id)
}

func askDelete(v *visit) error {
	shown, _, err := v.endpointRow()
	if err != nil {
		return err
	}
	return v.show("delete", page{Title: "Delete " + shown.Name, Nav: "overview", Data: shown})
}

func deleteEndpoint(v *visit) error {
	if err := v.relay.DeleteEndpoint(v.r.Context(), v.tenant, v.r.PathValue("endpoint")); err != nil {
		return err
	}
	return v.done("deleted")
}

// Free are the patterns that no box stands for.
func (f endpointForm) Free() (free []string) {
	for _, pattern := range lines(f.Types) {
		if !f.Known.has(pattern) {
			free = append(free, pattern)
		}
	}
	return free
}

// Advanced reports whether the part for few is to be open.
func (f endpointForm) Advanced() bool {
	return f.Filter != "" || f.Headers != "" || f.Timeout != "" || f.RateCount != "" || f.RateSeconds != "" || len(f.Kept) > 0 ||
		slices.ContainsFunc(f.Faults, func(x fault) bool {
			return slices.Contains([]string{"filter", "headers", "timeout", "rate_count", "rate_seconds"}, x.Field)
		})
}
