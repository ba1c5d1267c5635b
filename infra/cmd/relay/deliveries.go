package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"webhookrelay/shared/client"
)

type deliveriesCommand struct {
	remote
	List   deliveriesList   `cmd:"" default:"withargs" help:"List deliveries, newest event first; --follow prints what changes."`
	Get    deliveriesGet    `cmd:"" help:"Show a delivery: each attempt, why it failed, and what comes when."`
	Retry  deliveriesRetry  `cmd:"" help:"Send a delivery now."`
	Cancel deliveriesCancel `cmd:"" help:"Give a pending delivery up."`
}

type deliveriesList struct {
	listFlags
	searchFlags
	Endpoint string `short:"e" placeholder:"ID" help:"Only those to this endpoint."`
	Status   string `short:"s" placeholder:"STATE" enum:",queued,retrying,parked,delivered,dead,cancelled" default:"" help:"Only those in this state: queued, retrying, parked, delivered, dead or cancelled."`
	Follow   bool   `short:"f" help:"Go on printing the deliveries that change, until Ctrl-C."`
}

var deliveryHeader = []string{"UPDATED", "STATE", "TYPE", "ENDPOINT", "TRIES", "LAST RESULT", "NEXT", "ID"}

// Run lists deliveries, or follows them.
func (c deliveriesList) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	filter := client.DeliveryFilter{Endpoint: c.Endpoint, State: client.State(c.Status), EventType: c.Type, Tag: c.Tag}
	if filter.Since, filter.Until, err = c.times(s.now()); err != nil {
		return err
	}
	if c.Follow {
		return follow(s, c.Limit, func(o client.PageOptions) ([]client.Delivery, error) {
			page, err := relay.ListDeliveries(s.ctx, tenant, filter, o)
			return page.Data, err
		})
	}
	return list(s, c.listFlags, deliveryHeader, relay.AllDeliveries(s.ctx, tenant, filter, c.options()), s.deliveryRow)
}

func printDeliveries(s *session, deliveries []client.Delivery) error {
	out := s.table(deliveryHeader...)
	for _, d := range deliveries {
		if err := out.add(d, s.deliveryRow(d)...); err != nil {
			return err
		}
	}
	return out.end()
}

func (s *session) deliveryRow(d client.Delivery) []string {
	return []string{
		s.time(d.UpdatedAt), string(d.State), d.EventType, d.EndpointID,
		strconv.Itoa(d.AttemptCount), lastResult(d), s.timeIf(d.NextAttemptAt), d.ID,
	}
}

// lastResult says in a few words how the latest attempt went.
func lastResult(d client.Delivery) string {
	if len(d.Attempts) == 0 {
		return ""
	}
	return resultOf(d.Attempts[len(d.Attempts)-1])
}

func resultOf(a client.Attempt) string {
	what := a.Reason
	if a.StatusCode > 0 {
		what = strings.TrimSpace(strconv.Itoa(a.StatusCode) + " " + http.StatusText(a.StatusCode))
	}
	return fmt.Sprintf("%s in %d ms", what, a.DurationMS)
}

type deliveriesGet struct {
	Delivery string `arg:"" help:"The delivery's id."`
}

// Run shows a delivery.
func (c deliveriesGet) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	d, err := relay.GetDelivery(s.ctx, tenant, c.Delivery)
	if err != nil {
		return err
	}
	return s.show(d, s.timeline(d)...)
}

// timeline tells a delivery's story: what it is, what is next, each attempt,
// and what to do about the last failure.
func (s *session) timeline(d client.Delivery) []string {
	lines := []string{
		fmt.Sprintf("%s -> %s   %s", printable(d.EventType), printable(d.EndpointID), s.paint(string(d.State))),
		s.prospect(d), "",
	}
	last := ""
	for _, a := range d.Attempts {
		lines = append(lines, fmt.Sprintf("%3d  %s  %-9s %s (%s)", a.Number, s.time(a.At), a.Outcome, cell(resultOf(a)), a.Trigger))
		if a.Error != "" {
			lines = append(lines, "     "+cell(a.Error))
		}
		if a.Response != "" && a.Outcome == "failed" {
			lines = append(lines, "     answered: "+cell(beginning(a.Response, 200)))
		}
		last = a.Reason
	}
	if what := whatToDo(last); what != "" && d.State != client.Delivered {
		lines = append(lines, "", "What to do: "+what)
	}
	return lines
}

// prospect says what comes next, and that nothing is lost where it is not.
func (s *session) prospect(d client.Delivery) string {
	switch d.State {
	case client.Delivered:
		return "It arrived."
	case client.Dead:
		return fmt.Sprintf("Given up (%s). It lies in the dead-letter queue: relay deliveries retry %s", d.Reason, d.ID)
	case client.Cancelled:
		return fmt.Sprintf("Cancelled (%s): it is not sent.", d.Reason)
	case client.Parked:
		return "On hold, because the endpoint keeps failing. It goes on when a probe succeeds; nothing is lost."
	}
	if d.NextAttemptAt == nil {
		return "The first attempt is due now."
	}
	line := fmt.Sprintf("Attempt %d at %s", d.AttemptCount+1, s.time(*d.NextAttemptAt))
	if cause, known := causes[d.NextCause]; known {
		line += " (" + cause + ")"
	}
	return line + ". Nothing is lost."
}

var causes = map[string]string{
	"schedule":    "by the retry schedule",
	"retry_after": "the endpoint asked for the wait",
	"slow_down":   "the wait is doubled, as the endpoint is overloaded",
	"breaker":     "the endpoint is left alone, and probed",
	"scheduled":   "the event's deliver_at",
}

func beginning(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(text[:limit], ""), len(text))
}

type deliveriesRetry struct {
	Deliveries []string `arg:"" name:"delivery" help:"Ids of deliveries."`
}

// Run sends deliveries now. It goes on after one that fails, and ends by 6 then.
func (c deliveriesRetry) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	failed := 0
	for _, id := range c.Deliveries {
		d, err := relay.RetryDelivery(s.ctx, tenant, id)
		if err != nil && len(c.Deliveries) == 1 {
			return err
		}
		if err != nil {
			s.report(fmt.Errorf("%s: %w", id, err))
			failed++
			continue
		}
		if err := s.show(d, fmt.Sprintf("%s is sent now; it was %s", printable(d.ID), d.State)); err != nil {
			return err
		}
	}
	if failed > 0 {
		return silent(exitSome)
	}
	s.note("See how it goes: relay deliveries get %s", c.Deliveries[0])
	return nil
}

type deliveriesCancel struct {
	Delivery string `arg:"" help:"The delivery's id."`
}

// Run cancels a pending delivery.
func (c deliveriesCancel) Run(s *session) error {
	relay, tenant, err := s.tenant()
	if err != nil {
		return err
	}
	d, err := relay.CancelDelivery(s.ctx, tenant, c.Delivery)
	if err != nil {
		return err
	}
	return s.show(d, fmt.Sprintf("%s is %s", printable(d.ID), d.State))
}
