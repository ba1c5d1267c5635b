package sqlite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// childPath names the file that this test's own child process tries to open.
const childPath = "RELAY_SQLITE_TEST_PATH"

func TestOpenRefusesAFileAnotherProcessUses(t *testing.T) {
	if path := os.Getenv(childPath); path != "" {
		_, err := Open(Config{Path: path})
		fmt.Println("child:", err)
		return
	}
	path := filepath.Join(t.TempDir(), "relay.db")
	s, err := Open(Config{Path: path})
	must(t, err)
	child := func() string {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), childPath+"="+path)
		out, err := cmd.CombinedOutput()
		must(t, err)
		return string(out)
	}
	if out := child(); !strings.Contains(out, ErrInUse.Error()) {
		t.Errorf("another process got %q, want %q", out, ErrInUse)
	}
	must(t, s.Close())
	if out := child(); !strings.Contains(out, "child: <nil>") {
		t.Errorf("after Close another process got %q, want no error", out)
	}
}
