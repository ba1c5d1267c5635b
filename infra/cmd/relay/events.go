package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"webhookrelay/shared/client"
)

type eventsCommand struct {
	remote
	List    eventsList    `cmd:"" default:"withargs" help:"List events, newest first."`
	Get     eventsGet     `cmd:"" help:"Show an event with its payload and deliveries."`
	Cancel  eventsCancel  `cmd:"" help:"Take back a scheduled event before its time."`
	Expunge eventsExpunge `cmd:"" help:"Remove an event's payload and what endpoints answered to it, for good."`
}

type eventsList struct{ listFlags }

// Run lists events.
func (c eventsList) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	return list(s, c.listFlags, []string{"ACCEPTED", "TYPE", "ENDPOINTS", "ID"}, relay.AllEvents(s.ctx, tenant, c.options()),
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
	if err := json.Indent(&pretty, event.Payload, "", "  "); err != nil {
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
