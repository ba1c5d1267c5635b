package portal

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/client"
	"webhookrelay/shared/webhook"
)

// constants returns the values of the type's constants in a file of shared/webhook.
func constants(t *testing.T, file, typ string) (all []string) {
	t.Helper()
	source, err := os.ReadFile("../webhook/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`\s`+typ+`\s+= "([a-z0-9_]+)"`).FindAllStringSubmatch(string(source), -1) {
		all = append(all, match[1])
	}
	if len(all) == 0 {
		t.Fatalf("%s has no constants of %s", file, typ)
	}
	return all
}

func TestEveryStateReasonAndCauseHasWords(t *testing.T) {
	t.Parallel()
	for _, state := range webhook.States {
		if word := stateWords[client.State(state)]; word.Word == "" || word.Mark == "" || word.Meaning == "" {
			t.Errorf("the state %s has no words", state)
		}
	}
	for _, code := range constants(t, "attempt.go", "Reason") {
		word, ok := reasonWords[webhook.Reason(code)]
		if !ok || word.What == "" || strings.ToLower(word.What[:1]) != word.What[:1] {
			t.Errorf("the reason %s has no words, or none that continue a sentence", code)
		}
	}
	for _, code := range constants(t, "delivery.go", "NextCause") {
		if causeWords[webhook.NextCause(code)] == "" {
			t.Errorf("the cause %s has no words", code)
		}
	}
	if got := reason("something_new").What; got != "something new" {
		t.Errorf("an unknown reason is called %q", got)
	}
	for _, code := range constants(t, "attempt.go", "Trigger") {
		if triggerWords[webhook.Trigger(code)] == "" && code != string(webhook.TriggerSchedule) {
			t.Errorf("the trigger %s has no words", code)
		}
	}
}

func TestNumbersAndTimesInWords(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0": count(0), "999": count(999), "1,204": count(1204), "1,000,000": count(1_000_000), "-12,345": count(-12345),
		"100 %": percent(1), "0 %": percent(0), "99.9 %": percent(.99999), "0.1 %": percent(.00001), "98.5 %": percent(.985),
		"214 ms": duration(214), "15.0 s": duration(15_000),
		"now": distance(500 * time.Millisecond), "in 59 s": distance(59 * time.Second), "12 min ago": distance(-12 * time.Minute),
		"in 3 h": distance(3*time.Hour + time.Minute), "9 days ago": distance(-9 * 24 * time.Hour),
		"1 try": plural(1, "try", "tries"), "1,204 tries": plural(1204, "try", "tries"),
		"ep_1": short("ep_1"), "dlv_01JGFJ…_1E1E1E1E1": short("dlv_01JGFJJZ00E1E1E1E1E1E1E1E1_1E1E1E1E1"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Nothing that is shown can change what stands around it.
func FuzzVisible(f *testing.F) {
	f.Add("a\u202eb\x00\x1b[31m\u200b\ufeff\u0085")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range visible(text) {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200f {
				t.Fatalf("%q holds %U", visible(text), r)
			}
		}
	})
}

func TestAChartHoldsWhatWasCounted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := chartRanges[rapid.SampledFrom([]string{"24h", "7d"}).Draw(t, "range")]
		now := time.Unix(rapid.Int64Range(1_700_000_000, 4_000_000_000).Draw(t, "now"), 0)
		since, until := r.window(now)
		if now.Before(since) || !now.Before(until) {
			t.Fatalf("now is not in the window")
		}
		var stats client.Stats
		delivered, failed := 0, 0
		for at := since; at.Before(until); at = at.Add(time.Hour) {
			if !rapid.Bool().Draw(t, "any") {
				continue
			}
			d, x := rapid.IntRange(0, 100_000).Draw(t, "delivered"), rapid.IntRange(0, 1000).Draw(t, "failed")
			delivered, failed = delivered+d, failed+x
			stats.Hours = append(stats.Hours, client.HourTally{Start: at, Tally: client.Tally{Deliveries: map[client.State]int{client.Delivered: d, client.Dead: x}}})
		}
		c := newChart(r, stats, now)
		for _, b := range c.Bars {
			delivered, failed = delivered-b.Delivered, failed-b.Failed
			if b.Delivered > 0 && b.DeliveredH < 2 || b.Failed > 0 && b.FailedH < 2 {
				t.Fatalf("something is not to be seen: %+v", b)
			}
			if b.DeliveredY < chartTop-2 || c.Axis+b.FailedH > chartFloor+2 || b.X < 0 || b.X+b.W > chartWidth {
				t.Fatalf("drawn outside: %+v, axis %d", b, c.Axis)
			}
		}
		if delivered != 0 || failed != 0 {
			t.Fatalf("%d and %d are not in the chart", delivered, failed)
		}
	})
}

