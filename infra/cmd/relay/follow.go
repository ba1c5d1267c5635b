package main

import (
	"slices"
	"strings"
	"time"

	"webhookrelay/shared/client"
)

// followed is how many deliveries, of the newest events, are looked at each time.
const followed = 100

// seen is how far a delivery was when it was last printed.
type seen struct {
	state    client.State
	attempts int
	updated  time.Time
}

// follow prints the newest deliveries, oldest first, and then those that
// change, until the session's context ends.
func follow(s *session, begin int, fetch func(client.PageOptions) ([]client.Delivery, error)) error {
	s.note("Watching the latest %d deliveries. Ctrl-C ends it.", followed)
	known := map[string]seen{}
	for first := true; ; first = false {
		page, err := fetch(client.PageOptions{Limit: followed})
		if err != nil && s.ctx.Err() == nil {
			return err
		}
		slices.Reverse(page) // the newest last, as in a log
		next := make(map[string]seen, len(page))
		for i, d := range page {
			now := seen{d.State, d.AttemptCount, d.UpdatedAt}
			changed := known[d.ID] != now
			next[d.ID] = now
			if !changed || first && i < len(page)-begin {
				continue
			}
			if err := s.show(d, s.followLine(d)); err != nil {
				return err
			}
		}
		known = next
		if err := s.sleep(s.ctx, pollInterval); err != nil {
			return nil // interrupted, which is how one ends it
		}
	}
}

func (s *session) followLine(d client.Delivery) string {
	row := s.deliveryRow(d)
	for i := range row {
		row[i] = cell(row[i])
	}
	if !s.outTerminal {
		return strings.Join(row, "\t")
	}
	for i, width := range map[int]int{1: 9, 2: 20, 3: 16, 4: 2, 5: 24} {
		row[i] += strings.Repeat(" ", max(0, width-len([]rune(row[i]))))
	}
	row[1] = s.paint(row[1])
	return strings.Join(row, "  ")
}
