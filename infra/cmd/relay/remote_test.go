package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"webhookrelay/shared/client"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnEventIsSentSeenAndRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sent := w.relay(nil, "send", "order.placed", `{"total":"19.90"}`, "--id", "order-1", "--wait", "--json")
	if sent.code != exitDone {
		t.Fatalf("%+v", sent)
	}
	event := objectsIn(t, sent.out)[0]
	delivery := event["deliveries"].([]any)[0].(map[string]any)
	if event["id"] != "order-1" || delivery["state"] != "delivered" {
		t.Errorf("got %v", event)
	}
	says(t, sent.err, "Accepted for 1 endpoint.")

	if events := w.objects("events"); len(events) != 1 || events[0]["type"] != "order.placed" {
		t.Errorf("events: %v", events)
	}
	says(t, w.ok("events", "get", "order-1"), `"total": "19.90"`, "delivered\torder.placed\tdemo-receiver\t1\t200 OK in ")
	id := delivery["id"].(string)
	says(t, w.ok("deliveries", "get", id), "order.placed -> demo-receiver   delivered", "It arrived.", "200 OK in ", "(schedule)")
	says(t, w.ok("deliveries", "--status", "delivered", "--endpoint", "demo-receiver"), id)
	if none := w.relay(nil, "deliveries", "--status", "dead"); none.out != "" || none.err != "There are none.\n" || none.code != exitDone {
		t.Errorf("%+v", none)
	}
	says(t, w.ok("deliveries", "retry", id), id+" is sent now; it was delivered")
	some := w.relay(nil, "deliveries", "retry", id, "nothing.there")
	if some.code != exitSome {
		t.Errorf("one of two failed: exit %d", some.code)
	}
	says(t, some.err, "relay: nothing.there: Not found (404)")
}

func TestAScheduledEventIsFoundTakenBackExpungedAndExported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	sent := w.relay(nil, "send", "order.placed", `{"card":"4711"}`, "--id", "o1", "--deliver-at", later, "--tag", "eu", "--tag", "vip", "--retention-days", "60")
	if sent.code != exitDone {
		t.Fatalf("%+v", sent)
	}
	says(t, sent.err, "Accepted for 1 endpoint, to be delivered at "+later)
	w.ok("send", "user.created", "--id", "o2", "--wait")
	if found := w.objects("events", "--tag", "vip", "--type", "order.*", "--since", "1h"); len(found) != 1 || found[0]["deliver_at"] == nil {
		t.Errorf("events: %v", found)
	}
	if found := w.objects("deliveries", "--tag", "eu", "--status", "queued"); len(found) != 1 {
		t.Errorf("deliveries: %v", found)
	}
	says(t, w.ok("events", "cancel", "o1"), "o1 is not delivered any more.")
	if refused := w.relay(nil, "events", "cancel", "o2"); refused.code != exitFailed {
		t.Errorf("%+v", refused)
	}
	if asked := w.relay(nil, "events", "expunge", "o1"); asked.code != exitUsage {
		t.Errorf("%+v", asked)
	}
	says(t, w.ok("export", "--tag", "vip"), "4711")
	says(t, w.ok("events", "expunge", "o1", "--yes"), "The payload was removed.")
	lines := objectsIn(t, w.ok("export", "--until", "0s"))
	if len(lines) != 4 || lines[0]["event"].(map[string]any)["id"] != "o2" || lines[2]["event"].(map[string]any)["payload"] != nil {
		t.Errorf("export: %v", lines)
	}
	if bad := w.relay(nil, "export", "--cursor", "nonsense"); bad.code == exitDone || !strings.Contains(bad.err, "--cursor nonsense") {
		t.Errorf("%+v", bad)
	}
}

func TestDataComesAsArgumentFileOrInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		id, data string
		input    string
	}{{"a", `{"n":1}`, ""}, {"b", "@" + inFile(t, `{"n":1}`), ""}, {"c", "-", `{"n":1}`}} {
		if got := w.relay([]option{typing(c.input)}, "send", "order.placed", c.data, "--id", c.id); got.code != exitDone || got.out != c.id+"\n" {
			t.Errorf("%+v", got)
		}
		payload := w.objects("events", "get", c.id)[0]["payload"].(map[string]any)
		if n := payload["data"].(map[string]any)["n"]; n != 1.0 {
			t.Errorf("%s: %v", c.id, payload)
		}
	}
	bad := w.relay(nil, "send", "order.placed", "{total:1}")
	if bad.code != exitUsage {
		t.Errorf("exit %d", bad.code)
	}
	says(t, bad.err, "not JSON", "Quote it")
	says(t, w.relay(nil, "send", "order.placed", "--tenant", demoTenant, "--id", "d").err, "Accepted for 1 endpoint")
}

func TestEndpointsLiveAndDie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	headers := inFile(t, "Authorization: Bearer receivers-own\n\nX-Shop: 1\n")
	created := w.relay(nil, "endpoints", "create", "http://127.0.0.1:9/hook", "--id", "erp", "--types", "order.*,invoice.paid",
		"--description", "ERP", "--headers-file", headers)
	if created.code != exitDone {
		t.Fatalf("%+v", created)
	}
	says(t, created.out, "event types  order.*,invoice.paid", "state        enabled", "health       ok")
	says(t, created.err, "relay endpoints secret erp")
	if strings.Contains(created.out+created.err, "receivers-own") {
		t.Error("a header's value is shown")
	}
	says(t, w.ok("endpoints"), "demo-receiver\tenabled\tok\tall\t", "erp\tenabled\tok\torder.*,invoice.paid\thttp://127.0.0.1:9/hook\n")

	secret := strings.TrimSpace(w.ok("endpoints", "secret", "erp"))
	if !strings.HasPrefix(secret, "whsec_") || strings.ContainsAny(secret, " \n") {
		t.Errorf("secret %q", secret)
	}
	rotated := w.relay(nil, "endpoints", "rotate", "erp", "--overlap", "1h")
	if rotated.code != exitDone || strings.TrimSpace(rotated.out) == secret {
		t.Errorf("%+v", rotated)
	}
	says(t, rotated.err, "signs too until ")
	if got := w.relay(nil, "endpoints", "rotate", "erp", "--overlap", "0s"); got.code != exitUsage {
		t.Errorf("a secret in use ended unasked: %+v", got)
	}

	says(t, w.ok("endpoints", "update", "erp", "--disable", "--all-types"), "state        disabled (manual)", "event types  all")
	if got := w.relay(nil, "endpoints", "update", "erp"); got.code != exitUsage {
		t.Errorf("%+v", got)
	}
	if got := w.objects("endpoints", "get", "erp")[0]; got["state"] != "disabled" || len(got["headers"].(map[string]any)) != 2 {
		t.Errorf("%v", got)
	}

	unasked := w.relay(nil, "endpoints", "delete", "erp")
	if unasked.code != exitUsage {
		t.Errorf("deleted unasked: %+v", unasked)
	}
	says(t, unasked.err, "--yes", "Delete erp (http://127.0.0.1:9/hook) of demo?")
	if got := w.relay([]option{onTerminal, typing("n\n")}, "endpoints", "delete", "erp"); got.code != exitInterrupted {
		t.Errorf("%+v", got)
	}
	if got := w.relay([]option{onTerminal, typing("y\n")}, "endpoints", "delete", "erp"); got.code != exitDone {
		t.Errorf("%+v", got)
	}
	if got := w.relay(nil, "endpoints", "get", "erp"); got.code != exitNotFound {
		t.Errorf("%+v", got)
	}
}

func TestTenantsKeysAndAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok("tenants", "create", "acme", "Acme Ltd")
	says(t, w.ok("tenants"), "acme\tAcme Ltd\t", "demo\tDemo\t")
	says(t, w.ok("tenants", "get", "acme"), "Acme Ltd")
	link := w.relay(nil, "tenants", "portal", "--tenant", "acme", "--expires-in", "5m")
	if link.code != exitDone || !strings.Contains(link.out, "portal_acme.") {
		t.Errorf("%+v", link)
	}

	made := w.relay(nil, "keys", "create", "publish", "--name", "checkout", "--tenant", "acme")
	key := strings.TrimSpace(made.out)
	if made.code != exitDone || !strings.HasPrefix(key, "relay_acme.") {
		t.Fatalf("%+v", made)
	}
	listed := w.objects("keys", "--tenant", "acme")
	if len(listed) != 1 || listed[0]["scope"] != "publish" || listed[0]["key"] != nil {
		t.Fatalf("%v", listed)
	}
	// The key names its tenant, so that no one else has to.
	own := map[string]string{"RELAY_URL": w.url, "RELAY_KEY": key}
	if got := runWith(t, own, nil, "send", "order.placed"); got.code != exitDone {
		t.Errorf("%+v", got)
	}
	if got := runWith(t, own, nil, "events"); got.code != exitNotAllowed {
		t.Errorf("%+v", got)
	}
	w.ok("keys", "revoke", listed[0]["id"].(string), "--tenant", "acme", "--yes")
	if got := w.objects("keys", "--tenant", "acme"); len(got) != 0 {
		t.Errorf("%v", got)
	}

	admin := w.objects("keys", "--admin", "create", "--name", "ops", "--expires-in", "1h")[0]
	if admin["scope"] != "admin" || admin["expires_at"] == nil {
		t.Errorf("%v", admin)
	}
	says(t, w.ok("keys", "--admin"), "ops")
	w.ok("keys", "--admin", "revoke", admin["id"].(string), "--yes")
	if got := w.relay(nil, "keys", "create"); got.code != exitUsage {
		t.Errorf("%+v", got)
	}

	says(t, w.ok("audit", "--tenant", "acme"), "key.created\tacme", "portal_link.issued", "scope=publish")
	says(t, w.ok("audit", "--everywhere", "--all"), "tenant.put", "key.revoked")
}

func TestDeadLettersAreListedAndRedriven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var healthy atomic.Bool
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			rw.WriteHeader(http.StatusInternalServerError)
			_, _ = rw.Write([]byte("out of \x1b[31mdisk"))
		}
	}))
	defer receiver.Close()
	w.ok("endpoints", "create", receiver.URL, "--id", "erp", "--types", "invoice.*")
	sent := w.relay(nil, "send", "invoice.paid", "--id", "i1", "--wait")
	if sent.code != exitSome {
		t.Fatalf("%+v", sent)
	}
	says(t, sent.out, "dead\tinvoice.paid\terp\t2\t500 Internal Server Error in ")
	fields := strings.Fields(sent.err)
	id := fields[len(fields)-1]
	got := w.ok("deliveries", "get", id) // as the last line says
	says(t, got, "Given up (attempts_exhausted)", `answered: out of \u001b[31mdisk`, "What to do: the receiver broke")

	listed := w.relay(nil, "dlq")
	says(t, listed.out, "demo\tinvoice.paid\terp\tattempts_exhausted\t2\t500 Internal Server Error")
	says(t, listed.err, "About 1 messages")
	says(t, w.ok("dlq", "redrive", "--dry-run"), "Would redrive about 1 dead letters")
	if unasked := w.relay(nil, "dlq", "redrive"); unasked.code != exitUsage {
		t.Errorf("%+v", unasked)
	}
	healthy.Store(true)
	says(t, w.ok("dlq", "redrive", "--yes"), "completed: about 1 of 1 dead letters are back at work.")
	eventually(t, func() bool { return w.objects("deliveries", "get", id)[0]["state"] == "delivered" })
}

