package examples_test

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"webhookrelay/infra/examples/receiver"
	"webhookrelay/shared/client"
)

const adminKey = "examples-admin-key-0123456789"

// Each program prints what its page shows, also in a second run beside what the
// first one left.
func TestEachExamplePrintsWhatItsPageShows(t *testing.T) {
	t.Parallel()
	noteSources()
	relay := startRelay(t)
	for _, name := range []string{"orders", "analytics", "social"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, err := os.ReadFile(filepath.Join(name, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(page), "```\n")
			want, _, _ := strings.Cut(rest, "```")
			program := build(t, "webhookrelay/infra/examples/"+name)
			for range 2 {
				if got := run(t, program, "RELAY_URL="+relay, "RELAY_KEY="+adminKey); general(got) != general(want) {
					t.Errorf("printed:\n%s\nthe page shows:\n%s", got, want)
				}
			}
		})
	}
}

func TestAnExampleWithoutARelaySaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	program := exec.Command(build(t, "webhookrelay/infra/examples/orders"))
	program.Env = []string{}
	said, err := program.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "RELAY_URL") {
		t.Errorf("%v: %s", err, said)
	}
}

// The receiver that the examples share does what receiving.md asks of one.
func TestTheReceiverTakesWhatTheRelaySignedAndTakesItOnce(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	relay, err := client.New(client.Config{URL: startRelay(t), Key: adminKey})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := relay.PutTenant(ctx, "acme", "Acme"); err != nil {
		t.Fatal(err)
	}
	arrived := make(chan receiver.Webhook, 10)
	r, err := receiver.Start(func(w receiver.Webhook) error { arrived <- w; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Subscribe(ctx, relay, "acme", client.NewEndpoint{ID: "erp"}); err != nil {
		t.Fatal(err)
	}
	erp, err := relay.GetEndpoint(ctx, "acme", "erp")
	if err != nil {
		t.Fatal(err)
	}
	forged, err := http.Post(erp.URL, "application/json", strings.NewReader(`{"type":"order.placed","data":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer forged.Body.Close()
	if forged.StatusCode != http.StatusBadRequest {
		t.Errorf("what nobody signed is answered %d", forged.StatusCode)
	}
	for _, id := range []string{"first", "second"} {
		if _, err := relay.PostEvent(ctx, "acme", client.NewEvent{ID: id, Type: "order.placed", Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		delivery := awaitAttempts(ctx, t, relay, id, 1)
		if w := <-arrived; w.ID != id || w.Endpoint != "erp" || w.Type != "order.placed" {
			t.Errorf("%s arrived as %+v", id, w)
		}
		// What was delivered is sent again, and taken without being handled.
		if _, err := relay.RetryDelivery(ctx, "acme", delivery.ID); err != nil {
			t.Fatal(err)
		}
		awaitAttempts(ctx, t, relay, id, 2)
	}
	if len(arrived) > 0 {
		t.Errorf("handled again: %+v", <-arrived)
	}
}

// awaitAttempts returns the event's only delivery once so many attempts of it are on record.
func awaitAttempts(ctx context.Context, t *testing.T, relay *client.Client, event string, count int) client.Delivery {
	t.Helper()
	for {
		found, err := relay.GetEvent(ctx, "acme", event)
		if err != nil {
			t.Fatal(err)
		}
		if delivery := found.Deliveries[0]; delivery.AttemptCount >= count {
			if delivery.State != client.Delivered {
				t.Fatalf("the delivery is %+v", delivery)
			}
			return delivery
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// general leaves out what differs from run to run.
func general(text string) string {
	return regexp.MustCompile(`-[A-Z2-7]{6}-`).ReplaceAllString(text, "-RUN-")
}

// build compiles a program and returns where it lies.
func build(t *testing.T, pkg string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", binary, pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// run runs a program that must succeed, and returns what it printed.
func run(t *testing.T, binary string, variables ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	program := exec.CommandContext(ctx, binary)
	program.Env = append(os.Environ(), variables...)
	var errs strings.Builder
	program.Stderr = &errs
	printed, err := program.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, printed, errs.String())
	}
	return string(printed)
}

// startRelay starts a relay of its own and returns its address.
func startRelay(t *testing.T) string {
	t.Helper()
	relay := exec.Command(build(t, "webhookrelay/infra/cmd/relay"), "dev", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "relay.db"))
	relay.Env = append(os.Environ(), "RELAY_ADMIN_KEY="+adminKey)
	var errs strings.Builder
	relay.Stderr = &errs
	printed, err := relay.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = relay.Process.Kill() // fails when it has ended already
		_ = relay.Wait()
	})
	lines := bufio.NewScanner(printed)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 2 && words[0] == "webhook" && words[1] == "relay" {
			go func() { _, _ = io.Copy(io.Discard, printed) }() // what is not read holds it up
			return words[2]
		}
	}
	_ = relay.Wait()
	t.Fatalf("relay dev did not start:\n%s", errs.String())
	return ""
}

// noteSources makes `go test` run this again when the relay or an example has
// changed: a cached result counts as long as nothing changed that a test looked
// at, which leaves out what it builds.
func noteSources() {
	for _, folder := range []string{"../../shared", "../cmd", "."} {
		_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, _ error) error {
			_, _ = os.Stat(path) // that it was asked for is all that counts
			return nil
		})
	}
}
