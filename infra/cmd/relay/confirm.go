package main

import (
	"bufio"
	"errors"
	"strings"
)

// confirm asks on a terminal, and elsewhere demands --yes.
func (s *session) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if !s.inTerminal || !s.errTerminal {
		return usage("%s Nobody is here to answer: add --yes to do it", question)
	}
	s.say("%s [y/N] ", printable(question))
	answer, _ := bufio.NewReader(s.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &ended{exitInterrupted, errors.New("nothing was done")}
}
