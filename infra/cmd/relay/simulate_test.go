package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"webhookrelay/infra/simulate"
)

func simulated(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := execute(append([]string{"simulate"}, args...), quiet(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheDocumentedOutageIsWhatIsPrinted(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/outages.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(document), "\n$ go run ./infra/cmd/relay ")
	command, rest, _ := strings.Cut(rest, "\n")
	want, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("outages.md shows no run")
	}
	if got := simulated(t, strings.Fields(command)[1:]...); got != want {
		t.Errorf("%s prints\n%s\noutages.md shows\n%s", command, got, want)
	}
}

func TestASimulationIsPrintedAsJSON(t *testing.T) {
	t.Parallel()
	var report simulate.OutageReport
	if err := json.Unmarshal([]byte(simulated(t, "--outage", "5m", "--rate", "60/m", "--endpoints", "2", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.Accepted != 300 || report.Delivered != 300 || report.OthersDelivered < 300 || len(report.Steps) < 8 {
		t.Errorf("%+v", report)
	}
}

func TestAWrongOutageIsRefusedWithAllItsFaults(t *testing.T) {
	t.Parallel()
	err := execute([]string{"simulate", "--outage", "1h", "--rate", "0/s", "--endpoints", "0", "--breaker", "often", "--park-lifetime", "73h"}, quiet(io.Discard))
	if err == nil {
		t.Fatal("it ran")
	}
	for _, fault := range []string{"--breaker is", "--park-lifetime is", "0 endpoints", "0 events a second"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("%q is not in: %v", fault, err)
		}
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]eventRate{"100/s": 100, "6000/m": 100, "36/h": 0.01, "7": 7, "0.5/s": 0.5} {
		var rate eventRate
		if err := rate.UnmarshalText([]byte(text)); err != nil || rate != want {
			t.Errorf("%s is %v, %v", text, rate, err)
		}
	}
	for _, text := range []string{"", "fast", "100/d", "100s"} {
		if new(eventRate).UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is a rate", text)
		}
	}
}
