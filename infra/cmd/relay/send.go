package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"webhookrelay/shared/client"
)

// pollInterval is how often a command that waits looks again.
const pollInterval = time.Second

type sendCommand struct {
	remote
	Type           string        `arg:"" help:"Event type, such as order.placed."`
	Data           string        `arg:"" optional:"" default:"{}" help:"The event's JSON; @FILE reads a file, - standard input."`
	ID             string        `name:"id" placeholder:"ID" help:"Your own id for the event; receivers see it as webhook-id."`
	IdempotencyKey string        `placeholder:"KEY" help:"Makes the event one, however often it is sent within 24 hours; drawn when left out."`
	Timestamp      *time.Time    `placeholder:"TIME" help:"When it happened, such as 2026-11-23T12:00:00Z; now when left out."`
	DeliverAt      *time.Time    `placeholder:"TIME" help:"When to deliver it, at most 30 days ahead; at once when left out."`
	Tag            []string      `placeholder:"TAG" help:"A label to find it by; give it several times for several."`
	RetentionDays  int           `placeholder:"DAYS" help:"For how many days it is kept, 25 to 365; as the relay is set when left out."`
	Wait           bool          `short:"w" help:"Wait for the outcome of every delivery."`
	Timeout        time.Duration `default:"30s" help:"How long --wait waits; it ends sooner when no attempt is due in that time."`
}

// Run posts an event. With --wait it ends by 6 unless all deliveries arrived.
func (c sendCommand) Run(s *session) error {
	data, err := s.jsonOf(c.Data)
	if err != nil {
		return err
	}
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	accepted, err := relay.PostEvent(s.ctx, tenant, client.NewEvent{
		Type: c.Type, Data: data, ID: c.ID, IdempotencyKey: c.IdempotencyKey, Timestamp: c.Timestamp,
		DeliverAt: c.DeliverAt, Tags: c.Tag, RetentionDays: c.RetentionDays,
	})
	if err != nil {
		return err
	}
	if !c.Wait {
		s.note("%s", acceptedLine(accepted, tenant))
		return s.show(accepted, accepted.ID)
	}
	s.note("%s", acceptedLine(accepted, tenant))
	return c.wait(s, relay, tenant, accepted.ID)
}

func acceptedLine(a client.Accepted, tenant string) string {
	when := ""
	if a.DeliverAt != nil {
		when = ", to be delivered at " + a.DeliverAt.Format(time.RFC3339)
	}
	switch a.Deliveries {
	case 0:
		return fmt.Sprintf("Accepted, but no endpoint of %s subscribes to %s: relay endpoints --tenant %s", tenant, a.Type, tenant)
	case 1:
		return "Accepted for 1 endpoint" + when + "."
	}
	return fmt.Sprintf("Accepted for %d endpoints%s.", a.Deliveries, when)
}

// jsonOf reads an argument that is JSON, @FILE, or - for standard input.
func (s *session) jsonOf(argument string) (json.RawMessage, error) {
	raw := []byte(argument)
	if path, ok := strings.CutPrefix(argument, "@"); ok || argument == "-" {
		if !ok {
			path = "-"
		}
		var err error
		if raw, err = s.read(path); err != nil {
			return nil, usage("data: %w", err)
		}
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, usage("the data is not JSON: %w. Quote it for the shell: '{\"total\":\"19.90\"}'", err)
	}
	return raw, nil
}

// wait looks at the event until each delivery is final, or its next attempt
// lies beyond the timeout.
func (c sendCommand) wait(s *session, relay *client.Client, tenant, id string) error {
	deadline := s.now().Add(c.Timeout)
	for {
		event, err := relay.GetEvent(s.ctx, tenant, id)
		if err != nil {
			return err
		}
		waiting := false
		for _, d := range event.Deliveries {
			waiting = waiting || !d.State.Final() && (d.NextAttemptAt == nil || d.NextAttemptAt.Before(deadline))
		}
		if !waiting || !s.now().Before(deadline) {
			return c.outcome(s, event)
		}
		if err := s.sleep(s.ctx, pollInterval); err != nil {
			return err
		}
	}
}

func (c sendCommand) outcome(s *session, event client.EventDetail) error {
	if s.remote.JSON {
		if err := s.json(event); err != nil {
			return err
		}
	} else if err := printDeliveries(s, event.Deliveries); err != nil {
		return err
	}
	for _, d := range event.Deliveries {
		if d.State != client.Delivered {
			s.note("Not all have arrived. Why, and what is next: relay deliveries get %s", d.ID)
			return silent(exitSome)
		}
	}
	return nil
}
