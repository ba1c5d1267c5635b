// Command relay runs and operates the webhook relay. `relay dev` is the whole
// relay in one process, for a laptop.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/breaker"
	"webhookrelay/shared/retry"
)

type commands struct {
	Dev      devCommand      `cmd:"" help:"Run the whole relay on this machine, over one SQLite file."`
	Key      keyCommand      `cmd:"" help:"Make an admin key and the digest that a deployment is given."`
	Simulate simulateCommand `cmd:"" help:"Show what an outage of an endpoint would do to a deployment."`
}

func main() {
	if err := execute(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

// execute runs the command that args name. Help and wrong usage end the
// process, unless options say otherwise.
func execute(args []string, options ...kong.Option) error {
	var c commands
	parser := parser(&c, options...)
	run, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	return run.Run()
}

func parser(c *commands, options ...kong.Option) *kong.Kong {
	return kong.Must(c, append([]kong.Option{
		kong.Name("relay"),
		kong.Description("A serverless webhook relay: accepts an event once, delivers it signed to every endpoint that wants it."),
		kong.UsageOnError(),
		kong.Vars{"schedule": retry.DefaultSchedule, "breaker": breaker.Default, "disableAfter": breaker.DefaultDisableAfter.String()},
	}, options...)...)
}

type keyCommand struct{}

// Run prints a new key and its digest. The key is shown here only: a
// deployment stores the digest.
func (keyCommand) Run(k *kong.Context) error {
	key := auth.NewKey("", auth.Bootstrap)
	if _, err := fmt.Fprintf(k.Stdout, "admin key        %s\nAdminKeySha256   %s\n", key, auth.DigestOf(key)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(k.Stderr, "\nKeep the key in your password store; give the digest to sam deploy.")
	return err
}
