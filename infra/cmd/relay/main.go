// Command relay runs and operates the webhook relay. `relay dev` is the whole
// relay in one process, for a laptop; most other commands call a relay over HTTP.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/breaker"
	"webhookrelay/shared/retry"
)

type commands struct {
	Dev      devCommand      `cmd:"" group:"Try" help:"Run the whole relay on this machine, over one SQLite file."`
	Simulate simulateCommand `cmd:"" group:"Try" help:"Show what an outage of an endpoint does to a deployment."`
	Capacity capacityCommand `cmd:"" group:"Try" help:"Say what a rate of events needs of AWS, and costs."`

	Send sendCommand `cmd:"" group:"Send" help:"Post an event: relay send order.placed '{}' --wait"`

	Events     eventsCommand     `cmd:"" group:"Look" help:"List events; show one with its payload and deliveries."`
	Deliveries deliveriesCommand `cmd:"" group:"Look" help:"List or follow deliveries; show or retry one."`
	Export     exportCommand     `cmd:"" group:"Look" help:"Print events with their deliveries as JSON Lines."`
	Audit      auditCommand      `cmd:"" group:"Look" help:"List who changed what."`

	Endpoints endpointsCommand `cmd:"" group:"Manage" help:"List, create, change and delete endpoints; their secrets."`
	Tenants   tenantsCommand   `cmd:"" group:"Manage" help:"List and create tenants; issue portal links."`
	Types     typesCommand     `cmd:"" group:"Manage" help:"List, describe and import event types."`
	Keys      keysCommand      `cmd:"" group:"Manage" help:"List, make and revoke API keys."`
	Key       keyCommand       `cmd:"" group:"Manage" help:"Make an admin key and the digest for a deployment."`

	Recover recoverCommand `cmd:"" group:"Repair" help:"Put an endpoint's dead deliveries back to work."`
	Replay  replayCommand  `cmd:"" group:"Repair" help:"Deliver past events to an endpoint that did not get them."`
	Jobs    jobsCommand    `cmd:"" group:"Repair" help:"List, watch and cancel recoveries and replays."`

	Dlq    dlqCommand    `cmd:"" group:"Repair" help:"List dead letters; put them back to work."`
	Doctor doctorCommand `cmd:"" group:"Repair" help:"Check a relay and say what to do."`

	Sign   signCommand   `cmd:"" group:"Verify" help:"Sign a body as the relay does."`
	Verify verifyCommand `cmd:"" group:"Verify" help:"Check a captured request and say what is wrong with it."`

	Context    contextCommand    `cmd:"" group:"Configure" help:"Name relays, such as dev and prod, and choose one."`
	Completion completionCommand `cmd:"" group:"Configure" help:"Print a completion script for bash, zsh or fish."`
	Complete   completeCommand   `cmd:"" hidden:"" name:"complete" help:"List what may follow the given words."`
	Reference  referenceCommand  `cmd:"" hidden:"" help:"Print every command as Markdown."`
}

func main() { os.Exit(run(os.Args[1:], newSession())) }

// run runs the command that args name and returns the exit code.
func run(args []string, s *session) (code int) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case exited: // help, by kong's Exit
			code = int(v)
		default:
			panic(v)
		}
	}()
	return s.report(execute(args, s))
}

// exited is what kong's Exit throws.
type exited int

// execute parses args and runs their command.
func execute(args []string, s *session) error {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(args[1:len(args):len(args)], "--help")
	}
	var c commands
	selected, err := parser(&c, s).Parse(args)
	if err != nil {
		return wrongUsage(err)
	}
	return selected.Run()
}

func parser(c *commands, s *session) *kong.Kong {
	return kong.Must(c,
		kong.Name("relay"),
		kong.Description("A serverless webhook relay: accepts an event once, delivers it signed to every endpoint that wants it."),
		kong.Vars{"schedule": retry.DefaultSchedule, "breaker": breaker.Default, "disableAfter": breaker.DefaultDisableAfter.String()},
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(s),
	)
}

// wrongUsage adds where to find help to an error of the parser.
func wrongUsage(err error) error {
	command := "relay --help"
	if bad, ok := errors.AsType[*kong.ParseError](err); ok && bad.Context != nil {
		if node := bad.Context.Selected(); node != nil {
			command = "relay " + node.Path() + " --help"
		}
	}
	return usage("%w. See: %s", err, command)
}

type keyCommand struct{}

// Run prints a new key and its digest. The key is shown here only: a
// deployment stores the digest.
func (keyCommand) Run(s *session) error {
	key := auth.NewKey("", auth.Bootstrap)
	if _, err := fmt.Fprintf(s.out, "admin key        %s\nAdminKeySha256   %s\n", key, auth.DigestOf(key)); err != nil {
		return err
	}
	s.note("\nKeep the key in your password store; give the digest to sam deploy.")
	return nil
}
