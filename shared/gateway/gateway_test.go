package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"webhookrelay/shared/gateway"
)

func serve(t *testing.T, event string, h http.HandlerFunc) events.APIGatewayProxyResponse {
	t.Helper()
	var request events.APIGatewayProxyRequest
	if err := json.Unmarshal([]byte(event), &request); err != nil {
		t.Fatal(err)
	}
	response, err := gateway.Serve(h)(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ rule, event string }{
		{"OfARESTAPI", `{"resource":"/{proxy+}","path":"/v1/a","httpMethod":"POST",
			"headers":{"Content-Type":"application/json","Host":"h"},
			"multiValueHeaders":{"Content-Type":["application/json"],"Host":["h"],"X-Two":["1","2"]},
			"queryStringParameters":{"q":"b c"},"multiValueQueryStringParameters":{"q":["a","b c"]},
			"body":"{\"x\":\"é\"}","isBase64Encoded":false}`},
		{"OfAnHTTPAPI", `{"version":"1.0","path":"/v1/a","httpMethod":"POST",
			"headers":{"content-type":"application/json","host":"h"},
			"multiValueHeaders":{"content-type":["application/json"],"host":["h"],"x-two":["1","2"]},
			"multiValueQueryStringParameters":{"q":["a","b c"]},
			"body":"eyJ4Ijoiw6kifQ==","isBase64Encoded":true}`},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			serve(t, tc.event, func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != "POST" || r.URL.Path != "/v1/a" || string(body) != `{"x":"é"}` || r.Host != "h" ||
					r.Header.Get("Content-Type") != "application/json" || strings.Join(r.Header.Values("X-Two"), ",") != "1,2" ||
					strings.Join(r.URL.Query()["q"], ",") != "a,b c" || r.ContentLength != int64(len(body)) {
					t.Errorf("%s %s %v %q", r.Method, r.URL, r.Header, body)
				}
			})
		})
	}
	t.Run("UnderAStage", func(t *testing.T) {
		t.Parallel()
		event := `{"path":"/v1/a","httpMethod":"GET","requestContext":{"path":"/relay/v1/a","identity":{"sourceIp":"192.0.2.1"}}}`
		serve(t, event, func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/a" || r.RequestURI != "/relay/v1/a" || r.RemoteAddr != "192.0.2.1" {
				t.Errorf("%s, asked for as %s by %s", r.URL, r.RequestURI, r.RemoteAddr)
			}
		})
	})
	t.Run("WithoutABody", func(t *testing.T) {
		t.Parallel()
		serve(t, `{"path":"/","httpMethod":"GET","body":null}`, func(_ http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 {
				t.Errorf("length %d", r.ContentLength)
			}
		})
	})
	t.Run("WithBrokenBase64Fails", func(t *testing.T) {
		t.Parallel()
		_, err := gateway.Serve(http.NotFoundHandler())(t.Context(), events.APIGatewayProxyRequest{Body: "%", IsBase64Encoded: true})
		if err == nil {
			t.Fatal("no error")
		}
	})
}

// A function that is cut off answers nothing, so its requests end before.
func TestARequestEndsBeforeItsInvocation(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(time.Minute)
	ctx, cancel := context.WithDeadline(t.Context(), end)
	defer cancel()
	_, err := gateway.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		deadline, ok := r.Context().Deadline()
		if spare := end.Sub(deadline); !ok || spare < time.Second || spare > 5*time.Second {
			t.Errorf("the request ends %s before the invocation", spare)
		}
	}))(ctx, events.APIGatewayProxyRequest{Path: "/", HTTPMethod: "GET"})
	if err != nil {
		t.Fatal(err)
	}
}

func TestResponse(t *testing.T) {
	t.Parallel()
	text := serve(t, `{"path":"/","httpMethod":"GET"}`, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header()["X-Two"] = []string{"1", "2"}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, `{"a":"é"}`)
	})
	if text.StatusCode != 418 || text.Body != `{"a":"é"}` || text.IsBase64Encoded || text.Headers["Content-Type"] != "application/json" ||
		len(text.Headers) != 1 || len(text.MultiValueHeaders) != 1 || len(text.MultiValueHeaders["X-Two"]) != 2 {
		t.Errorf("got %+v", text)
	}
	binary := serve(t, `{"path":"/","httpMethod":"GET"}`, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte{0xff, 0xfe})
	})
	if binary.StatusCode != 200 || binary.Body != "//4=" || !binary.IsBase64Encoded {
		t.Errorf("got %+v", binary)
	}
	if empty := serve(t, `{"path":"/","httpMethod":"GET"}`, func(http.ResponseWriter, *http.Request) {}); empty.StatusCode != 200 {
		t.Errorf("got %+v", empty)
	}
}
