package faultproxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"webhookrelay/infra/faultproxy"
)

const (
	putItem     = "DynamoDB_20120810.PutItem"
	sendMessage = "AmazonSQS.SendMessage"
)

// world is a proxy before a service that counts what takes effect.
type world struct {
	*faultproxy.Proxy
	effects atomic.Int32
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	emulator := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.effects.Add(1)
		body, _ := io.ReadAll(r.Body)
		_, _ = rw.Write(append(body, " done"...))
	}))
	t.Cleanup(emulator.Close)
	proxy, err := faultproxy.Start(emulator.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.Proxy = proxy
	t.Cleanup(func() { proxy.Close() })
	return w
}

// call returns the status and body of a call; an error when no answer comes.
func (w *world) call(ctx context.Context, operation string) (status int, body string, err error) {
	// Neither kept alive nor repeated by the client itself.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, strings.NewReader("{}"))
	r.Header.Set("X-Amz-Target", operation)
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(raw), err
}

func TestEachKindOfFault(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind    faultproxy.Kind
		status  int // 0: no answer
		says    string
		effects int32
	}{
		{"", 200, "{} done", 1},
		{faultproxy.Fail, 500, "InternalFailure", 0},
		{faultproxy.Throttle, 400, "ThrottlingException", 0},
		{faultproxy.Cut, 0, "", 0},
		{faultproxy.LoseAnswer, 0, "", 1},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Strike(faultproxy.Fault{Service: faultproxy.DynamoDB, Kind: tc.kind, Share: 1})
			status, body, err := w.call(t.Context(), putItem)
			if (err != nil) != (tc.status == 0) || status != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("answered %d %q, %v", status, body, err)
			}
			if got := w.effects.Load(); got != tc.effects {
				t.Errorf("%d effects, want %d", got, tc.effects)
			}
			if _, _, err := w.call(t.Context(), sendMessage); err != nil || w.effects.Load() != tc.effects+1 {
				t.Errorf("the other service suffers too: %v", err)
			}
			w.Heal()
			if _, _, err := w.call(t.Context(), putItem); err != nil || w.effects.Load() != tc.effects+2 {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

func TestAHangingCallHasNoAnswerAndNoEffectAndEndsWithTheFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Strike(faultproxy.Fault{Service: faultproxy.SQS, Kind: faultproxy.Hang, Share: 1})
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := w.call(short, sendMessage); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("answered, or failed with %v", err)
	}
	ended := make(chan error)
	go func() {
		_, _, err := w.call(t.Context(), sendMessage)
		ended <- err
	}()
	for w.Struck()[sendMessage] < 2 {
		time.Sleep(time.Millisecond)
	}
	w.Heal()
	if err := <-ended; err == nil {
		t.Error("answered")
	}
	if got := w.effects.Load(); got != 0 {
		t.Errorf("%d effects", got)
	}
}

func TestAShareOfTheCallsIsStruckAndCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Strike(faultproxy.Fault{Service: faultproxy.DynamoDB, Kind: faultproxy.Fail, Share: 0.5})
	const calls = 100
	failed := 0
	for range calls {
		if status, _, _ := w.call(t.Context(), putItem); status == http.StatusInternalServerError {
			failed++
		}
	}
	if failed < calls/10 || failed > calls*9/10 { // eight standard deviations away
		t.Errorf("%d of %d calls failed, of half", failed, calls)
	}
	if got := w.Struck(); got[putItem] != failed || len(got) != 1 {
		t.Errorf("struck %v, failed %d", got, failed)
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := faultproxy.Start("localhost:4566"); err == nil {
		t.Error("no error")
	}
}
