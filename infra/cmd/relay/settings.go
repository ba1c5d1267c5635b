package main

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/breaker"
	"webhookrelay/shared/config"
	"webhookrelay/shared/safedial"
	"webhookrelay/shared/throttle"
	"webhookrelay/shared/webhook"
)

// flagNames says by which flag a variable is given here.
var flagNames = map[string]string{
	"RELAY_LISTEN":           "--listen",
	"RELAY_RETRY_SCHEDULE":   "--retry-schedule",
	"RELAY_BREAKER":          "--breaker",
	"RELAY_DISABLE_AFTER":    "--disable-after",
	"RELAY_PARK_LIFETIME":    "--park-lifetime",
	"RELAY_ALLOW_CIDRS":      "--allow-cidr",
	"RELAY_ALLOW_PORTS":      "--allow-port",
	"RELAY_RETENTION_DAYS":   "--retention-days",
	"RELAY_TENANT_RATE":      "--tenant-rate",
	"RELAY_KEY_RATE":         "--key-rate",
	"RELAY_EVENT_TYPES":      "--event-types",
	"RELAY_LOG_LEVEL":        "--log-level",
	"RELAY_PORTAL_EMBEDDERS": "--portal-embedder",
}

// source reads flags, under their variables' names, as a function reads its
// environment: the same rules hold, and every fault is found at once.
func source(flags map[string]string) *config.Source {
	return config.From(func(name string) (string, bool) { v, ok := flags[name]; return v, ok }).Named(flagNames)
}

// settings are what the flags of `relay dev` come to.
type settings struct {
	schedule  []time.Duration
	breaker   breaker.Policy
	lifetime  time.Duration
	outbound  safedial.Policy
	retention time.Duration
	// tenantRate and keyRate bound requests.
	tenantRate, keyRate throttle.Rate
	types               webhook.Enforcement
	// embedders are the origins that may frame the portal.
	embedders []string
	level     slog.Level
}

// settings returns an error that names every flag that is wrong.
func (c devCommand) settings() (settings, error) {
	s := source(map[string]string{
		"RELAY_RETRY_SCHEDULE":   c.RetrySchedule,
		"RELAY_BREAKER":          c.Breaker,
		"RELAY_DISABLE_AFTER":    c.DisableAfter,
		"RELAY_PARK_LIFETIME":    c.ParkLifetime,
		"RELAY_ALLOW_CIDRS":      cmp.Or(strings.Join(c.AllowCIDR, ","), loopback),
		"RELAY_ALLOW_PORTS":      strings.Join(c.AllowPort, ","),
		"RELAY_RETENTION_DAYS":   c.RetentionDays,
		"RELAY_TENANT_RATE":      c.TenantRate,
		"RELAY_KEY_RATE":         c.KeyRate,
		"RELAY_PORTAL_EMBEDDERS": strings.Join(c.Embedders, ","),
		"RELAY_EVENT_TYPES":      c.EventTypes,
	})
	set := settings{schedule: s.Schedule(), breaker: s.Breaker(), outbound: s.Outbound(), retention: s.Retention()}
	set.embedders = s.Embedders()
	set.lifetime = s.Lifetime(set.schedule)
	set.tenantRate, set.keyRate = s.TenantRate(), s.KeyRate()
	set.types = s.EventTypes()
	set.breaker.Rand, set.breaker.DisableAfter = rand.Float64, s.DisableAfter()
	// Only the default allows plain http to public addresses.
	set.outbound.PlainHTTP = len(c.AllowCIDR) == 0
	_, port, err := net.SplitHostPort(c.Listen)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
		s.Fault("RELAY_LISTEN", "is %q, not an address with a port such as 127.0.0.1:8080", c.Listen)
	}
	if !levels[c.LogLevel] || set.level.UnmarshalText([]byte(c.LogLevel)) != nil {
		s.Fault("RELAY_LOG_LEVEL", "is %q, not debug, info, warn or error", c.LogLevel)
	}
	return set, s.Err()
}

var levels = map[string]bool{"debug": true, "info": true, "warn": true, "error": true}
