package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type referenceCommand struct{}

// Run prints every command with its arguments and flags as Markdown.
func (referenceCommand) Run(app *kong.Kong, s *session) error {
	_, err := fmt.Fprint(s.out, reference(app.Model))
	return err
}

// reference is the page of all commands, in the order of the overview.
func reference(app *kong.Application) string {
	var page strings.Builder
	page.WriteString("# Commands\n\nWhat `relay help COMMAND` says, of all commands. `make reference` makes this page; [cli.md](cli.md) shows how they are used.\n" +
		"Every command also takes `--help`.\n")
	for _, leaf := range app.Leaves(true) {
		fmt.Fprintf(&page, "\n## relay %s\n\n%s\n", strings.TrimPrefix(leaf.Path(), "relay "), leaf.Help)
		if rows := rowsOf(leaf); len(rows) > 0 {
			page.WriteString("\n| | |\n| --- | --- |\n")
			for _, row := range rows {
				fmt.Fprintf(&page, "| %s | %s |\n", row[0], row[1])
			}
		}
	}
	return page.String()
}

// rowsOf lists a command's arguments and flags, each with what it is for.
func rowsOf(leaf *kong.Node) (rows [][2]string) {
	for _, argument := range leaf.Positional {
		rows = append(rows, [2]string{"`" + argument.Summary() + "`", about(argument)})
	}
	for _, group := range leaf.AllFlags(true) {
		for _, flag := range group {
			if flag.Name == "help" {
				continue
			}
			name := "--" + flag.Name
			if !flag.IsBool() {
				name += " " + cmp.Or(flag.PlaceHolder, "VALUE")
			}
			if flag.Short != 0 {
				name = fmt.Sprintf("-%c, %s", flag.Short, name)
			}
			rows = append(rows, [2]string{"`" + name + "`", about(flag.Value)})
		}
	}
	return rows
}

// about is what a value is for, its default and the variable that sets it.
func about(v *kong.Value) string {
	parts := []string{strings.TrimSuffix(v.Help, ".")}
	if v.Default != "" && !v.IsBool() {
		parts = append(parts, "default `"+v.Default+"`")
	}
	if v.Flag != nil && len(v.Flag.Envs) > 0 {
		parts = append(parts, "`"+strings.Join(v.Flag.Envs, "`, `")+"`")
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return strings.ReplaceAll(strings.Join(parts, "; "), "|", "\\|")
}
