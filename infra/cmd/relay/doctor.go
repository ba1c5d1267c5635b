package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"webhookrelay/shared/api"
	"webhookrelay/shared/client"
)

type doctorCommand struct{ remote }

// Run makes all checks, goes on after one that fails, and ends by 5 when one did.
func (c doctorCommand) Run(s *session) error {
	relay, to, err := s.connect()
	if err != nil {
		return err
	}
	s.note("%s%s", to, map[bool]string{true: ", tenant " + to.Tenant}[to.Tenant != ""])
	d := doctor{s: s, relay: relay, to: to}
	count := map[string]int{}
	for _, f := range d.examine() {
		count[f.Verdict]++
		if s.remote.JSON {
			err = s.json(f)
		} else {
			err = s.show(nil, s.findingLines(f)...)
		}
		if err != nil {
			return err
		}
	}
	s.note("%d ok, %d warnings, %d failed, %d not run", count[verdictOK], count[verdictWarn], count[verdictFail], count[verdictSkip])
	if count[verdictFail] > 0 {
		return silent(exitProblem)
	}
	return nil
}

// doctor examines one relay.
type doctor struct {
	s     *session
	relay *client.Client
	to    target
}

func (d doctor) examine() []finding {
	findings := []finding{d.transport()}
	reached, clock := d.reach()
	findings = append(findings, reached)
	if reached.Verdict == verdictFail {
		return append(findings, skipped("the relay does not answer", "clock", "version", "key", "tenant", "endpoints", "dead letters")...)
	}
	findings = append(findings, clock, d.version())
	key, scope := d.key()
	findings = append(findings, key)
	if key.Verdict == verdictFail {
		return append(findings, skipped("no valid key", "tenant", "endpoints", "dead letters")...)
	}
	return append(findings, d.tenant(scope), d.endpoints(scope), d.deadLetters(scope))
}

func skipped(why string, checks ...string) (findings []finding) {
	for _, check := range checks {
		findings = append(findings, finding{Check: check, Verdict: verdictSkip, Found: why})
	}
	return findings
}

func (d doctor) transport() finding {
	f := finding{Check: "transport", Verdict: verdictOK, Found: "TLS"}
	switch {
	case strings.HasPrefix(d.to.URL, "https://"):
	case isLaptop(d.to.URL):
		f.Found = "plain http on this machine"
	default:
		f.Verdict, f.Found, f.Do = verdictFail, "plain http: the key travels readable", "use the https URL of the deployment"
	}
	return f
}

// clockSlack is how far the clocks may be apart unnoticed. Signatures of
// deliveries bear five minutes.
const clockSlack = 30 * time.Second

func (d doctor) reach() (reached, clock finding) {
	reached = finding{Check: "reachable", Verdict: verdictOK}
	began := d.s.now()
	status, err := d.relay.Health(d.s.ctx)
	took := d.s.now().Sub(began)
	if err != nil {
		reached.Verdict, reached.Found = verdictFail, err.Error()
		reached.Do = "check the address (" + d.to.URL + "), and that the relay runs: relay dev on a laptop, the stack's ApiUrl on AWS"
		return reached, clock
	}
	reached.Found = fmt.Sprintf("answered in %d ms", took.Milliseconds())
	clock = finding{Check: "clock", Verdict: verdictSkip, Found: "the answer names no time"}
	if status.Clock.IsZero() {
		return reached, clock
	}
	// The Date header has whole seconds; half of the trip lies before it.
	skew := d.s.now().Sub(status.Clock) - took/2
	clock.Verdict, clock.Found = verdictOK, fmt.Sprintf("differs by about %d s", int(skew.Abs().Seconds()))
	if skew.Abs() > clockSlack {
		clock.Verdict, clock.Do = verdictFail, "set this machine's clock (NTP): receivers refuse signatures that are five minutes off"
	}
	return reached, clock
}

// version compares what the relay says that it can do with what this program knows.
func (d doctor) version() finding {
	f := finding{Check: "version", Verdict: verdictOK, Found: "speaks the API that this command knows"}
	served, err := d.relay.OpenAPI(d.s.ctx)
	if err != nil {
		return finding{"version", verdictFail, err.Error(), "check that the address is a relay's: " + d.to.URL}
	}
	theirs, ours := operationsIn(served), operationsIn(api.OpenAPI)
	missing := missingFrom(theirs, ours)
	switch more := missingFrom(ours, theirs); {
	case len(theirs) == 0:
		f.Verdict, f.Found, f.Do = verdictFail, "/openapi.yaml is no description of a relay", "check the address: "+d.to.URL
	case len(missing) > 0:
		f.Verdict, f.Found = verdictWarn, "the relay lacks "+strings.Join(missing, ", ")
		f.Do = "deploy the version of this command, or use the command of the relay's version"
	case len(more) > 0:
		f.Verdict, f.Found = verdictWarn, "the relay is newer: this command does not know "+strings.Join(more, ", ")
		f.Do = "build this command from the relay's version"
	}
	return f
}

// operationsIn returns the operationIds of an OpenAPI document; none when it is none.
func operationsIn(text []byte) map[string]bool {
	var document struct {
		Paths map[string]map[string]yaml.Node `yaml:"paths"`
	}
	found := map[string]bool{}
	if yaml.Unmarshal(text, &document) != nil {
		return found
	}
	for _, operations := range document.Paths {
		for _, node := range operations {
			var operation struct {
				ID string `yaml:"operationId"`
			}
			if node.Decode(&operation) == nil && operation.ID != "" {
				found[operation.ID] = true
			}
		}
	}
	return found
}

