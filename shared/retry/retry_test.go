package retry_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/retry"
	"webhookrelay/shared/webhook"
)

func TestParseSchedule(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, text string
		want       int
		ok         bool
	}{
		{"TheDefaultHasSevenWaits", retry.DefaultSchedule, 7, true},
		{"SpacesAreIgnored", " 1s , 2s ", 2, true},
		{"EmptyMeansNoRetries", "", 0, true},
		{"AWordIsRefused", "5s,soon", 0, false},
		{"ANegativeWaitIsRefused", "-5s", 0, false},
		{"AWaitOverEightyHoursIsRefused", "81h", 0, false},
		{"WaitsOfMoreThanEightyHoursInAllAreRefused", "40h,41h", 0, false},
		{"TheExampleOfStandardWebhooksIsTaken", "5s,5m,30m,2h,5h,10h,14h,20h,24h", 9, true},
		{"AnEmptyStepIsRefused", "1s,,2s", 0, false},
		{"TooManyWaitsAreRefused", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s", 0, false},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			got, err := retry.ParseSchedule(tc.text)
			if (err == nil) != tc.ok || len(got) != tc.want {
				t.Fatalf("got %v, %v", got, err)
			}
		})
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{Schedule: []time.Duration{5 * time.Second, time.Hour}}
	for _, tc := range []struct {
		rule   string
		spent  int
		result webhook.Result
		wait   time.Duration
		cause  webhook.NextCause
		ok     bool
	}{
		{"TheFirstFailureWaitsTheFirstStep", 1, webhook.Result{StatusCode: 500}, 5 * time.Second, webhook.NextSchedule, true},
		{"TheSecondFailureWaitsTheSecondStep", 2, webhook.Result{}, time.Hour, webhook.NextSchedule, true},
		{"AfterTheLastStepThereIsNoNext", 3, webhook.Result{}, 0, "", false},
		{"ALongerRetryAfterIsObeyed", 1, webhook.Result{StatusCode: 503, RetryAfter: time.Minute}, time.Minute, webhook.NextRetryAfter, true},
		{"AShorterRetryAfterIsNot", 2, webhook.Result{StatusCode: 429, RetryAfter: time.Minute}, 2 * time.Hour, webhook.NextSlowDown, true},
		{"RetryAfterIsBounded", 1, webhook.Result{RetryAfter: 1000 * time.Hour}, retry.MaxRetryAfter, webhook.NextRetryAfter, true},
		{"429SlowsDown", 1, webhook.Result{StatusCode: 429}, 10 * time.Second, webhook.NextSlowDown, true},
		{"502SlowsDown", 1, webhook.Result{StatusCode: 502}, 10 * time.Second, webhook.NextSlowDown, true},
		{"504SlowsDown", 1, webhook.Result{StatusCode: 504}, 10 * time.Second, webhook.NextSlowDown, true},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			wait, cause, ok := policy.Next(tc.spent, tc.result)
			if wait != tc.wait || cause != tc.cause || ok != tc.ok {
				t.Fatalf("got %s, %q, %t", wait, cause, ok)
			}
		})
	}
}

func TestJitterOnlyAddsAndAtMostAFifth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		step := time.Duration(rapid.Int64Range(0, int64(retry.MaxTotal)).Draw(t, "step"))
		draw := rapid.Float64Range(0, 0.999999).Draw(t, "draw")
		policy := retry.Policy{Schedule: []time.Duration{step}, Rand: func() float64 { return draw }}
		wait, _, ok := policy.Next(1, webhook.Result{StatusCode: 500})
		if !ok || wait < step || wait > step+step/5+1 {
			t.Fatalf("wait %s for a step of %s", wait, step)
		}
	})
}
