package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/client"
)

type dlqCommand struct {
	remote
	List    dlqList    `cmd:"" default:"withargs" help:"List the dead letters of all tenants."`
	Redrive dlqRedrive `cmd:"" help:"Put all of them back to work, and show how far it is."`
}

type dlqList struct{ listFlags }

// Run lists dead letters.
func (c dlqList) Run(s *session) error {
	relay, _, err := s.connect()
	if err != nil {
		return err
	}
	header := []string{"DIED", "TENANT", "TYPE", "ENDPOINT", "REASON", "TRIES", "LAST RESULT", "ID"}
	err = list(s, c.listFlags, header, relay.AllDeadLetters(s.ctx, c.options()), func(d client.DeadLetter) []string {
		return []string{
			s.time(d.UpdatedAt), d.TenantID, d.EventType, d.EndpointID, d.Reason, strconv.Itoa(d.AttemptCount), lastResult(d.Delivery), d.ID,
		}
	})
	if err != nil {
		return err
	}
	state, err := relay.ListDeadLetters(s.ctx, client.PageOptions{Limit: 1})
	if err != nil {
		return err
	}
	s.note("About %d messages lie in the dead-letter queue.", state.Depth)
	return nil
}

type dlqRedrive struct {
	Yes    bool `short:"y" help:"Do not ask."`
	DryRun bool `help:"Say how many there are, and do nothing."`
	NoWait bool `help:"Start it, and do not wait for its end."`
}

// Run starts a redrive and watches it. One that runs already is watched too.
func (c dlqRedrive) Run(s *session) error {
	relay, to, err := s.connect()
	if err != nil {
		return err
	}
	state, err := relay.ListDeadLetters(s.ctx, client.PageOptions{Limit: 1})
	if err != nil {
		return err
	}
	if c.DryRun {
		return s.show(map[string]int{"depth": state.Depth}, fmt.Sprintf("Would redrive about %d dead letters of %s.", state.Depth, to))
	}
	question := fmt.Sprintf("Redrive about %d dead letters of %s? Receivers may see webhook-ids that they have seen before.", state.Depth, to)
	if err := s.confirm(c.Yes, question); err != nil {
		return err
	}
	started, err := relay.Redrive(s.ctx)
	switch {
	case client.IsCode(err, "redrive-running"):
		s.note("A redrive is running already; this is how far it is.")
	case err != nil:
		return err
	case c.NoWait:
		return s.show(started, "Started. See how far it is: relay dlq redrive --yes, or the SQS console.")
	}
	return watchRedrive(s, relay)
}

// running are the states of a move that are not its end, as SQS names them.
var running = map[string]bool{"RUNNING": true, "CANCELLING": true}

func watchRedrive(s *session, relay *client.Client) error {
	meter := progress{s: s, began: s.now()}
	for {
		state, err := relay.ListDeadLetters(s.ctx, client.PageOptions{Limit: 1})
		if err == nil && state.Redrive == nil {
			return errors.New("the relay knows of no redrive any more: start it again")
		}
		if err == nil && !running[state.Redrive.Status] {
			meter.clear()
			return s.redriveEnd(*state.Redrive)
		}
		if err == nil {
			meter.show(state.Redrive.Moved, state.Redrive.ToMove)
			err = s.sleep(s.ctx, pollInterval)
		}
		if err != nil {
			meter.clear()
			if s.ctx.Err() != nil {
				s.note("The redrive goes on without you. See how far it is: relay dlq redrive --yes")
			}
			return err
		}
	}
}

func (s *session) redriveEnd(r client.Redrive) error {
	if err := s.show(r, fmt.Sprintf("%s: about %d of %d dead letters are back at work.", strings.ToLower(r.Status), r.Moved, max(r.Moved, r.ToMove))); err != nil {
		return err
	}
	if r.Status != "COMPLETED" {
		return fmt.Errorf("the redrive ended %s. %s", strings.ToLower(r.Status), r.Failure)
	}
	s.note("See how they go: relay deliveries --follow")
	return nil
}

// progress shows how far long work is: a bar on a terminal, elsewhere a line
// every ten seconds.
type progress struct {
	s     *session
	began time.Time
	last  time.Time
	drawn bool
}

const barWidth = 20

func (p *progress) show(done, total int) {
	now := p.s.now()
	line := progressLine(done, total, now.Sub(p.began))
	if p.s.errTerminal {
		p.s.say("\r\x1b[K%s", line)
		p.drawn = true
		return
	}
	if p.last.IsZero() || now.Sub(p.last) >= 10*time.Second {
		p.s.note("%s", line)
		p.last = now
	}
}

func (p *progress) clear() {
	if p.drawn {
		p.s.say("\r\x1b[K")
	}
}

// progressLine draws a bar with rate and time left.
func progressLine(done, total int, took time.Duration) string {
	total = max(total, done, 1)
	filled := done * barWidth / total
	line := fmt.Sprintf("[%s%s] %d/%d", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), done, total)
	if rate := float64(done) / took.Seconds(); done > 0 && took > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
		line += fmt.Sprintf("  %.0f/s  %s left", rate, left)
	}
	return line
}
