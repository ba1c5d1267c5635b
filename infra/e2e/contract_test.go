package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
)

const openAPIFile = "../../shared/api/openapi.yaml"

// contract is openapi.yaml, read once: building its validator takes longer than
// a hundred validations.
var contract = sync.OnceValues(func() (validator.Validator, error) {
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document, config.WithFormatAssertions())
	return v, errors.Join(errs...)
})

// agreesWithOpenAPI reports what of the answer openapi.yaml does not foresee:
// its status, a header or its body.
func agreesWithOpenAPI(method, path string, r response) error {
	v, err := contract()
	if err != nil {
		return err
	}
	if r.status == http.StatusMethodNotAllowed {
		// Described with the methods that the address does take.
		method, _, _ = strings.Cut(r.header.Get("Allow"), ",")
	}
	// The document's paths begin at its server's; where the relay lives is beside the point.
	request, err := http.NewRequest(method, "http://127.0.0.1:8080"+path, nil)
	if err != nil {
		return err
	}
	body := r.body
	if r.header.Get("Content-Type") == "application/jsonl" {
		body = []byte(`""`) // the validator reads one JSON value; described is text
	}
	ok, problems := v.ValidateHttpResponse(request, &http.Response{
		StatusCode: r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(body)),
	})
	if ok {
		return nil
	}
	var text strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&text, "\n  %s: %s", p.Message, p.Reason)
		for _, s := range p.SchemaValidationErrors {
			fmt.Fprintf(&text, "\n    %s: %s", s.KeywordLocation, s.Reason)
		}
	}
	return fmt.Errorf("%s: the answer %s is not what openapi.yaml says:%s", r.request, r, text.String())
}

func TestTheRelayServesItsOwnDescription(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	public := client{base: relay.base} // without a key
	if got := public.get(t, "/openapi.yaml"); !bytes.Equal(got.body, want) {
		t.Errorf("/openapi.yaml is not shared/api/openapi.yaml: %s", got)
	}
	public.get(t, "/healthz")
}

// The validator is held to its word: an answer that the document does not
// foresee must not pass.
func TestAnswersThatOpenAPIDoesNotForeseeAreNoticed(t *testing.T) {
	t.Parallel()
	jsonType := http.Header{"Content-Type": {"application/json"}}
	good := response{status: 200, header: jsonType, body: []byte(`{"id":"a","name":"","created_at":"2026-01-31T12:00:00.000Z"}`)}
	if err := agreesWithOpenAPI("GET", "/v1/tenants/a", good); err != nil {
		t.Fatalf("a good answer: %v", err)
	}
	for rule, bad := range map[string]response{
		"AnUndocumentedStatus":   {status: 418, header: jsonType, body: []byte(`{}`)},
		"AMissingField":          {status: 200, header: jsonType, body: []byte(`{"id":"a","name":""}`)},
		"AWrongType":             {status: 200, header: jsonType, body: []byte(`{"id":"a","name":1,"created_at":"2026-01-31T12:00:00.000Z"}`)},
		"AStringThatIsNoTime":    {status: 200, header: jsonType, body: []byte(`{"id":"a","name":"","created_at":"yesterday"}`)},
		"AnIDOfAnotherForm":      {status: 200, header: jsonType, body: []byte(`{"id":"a b","name":"","created_at":"2026-01-31T12:00:00.000Z"}`)},
		"AnotherContentType":     {status: 404, header: jsonType, body: []byte(`{"type":"urn:webhookrelay:problem:x","title":"x","status":404}`)},
		"SomethingOtherThanJSON": {status: 200, header: jsonType, body: []byte(`<html>`)},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			if err := agreesWithOpenAPI("GET", "/v1/tenants/a", bad); err == nil {
				t.Error("passed")
			}
		})
	}
}
