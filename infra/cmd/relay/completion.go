package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionScripts ask this program, by its hidden command complete, what may follow.
var completionScripts = map[string]string{
	"bash": `_relay() {
  local IFS=$'\n'
  COMPREPLY=($(relay complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _relay relay
`,
	"zsh": `#compdef relay
_relay() {
  local -a found
  found=("${(@f)$(relay complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found[1] ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _relay relay
`,
	"fish": `complete -c relay -a '(set -l t (commandline -opc) (commandline -ct); relay complete -- $t[2..-1] 2>/dev/null)'
`,
}

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the script for a shell.
func (c completionCommand) Run(s *session) error {
	_, err := fmt.Fprint(s.out, completionScripts[c.Shell])
	return err
}

type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run lists what may stand in place of the last word.
func (c completeCommand) Run(s *session, k *kong.Context) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, candidate := range s.candidates(k.Model.Node, words) {
		if _, err := fmt.Fprintln(s.out, candidate); err != nil {
			return err
		}
	}
	return nil
}

// candidates returns what may stand in place of the last word: subcommands,
// flags, or a flag's values.
func (s *session) candidates(node *kong.Node, words []string) []string {
	last, before := "", ""
	if n := len(words); n > 0 {
		last, words = words[n-1], words[:n-1]
	}
	for _, word := range words {
		before = word
		for _, child := range node.Children {
			if child.Name == word {
				node = child
			}
		}
	}
	if node.DefaultCmd != nil && (strings.HasPrefix(last, "-") || strings.HasPrefix(before, "-")) {
		node = node.DefaultCmd // whose flags need no name of it
	}
	var found []string
	switch values, isFlag := s.flagValues(node, before); {
	case isFlag:
		found = values
	case strings.HasPrefix(last, "-"):
		for _, group := range node.AllFlags(true) {
			for _, flag := range group {
				found = append(found, "--"+flag.Name)
			}
		}
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				found = append(found, child.Name)
			}
		}
		for _, argument := range node.Positional {
			found = append(found, argument.EnumSlice()...)
		}
	}
	found = slices.DeleteFunc(found, func(word string) bool { return word == "" || !strings.HasPrefix(word, last) })
	slices.Sort(found)
	return slices.Compact(found)
}

// flagValues returns the values that a flag takes, and whether word is a flag
// that takes one.
func (s *session) flagValues(node *kong.Node, word string) ([]string, bool) {
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			if word != "--"+flag.Name && (flag.Short == 0 || word != "-"+string(flag.Short)) || flag.IsBool() {
				continue
			}
			if flag.Name == "context" {
				file, err := s.readConfig()
				if err != nil {
					return nil, true
				}
				return slices.Sorted(maps.Keys(file.Contexts)), true
			}
			return flag.EnumSlice(), true
		}
	}
	return nil, false
}
