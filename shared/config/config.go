// Package config reads a function's settings from its environment, once, at
// start. All faults are reported together, each with the variable's name and
// what would be right. template.yaml sets the variables; README and
// infra/docs/configuration.md explain them.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/breaker"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/safedial"
	"webhookrelay/shared/throttle"
	"webhookrelay/shared/webhook"
)

// Defaults where a variable may be left out.
const (
	DefaultRetentionDays = 30
	DefaultOverlap       = 24 * time.Hour
	DefaultKeyRate       = "50/200"
	// DefaultOperatorTenant gets the operational events.
	DefaultOperatorTenant = "operator"
)

// MinRetentionDays keeps an event longer than a delivery of it can take: 3 days
// on hold, 4 in the delivery queue, 14 in the dead-letter queue, and a schedule
// after that. A redrive that found no event could deliver nothing.
const MinRetentionDays = int(webhook.MinRetention / (24 * time.Hour))

// What the template sets for the dispatcher and its queue, where nothing says otherwise.
const (
	DefaultTimeout     = time.Minute
	DefaultVisibility  = 6 * time.Minute
	DefaultMaxReceives = 30
)

const (
	// minTimeout leaves an attempt its 15 s, and the dispatcher time to record it.
	minTimeout = 30 * time.Second
	// maxTimeout and maxVisibility are AWS's own bounds.
	maxTimeout    = 15 * time.Minute
	maxVisibility = 12 * time.Hour
	// timeoutsPerVisibility: Lambda may hold a batch for so many times the
	// function's timeout (Lambda Developer Guide, "Using Lambda with Amazon SQS").
	timeoutsPerVisibility = 6
	// spareReceives leaves room for those that throttles and crashes use up.
	spareReceives = 2
)

// Source reads variables and collects faults.
type Source struct {
	lookup func(string) (string, bool)
	names  map[string]string
	faults []error
}

// FromEnvironment reads the process's own environment.
func FromEnvironment() *Source { return &Source{lookup: os.LookupEnv} }

// From reads variables through lookup.
func From(lookup func(string) (string, bool)) *Source { return &Source{lookup: lookup} }

// Named lets faults call variables by other names, such as those of the flags
// that set them.
func (s *Source) Named(names map[string]string) *Source {
	s.names = names
	return s
}

// Err returns every fault found so far as one error, or nil.
func (s *Source) Err() error {
	if len(s.faults) == 0 {
		return nil
	}
	return fmt.Errorf("configuration: %w", errors.Join(s.faults...))
}

// Fault adds a fault of a variable to those found; the text completes "<name> …".
func (s *Source) Fault(name string, format string, args ...any) {
	s.faults = append(s.faults, fmt.Errorf("%s %s", cmp.Or(s.names[name], name), fmt.Sprintf(format, args...)))
}

func (s *Source) text(name string) string {
	value, _ := s.lookup(name)
	return strings.TrimSpace(value)
}

func (s *Source) required(name string) string {
	value := s.text(name)
	if value == "" {
		s.Fault(name, "is not set")
	}
	return value
}

// Table returns RELAY_TABLE, the DynamoDB table's name.
func (s *Source) Table() string { return s.required("RELAY_TABLE") }

// Stack returns RELAY_STACK, the name under which CloudWatch keeps the metrics.
func (s *Source) Stack() string { return s.required("RELAY_STACK") }

// QueueURL returns RELAY_QUEUE_URL, the delivery queue's URL.
func (s *Source) QueueURL() string { return s.required("RELAY_QUEUE_URL") }

// DeadLetters returns RELAY_DLQ_URL and RELAY_DLQ_ARN of the dead-letter queue.
func (s *Source) DeadLetters() (url, arn string) {
	return s.required("RELAY_DLQ_URL"), s.required("RELAY_DLQ_ARN")
}

// AdminKey returns RELAY_ADMIN_KEY_SHA256, the digest of the bootstrap admin key.
func (s *Source) AdminKey() auth.Digest {
	text := s.required("RELAY_ADMIN_KEY_SHA256")
	digest, err := auth.ParseDigest(text)
	if err != nil && text != "" {
		s.Fault("RELAY_ADMIN_KEY_SHA256", "%v", err)
	}
	return digest
}

// TenantRate returns RELAY_TENANT_RATE, such as "50/100": how many events a
// tenant may post to one process.
func (s *Source) TenantRate() throttle.Rate { return s.rate("RELAY_TENANT_RATE", throttle.Off) }

// KeyRate returns RELAY_KEY_RATE: how many other requests one process takes of a key.
func (s *Source) KeyRate() throttle.Rate { return s.rate("RELAY_KEY_RATE", DefaultKeyRate) }

