package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// verdicts maps each check of `relay doctor` to its verdict.
func verdicts(t *testing.T, got outcome) (map[string]string, string) {
	t.Helper()
	found := map[string]string{}
	for _, f := range objectsIn(t, got.out) {
		found[f["check"].(string)] = f["verdict"].(string)
	}
	return found, got.out
}

func TestTheDoctorFindsWhatIsWrongAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	old := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/openapi.yaml" {
			_, _ = rw.Write([]byte("paths: {/healthz: {get: {operationId: health}}}"))
			return
		}
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(rw, r)
	}))
	t.Cleanup(old.Close)
	down := httptest.NewServer(nil)
	down.Close()
	publish := strings.TrimSpace(w.ok("keys", "create", "publish"))
	read := strings.TrimSpace(w.ok("keys", "create", "read"))
	own := strings.TrimSpace(w.ok("keys", "create", "tenant"))
	w.ok("tenants", "create", "empty")
	w.ok("tenants", "create", "ill")
	w.ok("endpoints", "create", "http://127.0.0.1:9/hook", "--id", "erp", "--tenant", "ill")
	w.ok("send", "order.placed", "--tenant", "ill")
	eventually(t, func() bool { return len(w.objects("dlq")) == 1 })
	later := func(s *session) { s.now = func() time.Time { return time.Now().Add(10 * time.Minute) } }

	for rule, c := range map[string]struct {
		options []option
		code    int
		check   string
		verdict string
		says    []string
	}{
		"AllIsWell":              {check: "key", verdict: verdictOK, says: []string{"(admin)", "1, all enabled and well", "plain http on this machine"}},
		"DeadLetters":            {check: "dead letters", verdict: verdictWarn, says: []string{"about 1", "relay dlq redrive"}},
		"AFailingEndpoint":       {options: []option{with("RELAY_TENANT", "ill")}, check: "endpoints", verdict: verdictWarn, says: []string{"1 of 1 are failing or disabled: erp"}},
		"NoEndpoint":             {options: []option{with("RELAY_TENANT", "empty")}, check: "endpoints", verdict: verdictWarn, says: []string{"events go nowhere"}},
		"NoSuchTenant":           {options: []option{with("RELAY_TENANT", "typo")}, code: exitProblem, check: "tenant", verdict: verdictFail, says: []string{"relay tenants create typo"}},
		"AClockThatIsOff":        {options: []option{later}, code: exitProblem, check: "clock", verdict: verdictFail, says: []string{"about 600 s", "NTP"}},
		"AnOlderRelay":           {options: []option{with("RELAY_URL", old.URL)}, check: "version", verdict: verdictWarn, says: []string{"the relay lacks"}},
		"AKeyThatIsUnknown":      {options: []option{with("RELAY_KEY", "relay_~.k.x")}, code: exitProblem, check: "key", verdict: verdictFail, says: []string{"does not know it"}},
		"NoKey":                  {options: []option{with("RELAY_KEY", "")}, code: exitProblem, check: "key", verdict: verdictFail, says: []string{"RELAY_KEY"}},
		"ARelayThatIsDown":       {options: []option{with("RELAY_URL", down.URL)}, code: exitProblem, check: "reachable", verdict: verdictFail, says: []string{"refused", `"check":"dead letters","verdict":"skip"`}},
		"AKeyOfAnotherTenant":    {options: []option{with("RELAY_KEY", own), with("RELAY_TENANT", "ill")}, code: exitProblem, check: "tenant", verdict: verdictFail, says: []string{"the key belongs to demo"}},
		"AKeyThatMayPublishOnly": {options: []option{with("RELAY_KEY", publish)}, check: "key", verdict: verdictOK, says: []string{"may post events of tenant demo"}},
		"AKeyThatMayReadOnly":    {options: []option{with("RELAY_KEY", read)}, check: "key", verdict: verdictOK, says: []string{"may look at"}},
		"ATenantsKey":            {options: []option{with("RELAY_KEY", own)}, check: "dead letters", verdict: verdictSkip, says: []string{"may do everything to tenant demo"}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			got := runWith(t, w.env, c.options, "doctor", "--json")
			found, text := verdicts(t, got)
			if got.code != c.code || found[c.check] != c.verdict {
				t.Errorf("exit %d, %s %s\n%s", got.code, c.check, found[c.check], text)
			}
			says(t, text, c.says...)
			if len(found) != 8 {
				t.Errorf("%d checks", len(found))
			}
		})
	}
	t.Run("ForPeople", func(t *testing.T) {
		t.Parallel()
		got := runWith(t, w.env, nil, "doctor")
		says(t, got.out, "ok    reachable: answered in ", "warn  dead letters: about 1\n      -> relay dlq says why")
		says(t, got.err, w.url+", tenant demo", "1 warnings, 0 failed")
	})
}

func TestAKeyDoesNotTravelReadable(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://relay.example": verdictFail, "https://relay.example": verdictOK, "http://127.0.0.1:8080": verdictOK, "http://[::1]:8080": verdictOK, "http://localhost:1": verdictOK,
	} {
		if got := (doctor{to: target{URL: url}}).transport(); got.Verdict != want {
			t.Errorf("%s: %+v", url, got)
		}
	}
}
