package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// snippets are the programs that the portal shows, and infra/docs/receiving.md
// links to.
const snippets = "../../shared/portal/snippets"

// Each program takes what the relay sends, and nothing that was altered.
func TestTheSnippetsOfThePortalVerifyDeliveries(t *testing.T) {
	t.Parallel()
	if relay.deployed {
		t.Skip("their receivers listen on this machine's loopback")
	}
	for _, tc := range []struct {
		file string
		// program runs the copy of the file in dir, and skips the test where its
		// language is not at hand.
		program func(t *testing.T, dir, port string) *exec.Cmd
	}{
		{"receiver.go.txt", goProgram},
		{"receiver.py", pythonProgram},
		{"receiver.mjs", nodeProgram},
		{"Receiver.java", func(t *testing.T, dir, _ string) *exec.Cmd {
			return exec.Command(atHand(t, "java", true), filepath.Join(dir, "Receiver.java"))
		}},
		{"receiver.rb", func(t *testing.T, dir, _ string) *exec.Cmd {
			return exec.Command(atHand(t, "ruby", false), filepath.Join(dir, "receiver.rb"))
		}},
		{"receiver.php", func(t *testing.T, dir, port string) *exec.Cmd {
			return exec.Command(atHand(t, "php", false), "-S", "127.0.0.1:"+port, filepath.Join(dir, "receiver.php"))
		}},
		{"Receiver.cs", dotnetProgram},
	} {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			dir, port := t.TempDir(), freePort(t)
			code, err := os.ReadFile(filepath.Join(snippets, tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(tc.file, ".txt")), code, 0o600); err != nil {
				t.Fatal(err)
			}
			program := tc.program(t, dir, port)
			n, address := newTenant(t), "http://127.0.0.1:"+port+"/webhooks"
			e := n.register(t, newEndpoint{URL: address})
			run(t, program, address, "PORT="+port, "WEBHOOK_SECRET="+n.secret(t, e.ID))

			d := n.post(t, "order.placed", `{"order":"1001","name":"Zoë"}`)
			n.awaitState(t, d.ID, e.ID, "delivered")
			if got := forged(t, address); got != http.StatusBadRequest {
				t.Errorf("what the relay did not sign is answered %d", got)
			}
		})
	}
}

// atHand returns where the program lies, or skips the test. One that is required
// must be there where nothing may be skipped.
func atHand(t *testing.T, name string, required bool) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if required && os.Getenv("RELAY_TEST_REQUIRED") == "1" {
		t.Fatalf("%s is missing", name)
	}
	t.Skipf("%s is not at hand", name)
	return ""
}

func goProgram(t *testing.T, dir, _ string) *exec.Cmd {
	t.Helper()
	binary := filepath.Join(dir, "receiver")
	build := exec.Command("go", "build", "-o", binary, filepath.Join(dir, "receiver.go"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exec.Command(binary)
}

func pythonProgram(t *testing.T, dir, _ string) *exec.Cmd {
	t.Helper()
	return exec.Command(needsInstalled(t, "python/bin/python"), filepath.Join(dir, "receiver.py"))
}

func nodeProgram(t *testing.T, dir, _ string) *exec.Cmd {
	t.Helper()
	if err := os.Symlink(needsInstalled(t, "node/node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return exec.Command("node", filepath.Join(dir, "receiver.mjs"))
}

// project is what makes a program of one file of C#.
const project = `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFramework>net8.0</TargetFramework>
<ImplicitUsings>enable</ImplicitUsings><Nullable>enable</Nullable></PropertyGroup></Project>`

func dotnetProgram(t *testing.T, dir, _ string) *exec.Cmd {
	t.Helper()
	dotnet := atHand(t, "dotnet", false)
	if err := os.WriteFile(filepath.Join(dir, "receiver.csproj"), []byte(project), 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.Command(dotnet, "run", "--project", dir)
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
}

// run starts the program and returns once it listens.
func run(t *testing.T, program *exec.Cmd, address string, variables ...string) {
	t.Helper()
	var said output
	program.Env = append(os.Environ(), variables...)
	program.Stdout, program.Stderr = &said, &said
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = program.Process.Kill() // fails when it has ended already
		_ = program.Wait()
	})
	host := strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/webhooks")
	eventually(t, patience, func() (bool, string) {
		connection, err := net.DialTimeout("tcp", host, time.Second)
		if err != nil {
			return false, said.String()
		}
		return connection.Close() == nil, ""
	})
}

// forged posts an event with a signature of nobody's, and returns the answer's status.
func forged(t *testing.T, address string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, address, bytes.NewReader([]byte(`{}`)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Webhook-Id", "evt_1")
	request.Header.Set("Webhook-Timestamp", fmt.Sprint(time.Now().Unix()))
	request.Header.Set("Webhook-Signature", "v1,"+strings.Repeat("A", 43)+"=")
	answer, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
