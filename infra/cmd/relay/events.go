package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"webhookrelay/shared/client"
)

type eventsCommand struct {
	remote
	List    eventsList    `cmd:"" default:"withargs" help:"List events, newest first."`
	Get     eventsGet     `cmd:"" help:"Show an event with its payload and deliveries."`
	Cancel  eventsCancel  `cmd:"" help:"Take back a scheduled event before its time."`
	Expunge eventsExpunge `cmd:"" help:"Remove an event's payload and what endpoints answered to it, for good."`
}

type eventsList struct {
	listFlags
	searchFlags
}

// searchFlags narrow a list to some events.
type searchFlags struct {
	Type  string `placeholder:"PATTERN" help:"Only events of these types, such as order.*."`
	Tag   string `placeholder:"TAG" help:"Only events with this tag."`
	Since string `placeholder:"TIME" help:"Only events accepted since then: a time such as 2026-11-23T12:00:00Z, or how long ago, such as 2h."`
	Until string `placeholder:"TIME" help:"Only events accepted before then."`
}

// times reads --since and --until; zero where one was not given.
func (f searchFlags) times(now time.Time) (since, until time.Time, err error) {
	if f.Since != "" {
		if since, err = when(f.Since, now); err != nil {
			return since, until, usage("--since: %w", err)
		}
	}
	if f.Until != "" {
		if until, err = when(f.Until, now); err != nil {
			return since, until, usage("--until: %w", err)
		}
	}
	return since, until, nil
}

// Run lists events.
func (c eventsList) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	filter := client.EventFilter{EventType: c.Type, Tag: c.Tag}
	if filter.Since, filter.Until, err = c.times(s.now()); err != nil {
		return err
	}
	return list(s, c.listFlags, []string{"ACCEPTED", "TYPE", "ENDPOINTS", "ID"}, relay.AllEvents(s.ctx, tenant, filter, c.options()),
		func(e client.Event) []string {
			return []string{s.time(e.AcceptedAt), e.Type, strconv.Itoa(e.Deliveries), e.ID}
		})
}

type eventsGet struct {
	Event string `arg:"" help:"The event's id."`
}

// Run shows an event.
func (c eventsGet) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	event, err := relay.GetEvent(s.ctx, tenant, c.Event)
	if err != nil {
		return err
	}
	if s.remote.JSON {
		return s.json(event)
	}
	return showEvent(s, event)
}

func showEvent(s *session, event client.EventDetail) error {
	var pretty bytes.Buffer
	if event.ExpungedAt != nil {
		pretty.WriteString("The payload was removed.")
	} else if err := json.Indent(&pretty, event.Payload, "", "  "); err != nil {
		return fmt.Errorf("the event's payload: %w", err)
	}
	if err := s.show(event,
		fmt.Sprintf("%s  %s  accepted %s", printable(event.Type), printable(event.ID), s.time(event.AcceptedAt)),
		printable(pretty.String()), "",
	); err != nil {
		return err
	}
	if len(event.Deliveries) == 0 {
		s.note("No endpoint subscribed to it.")
	}
	return printDeliveries(s, event.Deliveries)
}

type eventsCancel struct {
	Event string `arg:"" help:"The event's id."`
}

// Run takes a scheduled event back.
func (c eventsCancel) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	event, err := relay.CancelEvent(s.ctx, tenant, c.Event)
	if err != nil {
		return err
	}
	return s.show(event, fmt.Sprintf("%s is not delivered any more.", printable(event.ID)))
}

type eventsExpunge struct {
	Event string `arg:"" help:"The event's id."`
	Yes   bool   `short:"y" help:"Do not ask."`
}

// Run removes an event's payload.
func (c eventsExpunge) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	if err := s.confirm(c.Yes, "Remove the payload of "+c.Event+" of "+tenant+" for good? What is pending of it is cancelled."); err != nil {
		return err
	}
	event, err := relay.ExpungeEvent(s.ctx, tenant, c.Event)
	if err != nil {
		return err
	}
	return showEvent(s, event)
}
