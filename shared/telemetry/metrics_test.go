package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/telemetry"
)

// line logs once and returns the line as it was written.
func line(log func(*bytes.Buffer) *slog.Logger, attrs ...any) string {
	var out bytes.Buffer
	log(&out).Info("attempt", attrs...)
	return out.String()
}

func onLambda(out *bytes.Buffer) *slog.Logger {
	return telemetry.NewFunctionLogger(out, 0, "relay-prod")
}
func onLaptop(out *bytes.Buffer) *slog.Logger { return telemetry.NewLogger(out, 0) }

func TestMetrics(t *testing.T) {
	t.Parallel()
	attrs := []any{
		slog.String("tenant_id", "acme"), telemetry.Counted("AttemptsFailed", 1),
		telemetry.Lasted("AttemptDuration", 1500*time.Millisecond), telemetry.Aged("DeliveryLag", 2500*time.Millisecond),
	}
	t.Run("ALineWithMetricsDeclaresThem", func(t *testing.T) {
		t.Parallel()
		text := line(onLambda, attrs...)
		var got struct {
			AttemptsFailed, AttemptDuration, DeliveryLag float64
			Stack                                        string
			AWS                                          json.RawMessage `json:"_aws"`
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if got.AttemptsFailed != 1 || got.AttemptDuration != 1500 || got.DeliveryLag != 2.5 || got.Stack != "relay-prod" {
			t.Errorf("%s", text)
		}
		_, declared, _ := strings.Cut(string(got.AWS), `,"CloudWatchMetrics":`)
		const want = `[{"Namespace":"WebhookRelay","Dimensions":[["Stack"]],"Metrics":[` +
			`{"Name":"AttemptsFailed","Unit":"Count"},{"Name":"AttemptDuration","Unit":"Milliseconds"},{"Name":"DeliveryLag","Unit":"Seconds"}]}]}`
		if declared != want {
			t.Errorf("declared %s\nwant     %s", declared, want)
		}
		var document struct{ Timestamp int64 }
		if err := json.Unmarshal(got.AWS, &document); err != nil || time.Since(time.UnixMilli(document.Timestamp)).Abs() > time.Hour {
			t.Errorf("timestamp %d in %s, %v", document.Timestamp, text, err)
		}
	})
	t.Run("OnALaptopTheyAreNumbersLikeOthers", func(t *testing.T) {
		t.Parallel()
		if text := line(onLaptop, attrs...); strings.Contains(text, "_aws") || !strings.Contains(text, `"AttemptsFailed":1,"AttemptDuration":1500,"DeliveryLag":2.5`) {
			t.Error(text)
		}
	})
	t.Run("ALineWithoutStaysAsItIs", func(t *testing.T) {
		t.Parallel()
		if text := line(onLambda, "tenant_id", "acme"); strings.Contains(text, "_aws") || strings.Contains(text, "Stack") {
			t.Error(text)
		}
	})
	t.Run("AFunctionsErrorHasItsTime", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		onLambda(&out).Error("store failed")
		var got struct {
			Level     string
			Timestamp time.Time
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Level != "ERROR" || time.Since(got.Timestamp).Abs() > time.Hour {
			t.Errorf("%s, %v", &out, err)
		}
	})
	t.Run("AFunctionsLineSaysNothingThatCloudWatchAdds", func(t *testing.T) {
		t.Parallel()
		if text := line(onLambda, "tenant_id", "acme"); text != `{"msg":"attempt","tenant_id":"acme"}`+"\n" {
			t.Error(text)
		}
		if text := line(onLaptop, "tenant_id", "acme"); !strings.Contains(text, `"time":"`) || !strings.Contains(text, `"level":"INFO"`) {
			t.Error(text)
		}
		var out bytes.Buffer
		onLambda(&out).WithGroup("inner").Error("failed", "time", "noon", "level", "high")
		if text := out.String(); !strings.HasSuffix(text, `,"level":"ERROR","msg":"failed","inner":{"time":"noon","level":"high"}}`+"\n") {
			t.Error(text)
		}
	})
}
