package config_test

import (
	"maps"
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

// readAll reads every setting there is.
func readAll(s *config.Source) error {
	s.Table()
	s.QueueURL()
	s.DeadLetters()
	s.AdminKey()
	s.Outbound()
	s.Retention()
	s.Overlap()
	s.Breaker()
	s.DisableAfter()
	s.OperatorTenant()
	s.FairQueues()
	s.SecretsKey()
	s.TenantRate()
	s.KeyRate()
	schedule := s.Schedule()
	s.Lifetime(schedule)
	s.CheckQueue(schedule)
	return s.Err()
}

// sound is a deployment's environment without a fault.
func sound() map[string]string {
	return map[string]string{
		"RELAY_TABLE": "table", "RELAY_QUEUE_URL": "https://sqs/queue", "RELAY_DLQ_URL": "https://sqs/dead", "RELAY_DLQ_ARN": "arn:dead",
		"RELAY_ADMIN_KEY_SHA256": strings.Repeat("0f", 32),
		"RELAY_SECRETS_KEY":      "arn:aws:kms:us-east-1:111122223333:key/1234",
		"RELAY_MAX_RECEIVES":     "30", "RELAY_TIMEOUT_SECONDS": "60", "RELAY_VISIBILITY_SECONDS": "360",
	}
}

func TestNonsenseIsRefusedByName(t *testing.T) {
	t.Parallel()
	if err := readAll(source(sound())); err != nil {
		t.Fatal(err)
	}
	for name, nonsense := range map[string][]string{
		"RELAY_TABLE":              {"", " "},
		"RELAY_QUEUE_URL":          {""},
		"RELAY_DLQ_URL":            {""},
		"RELAY_DLQ_ARN":            {""},
		"RELAY_ADMIN_KEY_SHA256":   {"", "0f", "the key itself"},
		"RELAY_RETRY_SCHEDULE":     {"-5s", "5", "5s,", "5s;5m", "81h", "40h,40h,1s", strings.Repeat("1s,", 25) + "1s"},
		"RELAY_BREAKER":            {"20", "-1/10m", "20/-10m", "20/0s", "20/25h", "10001/10m", "x/10m", "20/x"},
		"RELAY_PARK_LIFETIME":      {"-1h", "0s", "73h", "1", "for ever"},
		"RELAY_ALLOW_CIDRS":        {"10.0.0.0", "10.0.0.0/33", "here"},
		"RELAY_ALLOW_PORTS":        {"0", "65536", "-1", "90-80", "http"},
		"RELAY_DISABLE_AFTER":      {"-1h", "5d", "120"},
		"RELAY_OPERATOR_TENANT":    {"the operator", "a.b", strings.Repeat("a", 65)},
		"RELAY_FAIR_QUEUES":        {"perhaps", "2"},
		"RELAY_TENANT_RATE":        {"50", "0/10", "-1/10", "10/0", "a/b"},
		"RELAY_KEY_RATE":           {"50/", "/", "never"},
		"RELAY_SECRETS_KEY":        {"", "alias/relay", "arn:aws:kms:us-east-1:111122223333:alias/relay"},
		"RELAY_SECRET_OVERLAP":     {"-1s", "169h", "1"},
		"RELAY_RETENTION_DAYS":     {"-30", "24", "3651", "30d"},
		"RELAY_TIMEOUT_SECONDS":    {"0", "-60", "29", "61", "900", "901", "1m"},
		"RELAY_VISIBILITY_SECONDS": {"0", "-360", "43201", "6m"},
		"RELAY_MAX_RECEIVES":       {"0", "-1", "9", "1001", "many"},
		"AWS_LAMBDA_RUNTIME_API":   {"localhost", "127.0.0.1"},
	} {
		for _, value := range nonsense {
			env := sound()
			env[name] = value
			if err := readAll(source(env)); err == nil || !strings.Contains(err.Error(), name+" ") {
				t.Errorf("%s=%q: %v", name, value, err)
			} else if faults := strings.Count(err.Error(), "\n") + 1; faults != 1 {
				t.Errorf("%s=%q is %d faults: %v", name, value, faults, err)
			}
		}
	}
}

// TestSettingsThatDisagree are each right by itself.
func TestSettingsThatDisagree(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]map[string]string{
		"RELAY_TIMEOUT_SECONDS is 60, too long for RELAY_VISIBILITY_SECONDS, 300": {"RELAY_VISIBILITY_SECONDS": "300"},
		"RELAY_TIMEOUT_SECONDS is 120, too long":                                  {"RELAY_TIMEOUT_SECONDS": "120"},
		"RELAY_MAX_RECEIVES is 9, too few for the 8 attempts":                     {"RELAY_MAX_RECEIVES": "9"},
		"RELAY_MAX_RECEIVES is 5, too few for the 4 attempts":                     {"RELAY_MAX_RECEIVES": "5", "RELAY_RETRY_SCHEDULE": "1s,1s,1s"},
	} {
		env := sound()
		maps.Copy(env, change)
		if err := readAll(source(env)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", change, err)
		}
	}
}

func TestAScheduleIsTriedWithinWhatTheQueueAllowsByDefault(t *testing.T) {
	t.Parallel()
	s := source(nil)
	s.CheckQueue(make([]time.Duration, 25))
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func TestFaultsGoByTheNamesThatWereGiven(t *testing.T) {
	t.Parallel()
	s := source(map[string]string{"RELAY_BREAKER": "often"}).Named(map[string]string{"RELAY_BREAKER": "--breaker"})
	s.Breaker()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "--breaker is wrong") || strings.Contains(err.Error(), "RELAY_BREAKER") {
		t.Error(err)
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