// missingFrom returns the first names of which set has none.
func missingFrom(set, names map[string]bool) []string {
	var missing []string
	for name := range names {
		if !set[name] {
			missing = append(missing, name)
		}
	}
	return firstFew(missing)
}

// key finds out what the key may do, by asking for what ever fewer keys may see.
func (d doctor) key() (finding, string) {
	f := finding{Check: "key", Verdict: verdictOK}
	if d.to.Key == "" {
		f.Verdict, f.Found, f.Do = verdictFail, "there is none", "set RELAY_KEY, or use --key-file or a context that has a key"
		return f, ""
	}
	one := client.PageOptions{Limit: 1}
	_, err := d.relay.ListAdminKeys(d.s.ctx, one)
	if err == nil {
		f.Found = "may do everything (admin)"
		return f, "admin"
	}
	if !client.IsStatus(err, http.StatusForbidden) {
		return d.badKey(err), ""
	}
	own := tenantOfKey(d.to.Key)
	if own == "" {
		own = d.to.Tenant
	}
	for _, try := range []struct {
		scope, means string
		call         func() error
	}{
		{"tenant", "may do everything to tenant " + own, func() error { _, err := d.relay.ListKeys(d.s.ctx, own, one); return err }},
		{"read", "may look at what tenant " + own + " has, and for a portal's token change its endpoints", func() error { _, err := d.relay.ListEndpoints(d.s.ctx, own, one); return err }},
	} {
		err := try.call()
		if err == nil {
			f.Found = try.means
			return f, try.scope
		}
		if !client.IsStatus(err, http.StatusForbidden) {
			return d.badKey(err), ""
		}
	}
	f.Found = "may post events of tenant " + own
	return f, "publish"
}

func (d doctor) badKey(err error) finding {
	f := finding{Check: "key", Verdict: verdictFail, Found: err.Error()}
	if client.IsStatus(err, http.StatusUnauthorized) {
		f.Found = "the relay does not know it, or it has ended"
		f.Do = "ask for a new one (relay keys create), and check that it belongs to this relay"
	}
	return f
}

func (d doctor) tenant(scope string) finding {
	f := finding{Check: "tenant", Verdict: verdictOK}
	own := tenantOfKey(d.to.Key)
	switch {
	case d.to.Tenant == "":
		f.Verdict, f.Found, f.Do = verdictWarn, "none is named", "add --tenant ID, or set RELAY_TENANT"
		return f
	case own != "" && own != d.to.Tenant:
		f.Verdict, f.Found = verdictFail, fmt.Sprintf("the key belongs to %s, the commands are about %s", own, d.to.Tenant)
		f.Do = "use --tenant " + own + ", or a key of " + d.to.Tenant
		return f
	case scope == "publish":
		f.Verdict, f.Found = verdictSkip, "the key may not look"
		return f
	}
	tenant, err := d.relay.GetTenant(d.s.ctx, d.to.Tenant)
	if err != nil {
		return finding{"tenant", verdictFail, err.Error(), "create it: relay tenants create " + d.to.Tenant}
	}
	f.Found = tenant.ID + " " + tenant.Name
	return f
}

func (d doctor) endpoints(scope string) finding {
	f := finding{Check: "endpoints", Verdict: verdictOK}
	if d.to.Tenant == "" || scope == "publish" {
		f.Verdict, f.Found = verdictSkip, "no tenant, or the key may not look"
		return f
	}
	total := 0
	var bad []string
	for e, err := range d.relay.AllEndpoints(d.s.ctx, d.to.Tenant, client.PageOptions{Limit: client.MaxPage}) {
		if err != nil {
			return finding{"endpoints", verdictFail, err.Error(), ""}
		}
		total++
		if e.State != "enabled" || e.Health.State != "ok" {
			bad = append(bad, e.ID)
		}
	}
	f.Found = fmt.Sprintf("%d, all enabled and well", total)
	switch {
	case total == 0:
		f.Verdict, f.Found, f.Do = verdictWarn, "there are none: events go nowhere", "relay endpoints create URL"
	case len(bad) > 0:
		f.Verdict, f.Found = verdictWarn, fmt.Sprintf("%d of %d are failing or disabled: %s", len(bad), total, strings.Join(firstFew(bad), ", "))
		f.Do = "relay endpoints get ID; relay deliveries --endpoint ID says what they answer"
	}
	return f
}

func firstFew(names []string) []string {
	if len(names) > 5 {
		names = append(names[:5:5], "…")
	}
	return names
}

func (d doctor) deadLetters(scope string) finding {
	f := finding{Check: "dead letters", Verdict: verdictOK, Found: "none"}
	if scope != "admin" {
		f.Verdict, f.Found = verdictSkip, "needs an admin key"
		return f
	}
	page, err := d.relay.ListDeadLetters(d.s.ctx, client.PageOptions{Limit: 1})
	var p *client.Problem
	switch {
	case errors.As(err, &p):
		f.Verdict, f.Found = verdictFail, p.Error()
	case err != nil:
		f.Verdict, f.Found = verdictFail, err.Error()
	case page.Depth > 0:
		f.Verdict, f.Found = verdictWarn, fmt.Sprintf("about %d", page.Depth)
		f.Do = "relay dlq says why; once the endpoints are well: relay dlq redrive"
	}
	return f
}
