package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What concerns the process `relay dev`, and not a relay in general.

// ownRelay starts another `relay dev`, for what the shared one would not survive.
func ownRelay(t testing.TB, data string, flags ...string) *process {
	t.Helper()
	if relay.deployed {
		t.Skip("concerns relay dev only")
	}
	p, err := startRelay(data, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.hasEnded() {
			p.kill()
		}
		if t.Failed() {
			t.Logf("relay dev wrote last:\n%s", p.complaints())
		}
	})
	return p
}

func TestSIGTERMLetsAnAttemptUnderWayFinish(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "relay.db")
	p := ownRelay(t, data)
	n := p.newTenant(t, "drain")
	release := make(chan struct{})
	h := newHook(t, answer{hold: release})
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	h.await(t, 1)
	if err := p.terminate(); err != nil {
		t.Skip("no SIGTERM on this system:", err)
	}
	eventually(t, patience, func() (bool, string) {
		return strings.Contains(p.stdout.String(), "stopping"), "it does not say that it is stopping"
	})
	if p.hasEnded() {
		t.Fatal("it ended while an attempt was under way")
	}
	close(release)
	eventually(t, patience, func() (bool, string) { return p.hasEnded(), "it does not end" })
	if p.err != nil {
		t.Errorf("it ended with %v", p.err)
	}
	again := tenant{ownRelay(t, data).client, n.id}
	d := again.deliveryTo(t, a.ID, e.ID)
	if d.State != "delivered" || d.AttemptCount != 1 {
		t.Errorf("after the restart the delivery is %s", d)
	}
	if got := len(h.got()); got != 1 {
		t.Errorf("%d arrivals, want 1", got)
	}
}

// A crash costs nothing but repeats: what was accepted is delivered by the next
// process over the same file.
func TestWhatAKilledRelayHadAcceptedIsDeliveredByTheNext(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "relay.db")
	p := ownRelay(t, data)
	n := p.newTenant(t, "crash")
	release := make(chan struct{})
	fine, failing, hanging := newHook(t), newHook(t, status(500)), newHook(t, answer{hold: release})
	n.subscribe(t, fine, "fine")
	n.subscribe(t, failing, "failing")
	n.subscribe(t, hanging, "hanging")
	var posted []accepted
	post := func(eventType string) accepted {
		a := n.post(t, eventType, fmt.Sprint(len(posted)))
		posted = append(posted, a)
		return a
	}
	var retrying []accepted
	for range 5 {
		post("fine")
		retrying = append(retrying, post("failing"))
	}
	for _, a := range retrying {
		failing.awaitEvent(t, a.ID)
	}
	// More than are handled at once, so that some are still queued.
	for range 80 {
		post("hanging")
	}
	hanging.await(t, 20)
	p.kill()
	close(release)
	failing.answers(status(200))

	again := tenant{ownRelay(t, data).client, n.id}
	eventually(t, patience, func() (bool, string) {
		delivered := walk[delivery](t, again.client, again.at("/deliveries?status=delivered"), 250, nil)
		if len(delivered) == len(posted) {
			return true, ""
		}
		left := map[string]int{}
		for _, d := range walk[delivery](t, again.client, again.at("/deliveries"), 250, nil) {
			left[d.EventType+" "+d.State]++
		}
		return false, fmt.Sprintf("%d of %d are delivered: %v", len(delivered), len(posted), left)
	})
	for _, a := range posted {
		h := map[string]*hook{"fine": fine, "failing": failing, "hanging": hanging}[a.Type]
		h.awaitEvent(t, a.ID)
	}
}

func TestTwoRelaysDoNotShareAFile(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "relay.db")
	first := ownRelay(t, data)
	second, err := launch(data)
	if err != nil {
		t.Fatal(err)
	}
	defer second.kill()
	eventually(t, patience, func() (bool, string) { return second.hasEnded(), "the second relay goes on" })
	said := second.stderr.String()
	if second.err == nil || !strings.Contains(said, "in use") || !strings.Contains(said, data) {
		t.Errorf("it ended with %v, saying %q", second.err, said)
	}
	if strings.Count(strings.TrimSpace(said), "\n") > 0 {
		t.Errorf("that is more than one line: %q", said)
	}
	first.get(t, "/healthz")
}

// What a newcomer is told to paste works as printed.
func TestThePrintedCommandSendsTheDemoReceiverAnEvent(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	p := ownRelay(t, filepath.Join(t.TempDir(), "relay.db"))
	var command string
	eventually(t, patience, func() (bool, string) {
		_, rest, _ := strings.Cut(p.stdout.String(), "Send a first event:")
		var complete bool
		command, _, complete = strings.Cut(rest, "The demo receiver")
		return complete, "nothing to paste: " + p.stdout.String()
	})
	started := time.Now()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.TrimSpace(command)).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a := as[accepted](t, response{request: command, body: out})
	if a.ID == "" || a.Deliveries != 1 {
		t.Fatalf("it answers %s", out)
	}
	eventually(t, patience, func() (bool, string) {
		r := p.send(t, "GET", "/demo", nil, undocumented).must(t, 200)
		shown := string(r.body)
		return strings.Contains(shown, a.ID) && strings.Contains(shown, "signature verified"), "the page shows " + shown
	})
	eventually(t, patience, func() (bool, string) {
		said := p.stdout.String()
		return strings.Contains(said, "received "+a.ID), "it prints " + said
	})
	t.Logf("from paste to page: %s", time.Since(started).Round(time.Millisecond))
}
