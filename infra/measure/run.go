// Package measure is what the programs that measure the relay share: the relay
// as a process, a loader in front of it and a receiver behind it, the facts of
// the machine, numbers, and the file that a run leaves.
package measure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// EnterModule makes the module's root the working directory, so that a program
// may be started anywhere inside it.
func EnterModule() error {
	found, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(found))
	if filepath.Base(mod) != "go.mod" {
		return errors.New("run it inside the module")
	}
	return os.Chdir(filepath.Dir(mod))
}

// Workspace makes a directory for a run's data below the working directory:
// the system's temporary directory may lie in memory. The caller removes it.
func Workspace(name string) (string, error) {
	if err := os.MkdirAll(".cache", 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(".cache", name+"-")
}

// Commit names the commit of what is measured, or "dirty" when that differs
// from the commit checked out.
func Commit() string {
	changes, err := exec.Command("git", "status", "--porcelain", "--", "functions", "shared", "infra/cmd", "go.mod", "go.sum").Output()
	head, headErr := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil || headErr != nil || len(changes) > 0 {
		return "dirty"
	}
	return strings.TrimSpace(string(head))
}

// Store writes a run's results to path, as JSON.
func Store(results any, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(compact(text), '\n'), 0o644); err != nil {
		return err
	}
	fmt.Println("stored in", path)
	return nil
}

// flat matches an object or array that holds no other.
var flat = regexp.MustCompile(`[\[{][^\[\]{}]*[\]}]`)

// compact puts what fits on one line of indented JSON onto one.
func compact(text []byte) []byte {
	return flat.ReplaceAllFunc(text, func(found []byte) []byte {
		if bytes.Contains(found, []byte(`": "`)) {
			return found // texts are easier to find on lines of their own
		}
		return bytes.Join(bytes.Fields(found), []byte(" "))
	})
}
