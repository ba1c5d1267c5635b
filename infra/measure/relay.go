package measure

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"webhookrelay/shared/auth"
)

// AdminKey is the key of every relay that is started here.
const AdminKey = auth.KeyPrefix + "bench-0123456789abcdef"

// AdminDigest is what a deployment is told of AdminKey.
var AdminDigest = auth.DigestOf(AdminKey).String()

// Relay is one `relay dev` over data of its own.
type Relay struct {
	command *exec.Cmd
	// URL is its address.
	URL string
	// Started is how long it took from exec to the first line of output.
	Started time.Duration
	stdout  chan struct{} // closed when it has been read to its end
	stderr  Output
}

// BuildRelay builds the real command into work and returns its path.
func BuildRelay(work string) (string, error) {
	binary, err := filepath.Abs(filepath.Join(work, "relay"))
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", binary, "webhookrelay/infra/cmd/relay").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

// StartRelay starts it over the data in dir, which it makes, with options
// beyond those it needs. It logs warnings and errors only.
func StartRelay(binary, dir string, options ...string) (*Relay, error) {
	r := &Relay{stdout: make(chan struct{})}
	args := []string{"dev", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "relay.db"), "--log-level", "warn"}
	r.command = exec.Command(binary, append(args, options...)...)
	r.command.Env = append(withoutRelay(os.Environ()), "RELAY_ADMIN_KEY="+AdminKey)
	r.command.Stderr = &r.stderr
	line, took, rest, err := FirstLine(r.command)
	if err != nil {
		return nil, err
	}
	r.Started = took
	go func() {
		defer close(r.stdout)
		_, _ = io.Copy(io.Discard, rest) // ends with the process
	}()
	fields := strings.Fields(line)
	if len(fields) < 3 || !strings.HasPrefix(fields[2], "http://") {
		return nil, errors.Join(fmt.Errorf("first line is %q, and no address in it: %s", line, r.stderr.String()), r.Stop())
	}
	r.URL = fields[2]
	return r, nil
}

// FirstLine starts a command and returns its first line of output, the time
// from exec to it, and the rest of its output.
func FirstLine(command *exec.Cmd) (line string, took time.Duration, rest io.Reader, err error) {
	stdout, err := command.StdoutPipe()
	if err != nil {
		return "", 0, nil, err
	}
	began := time.Now()
	if err := command.Start(); err != nil {
		return "", 0, nil, err
	}
	reader := bufio.NewReader(stdout)
	line, err = reader.ReadString('\n')
	took = time.Since(began)
	if errors.Is(err, io.EOF) {
		err = nil // a process that says nothing: the caller sees that
	}
	return line, took, reader, err
}

// withoutRelay drops what would change the settings of the relay measured.
func withoutRelay(environ []string) []string {
	var kept []string
	for _, entry := range environ {
		if !strings.HasPrefix(entry, "RELAY_") {
			kept = append(kept, entry)
		}
	}
	return kept
}

// PID is the number of its process.
func (r *Relay) PID() int { return r.command.Process.Pid }

// Log returns the warnings and errors that it has logged.
func (r *Relay) Log() string { return r.stderr.String() }

// Kill ends it at once, as a crash does.
func (r *Relay) Kill() {
	_ = r.command.Process.Kill() // fails when it has ended already
	<-r.stdout
	_ = r.command.Wait() // killed: that is no news
}

// Stop ends it as an operator does.
func (r *Relay) Stop() error {
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		_ = r.command.Process.Kill() // no SIGTERM on this system
	}
	killer := time.AfterFunc(30*time.Second, func() { _ = r.command.Process.Kill() })
	defer killer.Stop()
	<-r.stdout
	if err := r.command.Wait(); err != nil {
		return fmt.Errorf("the relay ended with %w: %s", err, r.stderr.String())
	}
	return nil
}

// StopQuiet is Stop for a run in which nothing went wrong: what the relay
// logged is an error.
func (r *Relay) StopQuiet() error {
	if err := r.Stop(); err != nil {
		return err
	}
	if logged := r.stderr.String(); logged != "" {
		return fmt.Errorf("the relay logged: %s", logged)
	}
	return nil
}

// Subscribe makes a tenant, if there is none, whose events go to each of the
// URLs besides those it has.
func (r *Relay) Subscribe(tenant string, urls ...string) error {
	if err := r.Call(http.MethodPut, "/v1/tenants/"+tenant, `{}`, nil); err != nil {
		return err
	}
	for _, url := range urls {
		if err := r.Call(http.MethodPost, "/v1/tenants/"+tenant+"/endpoints", fmt.Sprintf(`{"url":%q}`, url), nil); err != nil {
			return err
		}
	}
	return nil
}

// EventsURL is where a tenant's events are posted.
func (r *Relay) EventsURL(tenant string) string { return r.URL + "/v1/tenants/" + tenant + "/events" }

// Call makes a request to its API and hands a successful answer to read, if
// there is one.
func (r *Relay) Call(method, path, body string, read func(io.Reader) error) error {
	request, err := http.NewRequest(method, r.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+AdminKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		answer, _ := io.ReadAll(response.Body) // for the message only
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	if read == nil {
		return nil
	}
	return read(response.Body)
}

// Output collects what a process writes. Safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns what has been written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
