package registry_test

import (
	"errors"
	"slices"
	"testing"

	"webhookrelay/shared/registry"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/webhook"
)

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
	r := newWorld(t)
	r.CheckURL = func(string) error { return refusal }
	const url = "https://example.com:8443/"
	if _, err := r.CreateEndpoint(t.Context(), tenant, registry.NewEndpoint{ID: endpoint, URL: url}); err != nil {
		t.Fatal(err)
	}
	refusal = errors.New("cannot be used: port 8443 is not open, only 443 is")
	disabled, same := webhook.EndpointDisabled, url
	if e, err := r.ChangeEndpoint(t.Context(), tenant, endpoint, registry.EndpointChange{State: &disabled}); err != nil || e.State != disabled {
		t.Errorf("disabled: %v, %v", e.State, err)
	}
	if _, err := r.ChangeEndpoint(t.Context(), tenant, endpoint, registry.EndpointChange{URL: &same}); field(err) != "url" {
		t.Errorf("given the URL again: %v", err)
	}
}

func TestHeadersStayWithTheHostTheyWereGivenFor(t *testing.T) {
	t.Parallel()
	r := newWorld(t)
	given := []webhook.Header{{Name: "X-B", Value: "2"}, {Name: "Authorization", Value: "1"}}
	e, err := r.CreateEndpoint(t.Context(), tenant, registry.NewEndpoint{ID: endpoint, URL: "https://a.example.com/", Headers: given})
	if err != nil || !slices.Equal(e.Headers.Names, []string{"Authorization", "X-B"}) {
		t.Fatalf("%v, headers %v", err, e.Headers.Names)
	}
	move := func(to string, headers []webhook.Header) ([]string, error) {
		e, err := r.ChangeEndpoint(t.Context(), tenant, endpoint, registry.EndpointChange{URL: &to, Headers: headers})
		return e.Headers.Names, err
	}
	if got, err := move("https://A.example.com/other?x=y", nil); err != nil || !slices.Equal(got, e.Headers.Names) {
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

func TestHeadersAreNotKeptWhileTheyCannotBeSealed(t *testing.T) {
	t.Parallel()
	r := newWorld(t)
	if _, err := r.CreateEndpoint(t.Context(), tenant, registry.NewEndpoint{ID: endpoint, URL: "https://a.example.com/"}); err != nil {
		t.Fatal(err)
	}
	r.away = true
	change := registry.EndpointChange{Headers: []webhook.Header{{Name: "Authorization", Value: "1"}}}
	if _, err := r.ChangeEndpoint(t.Context(), tenant, endpoint, change); !errors.Is(err, seal.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if e, err := r.Store.Endpoint(t.Context(), tenant, endpoint); err != nil || len(e.Headers.Names) > 0 || len(e.Headers.Sealed) > 0 {
		t.Errorf("stored as %+v, %v", e.Headers, err)
	}
}
