package main

import (
	"bytes"
	"io"
	"regexp"
	"testing"

	"github.com/alecthomas/kong"

	"webhookrelay/shared/auth"
)

func TestKeyPrintsAKeyWithItsDigest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := execute([]string{"key"}, kong.Writers(&out, io.Discard)); err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`^admin key +(relay_\S+)\nAdminKeySha256 +([0-9a-f]{64})\n$`).FindStringSubmatch(out.String())
	if found == nil || auth.DigestOf(found[1]).String() != found[2] {
		t.Fatalf("printed %q", out.String())
	}
}
