package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// target is the relay that a command calls, and as whom.
type target struct {
	Context, URL, Key, Tenant string
	// urlFrom says where the URL was set.
	urlFrom string
}

// laptop is where `relay dev` serves when nothing else is said, and where it
// keeps the admin key that it made.
const (
	laptopURL = "http://127.0.0.1:8080"
	laptopKey = ".relay/admin-key"
)

// target puts together flags, environment and configuration file. Flags beat
// the environment, and that the file; but a context named by a flag beats the
// environment too. A context's key goes to that context's URL alone.
func (s *session) target() (target, error) {
	file, err := s.readConfig()
	if err != nil {
		return target{}, err
	}
	name := cmp.Or(s.remote.Context, s.getenv("RELAY_CONTEXT"), file.Current)
	chosen, known := file.Contexts[name]
	if name != "" && !known {
		return target{}, usage("there is no context %q in %s; there are: %s", name, s.configPath(), file.names())
	}
	env := entry{URL: s.getenv("RELAY_URL"), Tenant: s.getenv("RELAY_TENANT"), Key: s.getenv("RELAY_KEY")}
	first, second := env, chosen
	if s.remote.Context != "" {
		first, second = chosen, env
	}
	to := target{Context: name, URL: cmp.Or(s.remote.URL, first.URL, second.URL, laptopURL)}
	to.urlFrom = s.origin(to.URL, env, chosen)
	own := known && to.URL == chosen.URL
	if !own {
		to.Context = ""
	}
	if to.Key, err = s.key(env, chosen, own, to.URL); err != nil {
		return to, err
	}
	to.Tenant = cmp.Or(s.remote.Tenant, first.Tenant, second.Tenant, tenantOfKey(to.Key))
	if to.Tenant == "" && !known && isLaptop(to.URL) {
		to.Tenant = demoTenant
	}
	return to, nil
}

func (s *session) origin(url string, env, chosen entry) string {
	switch url {
	case s.remote.URL:
		return "--url"
	case chosen.URL:
		return "url of the context"
	case env.URL:
		return "RELAY_URL"
	}
	return ""
}

// key returns the API key to use; empty when there is none.
func (s *session) key(env, chosen entry, own bool, to string) (string, error) {
	if s.remote.KeyFile != "" {
		return s.keyIn("--key-file", s.remote.KeyFile)
	}
	fromContext := own && (chosen.Key != "" || chosen.KeyFile != "")
	if env.Key != "" && (s.remote.Context == "" || !fromContext) {
		return env.Key, nil
	}
	if fromContext {
		if chosen.KeyFile != "" {
			return s.keyIn("key_file of the context", chosen.KeyFile)
		}
		return chosen.Key, nil
	}
	if !isLaptop(to) {
		return "", nil
	}
	kept, err := os.ReadFile(laptopKey)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return strings.TrimSpace(string(kept)), nil
}

// keyIn reads a key from a file, or from standard input for "-".
func (s *session) keyIn(setting, path string) (string, error) {
	raw, err := s.read(path)
	if err != nil {
		return "", usage("%s: %w", setting, err)
	}
	key := strings.TrimSpace(string(raw))
	if key == "" || strings.ContainsAny(key, " \t\r\n") {
		return "", usage("%s: %s holds no key, or more than one", setting, path)
	}
	return key, nil
}

// read returns a file's content, or standard input's for "-".
func (s *session) read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(s.in)
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(s.getenv("HOME"), rest)
	}
	return os.ReadFile(path)
}

// tenantOfKey reads the tenant that keys and portal tokens begin with; empty
// for an admin key.
func tenantOfKey(key string) string {
	head, _, _ := strings.Cut(key, ".")
	for _, prefix := range []string{"relay_", "portal_"} {
		if tenant, ok := strings.CutPrefix(head, prefix); ok && tenant != "~" {
			return tenant
		}
	}
	return ""
}

// isLaptop says whether a URL stays on this machine.
func isLaptop(to string) bool {
	parsed, err := url.Parse(to)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(parsed.Hostname())
	return parsed.Hostname() == "localhost" || err == nil && address.IsLoopback()
}

func (t target) String() string {
	name := t.URL
	if t.Context != "" {
		name = fmt.Sprintf("%s (%s)", t.Context, t.URL)
	}
	return name
}
