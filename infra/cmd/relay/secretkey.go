package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"webhookrelay/shared/seal"
)

// secretKey reads the key that secrets in data are sealed under, from a file
// beside it that its owner alone may read, or makes it with the first data.
func secretKey(data string) (seal.LocalKey, error) {
	path := filepath.Join(filepath.Dir(data), "secret-key")
	raw, err := readKey(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(data); err == nil {
			return seal.LocalKey{}, fmt.Errorf("%s is missing, and nothing else opens the secrets in %s: put it back, or remove %s to begin anew", path, data, data)
		}
		raw, err = makeKey(path)
	}
	if err != nil {
		return seal.LocalKey{}, err
	}
	key, err := seal.NewLocalKey(raw)
	if err != nil {
		return seal.LocalKey{}, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func readKey(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// Windows has no such bits; there the folder's own rights decide.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s can be read by others than its owner (mode %04o), who could then open every secret: chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s is not a key in base64", path)
	}
	return raw, nil
}

// makeKey writes a new key, and leaves one that is there alone.
func makeKey(path string) ([]byte, error) {
	raw := make([]byte, seal.LocalKeySize)
	_, _ = rand.Read(raw) // never fails
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	// On disk before the first secret is.
	return raw, errors.Join(err, file.Sync(), file.Close())
}