func TestWhatDiedIsRecoveredAndPastEventsAreReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var healthy atomic.Bool
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(receiver.Close)
	w.ok("endpoints", "create", receiver.URL, "--id", "erp", "--types", "invoice.*")
	w.relay(nil, "send", "invoice.paid", "--wait")
	states := func(endpoint string) string {
		var all []string
		for _, d := range w.objects("deliveries", "--endpoint", endpoint) {
			all = append(all, d["state"].(string))
		}
		return strings.Join(all, " ")
	}
	if got := states("erp"); got != "dead" {
		t.Fatalf("%s", got)
	}
	healthy.Store(true)
	says(t, w.ok("recover", "erp", "--since", "1h", "--dry-run"), "Recover would send 1 deliveries to erp.")
	if unasked := w.relay(nil, "recover", "erp", "--since", "1h"); unasked.code != exitUsage {
		t.Errorf("%+v", unasked)
	}
	says(t, w.ok("recover", "erp", "--since", "1h", "--yes"), "recover\terp\tdone\t1\t1\t")
	eventually(t, func() bool { return states("erp") == "delivered" })
	if again := w.relay(nil, "recover", "erp", "--since", "1h", "--yes"); again.code != exitDone || !strings.Contains(again.err, "nothing to do") {
		t.Errorf("%+v", again)
	}

	w.ok("endpoints", "create", receiver.URL, "--id", "late")
	begun := objectsIn(t, w.ok("replay", "late", "--since", "1h", "--types", "invoice.*", "--yes", "--no-wait", "--json"))[0]
	id := begun["id"].(string)
	says(t, w.ok("jobs", "watch", id), "replay\tlate\tdone\t1\t1\tinvoice.*\t"+id)
	eventually(t, func() bool { return states("late") == "delivered" })
	says(t, w.ok("jobs", "cancel", id), "done") // one that has ended stays as it is
	if jobs := w.objects("jobs"); len(jobs) != 2 {
		t.Errorf("%v", jobs)
	}
	for _, since := range []string{"yesterday", "-2h"} {
		if got := w.relay(nil, "recover", "erp", "--since", since); got.code != exitUsage {
			t.Errorf("%s: %+v", since, got)
		}
	}
}

// eventually waits for a condition that the relay brings about by itself.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for ctx := t.Context(); !holds(); {
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// A move on AWS takes a while; the relay of a laptop has none to watch.
func TestARedriveIsWatchedToItsEnd(t *testing.T) {
	t.Parallel()
	watch := func(t *testing.T, options []option, states ...string) outcome {
		polls := 0
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				rw.WriteHeader(http.StatusConflict)
				_, _ = rw.Write([]byte(`{"type":"urn:webhookrelay:problem:redrive-running","title":"Running","status":409}`))
				return
			}
			state := states[min(polls, len(states)-1)]
			polls++
			_, _ = rw.Write([]byte(`{"data":[],"next_cursor":null,"depth":1204,"redrive":` + state + `}`))
		}))
		defer server.Close()
		at := time.Unix(0, 0)
		clock := func(s *session) {
			s.now = func() time.Time { return at }
			s.sleep = func(ctx context.Context, d time.Duration) error { at = at.Add(d); return ctx.Err() }
		}
		return runWith(t, map[string]string{"RELAY_URL": server.URL, "RELAY_KEY": "relay_~.a.b"}, append(options, clock), "dlq", "redrive", "--yes")
	}
	run := `{"status":"RUNNING","moved":602,"to_move":1204}`
	done := `{"status":"COMPLETED","moved":1204,"to_move":1204}`
	t.Run("WithABarOnATerminal", func(t *testing.T) {
		t.Parallel()
		got := watch(t, []option{onTerminal}, "null", run, run, done)
		if got.code != exitDone {
			t.Errorf("%+v", got)
		}
		says(t, got.err, "running already", "[##########..........] 602/1204  602/s  1s left")
		says(t, got.out, "completed: about 1204 of 1204")
	})
	t.Run("WithALineEveryTenSecondsElsewhere", func(t *testing.T) {
		t.Parallel()
		states := []string{"null"}
		for range 15 {
			states = append(states, run)
		}
		got := watch(t, nil, append(states, done)...)
		if n := strings.Count(got.err, "602/1204"); n != 2 || strings.Contains(got.err, "\r") {
			t.Errorf("%d lines in %q", n, got.err)
		}
	})
	t.Run("AndAFailureIsOne", func(t *testing.T) {
		t.Parallel()
		got := watch(t, nil, "null", `{"status":"FAILED","moved":1,"to_move":9,"failure":"AccessDenied"}`)
		if got.code != exitFailed {
			t.Errorf("%+v", got)
		}
		says(t, got.err, "failed. AccessDenied")
	})
}