func (s *Source) rate(name, otherwise string) throttle.Rate {
	rate, err := throttle.Parse(cmp.Or(s.text(name), otherwise))
	if err != nil {
		s.Fault(name, "%v", err)
	}
	return rate
}

// SecretsKey returns RELAY_SECRETS_KEY, the ARN of the KMS key that secrets are
// sealed with.
func (s *Source) SecretsKey() string {
	arn := s.required("RELAY_SECRETS_KEY")
	if parts := strings.Split(arn, ":"); arn != "" && (len(parts) != 6 || parts[2] != "kms" || !strings.HasPrefix(parts[5], "key/")) {
		s.Fault("RELAY_SECRETS_KEY", "is %q, not the ARN of a KMS key such as arn:aws:kms:us-east-1:111122223333:key/…", arn)
	}
	return arn
}

// Schedule returns RELAY_RETRY_SCHEDULE. Set but empty means no retries; left
// out, the default.
func (s *Source) Schedule() []time.Duration {
	text, set := s.lookup("RELAY_RETRY_SCHEDULE")
	if !set {
		text = retry.DefaultSchedule
	}
	schedule, err := retry.ParseSchedule(text)
	if err != nil {
		s.Fault("RELAY_RETRY_SCHEDULE", "is wrong: %v", err)
	}
	return schedule
}

// Outbound returns the policy that RELAY_ALLOW_CIDRS and RELAY_ALLOW_PORTS set,
// and refuses the addresses of the function's own runtime whatever they are.
func (s *Source) Outbound() safedial.Policy {
	allow, err := safedial.ParseCIDRs(s.text("RELAY_ALLOW_CIDRS"))
	if err != nil {
		s.Fault("RELAY_ALLOW_CIDRS", "is wrong: %v", err)
	}
	ports, err := safedial.ParsePorts(s.text("RELAY_ALLOW_PORTS"))
	if err != nil {
		s.Fault("RELAY_ALLOW_PORTS", "is wrong: %v", err)
	}
	policy := safedial.Policy{Allow: allow, Ports: ports}
	for _, name := range []string{"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_METADATA_API"} {
		if text := s.text(name); text != "" {
			address, err := netip.ParseAddrPort(text)
			if err != nil {
				s.Fault(name, "is not an address with a port")
			}
			policy.Deny = append(policy.Deny, address)
		}
	}
	return policy
}

// Retention returns RELAY_RETENTION_DAYS as a duration.
func (s *Source) Retention() time.Duration {
	return time.Duration(s.number("RELAY_RETENTION_DAYS", DefaultRetentionDays, MinRetentionDays, 3650)) * 24 * time.Hour
}

// CheckQueue compares what the deployment gives the delivery queue and its
// dispatcher with what a schedule needs: RELAY_TIMEOUT_SECONDS, how long a
// dispatcher may run, RELAY_VISIBILITY_SECONDS, how long the queue hides what it
// has handed out, and RELAY_MAX_RECEIVES, after how many receives it calls a
// message dead. A message that comes back while it is being handled is posted
// twice; one that may be received less often than it is tried dies early.
func (s *Source) CheckQueue(schedule []time.Duration) {
	timeout := s.seconds("RELAY_TIMEOUT_SECONDS", DefaultTimeout, minTimeout, maxTimeout)
	visibility := s.seconds("RELAY_VISIBILITY_SECONDS", DefaultVisibility, minTimeout, maxVisibility)
	if visibility < timeoutsPerVisibility*timeout {
		s.Fault("RELAY_TIMEOUT_SECONDS", "is %d, too long for RELAY_VISIBILITY_SECONDS, %d: the queue must hide a message for %d times as long",
			int(timeout.Seconds()), int(visibility.Seconds()), timeoutsPerVisibility)
	}
	least := len(schedule) + 1 + spareReceives
	if receives := s.number("RELAY_MAX_RECEIVES", max(DefaultMaxReceives, least), 1, 1000); receives < least {
		s.Fault("RELAY_MAX_RECEIVES", "is %d, too few for the %d attempts of RELAY_RETRY_SCHEDULE: must be at least %d, for crashes use receives too",
			receives, len(schedule)+1, least)
	}
}

// seconds reads a whole number of seconds within bounds.
func (s *Source) seconds(name string, usual, least, most time.Duration) time.Duration {
	return time.Duration(s.number(name, int(usual.Seconds()), int(least.Seconds()), int(most.Seconds()))) * time.Second
}

// number reads a whole number within bounds. A wrong one counts as usual, so
// that what depends on it is not reported as well.
func (s *Source) number(name string, usual, least, most int) int {
	text := s.text(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		s.Fault(name, "is %q, not a number from %d to %d", text, least, most)
		return usual
	}
	return n
}

