package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"webhookrelay/infra/capacity"
	"webhookrelay/infra/cost"
)

type capacityCommand struct {
	Rate       eventRate     `required:"" placeholder:"1000/s" help:"Events: a number per s, m or h."`
	PerRequest float64       `default:"1" help:"Events that a request to the relay holds, 1 to 100."`
	Endpoints  float64       `default:"1" help:"Endpoints that an event goes to, on average."`
	Failing    float64       `default:"0" help:"Share of first attempts that fail, such as 0.01."`
	Hanging    float64       `default:"0" help:"Share of attempts that get no answer within the timeout."`
	Answer     time.Duration `default:"100ms" help:"How long an endpoint takes to answer."`
	Tenants    float64       `default:"1" help:"Tenants that the events are spread over."`
	JSON       bool          `name:"json" help:"Print the plan as JSON."`
}

// Run prints what the load needs.
func (c capacityCommand) Run(k *kong.Context) error {
	run, err := cost.Latest()
	if err != nil {
		return err
	}
	load := capacity.Load{
		Rate: float64(c.Rate), PerRequest: c.PerRequest, Endpoints: c.Endpoints,
		Failing: c.Failing, Hanging: c.Hanging, Answer: c.Answer, Tenants: c.Tenants,
	}
	if err := load.Check(); err != nil {
		return usage("%w", err)
	}
	plan, err := capacity.Of(load, run.Cost)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(k.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(plan)
	}
	return printPlan(k.Stdout, load, plan, run)
}

// near is the share of a limit from which on it is worth a look.
const near = 0.7

// printPlan prints a plan for people.
func printPlan(out io.Writer, l capacity.Load, plan capacity.Plan, run cost.Run) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	p := &printer{out: table}
	p.linef("needs\tof the limit\t\tbites at\tto raise it")
	for _, n := range plan.Needs {
		word := ""
		switch {
		case n.Share() > 1:
			word = "too much"
		case n.Share() > near:
			word = "close"
		}
		bites := "never"
		if n.Amount > 0 {
			bites = fmt.Sprintf("%s events/s", amount(n.Bites(l.Rate)))
		}
		p.linef("%s\t%s of %s %s\t%s\t%s\t%s", n.Name, amount(n.Amount), amount(n.Limit), n.Unit, word, bites, n.Raise)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	p.out = out
	p.linef("")
	p.linef("$%.2f a million events, $%s in 30 days at this rate: list prices of %s in %s, without storage.",
		plan.PerMillion, amount(plan.Month), run.Cost.PricesOf, run.Cost.PricesIn)
	p.linef("Reckoned from the requests counted at commit %s and documented limits; a new account's may be lower.", run.Commit)
	return p.err
}

// amount writes a number with three digits that count.
func amount(v float64) string {
	switch {
	case v >= 1000:
		return count(int(v + 0.5))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
