package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"webhookrelay/shared/history"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

// records is a store of records and nothing else; a page holds three.
type records struct {
	history.Store
	all []history.Record
	// gap is how many empty pages come before each page.
	gap int
}

func (s *records) Records(_ context.Context, _ webhook.TenantID, _ history.Filter, p webhook.Page) ([]history.Record, string, error) {
	from, empty := 0, 0
	if p.After != "" {
		if _, err := fmt.Sscanf(p.After, "%d.%d", &from, &empty); err != nil {
			return nil, "", err
		}
	}
	if empty < s.gap {
		return nil, fmt.Sprintf("%d.%d", from, empty+1), nil
	}
	to := min(from+min(p.Limit, 3), len(s.all))
	if to == len(s.all) {
		return s.all[from:], "", nil
	}
	return s.all[from:to], fmt.Sprintf("%d.0", to), nil
}

func (s *records) add(body int, deliveries, attempts, answer int) {
	n := len(s.all)
	r := history.Record{Behind: fmt.Sprintf("%d.%d", n+1, s.gap)}
	r.Event = webhook.Event{ID: webhook.EventID(fmt.Sprint("e", n)), Ref: webhook.EventRef(fmt.Sprintf("%026d", n)), Body: []byte(`"` + string(bytes.Repeat([]byte("x"), body)) + `"`)}
	for i := range deliveries {
		d := webhook.NewDelivery(r.Event, webhook.EndpointID(fmt.Sprint("ep", i)))
		for range attempts {
			d = d.Fail(webhook.Attempt{Response: bytes.Repeat([]byte{1}, answer)})
		}
		r.Deliveries = append(r.Deliveries, d)
	}
	s.all = append(s.all, r)
}

// exported reads all pages and returns what each line is about, and how many pages
// there were.
func (s *records) exported(t *testing.T, limit int, now func() time.Time) (lines []string, pages int) {
	t.Helper()
	m := Manage{History: history.History{Store: s}, Jobs: replay.Jobs{Now: now}}
	e := export{limit: limit}
	for {
		pages++
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetPathValue("tenant", "t")
		if err := m.export(r, history.Filter{}, &e); err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(e.lines.Bytes()) {
			var parsed struct {
				Event    *struct{ ID string }
				Delivery *struct {
					EventID    string `json:"event_id"`
					EndpointID string `json:"endpoint_id"`
				}
			}
			if err := json.Unmarshal(line, &parsed); err != nil || line[len(line)-1] != '\n' {
				t.Fatalf("line %.200q: %v", line, err)
			}
			if parsed.Event != nil {
				lines = append(lines, parsed.Event.ID)
			} else {
				lines = append(lines, parsed.Delivery.EventID+" "+parsed.Delivery.EndpointID)
			}
		}
		// As text in Lambda's JSON, each byte of it takes two at most.
		if 2*e.lines.Len() > 5<<20 {
			t.Errorf("page %d is %d bytes", pages, e.lines.Len())
		}
		if e.done {
			return lines, pages
		}
		at, err := parseExportPosition(e.at.String())
		if err != nil || at != e.at {
			t.Fatalf("%+v is read as %+v, %v", e.at, at, err)
		}
		e = export{limit: limit, at: at}
		if pages > 1000 {
			t.Fatal("no end")
		}
	}
}

func TestAnExportHoldsEachLineOnceWhateverItsPages(t *testing.T) {
	t.Parallel()
	fixed := func() time.Time { return time.Time{} }
	looks := time.Time{}
	slow := func() time.Time {
		looks = looks.Add(exportTime / 3)
		return looks
	}
	for name, fill := range map[string]func(s *records){
		"nothing": func(*records) {},
		"small events": func(s *records) {
			for range 20 {
				s.add(10, 2, 1, 1)
			}
		},
		"large payloads": func(s *records) {
			for range 20 {
				s.add(webhook.MaxDataBytes, 1, 0, 0)
			}
		},
		"an event of many answers": func(s *records) {
			s.add(9, 0, 0, 0)
			s.add(9, 60, webhook.MaxAttemptsKept, webhook.MaxOldResponseKept)
			s.add(9, 1, 0, 0)
		},
		"empty pages between": func(s *records) {
			s.gap = 2
			for range 9 {
				s.add(9, 3, 0, 0)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &records{}
			fill(s)
			want := []string{}
			for _, r := range s.all {
				want = append(want, string(r.Event.ID))
				for _, d := range r.Deliveries {
					want = append(want, string(r.Event.ID)+" "+string(d.Endpoint))
				}
			}
			for _, limit := range []int{0, 1, 4} {
				for _, now := range []func() time.Time{fixed, slow} {
					if got, pages := s.exported(t, limit, now); !slices.Equal(got, want) {
						t.Errorf("limit %d, %d pages: got %d lines, want %d", limit, pages, len(got), len(want))
					}
				}
			}
		})
	}
}
