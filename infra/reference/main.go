// Command reference writes the page that shows openapi.yaml to people, as the
// relay serves it under /docs. Run it from the module's root.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	from := flag.String("from", "shared/api/openapi.yaml", "the OpenAPI document")
	to := flag.String("to", "shared/api/reference.html", "the page")
	flag.Parse()
	if err := run(*from, *to); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	source, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	page, err := render(source)
	if err != nil {
		return err
	}
	return os.WriteFile(to, page, 0o644) //nolint:gosec // a page for everyone
}
