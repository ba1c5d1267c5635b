package awsenv_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"webhookrelay/shared/awsenv"
)

func setenv(t *testing.T, region, key, secret, token, endpoint string) {
	t.Helper()
	t.Setenv("AWS_REGION", region)
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("AWS_SESSION_TOKEN", token)
	t.Setenv("AWS_ENDPOINT_URL", endpoint)
}

func TestConfigReadsLambdaEnvironment(t *testing.T) {
	setenv(t, "eu-central-1", "AKID", "secret", "token", "http://127.0.0.1:4566")
	cfg, err := awsenv.Config()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Region != "eu-central-1" || *cfg.BaseEndpoint != "http://127.0.0.1:4566" {
		t.Errorf("region %q, endpoint %q", cfg.Region, *cfg.BaseEndpoint)
	}
	got, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || got.AccessKeyID != "AKID" || got.SecretAccessKey != "secret" || got.SessionToken != "token" {
		t.Errorf("credentials %+v, %v", got, err)
	}
	if n := cfg.Retryer().MaxAttempts(); n != 4 {
		t.Errorf("%d attempts, want 4", n)
	}
}

func TestConfigNeedsNeitherTokenNorEndpoint(t *testing.T) {
	setenv(t, "us-east-1", "test", "test", "", "")
	cfg, err := awsenv.Config()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.BaseEndpoint != nil {
		t.Errorf("endpoint %q, want none", *cfg.BaseEndpoint)
	}
}

func TestConfigReportsEveryFaultAtOnce(t *testing.T) {
	setenv(t, "", "", "", "", "localhost:4566")
	_, err := awsenv.Config()
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

func TestClientSignsWithTheseCredentialsAndRetries(t *testing.T) {
	var calls int
	var auth, token string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		auth, token = r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")
		if calls == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Write([]byte(`{}`))
	}))
	defer server.Close()
	setenv(t, "eu-central-1", "AKID", "secret", "token", server.URL)
	cfg, err := awsenv.Config()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{}); err != nil {
		t.Fatal(err)
	}
	if calls != 2 {
		t.Errorf("%d calls, want the failed one and its retry", calls)
	}
	if !strings.Contains(auth, "Credential=AKID/") || !strings.Contains(auth, "/eu-central-1/sqs/") || token != "token" {
		t.Errorf("signed %q with token %q", auth, token)
	}
}
