package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/seal"
)

var place = seal.Place{Tenant: "acme", Endpoint: "shop", Purpose: seal.Signing}

// sealedBy seals something under the key beside data.
func sealedBy(t *testing.T, data string) []byte {
	t.Helper()
	key, err := secretKey(data)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.New(key, time.Now).Seal(t.Context(), place, []byte("whsec_x"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestTheSecretKey(t *testing.T) {
	t.Parallel()
	rule := func(name string, check func(t *testing.T, data, path string)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			check(t, filepath.Join(dir, "relay.db"), filepath.Join(dir, "secret-key"))
		})
	}
	refused := func(t *testing.T, data string, parts ...string) {
		t.Helper()
		_, err := secretKey(data)
		if err == nil {
			t.Fatal("accepted")
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error does not say %q: %v", part, err)
			}
		}
	}
	write := func(t *testing.T, path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}

	rule("IsMadeForItsOwnerAloneAndOpensAgainAfterARestart", func(t *testing.T, data, path string) {
		sealed := sealedBy(t, data)
		write(t, data, "", 0o600)
		info, err := os.Stat(path)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", info.Mode(), err)
		}
		again, err := secretKey(data)
		if err != nil {
			t.Fatal(err)
		}
		if value, err := seal.New(again, time.Now).Open(t.Context(), place, sealed); err != nil || string(value) != "whsec_x" {
			t.Fatalf("%q, %v", value, err)
		}
	})
	rule("ThatOthersMayReadIsRefused", func(t *testing.T, data, path string) {
		if runtime.GOOS == "windows" {
			t.Skip("no such modes")
		}
		sealedBy(t, data)
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o644} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			refused(t, data, path, "chmod 600")
		}
	})
	rule("ThatIsMissingBesideDataIsNotMadeAnew", func(t *testing.T, data, path string) {
		write(t, data, "", 0o600)
		refused(t, data, path, "missing", data)
		if _, err := os.Stat(path); err == nil {
			t.Error("it was made all the same")
		}
	})
	rule("ThatIsNoKeyIsRefusedAndNotQuoted", func(t *testing.T, data, path string) {
		for _, text := range []string{"", "AAAA\n", "not base64!"} {
			write(t, path, text, 0o600)
			refused(t, data, path)
			if _, err := secretKey(data); text != "" && strings.Contains(err.Error(), strings.TrimSpace(text)) {
				t.Errorf("the error quotes the file: %v", err)
			}
		}
	})
}
