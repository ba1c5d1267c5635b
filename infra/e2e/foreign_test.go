package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	installed = "../../.cache/e2e"
	install   = "infra/e2e/receivers/install.sh"
)

// needsInstalled skips the test unless install.sh has been run. Where nothing
// may be skipped, it fails.
func needsInstalled(t testing.TB, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(installed, path))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		if os.Getenv("RELAY_TEST_REQUIRED") == "1" {
			t.Fatalf("run %s: %v", install, err)
		}
		t.Skipf("not installed: run %s", install)
	}
	return path
}

// foreign is a receiver in another language, in a process of its own.
type foreign struct{ base string }

// record is what a foreign receiver remembers of an arrival.
type record struct {
	ID, SHA256, Error string
	Verified          bool
}

func newPythonReceiver(t testing.TB) foreign {
	t.Helper()
	return startForeign(t, needsInstalled(t, "python/bin/python"), "receivers/receiver.py")
}

func newNodeReceiver(t testing.TB) foreign {
	t.Helper()
	return startForeign(t, "node", "receivers/receiver.mjs", needsInstalled(t, "node"))
}

func startForeign(t testing.TB, name string, args ...string) foreign {
	t.Helper()
	command := exec.Command(name, args...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // ends it
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s: %v", args[0], err)
	}
	var started struct{ Port int }
	if err := json.Unmarshal(line, &started); err != nil {
		t.Fatalf("%s: %v in %s", args[0], err, line)
	}
	return foreign{fmt.Sprintf("http://127.0.0.1:%d", started.Port)}
}

func (f foreign) call(t testing.TB, method, path, body string) []byte {
	t.Helper()
	request, err := http.NewRequest(method, f.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", path, answer.StatusCode, text, err)
	}
	return text
}

// subscribe registers a hook of the receiver for all events of the tenant.
func (f foreign) subscribe(t testing.TB, n tenant, hook string) {
	t.Helper()
	e := n.register(t, newEndpoint{URL: f.base + "/hook/" + hook})
	f.call(t, http.MethodPost, "/secrets/"+hook, n.secret(t, e.ID))
}

// received returns the sums of the bodies that arrived, by event.
func (f foreign) received(t testing.TB, hook string) map[string]string {
	t.Helper()
	var records []record
	if err := json.Unmarshal(f.call(t, http.MethodGet, "/received/"+hook, ""), &records); err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]string, len(records))
	for _, r := range records {
		if !r.Verified {
			t.Fatalf("%s was not verified: %s", r.ID, r.Error)
		}
		sums[r.ID] = r.SHA256
	}
	return sums
}