// Breaker returns RELAY_BREAKER, such as "20/10m": failures in a row, and the
// longest time between two of them.
func (s *Source) Breaker() breaker.Policy {
	text := cmp.Or(s.text("RELAY_BREAKER"), breaker.Default)
	policy, err := breaker.Parse(text)
	if err != nil {
		s.Fault("RELAY_BREAKER", "is wrong: %v", err)
	}
	return policy
}

// DisableAfter returns RELAY_DISABLE_AFTER, such as "120h", 0s for never.
func (s *Source) DisableAfter() time.Duration {
	text := s.text("RELAY_DISABLE_AFTER")
	if text == "" {
		return breaker.DefaultDisableAfter
	}
	after, err := time.ParseDuration(text)
	if err != nil || after < 0 {
		s.Fault("RELAY_DISABLE_AFTER", "is %q, not a duration such as 120h, or 0s for never", text)
	}
	return after
}

// OperatorTenant returns RELAY_OPERATOR_TENANT, the tenant that gets operational events.
func (s *Source) OperatorTenant() webhook.TenantID {
	text := cmp.Or(s.text("RELAY_OPERATOR_TENANT"), DefaultOperatorTenant)
	if err := webhook.CheckID("RELAY_OPERATOR_TENANT", text); err != nil {
		s.faults = append(s.faults, err)
	}
	return webhook.TenantID(text)
}

// SourceTenant returns RELAY_SOURCE_TENANT, the tenant whose events EventBridge's
// are; empty when they are refused.
func (s *Source) SourceTenant() webhook.TenantID {
	text := s.text("RELAY_SOURCE_TENANT")
	if text != "" {
		if err := webhook.CheckID("RELAY_SOURCE_TENANT", text); err != nil {
			s.faults = append(s.faults, err)
		}
	}
	return webhook.TenantID(text)
}

// Embedders returns RELAY_PORTAL_EMBEDDERS, the origins whose pages may show the
// portal in a frame, separated by commas; none by default.
func (s *Source) Embedders() []string {
	const name = "RELAY_PORTAL_EMBEDDERS"
	var origins []string
	for text := range strings.SplitSeq(s.text(name), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		// What is no bare origin could add a directive of its own to the policy.
		origin, err := url.Parse(text)
		if err != nil || origin.Scheme != "https" && origin.Scheme != "http" || origin.Scheme+"://"+origin.Host != text ||
			!isHost(origin.Host) {
			s.Fault(name, "holds %q, not an origin such as https://app.example.com", text)
		}
		origins = append(origins, text)
	}
	return origins
}

// isHost reports whether text is made of what names, addresses and ports are.
func isHost(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == ""
}

// EventTypes returns RELAY_EVENT_TYPES: what events have to be to be accepted.
func (s *Source) EventTypes() webhook.Enforcement {
	rule := webhook.Enforcement(cmp.Or(s.text("RELAY_EVENT_TYPES"), string(webhook.EnforceNothing)))
	if !slices.Contains(webhook.Enforcements, rule) {
		s.Fault("RELAY_EVENT_TYPES", "is %q, neither off nor known nor schema", rule)
	}
	return rule
}

// FairQueues returns RELAY_FAIR_QUEUES: whether messages carry their tenant as
// group, so that SQS does not let one tenant's backlog delay the others'.
func (s *Source) FairQueues() bool {
	text := cmp.Or(s.text("RELAY_FAIR_QUEUES"), "true")
	fair, err := strconv.ParseBool(text)
	if err != nil {
		s.Fault("RELAY_FAIR_QUEUES", "is %q, neither true nor false", text)
	}
	return fair
}

// Lifetime returns RELAY_PARK_LIFETIME, such as "72h", or what follows from the
// schedule when it is empty.
func (s *Source) Lifetime(schedule []time.Duration) time.Duration {
	text := s.text("RELAY_PARK_LIFETIME")
	if text == "" {
		return breaker.Lifetime(schedule)
	}
	lifetime, err := time.ParseDuration(text)
	if err != nil || lifetime <= 0 || lifetime > breaker.MaxLifetime {
		s.Fault("RELAY_PARK_LIFETIME", "is %q, not a duration above 0s, at most %s", text, breaker.MaxLifetime)
	}
	return lifetime
}

// Overlap returns RELAY_SECRET_OVERLAP, such as "24h".
func (s *Source) Overlap() time.Duration {
	text := s.text("RELAY_SECRET_OVERLAP")
	if text == "" {
		return DefaultOverlap
	}
	overlap, err := time.ParseDuration(text)
	if err != nil || overlap < 0 || overlap > 7*24*time.Hour {
		s.Fault("RELAY_SECRET_OVERLAP", "is %q, not a duration from 0s to 168h", text)
	}
	return overlap
}
