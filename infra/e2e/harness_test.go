// Package e2e tests a whole relay from outside. It knows a base URL and an
// admin key: those of the deployment that RELAY_E2E_URL and RELAY_E2E_KEY name,
// or else of a `relay dev` that it builds and starts itself.
//
// Either has the retry schedule 1s,2s,3s. Tests run side by side, each with a
// tenant of its own; what concerns all tenants, such as a redrive, they have to
// bear from each other.
package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	// schedule has steps short enough to be waited for.
	schedule = "1s,2s,3s"
	// lifetime lets a busy machine take its time with what is on hold.
	lifetime = "10m"
	// attemptsOfSchedule is how many attempts that makes.
	attemptsOfSchedule = 4
	// earliness is how much before its time a retry may come, and a little for clocks.
	earliness = 600 * time.Millisecond
)

// relay is what is tested. Set once, before the tests.
var relay struct {
	client
	// deployed: it was there before; else it is the process local.
	deployed bool
	local    *process
	binary   string
}

// patience is how long a test waits for what should happen soon. It says
// nothing about how fast the relay has to be.
var patience = 40 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	defer receiver.close()
	defer closeBrowser()
	if url := os.Getenv("RELAY_E2E_URL"); url != "" {
		relay.client = client{base: url, key: os.Getenv("RELAY_E2E_KEY")}
		relay.deployed = true
		patience = 3 * time.Minute
		runSideBySide(8)
		calls, err := recordCalls()
		if err != nil {
			return complain(err)
		}
		code := m.Run()
		if code == 0 {
			if err := calls.compare(); err != nil {
				return complain(err)
			}
			// The endpoints of dead letters are gone by now, so this ends them.
			_, _ = relay.try(http.MethodPost, "/v1/dead-letters/redrive", nil)
		}
		return code
	}
	runSideBySide(64)
	dir, err := os.MkdirTemp("", "relay-e2e-")
	if err != nil {
		return complain(err)
	}
	defer os.RemoveAll(dir)
	if relay.binary, err = buildRelay(dir); err != nil {
		return complain(err)
	}
	if relay.local, err = startRelay(filepath.Join(dir, "relay.db")); err != nil {
		return complain(err)
	}
	relay.client = relay.local.client
	code := m.Run()
	if err := relay.local.stop(); err != nil && code == 0 {
		code = complain(err)
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "--- relay dev wrote last:\n%s\n", relay.local.complaints())
	}
	return code
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

// runSideBySide sets how many tests run at once, unless -parallel does: nearly
// all their time is waiting, so the number of processors is no measure.
func runSideBySide(n int) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", fmt.Sprint(n))
	}
}

// eventually fails the test unless check holds within limit. Its why is what
// was seen last.
func eventually(t testing.TB, limit time.Duration, check func() (ok bool, why string)) {
	t.Helper()
	if ok, why := poll(limit, check); !ok {
		t.Fatalf("not within %s: %s", limit, why)
	}
}

// poll is the only place where the suite sleeps.
func poll(limit time.Duration, check func() (ok bool, why string)) (ok bool, why string) {
	deadline := time.Now().Add(limit)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		if ok, why = check(); ok || time.Now().After(deadline) {
			return ok, why
		}
		time.Sleep(pause)
	}
}
