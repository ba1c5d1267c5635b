package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// localKey is the admin key of every `relay dev` that the suite starts.
const localKey = "e2e-admin-key-0123456789"

// buildRelay builds the real command into dir.
func buildRelay(dir string) (string, error) {
	binary := dir + "/relay"
	build := exec.Command("go", "build", "-o", binary, "webhookrelay/infra/cmd/relay")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the relay: %w\n%s", err, out)
	}
	return binary, nil
}

// noteSources makes `go test` run the suite again when the relay has changed. A
// cached result counts as long as nothing changed that a test looked at, which
// leaves out what the build above reads; so each source is looked at by a test.
var noteSources = sync.OnceFunc(func() {
	for _, folder := range []string{"../../shared", "../cmd"} {
		_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, _ error) error {
			_, _ = os.Stat(path) // that it was asked for is all that counts
			return nil
		})
	}
})

// process is one `relay dev`.
type process struct {
	client
	command *exec.Cmd
	stdout  output
	stderr  output
	// ended is closed when the process has ended, after err was set.
	ended chan struct{}
	err   error
}

// launch starts `relay dev` over the file data, with more flags, and does not wait for it.
func launch(data string, more ...string) (*process, error) {
	p := &process{ended: make(chan struct{})}
	flags := []string{"dev", "--listen", "127.0.0.1:0", "--data", data, "--retry-schedule", schedule, "--park-lifetime", lifetime}
	p.command = exec.Command(relay.binary, append(flags, more...)...)
	p.command.Env = append(os.Environ(), "RELAY_ADMIN_KEY="+localKey)
	p.command.Stdout, p.command.Stderr = &p.stdout, &p.stderr
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// startRelay starts `relay dev` and returns once it serves.
func startRelay(data string, flags ...string) (*process, error) {
	p, err := launch(data, flags...)
	if err != nil {
		return nil, err
	}
	ok, _ := poll(20*time.Second, func() (bool, string) {
		p.client = client{base: p.stdout.wordAfter("webhook relay"), key: localKey}
		return p.base != "" || p.hasEnded(), ""
	})
	if !ok || p.base == "" {
		p.kill()
		return nil, fmt.Errorf("relay dev did not start: %w\n%s%s", p.err, p.stdout.String(), p.stderr.String())
	}
	return p, nil
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// terminate sends SIGTERM and does not wait.
func (p *process) terminate() error { return p.command.Process.Signal(syscall.SIGTERM) }

// stop ends the process as an operator does.
func (p *process) stop() error {
	if err := p.terminate(); err != nil {
		p.kill() // no SIGTERM on this system
		return nil
	}
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("relay dev ended with %w", p.err)
		}
		return nil
	case <-time.After(30 * time.Second):
		p.kill()
		return errors.New("relay dev went on for 30 s after SIGTERM")
	}
}

// kill ends the process at once, as a crash does.
func (p *process) kill() {
	_ = p.command.Process.Kill() // fails when it has ended already
	<-p.ended
}

// complaints returns the latest warnings and errors of its log.
func (p *process) complaints() string {
	var found []string
	scanner := bufio.NewScanner(strings.NewReader(p.stderr.String()))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if line := scanner.Text(); !strings.Contains(line, `"level":"INFO"`) {
			found = append(found, line)
		}
	}
	return strings.Join(found[max(0, len(found)-40):], "\n")
}

// output collects what a process writes. Safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var _ io.Writer = (*output)(nil)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wordAfter returns the word that follows label, once its line is complete.
func (o *output) wordAfter(label string) string {
	_, rest, _ := strings.Cut(o.String(), label)
	line, _, complete := strings.Cut(rest, "\n")
	if words := strings.Fields(line); complete && len(words) > 0 {
		return words[0]
	}
	return ""
}
