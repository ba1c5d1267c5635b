package envelope_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"webhookrelay/shared/envelope"
	"webhookrelay/shared/webhook"
)

// Messages of version 1 wait in queues for weeks: these bodies must stay
// readable for ever, and be what is written until every reader knows a newer one.
func TestVersion1IsWrittenAndReadAsEver(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Body     string
		Tenant   webhook.TenantID
		Event    webhook.EventRef
		Endpoint webhook.EndpointID
		Once     bool
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	for _, g := range golden {
		want := envelope.Envelope{DeliveryKey: webhook.DeliveryKey{Tenant: g.Tenant, Event: g.Event, Endpoint: g.Endpoint}, Once: g.Once}
		if got := envelope.Encode(want); got != g.Body {
			t.Errorf("written as %s, want %s", got, g.Body)
		}
		if got, err := envelope.Decode([]byte(g.Body)); err != nil || got != want {
			t.Errorf("%s read as %+v, %v", g.Body, got, err)
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	const good = `"tenant":"acme","event":"01JD9K3Q4R5S6T7V8W9X0Y1Z2A","endpoint":"ep_1"`
	for _, tc := range []struct {
		rule, body string
		want       error
	}{
		{"FieldsOfALaterReleaseAreIgnored", `{"v":1,"new":{"a":[1]},` + good + `}`, nil},
		{"SpacesAreIgnored", ` { "v" : 1, ` + good + "}\n", nil},
		{"ALaterVersionIsToldApart", `{"v":2,` + good + `}`, envelope.ErrVersion},
		{"NoVersionIsMalformed", `{` + good + `}`, envelope.ErrMalformed},
		{"ANegativeVersionIsMalformed", `{"v":-1,` + good + `}`, envelope.ErrMalformed},
		{"TextIsMalformed", `hello`, envelope.ErrMalformed},
		{"AnEmptyBodyIsMalformed", ``, envelope.ErrMalformed},
		{"AnArrayIsMalformed", `[]`, envelope.ErrMalformed},
		{"TwoObjectsAreMalformed", `{"v":1,` + good + `}{}`, envelope.ErrMalformed},
		{"AMissingIDIsMalformed", `{"v":1,"tenant":"acme","event":"01JD9K3Q4R5S6T7V8W9X0Y1Z2A"}`, envelope.ErrMalformed},
		{"AShortRefIsMalformed", `{"v":1,"tenant":"acme","event":"01JD","endpoint":"e"}`, envelope.ErrMalformed},
		{"AnIDWithASeparatorIsMalformed", `{"v":1,"tenant":"a#b","event":"01JD9K3Q4R5S6T7V8W9X0Y1Z2A","endpoint":"e"}`, envelope.ErrMalformed},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			if _, err := envelope.Decode([]byte(tc.body)); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"v":1,"tenant":"acme","event":"01JD9K3Q4R5S6T7V8W9X0Y1Z2A","endpoint":"ep_1","once":true}`))
	f.Add([]byte(`{"v":9}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := envelope.Decode(body)
		if err != nil {
			if !errors.Is(err, envelope.ErrMalformed) && !errors.Is(err, envelope.ErrVersion) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if again, err := envelope.Decode([]byte(envelope.Encode(got))); err != nil || again != got {
			t.Fatalf("%+v becomes %+v, %v", got, again, err)
		}
	})
}
