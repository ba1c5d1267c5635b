package sender_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// outside is what the tests put in place of the world: the only resolver, a
// proxy that nobody may use, and the authority that certificates are trusted by.
var outside struct {
	names     *nameServer
	proxy     *watch
	authority *authority
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run changes the process before the first test: the resolver, the proxy and
// the roots are all read from it, by the very code that a deployment runs.
func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "sender-test-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if outside.names, err = newNameServer(); err != nil {
		return 0, err
	}
	net.DefaultResolver = outside.names.resolver()
	if outside.authority, err = newAuthority(); err != nil {
		return 0, err
	}
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, outside.authority.pem(), 0o600); err != nil {
		return 0, err
	}
	if outside.proxy, err = newWatch("127.0.0.1:0"); err != nil {
		return 0, err
	}
	proxy := &http.Server{Handler: http.HandlerFunc(greet), ReadHeaderTimeout: time.Second}
	go func() { _ = proxy.Serve(outside.proxy) }()
	defer proxy.Close()
	environment := map[string]string{"SSL_CERT_FILE": roots}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		environment[name] = "http://" + outside.proxy.Addr().String()
	}
	for name, value := range environment {
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	return m.Run(), nil
}
