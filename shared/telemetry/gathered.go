package telemetry

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// maxValues is how many values of a metric a line may hold (CloudWatch User
// Guide, "Specification: Embedded metric format").
const maxValues = 100

// Gathered holds the metrics of many lines until they are written as one: what
// makes CloudWatch see a metric is longer than most lines, and log is paid for by
// its size. Safe for concurrent use.
type Gathered struct {
	out   *slog.Logger
	mu    sync.Mutex
	names []string // in the order they came
	of    map[string]*gathered
}

type gathered struct {
	unit   Unit
	values []float64
}

// NewGatheringLogger is NewFunctionLogger for a function that handles many
// things in an invocation: metrics in lines below level Warn count once Write is
// called, which has to be at the end of each invocation; durations stay numbers in their
// lines, counts do not, for the line is what is counted. Those of warnings and errors count
// at once, lest they be lost with the process.
func NewGatheringLogger(w io.Writer, level slog.Level, stack string) (*slog.Logger, *Gathered) {
	embed := newEmbedding(w, level, stack)
	g := &Gathered{out: slog.New(embed), of: map[string]*gathered{}}
	return slog.New(gathering{embed, g}), g
}

// Write writes the line, if there is anything to count.
func (g *Gathered) Write() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.write()
}

func (g *Gathered) write() {
	if len(g.names) == 0 {
		return
	}
	attrs := make([]slog.Attr, len(g.names))
	for i, name := range g.names {
		attrs[i] = slog.Any(name, Metrics{g.of[name].values, g.of[name].unit})
	}
	g.names = nil
	clear(g.of)
	g.out.LogAttrs(context.Background(), slog.LevelInfo, "metrics", attrs...)
}

// add takes one value: counts are added up, durations kept one by one, for
// their percentiles.
func (g *Gathered) add(name string, m Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	have, ok := g.of[name]
	switch {
	case !ok:
		g.names = append(g.names, name)
		g.of[name] = &gathered{m.Unit, []float64{m.Value}}
	case m.Unit == Count:
		have.values[0] += m.Value
	default:
		have.values = append(have.values, m.Value)
		if len(have.values) == maxValues {
			g.write()
		}
	}
}

// Metrics is the value of a log attribute that is several values of one metric.
type Metrics struct {
	Values []float64
	Unit   Unit
}

// LogValue implements slog.LogValuer.
func (m Metrics) LogValue() slog.Value {
	if len(m.Values) == 1 {
		return slog.Float64Value(m.Values[0])
	}
	return slog.AnyValue(m.Values)
}

// gathering leaves the metrics of ordinary lines to Gathered.
type gathering struct {
	embedding
	gathered *Gathered
}

// Handle implements slog.Handler.
func (h gathering) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		return h.embedding.Handle(ctx, r)
	}
	kept := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		m, ok := a.Value.Any().(Metric)
		if ok {
			h.gathered.add(a.Key, m)
		}
		if !ok || m.Unit != Count {
			kept.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, kept)
}

// WithAttrs implements slog.Handler.
func (h gathering) WithAttrs(attrs []slog.Attr) slog.Handler {
	return gathering{h.withAttrs(attrs), h.gathered}
}

// WithGroup implements slog.Handler.
func (h gathering) WithGroup(name string) slog.Handler {
	return gathering{h.withGroup(name), h.gathered}
}
