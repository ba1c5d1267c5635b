package main

import (
	"encoding/json"
	"fmt"

	"webhookrelay/shared/client"
)

type endpointsTestFilter struct {
	Filter   string   `arg:"" help:"Expression in CEL, such as 'data.total > 100'."`
	Type     string   `arg:"" help:"The example's event type, such as order.placed."`
	Data     string   `arg:"" optional:"" default:"{}" help:"Its data: JSON, @FILE, or - for standard input."`
	ID       string   `name:"id" placeholder:"ID" help:"Its id."`
	Channels []string `placeholder:"NAME,…" help:"Its channels."`
}

// Run tests a filter.
func (c endpointsTestFilter) Run(s *session) error {
	data, err := s.jsonOf(c.Data)
	if err != nil {
		return err
	}
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	test, err := relay.TestFilter(s.ctx, tenant, client.NewFilterTest{
		Filter: c.Filter, Event: client.ExampleEvent{Type: c.Type, Data: data, ID: c.ID, Channels: c.Channels},
	})
	if err != nil {
		return err
	}
	if err := s.show(test, filterLines(s, test)...); err != nil {
		return err
	}
	if test.Result == client.FilterFailed {
		return silent(exitProblem)
	}
	return nil
}

func filterLines(s *session, test client.FilterTest) []string {
	first := map[string]string{
		client.FilterMatches: s.paint("matches"), client.FilterRefuses: "does not match", client.FilterFailed: s.paint("FAIL") + ": " + cell(test.Detail),
	}[test.Result]
	lines := []string{first}
	for _, part := range test.DecidedBy {
		lines = append(lines, fmt.Sprintf("  %s  %s", cell(part.Expression), valueOf(part.Value, part.Detail)))
		for _, of := range part.Of {
			lines = append(lines, fmt.Sprintf("    %s  %s", cell(of.Expression), valueOf(of.Value, of.Detail)))
		}
	}
	return lines
}

func valueOf(value json.RawMessage, detail string) string {
	switch {
	case detail != "":
		return "fails: " + cell(detail)
	case value == nil:
		return "(too long to show)"
	}
	return "is " + cell(string(value))
}