func TestTheVerdictIsTrue(t *testing.T) {
	t.Parallel()
	tally := func(states map[client.State]int, attempts int) client.Tally {
		t := client.Tally{Deliveries: states, Attempts: attempts}
		if done := states[client.Delivered] + states[client.Dead]; done > 0 {
			rate := float64(states[client.Delivered]) / float64(done)
			t.SuccessRate = &rate
		}
		return t
	}
	judge := func(e client.Endpoint, t client.Tally) row { return row{Endpoint: e, Health: healthOf(e, t), Tally: t} }
	enabled := client.Endpoint{State: "enabled", Health: client.Health{State: "ok"}}
	open := client.Endpoint{State: "enabled", Health: client.Health{State: "open", Failures: 20}}
	well, lost := tally(map[client.State]int{client.Delivered: 99, client.Dead: 1}, 100), tally(map[client.State]int{client.Delivered: 1, client.Dead: 9}, 20)
	fine, waits := tally(map[client.State]int{client.Delivered: 1204}, 1204), tally(map[client.State]int{client.Parked: 318}, 20)
	for name, tc := range map[string]struct {
		rows  []row
		total client.Tally
		want  string
		words string
	}{
		"Quiet":             {[]row{judge(enabled, client.Tally{})}, client.Tally{}, "All is quiet: nothing was sent in the last 24 hours.", "No traffic"},
		"Well":              {[]row{judge(enabled, fine), judge(enabled, fine)}, fine, "All 2 endpoints are well. 1,204 events delivered in the last 24 hours.", "Healthy Healthy"},
		"OneFailing":        {[]row{judge(open, waits), judge(enabled, fine)}, waits, "1 of 2 endpoints needs attention. Nothing is lost: 318 deliveries are still on the way.", "Failing Healthy"},
		"SomeLost":          {[]row{judge(enabled, lost)}, lost, "Your endpoint needs attention. 9 deliveries failed; the events are kept and can be resent.", "Degraded"},
		"HealthyWithOneBad": {[]row{judge(enabled, well), judge(enabled, fine)}, well, "1 of 2 endpoints needs attention. 1 delivery failed; the events are kept and can be resent.", "Healthy Healthy"},
		"Paused":            {[]row{judge(client.Endpoint{State: "paused"}, fine)}, fine, "Your endpoint needs attention. Nothing is lost.", "Paused"},
		"Disabled":          {[]row{judge(client.Endpoint{State: "disabled", DisabledReason: "http_410"}, fine)}, fine, "Your endpoint needs attention. Nothing is lost.", "Disabled"},
	} {
		var words []string
		for _, r := range tc.rows {
			words = append(words, r.Health.Word)
		}
		if got := verdict(tc.rows, tc.total); got != tc.want || strings.Join(words, " ") != tc.words {
			t.Errorf("%s: %q, %v", name, got, words)
		}
	}
	rows := []row{{Name: "paused", Health: health{Urgency: 1}}, {Name: "well"}, {Name: "failing", Health: health{Urgency: 4}}, {Name: "lost", Tally: lost}}
	var order []string
	for _, r := range byUrgency(rows) {
		order = append(order, r.Name)
	}
	if !slices.Equal(order, []string{"failing", "paused", "lost"}) {
		t.Errorf("the order is %v", order)
	}
}

func TestThePageLooksAgainAsLongAsSomethingMayCome(t *testing.T) {
	t.Parallel()
	now := time.Now()
	soon, later := now.Add(10*time.Second), now.Add(time.Hour)
	for name, tc := range map[string]struct {
		d     client.Delivery
		asked bool
		want  int
	}{
		"Queued":                 {client.Delivery{State: client.Queued}, false, 2},
		"DueSoon":                {client.Delivery{State: client.Retrying, NextAttemptAt: &soon}, false, 2},
		"DueLater":               {client.Delivery{State: client.Retrying, NextAttemptAt: &later}, false, 15},
		"Delivered":              {client.Delivery{State: client.Delivered, UpdatedAt: now}, false, 0},
		"DeliveredAndJustResent": {client.Delivery{State: client.Delivered, UpdatedAt: now}, true, 2},
		"ResentLongAgo":          {client.Delivery{State: client.Delivered, UpdatedAt: now.Add(-time.Hour)}, true, 0},
	} {
		if got := (deliveryPage{Delivery: tc.d}).interval(now, tc.asked); got != tc.want {
			t.Errorf("%s: every %d s, want %d", name, got, tc.want)
		}
	}
}
