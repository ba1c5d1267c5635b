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
	return slog.New(jsonLines(w, level, inUTC))
}

func jsonLines(w io.Writer, level slog.Level, replace func([]string, slog.Attr) slog.Attr) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replace})
}

func inUTC(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}

// brief is inUTC for a log that is paid for by its size. CloudWatch keeps the time
// of each line itself, and a line without a level is one of level INFO to Lambda.
func brief(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey && a.Value.Any() == slog.LevelInfo) {
		return slog.Attr{}
	}
	return inUTC(groups, a)
}

// stamped is inUTC with the time where Lambda looks for it: a line without one is of
// level INFO to it, whatever it says (Lambda Developer Guide, "Log-level filtering").
func stamped(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Key = "timestamp"
	}
	return inUTC(groups, a)
}
