package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/alecthomas/kong"
)

// printHelp prints one screen for `relay` itself, and kong's help for a command.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if ctx.Selected() != nil || len(ctx.Path) > 1 && ctx.Path[len(ctx.Path)-1].Command != nil {
		return kong.DefaultHelpPrinter(options, ctx)
	}
	return overview(ctx.Stdout, ctx.Model)
}

// overview lists the commands by group, on 24 lines of 80 characters.
func overview(w io.Writer, app *kong.Application) error {
	var groups []string
	byGroup := map[string][]*kong.Node{}
	for _, node := range app.Children {
		if node.Hidden {
			continue
		}
		name := "Other"
		if node.Group != nil {
			name = node.Group.Title
		}
		if !slices.Contains(groups, name) {
			groups = append(groups, name)
		}
		byGroup[name] = append(byGroup[name], node)
	}
	lines := []string{"Usage: relay COMMAND [ARGUMENTS] [FLAGS]"}
	for _, group := range groups {
		for i, node := range byGroup[group] {
			title := group
			if i > 0 {
				title = ""
			}
			lines = append(lines, fmt.Sprintf("%-9s %-10s %s", title, node.Name, node.Help))
		}
	}
	lines = append(lines,
		"relay help COMMAND says more. Which relay: --url, RELAY_URL or relay context.")
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
