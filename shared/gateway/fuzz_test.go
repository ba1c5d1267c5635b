package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"webhookrelay/shared/gateway"
)

func FuzzEvent(f *testing.F) {
	for _, seed := range []string{
		`{"httpMethod":"POST","path":"/v1/tenants/a/events","headers":{"Content-Type":"application/json"},"body":"{}","requestContext":{"identity":{"sourceIp":"1.2.3.4"}}}`,
		`{"httpMethod":"GET","path":"/v1/tenants","multiValueQueryStringParameters":{"limit":["1","2"]},"multiValueHeaders":{"a":["b","c"]}}`,
		`{"httpMethod":"POST","path":"/","body":"/w==","isBase64Encoded":true}`,
		`{"httpMethod":"PO ST","path":"no slash","body":"!","isBase64Encoded":true}`,
		`{"path":"//host/%zz?x#y"}`, `{}`, `{"path":"/v1/tenants","requestContext":{"path":"/stage/v1/tenants"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var event events.APIGatewayProxyRequest
		if json.Unmarshal(raw, &event) != nil {
			return // Lambda's own runtime answers
		}
		body := []byte(event.Body)
		if event.IsBase64Encoded {
			decoded, err := base64.StdEncoding.DecodeString(event.Body)
			if err != nil {
				decoded = nil
			}
			body = decoded
		}
		served := false
		response, err := gateway.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served = true
			read, err := io.ReadAll(r.Body)
			if err != nil || string(read) != string(body) {
				t.Fatalf("body %q, %v; want %q", read, err, body)
			}
			if r.URL.Path != event.Path {
				t.Fatalf("path %q, want %q", r.URL.Path, event.Path)
			}
			for name, values := range event.MultiValueQueryStringParameters {
				if got := r.URL.Query()[name]; len(values) > 0 && len(got) != len(values) {
					t.Fatalf("parameter %q is %q, want %q", name, got, values)
				}
			}
			http.NewServeMux().ServeHTTP(w, r)
			_, _ = w.Write(read)
		}))(t.Context(), event)
		if err == nil != served {
			t.Fatalf("served: %v, error: %v", served, err)
		}
		if err == nil && (response.StatusCode < 100 || response.StatusCode > 599) {
			t.Fatalf("status %d", response.StatusCode)
		}
	})
}
