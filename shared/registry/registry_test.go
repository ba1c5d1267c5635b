package registry_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/safedial"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

func open(t *testing.T, checkURL func(string) error) *registry.Registry {
	t.Helper()
	store, err := sqlite.Open(sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db"), MaxReceives: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	key, err := seal.NewLocalKey(make([]byte, seal.LocalKeySize))
	if err != nil {
		t.Fatal(err)
	}
	r := registry.New(registry.Config{
		Store: store, Sealer: seal.New(key, time.Now), IDs: id.NewSource(), CheckURL: checkURL, Overlap: time.Hour, Now: time.Now,
	})
	if _, _, err := r.PutTenant(t.Context(), "acme", ""); err != nil {
		t.Fatal(err)
	}
	return r
}

func field(err error) string {
	if bad, ok := errors.AsType[*webhook.Invalid](err); ok {
		return bad.Field
	}
	return ""
}

// An operator may close a port that endpoints use already.
func TestAnEndpointThatIsNoLongerAllowedCanStillBeDisabled(t *testing.T) {
	t.Parallel()
	var refusal error
	r := open(t, func(string) error { return refusal })
	const url = "https://example.com:8443/"
	if _, err := r.CreateEndpoint(t.Context(), "acme", registry.NewEndpoint{ID: "ep", URL: url}); err != nil {
		t.Fatal(err)
	}
	refusal = errors.New("cannot be used: port 8443 is not open, only 443 is")
	disabled, same := webhook.EndpointDisabled, url
	if e, err := r.ChangeEndpoint(t.Context(), "acme", "ep", registry.EndpointChange{State: &disabled}); err != nil || e.State != disabled {
		t.Errorf("disabled: %v, %v", e.State, err)
	}
	if _, err := r.ChangeEndpoint(t.Context(), "acme", "ep", registry.EndpointChange{URL: &same}); field(err) != "url" {
		t.Errorf("given the URL again: %v", err)
	}
}

func TestHeadersStayWithTheHostTheyWereGivenFor(t *testing.T) {
	t.Parallel()
	r := open(t, safedial.Policy{Ports: []safedial.PortRange{{First: 444, Last: 444}}}.CheckURL)
	given := []webhook.Header{{Name: "X-B", Value: "2"}, {Name: "Authorization", Value: "1"}}
	e, err := r.CreateEndpoint(t.Context(), "acme", registry.NewEndpoint{ID: "ep", URL: "https://a.example.com/", Headers: given})
	if err != nil || e.Headers[0].Name != "Authorization" {
		t.Fatalf("%v, headers in the order %v", err, e.Headers)
	}
	move := func(to string, headers []webhook.Header) ([]webhook.Header, error) {
		e, err := r.ChangeEndpoint(t.Context(), "acme", "ep", registry.EndpointChange{URL: &to, Headers: headers})
		return e.Headers, err
	}
	if got, err := move("https://A.example.com/other?x=y", nil); err != nil || !slices.Equal(got, e.Headers) {
		t.Errorf("on the same host: %v, %v", got, err)
	}
	for _, to := range []string{"https://b.example.com/", "https://a.example.com:444/", "https://a.example.com.example.org/"} {
		if _, err := move(to, nil); field(err) != "headers" {
			t.Errorf("to %s: %v", to, err)
		}
	}
	if got, err := move("https://b.example.com/", []webhook.Header{}); err != nil || len(got) != 0 {
		t.Errorf("without them: %v, %v", got, err)
	}
	if got, err := move("https://c.example.com/", nil); err != nil || len(got) != 0 {
		t.Errorf("with none to hand on: %v, %v", got, err)
	}
}
