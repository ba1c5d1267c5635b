package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"webhookrelay/shared/webhook"
)

func TestTheLogNeedNotGrow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.db")
	q := openAt(t, Config{Path: path}).Queue()
	size := func() int64 {
		info, err := os.Stat(path + "-wal")
		must(t, err)
		return info.Size()
	}
	before := size()
	for range 20 {
		must(t, q.Send(t.Context(), []webhook.DeliveryKey{newKey("a")}))
	}
	if after := size(); before < checkpointPages*logPage || after != before {
		t.Errorf("the log holds %d bytes at first and %d then, want the same and room for %d pages", before, after, checkpointPages)
	}
	_, count := drain(t, crash(t, path).Queue())
	wantCount(t, count, map[string]int{"a": 20})
}
