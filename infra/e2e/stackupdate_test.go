package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// deployedWith are the parameters that the stack was deployed with, besides those
// that every stack on LocalStack has.
func deployedWith() string { return os.Getenv("RELAY_E2E_PARAMETERS") }

// byVersion reports whether versions of the functions are invoked, by their alias.
func (s stack) byVersion() bool { return strings.Contains(deployedWith(), "Rollout=") }

// update deploys the stack anew, as it is but for the parameters.
func (s stack) update(t testing.TB, parameters string) (output []byte, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "../localstack/deploy.sh")
	command.Env = append(os.Environ(), "RELAY_ADMIN_KEY="+os.Getenv("RELAY_E2E_KEY"), "RELAY_PARAMETERS="+deployedWith()+" "+parameters)
	return command.CombinedOutput()
}

// runsWith reports whether a process of the function has the variable in its
// environment, such as "NAME=value".
func (s stack) runsWith(t testing.TB, function, variable string) bool {
	t.Helper()
	pids, err := processesOf(s.name + "-" + function)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(pids, func(pid int) bool {
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return err == nil && slices.Contains(strings.Split(string(environment), "\x00"), variable)
	})
}
