package main

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

// adminKey is the key of every relay that the bench starts.
const adminKey = auth.KeyPrefix + "bench-0123456789abcdef"

var adminDigest = auth.DigestOf(adminKey).String()

// relay is one `relay dev` over data of its own.
type relay struct {
	command *exec.Cmd
	url     string
	// started is how long it took from exec to the first line of output.
	started time.Duration
	stdout  chan struct{} // closed when it has been read to its end
	stderr  lockedBuffer
}

func buildRelay(work string) (string, error) {
	binary, err := filepath.Abs(filepath.Join(work, "relay"))
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", binary, "webhookrelay/infra/cmd/relay").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

// startRelay starts it in the empty directory dir, which it makes.
func startRelay(binary, dir string) (*relay, error) {
	r := &relay{stdout: make(chan struct{})}
	r.command = exec.Command(binary, "dev", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "relay.db"), "--log-level", "warn")
	r.command.Env = append(withoutRelay(os.Environ()), "RELAY_ADMIN_KEY="+adminKey)
	r.command.Stderr = &r.stderr
	line, took, rest, err := firstLine(r.command)
	if err != nil {
		return nil, err
	}
	r.started = took
	go func() {
		defer close(r.stdout)
		_, _ = io.Copy(io.Discard, rest) // ends with the process
	}()
	fields := strings.Fields(line)
	if len(fields) < 3 || !strings.HasPrefix(fields[2], "http://") {
		return nil, errors.Join(fmt.Errorf("first line is %q, and no address in it: %s", line, r.stderr.String()), r.stop())
	}
	r.url = fields[2]
	return r, nil
}

// firstLine starts a command and returns its first line of output, the time
// from exec to it, and the rest of its output.
func firstLine(command *exec.Cmd) (line string, took time.Duration, rest io.Reader, err error) {
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

func (r *relay) pid() int { return r.command.Process.Pid }

// stop ends it as an operator does. What it logged is an error: at the level
// warn, a healthy run logs nothing.
func (r *relay) stop() error {
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		_ = r.command.Process.Kill() // no SIGTERM on this system
	}
	killer := time.AfterFunc(30*time.Second, func() { _ = r.command.Process.Kill() })
	defer killer.Stop()
	<-r.stdout
	if err := r.command.Wait(); err != nil {
		return fmt.Errorf("the relay ended with %w: %s", err, r.stderr.String())
	}
	if logged := r.stderr.String(); logged != "" {
		return fmt.Errorf("the relay logged: %s", logged)
	}
	return nil
}

// subscribe makes a tenant whose events go to each of the URLs.
func (r *relay) subscribe(urls []string) error {
	if err := r.call(http.MethodPut, "/v1/tenants/"+tenantID, `{}`); err != nil {
		return err
	}
	for _, url := range urls {
		if err := r.call(http.MethodPost, "/v1/tenants/"+tenantID+"/endpoints", fmt.Sprintf(`{"url":%q}`, url)); err != nil {
			return err
		}
	}
	return nil
}

func (r *relay) eventsURL() string { return r.url + "/v1/tenants/" + tenantID + "/events" }

func (r *relay) call(method, path, body string) error {
	request, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
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
	return nil
}

// lockedBuffer may be read while a process writes to it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
