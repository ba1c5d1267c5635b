package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// configFile names relays, so that a command line need not.
type configFile struct {
	Current  string           `yaml:"current,omitempty"`
	Contexts map[string]entry `yaml:"contexts"`
}

// entry is one context.
type entry struct {
	URL    string `yaml:"url"`
	Tenant string `yaml:"tenant,omitempty"`
	// KeyFile holds the key; Key is the key itself.
	KeyFile string `yaml:"key_file,omitempty"`
	Key     string `yaml:"key,omitempty"`
}

func (f configFile) names() string {
	if len(f.Contexts) == 0 {
		return "none yet (relay context set NAME --url URL)"
	}
	return strings.Join(slices.Sorted(maps.Keys(f.Contexts)), ", ")
}

// configPath is where the file lies: RELAY_CONFIG, or relay/config.yaml in the
// user's folder for configuration.
func (s *session) configPath() string {
	if path := s.getenv("RELAY_CONFIG"); path != "" {
		return path
	}
	if dir := s.getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "relay", "config.yaml")
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "relay", "config.yaml")
}

// readConfig reads the file; one that is not there names nothing. A file that
// holds a key and that others may read is refused.
func (s *session) readConfig() (configFile, error) {
	file := configFile{Contexts: map[string]entry{}}
	path := s.configPath()
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, usage("configuration: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return file, usage("%s: %w", path, err)
	}
	for name, e := range file.Contexts {
		if e.Key == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			return file, usage("%s holds the key of %s and can be read by others than its owner: chmod 600 %s", path, name, path)
		}
	}
	if file.Contexts == nil {
		file.Contexts = map[string]entry{}
	}
	return file, nil
}

// writeConfig replaces the file, for its owner alone to read.
func (s *session) writeConfig(file configFile) error {
	path := cmp.Or(s.configPath(), "config.yaml")
	raw, err := yaml.Marshal(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".config-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = temporary.Write(raw)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
