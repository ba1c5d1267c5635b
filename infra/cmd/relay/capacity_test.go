package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"webhookrelay/infra/capacity"
)

func planned(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := execute(append([]string{"capacity"}, args...), quiet(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	t.Run("ALimitInTheWayIsNamedWithItsSetting", func(t *testing.T) {
		t.Parallel()
		for line := range strings.Lines(planned(t, "--rate", "5000/s")) {
			if strings.HasPrefix(line, "requests to the stage") {
				if !strings.Contains(line, "too much") || !strings.Contains(line, "ThrottleRate") {
					t.Error(line)
				}
				return
			}
		}
		t.Error("no line of the stage's rate")
	})
	t.Run("NothingIsInTheWayOfAFew", func(t *testing.T) {
		t.Parallel()
		if text := planned(t, "--rate", "600/m"); strings.Contains(text, "too much") || strings.Contains(text, "close") {
			t.Error(text)
		}
	})
	t.Run("JSONHoldsTheSame", func(t *testing.T) {
		t.Parallel()
		var plan capacity.Plan
		if err := json.Unmarshal([]byte(planned(t, "--rate", "10", "--endpoints", "3", "--failing", "0.01", "--json")), &plan); err != nil {
			t.Fatal(err)
		}
		if len(plan.Needs) < 10 || plan.PerMillion < 5 || plan.Month <= 0 {
			t.Errorf("%+v", plan)
		}
	})
	t.Run("AnImpossibleLoadIsRefused", func(t *testing.T) {
		t.Parallel()
		err := execute([]string{"capacity", "--rate", "10", "--failing", "3"}, quiet(io.Discard))
		if err == nil || !strings.Contains(err.Error(), "failing 3") {
			t.Error(err)
		}
	})
}
