package telemetry

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Namespace is where CloudWatch keeps the relay's metrics.
const Namespace = "WebhookRelay"

// Unit is CloudWatch's unit of a metric.
type Unit string

// Units.
const (
	Count        Unit = "Count"
	Milliseconds Unit = "Milliseconds"
	Seconds      Unit = "Seconds"
)

// Metric is the value of a log attribute that is a metric as well. Everywhere
// but in a deployment it is just a number in the line.
type Metric struct {
	Value float64
	Unit  Unit
}

// LogValue implements slog.LogValuer.
func (m Metric) LogValue() slog.Value { return slog.Float64Value(m.Value) }

// Counted is the metric called name with the value n.
func Counted(name string, n int) slog.Attr {
	return slog.Any(name, Metric{Value: float64(n), Unit: Count})
}

// Lasted is the metric called name with a duration in milliseconds.
func Lasted(name string, d time.Duration) slog.Attr {
	return slog.Any(name, Metric{Value: float64(d.Milliseconds()), Unit: Milliseconds})
}

// Aged is the metric called name with a duration in seconds.
func Aged(name string, d time.Duration) slog.Attr {
	return slog.Any(name, Metric{Value: d.Round(time.Millisecond).Seconds(), Unit: Seconds})
}

// NewFunctionLogger is NewLogger for a Lambda function of the named stack: of a line
// that holds metrics, CloudWatch takes them (embedded metric format), with no
// call and one dimension, Stack. Metrics belong to the line, not to a logger made by With.
// Lines of level INFO have no level, and no time, which CloudWatch adds.
func NewFunctionLogger(w io.Writer, level slog.Level, stack string) *slog.Logger {
	return slog.New(newEmbedding(w, level, stack))
}

// embedding adds to each line with metrics what makes CloudWatch see them.
type embedding struct {
	slog.Handler
	// severe writes what is above level INFO.
	severe slog.Handler
	stack  string
}

func newEmbedding(w io.Writer, level slog.Level, stack string) embedding {
	lines := &lines{out: w}
	return embedding{jsonLines(lines, level, brief), jsonLines(lines, level, stamped), stack}
}

// lines lets two handlers write to one place, each a line a call.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(line)
}

// The document of the embedded metric format (CloudWatch User Guide,
// "Specification: Embedded metric format").
type (
	document struct {
		Timestamp         int64
		CloudWatchMetrics []directive
	}
	directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []declared
	}
	declared struct {
		Name string
		Unit Unit
	}
)

// Handle implements slog.Handler.
func (e embedding) Handle(ctx context.Context, r slog.Record) error {
	var metrics []declared
	r.Attrs(func(a slog.Attr) bool {
		switch m := a.Value.Any().(type) {
		case Metric:
			metrics = append(metrics, declared{a.Key, m.Unit})
		case Metrics:
			metrics = append(metrics, declared{a.Key, m.Unit})
		}
		return true
	})
	if len(metrics) > 0 {
		r = r.Clone()
		r.AddAttrs(slog.String("Stack", e.stack), slog.Any("_aws", document{
			Timestamp:         r.Time.UnixMilli(),
			CloudWatchMetrics: []directive{{Namespace: Namespace, Dimensions: [][]string{{"Stack"}}, Metrics: metrics}},
		}))
	}
	if r.Level > slog.LevelInfo {
		return e.severe.Handle(ctx, r)
	}
	return e.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (e embedding) WithAttrs(attrs []slog.Attr) slog.Handler { return e.withAttrs(attrs) }

func (e embedding) withAttrs(attrs []slog.Attr) embedding {
	return embedding{e.Handler.WithAttrs(attrs), e.severe.WithAttrs(attrs), e.stack}
}

// WithGroup implements slog.Handler.
func (e embedding) WithGroup(name string) slog.Handler { return e.withGroup(name) }

func (e embedding) withGroup(name string) embedding {
	return embedding{e.Handler.WithGroup(name), e.severe.WithGroup(name), e.stack}
}
