// Package telemetry makes the process's logger: one JSON object a line, with
// times in UTC.
package telemetry

import (
	"io"
	"log/slog"
)

// NewLogger returns a JSON logger that writes to w from level on. A line never
// holds a payload or a secret; callers see to that.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindTime {
				a.Value = slog.TimeValue(a.Value.Time().UTC())
			}
			return a
		},
	}))
}
