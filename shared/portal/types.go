package portal

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"webhookrelay/shared/client"
)

// typeGroup are types that share what stands before the first dot.
type typeGroup struct {
	Name  string
	Types []client.EventType
}

// Pattern selects the whole group.
func (g typeGroup) Pattern() string { return g.Name + ".*" }

// knownTypes are the types to choose from, by group: those of the catalogue and,
// where it is empty, those of the latest events.
type knownTypes struct {
	Groups []typeGroup
	// Seen: they are of events, for there is no catalogue.
	Seen bool
}

// maxKnownTypes bounds how many types are offered.
const maxKnownTypes = 500

// names returns the types' names, by group.
func (k knownTypes) names() (all []string) {
	for _, g := range k.Groups {
		for _, t := range g.Types {
			all = append(all, t.Name)
		}
	}
	return all
}

// has reports whether the pattern is a known type, or a group of several.
func (k knownTypes) has(pattern string) bool {
	return slices.ContainsFunc(k.Groups, func(g typeGroup) bool {
		return len(g.Types) > 1 && g.Pattern() == pattern ||
			slices.ContainsFunc(g.Types, func(t client.EventType) bool { return t.Name == pattern })
	})
}

func (v *visit) knownTypes() (knownTypes, error) {
	var all []client.EventType
	for t, err := range v.relay.AllEventTypes(v.r.Context(), "", client.PageOptions{Limit: client.MaxPage}) {
		if err != nil {
			return knownTypes{}, err
		}
		if all = append(all, t); len(all) == maxKnownTypes {
			break
		}
	}
	if len(all) > 0 {
		return knownTypes{Groups: grouped(all)}, nil
	}
	found, err := v.relay.ListEvents(v.r.Context(), v.tenant, client.EventFilter{}, client.PageOptions{Limit: 100})
	if err != nil {
		return knownTypes{}, err
	}
	for _, event := range found.Data {
		all = append(all, client.EventType{Name: event.Type})
	}
	slices.SortFunc(all, func(a, b client.EventType) int { return cmp.Compare(a.Name, b.Name) })
	all = slices.CompactFunc(all, func(a, b client.EventType) bool { return a.Name == b.Name })
	return knownTypes{Groups: grouped(all), Seen: true}, nil
}

// grouped puts types, which are in order of their names, into groups.
func grouped(types []client.EventType) (groups []typeGroup) {
	for _, t := range types {
		name, _, _ := strings.Cut(t.Name, ".")
		if n := len(groups); n == 0 || groups[n-1].Name != name {
			groups = append(groups, typeGroup{Name: name})
		}
		last := &groups[len(groups)-1]
		last.Types = append(last.Types, t)
	}
	return groups
}

// exampleOf is what an event of the type may hold: what the catalogue says, or a
// greeting.
func (v *visit) exampleOf(name string) string {
	if name == "" {
		return exampleData
	}
	described, err := v.relay.GetEventType(v.r.Context(), name)
	if err != nil || len(described.Example) == 0 || string(described.Example) == "null" {
		return exampleData
	}
	return laidOut(described.Example)
}

// example gives a form the latest event as an example to try its filter on, or
// one of the catalogue's.
func (v *visit) example(f *endpointForm) error {
	latest, err := v.relay.ListEvents(v.r.Context(), v.tenant, client.EventFilter{}, client.PageOptions{Limit: 1})
	if err != nil {
		return err
	}
	if len(latest.Data) == 0 {
		if names := f.Known.names(); len(names) > 0 {
			f.PreviewType = names[0]
		}
		f.PreviewType, f.PreviewData = cmp.Or(f.PreviewType, "order.placed"), v.exampleOf(f.PreviewType)
		return nil
	}
	event, err := v.relay.GetEvent(v.r.Context(), v.tenant, latest.Data[0].ID)
	if err != nil {
		return err
	}
	var payload struct {
		Data json.RawMessage `json:"data"`
	}
	_ = json.Unmarshal(event.Payload, &payload) // the relay made it; without data there is no example
	f.PreviewType, f.PreviewData = event.Type, laidOut(payload.Data)
	return nil
}

// previewFilter shows the form with what its filter makes of the example.
func (v *visit) previewFilter(f endpointForm) error {
	switch {
	case f.Filter == "":
		f.PreviewFault = "Without a filter, every event of the chosen types is delivered."
	case !json.Valid([]byte(f.PreviewData)):
		f.PreviewFault = "The example is not JSON."
	default:
		test, err := v.relay.TestFilter(v.r.Context(), v.tenant, client.NewFilterTest{
			Filter: f.Filter, Event: client.ExampleEvent{Type: f.PreviewType, Data: json.RawMessage(f.PreviewData)},
		})
		if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusBadRequest {
			f.PreviewFault = p.Detail
		} else if err != nil {
			return err
		} else {
			f.Preview = &test
		}
	}
	return v.showForm(http.StatusOK, f)
}

func listTypes(v *visit) error {
	if _, err := v.relay.GetTenant(v.r.Context(), v.tenant); err != nil {
		return err // the catalogue is everyone's, and says nothing of the tenant in the path
	}
	known, err := v.knownTypes()
	if err != nil {
		return err
	}
	return v.show("types", page{Title: "Event types", Nav: "types", Data: known})
}

type typePage struct {
	client.EventTypeDetail
	Example, Schema string
}

func showType(v *visit) error {
	if _, err := v.relay.GetTenant(v.r.Context(), v.tenant); err != nil {
		return err
	}
	described, err := v.relay.GetEventType(v.r.Context(), v.r.PathValue("type"))
	if err != nil {
		return err
	}
	shown := typePage{EventTypeDetail: described, Example: shownJSON(described.Example), Schema: shownJSON(described.Schema)}
	return v.show("type", page{Title: described.Name, Nav: "types", Data: shown})
}

// shownJSON lays a value out, and is empty for none.
func shownJSON(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	return laidOut(raw)
}
