package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/webhook"
)

func TestParseBenchmarks(t *testing.T) {
	got, err := parseBenchmarks([]byte("goos: linux\nBenchmarkSign/HMAC-2 \t 572301\t 1917 ns/op\t 1920 B/op\t 13 allocs/op\nBenchmarkBody \t 10\t 0.5 ns/op\t 0 B/op\t 0 allocs/op\nPASS\n"))
	want := []hotPath{{"Sign/HMAC", 1917, 1920, 13}, {"Body", 0.5, 0, 0}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := parseBenchmarks([]byte("FAIL")); err == nil {
		t.Error("an output without benchmarks passes")
	}
}

func TestARegressionIsMarkedBesideTheNewestStoredRun(t *testing.T) {
	history := t.TempDir()
	store := func(name, at string, bytes float64) {
		raw, err := json.Marshal(map[string]any{"at": at, "commit": name, "hot_paths": hotPathResults{Paths: []hotPath{{"Body", 1, bytes, 10}}}})
		must(t, err)
		must(t, os.WriteFile(filepath.Join(history, name+".json"), raw, 0o600))
	}
	store("newer", "2026-01-02T00:00:00Z", 1000)
	store("older", "2026-01-01T00:00:00Z", 9000)
	must(t, os.WriteFile(filepath.Join(history, "without.json"), []byte(`{"at":"2026-01-03T00:00:00Z"}`), 0o600))
	for _, c := range []struct {
		path hotPath
		more bool
	}{
		{hotPath{"Body", 1, 1100, 11}, false}, {hotPath{"Body", 1, 1101, 10}, true}, {hotPath{"Body", 1, 1000, 12}, true},
		{hotPath{"Body", 9, 1000, 10}, false}, {hotPath{"New", 1, 5000, 99}, false},
	} {
		h := hotPathResults{Paths: []hotPath{c.path}}
		must(t, h.compare(history))
		if h.Before != "newer" || (len(h.Regressions) > 0) != c.more {
			t.Errorf("%v: beside %q, regressions %v", c.path, h.Before, h.Regressions)
		}
	}
}

func TestTheCheapestMemoryThatKeepsTheBoundsIsChosen(t *testing.T) {
	size := func(mb int, p99, peak, dollars float64) memorySize {
		return memorySize{MB: mb, Ingest: memoryFunction{P99: p99, PeakMiB: peak}, DollarsPerMillion: dollars}
	}
	for name, c := range map[string]struct {
		sizes []memorySize
		want  int
	}{
		"TooSlow":   {[]memorySize{size(128, 51, 10, 1), size(256, 50, 10, 2), size(1769, 40, 10, 3)}, 256},
		"TooFull":   {[]memorySize{size(128, 10, 65, 1), size(256, 10, 65, 2)}, 256},
		"Cheapest":  {[]memorySize{size(128, 10, 10, 3), size(256, 10, 10, 2), size(512, 10, 10, 4)}, 256},
		"NoneFits":  {[]memorySize{size(128, 99, 90, 1)}, 0},
		"NoneAtAll": {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cheapest(c.sizes); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// The largest request must be one that ingest accepts.
func TestTheLargestRequestKeepsTheLimits(t *testing.T) {
	var request struct{ Data json.RawMessage }
	raw := largeRequest(1)
	must(t, json.Unmarshal(raw, &request))
	if n := len(request.Data); n > webhook.MaxDataBytes || n < webhook.MaxDataBytes*9/10 {
		t.Errorf("%d bytes of data", n)
	}
	if all := largeEvents * (len(raw) + 1); all > 4<<20 || all < 4<<20*9/10 {
		t.Errorf("%d bytes of request", all)
	}
}

// What the functions send on their usual way must be answered as AWS does: the
// stub must give back what it was given.
func TestTheStubKeepsRowsAndMessages(t *testing.T) {
	s, err := newStub()
	must(t, err)
	defer s.close()
	for _, c := range []struct{ target, body, want string }{
		{dynamoTarget + "PutItem", `{"Item":{"pk":{"S":"p"},"sk":{"S":"b1"},"n":{"N":"1"}}}`, `{}`},
		{dynamoTarget + "BatchWriteItem", `{"RequestItems":{"t":[{"PutRequest":{"Item":{"pk":{"S":"p"},"sk":{"S":"a"}}}}]}}`, `{}`},
		{dynamoTarget + "GetItem", `{"Key":{"pk":{"S":"p"},"sk":{"S":"b1"}}}`, `{"Item":{"pk":{"S":"p"},"sk":{"S":"b1"},"n":{"N":"1"}}}`},
		{dynamoTarget + "GetItem", `{"Key":{"pk":{"S":"p"},"sk":{"S":"none"}}}`, `{}`},
		{dynamoTarget + "Query", `{"ExpressionAttributeValues":{":pk":{"S":"p"},":sk":{"S":"b"}}}`, `{"Items":[{"pk":{"S":"p"},"sk":{"S":"b1"},"n":{"N":"1"}}]}`},
		{dynamoTarget + "BatchGetItem", `{"RequestItems":{"t":{"Keys":[{"pk":{"S":"p"},"sk":{"S":"a"}},{"pk":{"S":"p"},"sk":{"S":"c"}}]}}}`, `{"Responses":{"t":[{"pk":{"S":"p"},"sk":{"S":"a"}}]}}`},
		{"AmazonSQS.SendMessage", `{"MessageBody":"m1"}`, `{"Id":"","MD5OfMessageBody":"ae7be26cdaa742ca148068d5ac90eaca","MessageId":"m"}`},
	} {
		got, _, err := s.handle(c.target, []byte(c.body))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.target, got, err, c.want)
		}
	}
	if got, err := s.take(1); err != nil || got[0] != "m1" {
		t.Errorf("messages %v, %v", got, err)
	}
	if _, _, err := s.handle(dynamoTarget+"Scan", []byte(`{}`)); err == nil {
		t.Error("a call that nobody expects is answered")
	}
}
