package ingest_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/ingest"
)

func TestWhatIsAcceptedIsCountedInFewLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	w.ingester.Log = slog.New(slog.NewJSONHandler(&log, nil))
	accept := func(n int) {
		for range n {
			_, err := w.accept(ingest.Request{})
			w.must(err)
		}
	}
	accept(5)
	w.advance(10 * time.Second)
	w.endpoint("second")
	accept(3)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), log.String())
	}
	for i, want := range []string{`"EventsAccepted":1,"DeliveriesQueued":1`, `"EventsAccepted":5,"DeliveriesQueued":6`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, want %s", i, lines[i], want)
		}
	}
}

func TestWhatIsHeldCountsAsAcceptedAndNotAsQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	w.ingester.Log = slog.New(slog.NewJSONHandler(&log, nil))
	_, err := w.accept(ingest.Request{DeliverAt: w.clock().Add(time.Hour)})
	w.must(err)
	if text := log.String(); !strings.Contains(text, `"EventsAccepted":1,"DeliveriesQueued":0`) {
		t.Error(text)
	}
}
