package config_test

import (
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/config"
	"webhookrelay/shared/throttle"
)

func source(env map[string]string) *config.Source {
	return config.From(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
}

func TestEveryFaultIsReportedAtOnceWithItsName(t *testing.T) {
	t.Parallel()
	s := source(map[string]string{
		"RELAY_ADMIN_KEY_SHA256": "abc",
		"RELAY_RETRY_SCHEDULE":   "5s,soon",
		"RELAY_ALLOW_CIDRS":      "10.0.0.0",
		"RELAY_ALLOW_PORTS":      "443,0",
		"RELAY_RETENTION_DAYS":   "3",
		"RELAY_SECRET_OVERLAP":   "-1h",
		"RELAY_DISABLE_AFTER":    "-1h",
		"RELAY_OPERATOR_TENANT":  "the operator",
		"RELAY_FAIR_QUEUES":      "perhaps",
		"RELAY_SECRETS_KEY":      "alias/relay",
		"RELAY_TENANT_RATE":      "50",
		"RELAY_KEY_RATE":         "0/1",
		"AWS_LAMBDA_RUNTIME_API": "localhost",
	})
	s.Table()
	s.QueueURL()
	s.DeadLetters()
	s.AdminKey()
	s.TenantRate()
	s.KeyRate()
	s.Schedule()
	s.Outbound()
	s.Retention()
	s.Overlap()
	s.DisableAfter()
	s.OperatorTenant()
	s.FairQueues()
	s.SecretsKey()
	err := s.Err()
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{
		"RELAY_TABLE", "RELAY_QUEUE_URL", "RELAY_DLQ_URL", "RELAY_DLQ_ARN", "RELAY_ADMIN_KEY_SHA256",
		"RELAY_RETRY_SCHEDULE", "RELAY_ALLOW_CIDRS", "RELAY_ALLOW_PORTS", "RELAY_RETENTION_DAYS", "RELAY_SECRET_OVERLAP", "RELAY_SECRETS_KEY",
		"RELAY_TENANT_RATE", "RELAY_KEY_RATE",
		"RELAY_DISABLE_AFTER", "RELAY_OPERATOR_TENANT", "RELAY_FAIR_QUEUES", "AWS_LAMBDA_RUNTIME_API",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	s := source(nil)
	if got := s.Retention(); got != 30*24*time.Hour {
		t.Errorf("retention %s", got)
	}
	if got := s.Overlap(); got != 24*time.Hour {
		t.Errorf("overlap %s", got)
	}
	if got := s.TenantRate(); got != (throttle.Rate{}) {
		t.Errorf("a limit of %v", got)
	}
	if got := s.KeyRate(); got != (throttle.Rate{PerSecond: 50, Burst: 200}) {
		t.Errorf("rate of a key %v", got)
	}
	if got := len(s.Schedule()); got != 7 {
		t.Errorf("%d waits", got)
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	if got := len(source(map[string]string{"RELAY_RETRY_SCHEDULE": ""}).Schedule()); got != 0 {
		t.Errorf("an empty schedule retries %d times", got)
	}
}

func TestTheRuntimeAPIIsDeniedByValue(t *testing.T) {
	t.Parallel()
	s := source(map[string]string{"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "RELAY_ALLOW_CIDRS": "127.0.0.0/8", "RELAY_ALLOW_PORTS": "9000-9002"})
	policy := s.Outbound()
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if policy.CheckURL("http://127.0.0.1:9001/2018-06-01/runtime/invocation/x/response") == nil {
		t.Error("the Runtime API may be called")
	}
	if err := policy.CheckURL("http://127.0.0.1:9002/"); err != nil {
		t.Error(err)
	}
	if policy.CheckURL("http://127.0.0.1:9003/") == nil {
		t.Error("a port that was not opened may be called")
	}
}
