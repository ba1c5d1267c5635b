package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"webhookrelay/infra/simulate"
)

type simulateCommand struct {
	Outage        time.Duration `required:"" placeholder:"6h" help:"For how long an endpoint fails."`
	Rate          eventRate     `required:"" placeholder:"100/s" help:"Events accepted meanwhile and after: a number per s, m or h."`
	Endpoints     int           `default:"1" help:"Endpoints that each event goes to; the first of them fails."`
	Hangs         bool          `help:"The endpoint gives no answer within the timeout, instead of 503 at once."`
	RetrySchedule string        `default:"${schedule}" env:"RELAY_RETRY_SCHEDULE" help:"Waits between attempts."`
	Breaker       string        `default:"${breaker}" env:"RELAY_BREAKER" help:"When an endpoint is left alone; 0/10m never."`
	DisableAfter  string        `default:"${disableAfter}" env:"RELAY_DISABLE_AFTER" help:"After which time of nothing but failures an endpoint is disabled; 0s never."`
	ParkLifetime  string        `env:"RELAY_PARK_LIFETIME" placeholder:"72h" help:"How long a delivery may be on hold; twice what its retries take when empty."`
	Seed          uint64        `default:"1" help:"Decides what is random; the same seed gives the same result."`
	JSON          bool          `name:"json" help:"Print the result as JSON."`
}

// eventRate is a number of events a second.
type eventRate float64

// UnmarshalText reads "100/s", "6000/m", "5/h" or a bare number a second.
func (r *eventRate) UnmarshalText(text []byte) error {
	count, unit, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseFloat(count, 64)
	per, known := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || !known {
		return fmt.Errorf("%q is not a rate such as 100/s, 6000/m or 5/h", text)
	}
	*r = eventRate(n / per)
	return nil
}

// Run simulates an outage and prints what it would do.
func (c simulateCommand) Run(k *kong.Context) error {
	s := source(map[string]string{
		"RELAY_RETRY_SCHEDULE": c.RetrySchedule, "RELAY_BREAKER": c.Breaker, "RELAY_PARK_LIFETIME": c.ParkLifetime,
		"RELAY_DISABLE_AFTER": c.DisableAfter,
	})
	outage := simulate.Outage{
		Length: c.Outage, Rate: float64(c.Rate), Endpoints: c.Endpoints, Hangs: c.Hangs,
		Schedule: s.Schedule(), Breaker: s.Breaker(), Seed: c.Seed,
	}
	outage.Lifetime, outage.Breaker.DisableAfter = s.Lifetime(outage.Schedule), s.DisableAfter()
	if err := errors.Join(s.Err(), outage.Check()); err != nil {
		return err
	}
	report, err := outage.Run()
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(k.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = printOutage(k.Stdout, outage, report)
	}
	if err == nil && report.Lost > 0 {
		err = fmt.Errorf("%d deliveries were lost: the relay has a defect", report.Lost)
	}
	return err
}

// printOutage prints a report for people.
func printOutage(out io.Writer, o simulate.Outage, r simulate.OutageReport) error {
	answer := "answers 503"
	if o.Hangs {
		answer = "gives no answer"
	}
	p := &printer{out: out}
	p.linef("An endpoint %s for %s, of %d, under %.4g events a second.", answer, short(o.Length), o.Endpoints, o.Rate)
	if r.Scale > 1 {
		p.linef("Simulated at 1/%d of the rate and of every limit; counts are multiplied by %d, all but those of probes.", r.Scale, r.Scale)
	}
	p.linef("")
	p.steps(o, r.Steps)
	p.linef("")
	after := func(at int64) string { return short(time.Duration(at)*time.Second - o.Length) }
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	p.out = table
	p.linef("POSTs to it meanwhile\t%s, %.4f per event; %s of them probes", count(r.Posts), ratio(r.Posts, r.Accepted), count(r.Probes))
	p.linef("most messages in flight\t%s of %s, %s after the beginning", count(r.PeakInFlight), count(r.InFlightLimit), short(time.Duration(r.PeakAt)*time.Second))
	if r.DisabledAt > 0 {
		p.linef("disabled by the relay\t%s after the beginning; it stays so until someone enables it", short(time.Duration(r.DisabledAt)*time.Second))
	}
	if r.NoticedAt > 0 {
		p.linef("recovery noticed\tafter %s", after(r.NoticedAt))
	}
	if r.Drained {
		p.linef("all have ended\t%s after the recovery", after(r.DrainedAt))
	} else {
		p.linef("all have ended\tnot by %s after the recovery", after(r.DrainedAt))
	}
	p.linef("of %s deliveries\t%s delivered, %s dead", count(r.Accepted), count(r.Delivered), count(r.Dead))
	p.linef("attempts they took\t%s", attempts(r))
	p.linef("rows written\t%s, %.1f per event", count(r.Writes), ratio(r.Writes, r.AcceptedInAll))
	if o.Endpoints > 1 {
		p.linef("the other endpoints\t%s delivered, the slowest after %s", count(r.OthersDelivered), time.Duration(r.OthersLongest)*time.Millisecond)
	}
	p.linef("lost\t%s", count(r.Lost))
	return errors.Join(p.err, table.Flush())
}

func (p *printer) steps(o simulate.Outage, steps []simulate.OutageStep) {
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(columns ...string) {
		if _, err := fmt.Fprintln(table, strings.Join(columns, "\t")+"\t"); err != nil {
			p.err = err
		}
	}
	line("", "accepted", "delivered", "first try", "retrying", "on hold", "dead", "in flight", "POSTs")
	for _, s := range steps {
		at := time.Duration(s.At) * time.Second
		when := short(at)
		if at > o.Length {
			when = "recovered +" + short(at-o.Length)
		}
		line(when, count(s.Accepted), count(s.Delivered), count(s.Queued), count(s.Retrying), count(s.Parked), count(s.Dead), count(s.InFlight), count(s.Posts))
	}
	p.err = errors.Join(p.err, table.Flush())
}

// printer writes lines and keeps the first error.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) linef(format string, args ...any) {
	if _, err := fmt.Fprintf(p.out, format+"\n", args...); err != nil && p.err == nil {
		p.err = err
	}
}

func attempts(r simulate.OutageReport) string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(r.Attempts)) {
		parts = append(parts, fmt.Sprintf("%d: %s", n, count(r.Attempts[n])))
	}
	return strings.Join(parts, "   ")
}

func ratio(n, of int) float64 { return float64(n) / float64(max(1, of)) }

// count groups a number's digits by threes.
func count(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// short is a duration in whole seconds, without the parts that are zero.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	text := d.String()
	if d != 0 && d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d != 0 && d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
