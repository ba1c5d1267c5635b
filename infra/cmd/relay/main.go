// Command relay runs and operates the webhook relay. `relay dev` is the whole
// relay in one process, for a laptop.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/retry"
)

type commands struct {
	Dev devCommand `cmd:"" help:"Run the whole relay on this machine, over one SQLite file."`
	Key keyCommand `cmd:"" help:"Make an admin key and the digest that a deployment is given."`
}

func main() {
	var c commands
	parser := kong.Must(&c,
		kong.Name("relay"),
		kong.Description("A serverless webhook relay: accepts an event once, delivers it signed to every endpoint that wants it."),
		kong.UsageOnError(),
		kong.Vars{"schedule": retry.DefaultSchedule},
	)
	run, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := run.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

type keyCommand struct{}

// Run prints a new key and its digest. The key is shown here only: a
// deployment stores the digest.
func (keyCommand) Run() {
	key := auth.NewKey()
	fmt.Printf("admin key        %s\nAdminKeySha256   %s\n", key, auth.DigestOf(key))
	fmt.Fprintln(os.Stderr, "\nKeep the key in your password store; give the digest to sam deploy.")
}
