package main

import (
	"webhookrelay/shared/client"
)

type exportCommand struct {
	remote
	searchFlags
	Cursor string `placeholder:"CURSOR" help:"Go on where an export was interrupted; it said where."`
}

// Run prints events with their deliveries as JSON Lines. Interrupted, it says how
// to go on: all that it printed before is complete.
func (c exportCommand) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	filter := client.EventFilter{EventType: c.Type, Tag: c.Tag}
	if filter.Since, filter.Until, err = c.times(s.now()); err != nil {
		return err
	}
	for cursor := c.Cursor; ; {
		page, err := relay.ExportEvents(s.ctx, tenant, filter, client.PageOptions{Cursor: cursor})
		if err == nil {
			_, err = s.out.Write(page.Lines)
		}
		if err != nil {
			if cursor != "" {
				s.note("To go on, append the output of the same command with --cursor %s", cursor)
			}
			return err
		}
		if cursor = page.NextCursor; cursor == "" {
			return nil
		}
	}
}
