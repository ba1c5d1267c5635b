package e2e

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestARetryHasTheSameIDAndBodyAndASignatureOfItsOwnTime(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(500), status(500), status(500), status(204))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{"order":"1001"}`)
	arrivals := h.await(t, attemptsOfSchedule) // each verified, its timestamp included
	for i, got := range arrivals {
		if got.id != a.ID || string(got.body) != a.wireBody(`{"order":"1001"}`) {
			t.Errorf("attempt %d is of %s with %s", i+1, got.id, got.body)
		}
	}
	// Attempts a second apart may share a timestamp, which counts seconds; the
	// first and the last are at least four apart.
	first, last := arrivals[0].header, arrivals[len(arrivals)-1].header
	for _, name := range []string{"Webhook-Timestamp", "Webhook-Signature"} {
		if first.Get(name) == last.Get(name) {
			t.Errorf("%s of the last attempt is that of the first: %s", name, first.Get(name))
		}
	}
	n.awaitState(t, a.ID, e.ID, "delivered")
}

func TestAnEndpointThatRecoversGetsTheEventAndTheAttemptsAreRecorded(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, answer{status: 500, body: "out of order"}, status(404), status(403), answer{body: "thanks"})
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)

	// Between its attempts the delivery says when it is tried next, and why then.
	d := n.awaitState(t, a.ID, e.ID, "retrying")
	if d.NextCause != "schedule" || d.NextAttemptAt == nil {
		t.Fatalf("next_cause %q, next_attempt_at %v", d.NextCause, d.NextAttemptAt)
	}
	last := d.Attempts[len(d.Attempts)-1]
	steps := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}
	ended := last.At.Add(time.Duration(last.DurationMS) * time.Millisecond)
	wait, step := d.NextAttemptAt.Sub(ended), steps[d.AttemptCount-1]
	if wait < step-10*time.Millisecond || wait > step*12/10+10*time.Millisecond {
		t.Errorf("attempt %d is to be followed after %s, want %s and at most a fifth more", d.AttemptCount, wait, step)
	}

	d = n.awaitState(t, a.ID, e.ID, "delivered")
	if d.NextAttemptAt != nil || d.NextCause != "" || d.Reason != "" || d.AttemptCount != 4 || len(d.Attempts) != 4 {
		t.Fatalf("got %s, next %v %q", d, d.NextAttemptAt, d.NextCause)
	}
	for i, want := range []attempt{
		{Outcome: "failed", Reason: "http_5xx", StatusCode: 500, Response: "out of order"},
		{Outcome: "failed", Reason: "http_404", StatusCode: 404},
		{Outcome: "failed", Reason: "http_4xx", StatusCode: 403},
		{Outcome: "delivered", StatusCode: 200, Response: "thanks"},
	} {
		got := d.Attempts[i]
		if got.Number != i+1 || got.Trigger != "schedule" || got.At.IsZero() || got.Outcome != want.Outcome ||
			got.Reason != want.Reason || got.StatusCode != want.StatusCode || got.Response != want.Response {
			t.Errorf("attempt %d is %+v, want %+v", i+1, got, want)
		}
		if i > 0 {
			mustFollow(t, d.Attempts[i-1].At, got.At, steps[i-1])
		}
	}
	same := as[delivery](t, n.get(t, n.at("/deliveries/%s", d.ID)))
	if same.String() != d.String() || same.EventID != a.ID || same.EventType != "order.placed" {
		t.Errorf("by its own address the delivery is %s of %s", same, same.EventID)
	}
}

// mustFollow checks that a wait was kept. That it was not much longer is
// nothing a test can ask of a busy machine.
func mustFollow(t testing.TB, before, after time.Time, wait time.Duration) {
	t.Helper()
	if got := after.Sub(before); got < wait-earliness {
		t.Errorf("the attempt came %s after the one before, want at least %s", got, wait)
	}
}

func TestTheWaitAfterAFailureObeysTheEndpoint(t *testing.T) {
	t.Parallel()
	for rule, tc := range map[string]struct {
		first answer
		wait  time.Duration
		cause string
	}{
		"RetryAfterInSeconds":                {answer{status: 429, header: map[string]string{"Retry-After": "3"}}, 3 * time.Second, "retry_after"},
		"RetryAfterOf503":                    {answer{status: 503, header: map[string]string{"Retry-After": "2"}}, 2 * time.Second, "retry_after"},
		"RetryAfterThatTheScheduleCovers":    {answer{status: 429, header: map[string]string{"Retry-After": "2"}}, 2 * time.Second, "slow_down"},
		"TooManyRequestsDoublesTheStep":      {status(429), 2 * time.Second, "slow_down"},
		"ABadGatewayDoublesTheStep":          {status(502), 2 * time.Second, "slow_down"},
		"AGatewayTimeoutDoublesTheStep":      {status(504), 2 * time.Second, "slow_down"},
		"RetryAfterShorterThanTheStepIsMoot": {answer{status: 503, header: map[string]string{"Retry-After": "0"}}, time.Second, "schedule"},
		"RetryAfterThatIsNeitherFormIgnored": {answer{status: 503, header: map[string]string{"Retry-After": "soon"}}, time.Second, "schedule"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			n := newTenant(t)
			// Two more failures, so that the state can be seen for a while.
			h := newHook(t, tc.first, tc.first, status(200))
			e := n.subscribe(t, h)
			a := n.post(t, "order.placed", `{}`)
			d := n.awaitState(t, a.ID, e.ID, "retrying")
			if d.NextCause != tc.cause {
				t.Errorf("next_cause is %q, want %q", d.NextCause, tc.cause)
			}
			arrivals := h.await(t, 2)
			mustFollow(t, arrivals[0].at, arrivals[1].at, tc.wait)
			n.awaitState(t, a.ID, e.ID, "delivered")
		})
	}
}

func TestRetryAfterAsADateIsObeyed(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	until := time.Now().Add(6 * time.Second).Truncate(time.Second)
	h := newHook(t, answer{status: 503, header: map[string]string{"Retry-After": until.UTC().Format(http.TimeFormat)}}, status(200))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool { return d.AttemptCount > 0 })
	if d.Attempts[0].At.Add(1200 * time.Millisecond).After(until) {
		t.Skip("the first attempt came too late for the date to matter")
	}
	arrivals := h.await(t, 2)
	if got := arrivals[1].at; got.Before(until.Add(-earliness)) {
		t.Errorf("the retry came at %s, before %s", got, until)
	}
}

func TestARedirectIsAFailureAndIsNotFollowed(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	target := newHook(t)
	h := newHook(t)
	var script []answer
	for _, code := range []int{301, 302, 307} {
		script = append(script, answer{status: code, header: map[string]string{"Location": target.url}})
	}
	h.answers(append(script, status(200))...)
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitState(t, a.ID, e.ID, "delivered")
	for i, code := range []int{301, 302, 307} {
		if got := d.Attempts[i]; got.Reason != "redirect" || got.StatusCode != code || got.Error == "" {
			t.Errorf("attempt %d is %+v", i+1, got)
		}
	}
	if got := target.got(); len(got) != 0 {
		t.Errorf("the redirect's target got %d requests", len(got))
	}
}

func TestADeliveryGoesToTheEndpointsURLOfTheMoment(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	e := n.register(t, newEndpoint{URL: "http://" + nobody.Addr().String() + "/"})
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitState(t, a.ID, e.ID, "retrying")
	if got := d.Attempts[0]; got.Reason != "connect_refused" || got.StatusCode != 0 || got.Error == "" {
		t.Errorf("the attempt where nobody listens is %+v", got)
	}
	h := newHook(t)
	h.trust(n.secret(t, e.ID))
	n.change(t, e.ID, map[string]any{"url": h.url})
	h.awaitEvent(t, a.ID)
	n.awaitState(t, a.ID, e.ID, "delivered")
}

func TestAnAnswerThatDoesNotComeIsATimeout(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the 15 s that an attempt has")
	}
	n := newTenant(t)
	h := newHook(t, answer{hold: make(chan struct{})}, status(200))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitState(t, a.ID, e.ID, "delivered")
	if got := d.Attempts[0]; got.Reason != "timeout" || got.DurationMS < 14_000 || got.StatusCode != 0 {
		t.Errorf("the first attempt is %+v", got)
	}
}

func TestGoneDisablesTheEndpoint(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t, status(410))
	e := n.subscribe(t, h)
	a := n.post(t, "order.placed", `{}`)
	d := n.awaitState(t, a.ID, e.ID, "dead")
	if d.Reason != "http_410" || d.Attempts[0].Reason != "http_410" || d.Attempts[0].StatusCode != 410 {
		t.Errorf("the delivery is %s", d)
	}
	eventually(t, patience, func() (bool, string) {
		e = as[endpoint](t, n.get(t, n.at("/endpoints/%s", e.ID)))
		return e.State == "disabled", "the endpoint is " + e.State
	})
	if e.DisabledReason != "http_410" {
		t.Errorf("disabled_reason is %q", e.DisabledReason)
	}
	if next := n.post(t, "order.placed", `{}`); next.Deliveries != 0 {
		t.Errorf("the next event has %d deliveries", next.Deliveries)
	}
	h.answers(status(200))
	n.change(t, e.ID, map[string]any{"state": "enabled"})
	back := n.post(t, "order.placed", `{}`)
	h.awaitEvent(t, back.ID)
}

// Every attempt says why it failed by a code that scripts can rely on.
func TestAFailedAttemptNamesItsReason(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for rule, url := range map[string]string{
		"dns":      "https://nobody.invalid/hook",
		"tls":      "https://" + newHook(t).url[len("http://"):], // speaks plain http
		"http_4xx": newHook(t, status(400)).url,
		"http_429": newHook(t, status(429)).url,
		"http_5xx": newHook(t, status(599)).url,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			e := n.register(t, newEndpoint{URL: url, EventTypes: []string{"reason." + rule}})
			a := n.post(t, "reason."+rule, `{}`)
			d := n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool { return d.AttemptCount > 0 })
			if got := d.Attempts[0]; got.Reason != rule || got.Outcome != "failed" {
				t.Errorf("the attempt is %+v", got)
			}
			if !slices.Contains([]string{"retrying", "dead"}, d.State) {
				t.Errorf("the delivery is %s", d)
			}
		})
	}
}

func TestTheBeginningOfAnAnswerIsKept(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	long := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for rule, tc := range map[string]struct {
		answer
		want string
	}{
		"OfALongOne":        {answer{status: 201, body: long}, long},
		"OfALongFailure":    {answer{status: 500, body: long}, long},
		"OfOneWithoutText":  {answer{status: 201}, ""},
		"OfOneThatIsNoUTF8": {answer{status: 201, body: "caf\xe9 \x00 <&>"}, "caf\ufffd \x00 <&>"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			h := newHook(t, tc.answer, status(200))
			e := n.subscribe(t, h, "answer."+rule)
			a := n.post(t, "answer."+rule, `{}`)
			d := n.awaitDelivery(t, a.ID, e.ID, func(d delivery) bool { return d.AttemptCount > 0 })
			got := d.Attempts[0]
			if least := min(512, len(tc.want)); !strings.HasPrefix(tc.want, got.Response) || len(got.Response) < least || len(got.Response) > 4<<10 {
				t.Errorf("%d bytes are kept: %q", len(got.Response), clip(got.Response, 100))
			}
			if got.StatusCode != tc.status {
				t.Errorf("the status is %d", got.StatusCode)
			}
		})
	}
}