func TestFollowPrintsWhatChanges(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 14, 3, 7, 0, time.UTC)
	delivery := func(id string, state client.State, tries int) client.Delivery {
		return client.Delivery{ID: id, EventType: "order.paid", EndpointID: "erp", State: state, AttemptCount: tries, UpdatedAt: at}
	}
	pages := [][]client.Delivery{ // newest first
		{delivery("c", client.Queued, 0), delivery("b", client.Retrying, 1), delivery("a", client.Delivered, 1)},
		{delivery("c", client.Queued, 0), delivery("b", client.Retrying, 1), delivery("a", client.Delivered, 1)},
		{delivery("d", client.Queued, 0), delivery("c", client.Delivered, 1), delivery("b", client.Retrying, 2)},
	}
	var out, errs strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	polls := 0
	s := &session{
		ctx: ctx, out: &out, err: &errs, getenv: func(string) string { return "" },
		sleep: func(context.Context, time.Duration) error {
			if polls == len(pages) {
				cancel()
			}
			return ctx.Err()
		},
	}
	err := follow(s, 2, func(client.PageOptions) ([]client.Delivery, error) {
		page := pages[polls]
		polls++
		return append([]client.Delivery{}, page...), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		row := strings.Split(strings.TrimSpace(line), "\t")
		got = append(got, row[len(row)-1]+" "+row[1])
	}
	if want := "b retrying,c queued,b retrying,c delivered,d queued"; strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestErrorsSayWhatToDoAndEndByTheirCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := httptest.NewServer(nil)
	down.Close()
	busy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "3600")
		rw.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(busy.Close)
	for rule, c := range map[string]struct {
		options []option
		args    []string
		code    int
		says    []string
	}{
		"AnUnknownCommand":     {args: []string{"delivry"}, code: exitUsage, says: []string{"delivry", "See: relay --help"}},
		"AnUnknownFlag":        {args: []string{"events", "--frm"}, code: exitUsage, says: []string{"--frm", "relay events"}},
		"AMissingArgument":     {args: []string{"send"}, code: exitUsage, says: []string{"<type>", "relay send --help"}},
		"AnUnknownState":       {args: []string{"deliveries", "--status", "lost"}, code: exitUsage, says: []string{"retrying", "lost"}},
		"NotFound":             {args: []string{"events", "get", "nothing"}, code: exitNotFound, says: []string{"Not found (404)", "check the tenant and the id", "[request "}},
		"AWrongKey":            {options: []option{with("RELAY_KEY", "relay_~.k.x")}, args: []string{"tenants"}, code: exitNotAllowed, says: []string{"(401)", "RELAY_KEY"}},
		"NoTenant":             {options: []option{with("RELAY_TENANT", ""), with("RELAY_URL", "https://relay.invalid")}, args: []string{"events"}, code: exitUsage, says: []string{"--tenant ID", "RELAY_TENANT"}},
		"AnUnknownContext":     {args: []string{"events", "--context", "prd"}, code: exitUsage, says: []string{`"prd"`, "relay context set"}},
		"ARelayThatIsDown":     {options: []option{with("RELAY_URL", down.URL)}, args: []string{"events"}, code: exitAgain, says: []string{"refused", "relay doctor"}},
		"ARelayThatIsBusy":     {options: []option{with("RELAY_URL", busy.URL)}, args: []string{"events"}, code: exitAgain, says: []string{"(429)"}},
		"AURLThatIsNone":       {options: []option{with("RELAY_URL", "relay.example")}, args: []string{"events"}, code: exitUsage, says: []string{"RELAY_URL: ", "https://"}},
		"AFieldThatIsWrong":    {args: []string{"send", "Not a type!"}, code: exitFailed, says: []string{"(400)", "type"}},
		"AKeyFileThatIsAbsent": {args: []string{"events", "--key-file", "/nowhere/key"}, code: exitUsage, says: []string{"--key-file", "/nowhere/key"}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			got := runWith(t, w.env, c.options, c.args...)
			if got.code != c.code || got.out != "" {
				t.Errorf("exit %d, want %d; stdout %q", got.code, c.code, got.out)
			}
			says(t, got.err, append(c.says, "relay: ")...)
		})
	}
	t.Run("AsProblemJSONWithJSON", func(t *testing.T) {
		t.Parallel()
		got := runWith(t, w.env, nil, "events", "get", "nothing", "--json")
		var p client.Problem
		if err := json.Unmarshal([]byte(got.err), &p); err != nil || p.Code() != "not-found" || got.out != "" || got.code != exitNotFound {
			t.Errorf("%+v %v", got, err)
		}
	})
	t.Run("AnInterruptIsOne", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got := runWith(t, w.env, []option{func(s *session) { s.ctx = ctx }}, "events")
		if got.code != exitInterrupted {
			t.Errorf("%+v", got)
		}
	})
	if code := codeOf(errors.New("anything")); code != exitFailed {
		t.Errorf("any other error ends by %d", code)
	}
}

func TestListsSayThatThereAreMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c"} {
		w.ok("send", "order.placed", "--id", id)
	}
	some := w.relay(nil, "events", "--limit", "2")
	if strings.Count(some.out, "\n") != 2 || !strings.Contains(some.err, "more than these 2") {
		t.Errorf("%+v", some)
	}
	for _, args := range [][]string{{"events", "--limit", "3"}, {"events", "--all"}} {
		if all := w.relay(nil, args...); strings.Count(all.out, "\n") != 3 || all.err != "" {
			t.Errorf("%v: %+v", args, all)
		}
	}
}

func TestEventTypesAreDescribedAndImported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	writeFile(t, dir+"/schema.json", `{"type":"object","required":["id"]}`)
	writeFile(t, dir+"/example.json", `{"id":"inv_1"}`)
	writeFile(t, dir+"/bad.json", `{}`)
	put := []string{"types", "put", "invoice.paid", "--description", "Paid.\nIn full.", "--schema-file", dir + "/schema.json"}
	says(t, w.ok(append(put, "--example-file", dir+"/example.json")...), "invoice.paid", `"required": [`, `"id": "inv_1"`)
	bad := w.relay(nil, append(put, "--example-file", dir+"/bad.json")...)
	if bad.code != exitFailed {
		t.Errorf("%+v", bad)
	}
	says(t, bad.err, "example", "missing property 'id'")

	writeFile(t, dir+"/openapi.yaml", `
openapi: 3.1.0
info: {title: Shop, version: "1"}
webhooks:
  invoice.lost:
    post:
      summary: Lost.
      deprecated: true
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Invoice'}}}}
      responses: {200: {description: ok}}
  not-a-type: {post: {responses: {200: {description: ok}}}}
components: {schemas: {Invoice: {type: object}}}
`)
	for _, flags := range [][]string{{"--dry-run"}, nil} {
		done := w.relay(nil, append([]string{"types", "import", dir + "/openapi.yaml"}, flags...)...)
		says(t, done.out, "invoice.lost\tcreated", "not-a-type\trefused")
		if done.code != exitSome {
			t.Errorf("%+v", done)
		}
	}
	if listed := w.objects("types", "--prefix", "invoice"); len(listed) != 2 || listed[0]["name"] != "invoice.lost" || listed[0]["deprecated"] != true {
		t.Errorf("%v", listed)
	}
	says(t, w.ok("types"), "invoice.lost\tdeprecated", "invoice.paid\tcurrent", "Paid.")
	w.ok("types", "delete", "invoice.lost", "--yes")
	if gone := w.relay(nil, "types", "get", "invoice.lost"); gone.code != exitNotFound {
		t.Errorf("%+v", gone)
	}
}

func TestAnEndpointIsFilteredAndItsFilterTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := w.relay(nil, "endpoints", "create", "http://127.0.0.1:9/", "--filter", "data.total >")
	if bad.code != exitFailed {
		t.Errorf("%+v", bad)
	}
	says(t, bad.err, "filter does not compile", "line 1, column 13")
	says(t, w.ok("endpoints", "create", "http://127.0.0.1:9/", "--id", "big", "--filter", "data.total > 100"), "filter       data.total > 100")
	says(t, w.ok("endpoints", "update", "big", "--filter", ""), "filter       \n")

	const expression = `type == "order.placed" && data.total > 100`
	says(t, w.ok("endpoints", "test-filter", expression, "order.placed", `{"total":250}`), "matches", "data.total > 100  is true", "data.total  is 250")
	says(t, w.ok("endpoints", "test-filter", expression, "order.placed", `{"total":50}`), "does not match", "data.total > 100  is false", "data.total  is 50")
	failed := w.relay(nil, "endpoints", "test-filter", expression, "order.placed", `{}`)
	if failed.code != exitProblem {
		t.Errorf("%+v", failed)
	}
	says(t, failed.out, "FAIL: no such key: total (line 1, column ")
}
