package main

import (
	"bytes"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/auth"
)

// quiet is a session whose output proper goes to out, and the rest nowhere.
func quiet(out io.Writer) *session {
	return &session{out: out, err: io.Discard, getenv: func(string) string { return "" }}
}

func TestKeyPrintsAKeyWithItsDigest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := execute([]string{"key"}, quiet(&out)); err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`^admin key +(relay_\S+)\nAdminKeySha256 +([0-9a-f]{64})\n$`).FindStringSubmatch(out.String())
	if found == nil || auth.DigestOf(found[1]).String() != found[2] {
		t.Fatalf("printed %q", out.String())
	}
}

func TestEveryWrongFlagIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	err := execute([]string{
		"dev", "--data", filepath.Join(t.TempDir(), "relay.db"), "--listen", "here", "--retry-schedule=-5s", "--breaker", "20/-1m",
		"--allow-cidr", "10.0.0.0", "--allow-port", "0", "--disable-after", "5d", "--retention-days", "3", "--log-level", "loud",
		"--tenant-rate", "50", "--key-rate", "0/0",
	}, quiet(io.Discard))
	if err == nil {
		t.Fatal("it started")
	}
	for _, name := range []string{"--listen", "--retry-schedule", "--breaker", "--allow-cidr", "--allow-port", "--disable-after", "--retention-days", "--log-level", "--tenant-rate", "--key-rate"} {
		if !strings.Contains(err.Error(), name+" ") {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

func TestTheDefaultFlagsAreRight(t *testing.T) {
	t.Parallel()
	var c commands
	if _, err := parser(&c, quiet(io.Discard)).Parse([]string{"dev"}); err != nil {
		t.Fatal(err)
	}
	set, err := c.Dev.settings()
	if err != nil || len(set.schedule) != 7 || set.retention != 30*24*time.Hour || !set.outbound.PlainHTTP || set.lifetime == 0 {
		t.Errorf("%+v, %v", set, err)
	}
}
