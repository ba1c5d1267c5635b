package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/telemetry"
)

// lines returns what was logged, as objects.
func lines(t *testing.T, out *bytes.Buffer) (all []map[string]any) {
	t.Helper()
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, line)
	}
	return all
}

func TestGatheredMetrics(t *testing.T) {
	t.Parallel()
	attempt := func(log *slog.Logger, d time.Duration) {
		log.Info("attempt", "endpoint_id", "e", telemetry.Counted("AttemptsDelivered", 1), telemetry.Lasted("AttemptDuration", d))
	}
	t.Run("OrdinaryLinesCountWhenTheyAreWritten", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		log, metrics := telemetry.NewGatheringLogger(&out, 0, "relay-prod")
		attempt(log, 10*time.Millisecond)
		attempt(log.With("tenant_id", "acme"), 30*time.Millisecond)
		if text := out.String(); strings.Contains(text, "_aws") || strings.Contains(text, "AttemptsDelivered") || !strings.Contains(text, `"AttemptDuration":30`) {
			t.Fatalf("before: %s", text)
		}
		metrics.Write()
		all := lines(t, &out)
		got := all[len(all)-1]
		if len(all) != 3 || got["msg"] != "metrics" || got["AttemptsDelivered"] != 2.0 || got["Stack"] != "relay-prod" {
			t.Errorf("%v", got)
		}
		if diff := cmp.Diff([]any{10.0, 30.0}, got["AttemptDuration"]); diff != "" {
			t.Error(diff)
		}
		text, _ := json.Marshal(got["_aws"])
		const want = `"Metrics":[{"Name":"AttemptsDelivered","Unit":"Count"},{"Name":"AttemptDuration","Unit":"Milliseconds"}]`
		if !strings.Contains(string(text), want) {
			t.Errorf("declared %s", text)
		}
		metrics.Write()
		if len(lines(t, &out)) != 3 {
			t.Error("a line without anything to count")
		}
	})
	t.Run("WarningsAndErrorsCountAtOnce", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		log, metrics := telemetry.NewGatheringLogger(&out, 0, "relay-prod")
		log.Error("store failed", telemetry.Counted("StoreFailures", 1))
		metrics.Write()
		all := lines(t, &out)
		if len(all) != 1 || all[0]["_aws"] == nil || all[0]["StoreFailures"] != 1.0 {
			t.Errorf("%v", all)
		}
	})
	t.Run("ALineHoldsAHundredValuesAtMost", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		log, metrics := telemetry.NewGatheringLogger(&out, 0, "relay-prod")
		var group sync.WaitGroup
		for range 250 {
			group.Go(func() { attempt(log, time.Millisecond) })
		}
		group.Wait()
		metrics.Write()
		counted, values := 0.0, 0
		for _, line := range lines(t, &out) {
			if line["_aws"] == nil {
				continue
			}
			counted += line["AttemptsDelivered"].(float64)
			held, _ := line["AttemptDuration"].([]any)
			if len(held) > 100 {
				t.Errorf("a line with %d values", len(held))
			}
			values += len(held)
		}
		if counted != 250 || values != 250 {
			t.Errorf("%g counted, %d durations", counted, values)
		}
	})
}
