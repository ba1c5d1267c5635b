package sqsqueue_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/envelope"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/sqsqueue"
	"webhookrelay/shared/webhook"
)

// request is what the fake SQS understands of the requests under test.
type request struct {
	Action         string `json:"-"`
	QueueUrl       string
	SourceArn      string
	MessageBody    string
	MessageGroupId string
	Entries        []entry
}

type entry struct {
	Id                string
	MessageBody       string
	MessageGroupId    string
	ReceiptHandle     string
	VisibilityTimeout int
}

// fakeSQS answers as SQS does, failing the batch entries that fails picks, and
// whole calls with the error that deny names.
type fakeSQS struct {
	mu       sync.Mutex
	requests []request
	stored   []string
	fails    func(attempt int, e entry) bool
	deny     func(action string) (code, message string)
	tasks    string
	depth    string
	attempts map[string]int
}

const (
	queueURL = "http://queue.example/deliveries"
	deadURL  = "http://queue.example/dead"
	deadARN  = "arn:aws:sqs:us-east-1:000000000000:dead"
)

func start(t *testing.T, f *fakeSQS) *sqsqueue.Queue {
	t.Helper()
	f.attempts = map[string]int{}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client := newClient(server.URL, func(o *sqs.Options) { o.RetryMaxAttempts = 1 })
	return sqsqueue.New(client, sqsqueue.Config{URL: queueURL, DeadLetterURL: deadURL, DeadLetterARN: deadARN, Fair: true})
}

func (f *fakeSQS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var in request
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, in.Action, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	f.requests = append(f.requests, in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if f.deny != nil {
		if code, message := f.deny(in.Action); code != "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, message)
			return
		}
	}
	switch in.Action {
	case "SendMessage":
		f.stored = append(f.stored, in.MessageBody)
		fmt.Fprintf(w, `{"MessageId":"m","MD5OfMessageBody":%q}`, digest(in.MessageBody))
	case "SendMessageBatch", "ChangeMessageVisibilityBatch":
		fmt.Fprint(w, f.batch(in.Entries))
	case "GetQueueAttributes":
		fmt.Fprintf(w, `{"Attributes":{"ApproximateNumberOfMessages":%q}}`, f.depth)
	case "StartMessageMoveTask":
		fmt.Fprint(w, `{"TaskHandle":"h"}`)
	case "ListMessageMoveTasks":
		fmt.Fprintf(w, `{"Results":[%s]}`, f.tasks)
	default:
		http.Error(w, "unknown action "+in.Action, http.StatusBadRequest)
	}
}

func (f *fakeSQS) batch(entries []entry) string {
	var successful, failed []string
	for _, e := range entries {
		name := e.MessageBody + e.ReceiptHandle
		f.attempts[name]++
		if f.fails != nil && f.fails(f.attempts[name], e) {
			failed = append(failed, fmt.Sprintf(`{"Id":%q,"SenderFault":false,"Code":"InternalError","Message":"try again"}`, e.Id))
			continue
		}
		f.stored = append(f.stored, name)
		successful = append(successful, fmt.Sprintf(`{"Id":%q,"MessageId":"m","MD5OfMessageBody":%q}`, e.Id, digest(e.MessageBody)))
	}
	return fmt.Sprintf(`{"Successful":[%s],"Failed":[%s]}`, strings.Join(successful, ","), strings.Join(failed, ","))
}

func digest(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

func keys(n int) []webhook.DeliveryKey {
	out := make([]webhook.DeliveryKey, n)
	for i := range out {
		out[i] = webhook.DeliveryKey{
			Tenant: "acme", Event: "01M83XJ8800000000000000000", Endpoint: webhook.EndpointID(fmt.Sprintf("ep_%03d", i)),
		}
	}
	return out
}

func bodies(keys []webhook.DeliveryKey) []string {
	var out []string
	for _, k := range keys {
		out = append(out, envelope.Encode(envelope.Envelope{DeliveryKey: k}))
	}
	return out
}

func TestSendStoresEveryKeyOnce(t *testing.T) {
	for n, calls := range map[int]int{0: 0, 1: 1, 2: 1, 10: 1, 11: 2, 237: 24} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			f := &fakeSQS{}
			queue := start(t, f)
			if err := queue.Send(t.Context(), keys(n)); err != nil {
				t.Fatal(err)
			}
			slices.Sort(f.stored)
			if diff := cmp.Diff(bodies(keys(n)), f.stored); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if len(f.requests) != calls {
				t.Errorf("%d requests, want %d", len(f.requests), calls)
			}
			for _, r := range f.requests {
				if r.QueueUrl != queueURL {
					t.Errorf("sent to %q", r.QueueUrl)
				}
				for _, e := range r.Entries {
					if e.MessageGroupId != "acme" {
						t.Errorf("message group %q, want the tenant", e.MessageGroupId)
					}
				}
			}
		})
	}
}

func TestSendRepeatsFailedEntriesOnly(t *testing.T) {
	f := &fakeSQS{fails: func(attempt int, e entry) bool { return attempt == 1 && e.Id == "3" }}
	queue := start(t, f)
	if err := queue.Send(t.Context(), keys(10)); err != nil {
		t.Fatal(err)
	}
	if len(f.stored) != 10 || len(f.requests) != 2 || len(f.requests[1].Entries) != 1 {
		t.Errorf("%d stored by %+v", len(f.stored), f.requests)
	}
}

func TestSendSaysHowManyFailed(t *testing.T) {
	f := &fakeSQS{fails: func(_ int, e entry) bool { return e.Id < "2" }}
	err := start(t, f).Send(t.Context(), keys(25))
	if err == nil || !strings.Contains(err.Error(), "6 of 25 messages not enqueued") || !strings.Contains(err.Error(), "InternalError") {
		t.Errorf("error %v", err)
	}
	if len(f.stored) != 19 {
		t.Errorf("%d stored, want the other 19", len(f.stored))
	}
}

func TestSendReportsARefusedCall(t *testing.T) {
	f := &fakeSQS{deny: func(string) (string, string) { return "com.amazonaws.sqs#QueueDoesNotExist", "gone" }}
	queue := start(t, f)
	for _, n := range []int{1, 12} {
		if err := queue.Send(t.Context(), keys(n)); err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("%d keys: error %v", n, err)
		}
	}
}

func TestSendEnvelopeKeepsOnce(t *testing.T) {
	f := &fakeSQS{}
	sent := envelope.Envelope{DeliveryKey: keys(1)[0], Once: true}
	if err := start(t, f).SendEnvelope(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	got, err := envelope.Decode([]byte(f.stored[0]))
	if err != nil || got != sent {
		t.Errorf("stored %+v, %v", got, err)
	}
}

func TestHideRoundsUpAndClamps(t *testing.T) {
	f := &fakeSQS{}
	waits := map[string]struct {
		wait time.Duration
		want int
	}{
		"past":        {-time.Second, 0},
		"now":         {0, 0},
		"a moment":    {time.Nanosecond, 1},
		"exact":       {5 * time.Second, 5},
		"over":        {5*time.Second + time.Millisecond, 6},
		"at limit":    {43_170 * time.Second, 43_170},
		"below limit": {43_170*time.Second - time.Millisecond, 43_170},
		"beyond":      {7 * 24 * time.Hour, 43_170},
		"overflowing": {1<<63 - 1, 43_170},
	}
	var hidings []dispatch.Hiding
	for name, w := range waits {
		hidings = append(hidings, dispatch.Hiding{MessageID: "id-" + name, Receipt: name, Wait: w.wait})
	}
	if failed := start(t, f).Hide(t.Context(), hidings); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
	for _, e := range f.requests[0].Entries {
		if e.VisibilityTimeout != waits[e.ReceiptHandle].want {
			t.Errorf("%s: hidden for %d s, want %d", e.ReceiptHandle, e.VisibilityTimeout, waits[e.ReceiptHandle].want)
		}
	}
}

func TestHideRetriesRefusedEntriesWithinTheReceivesTwelveHours(t *testing.T) {
	// As SQS does with a message received more than 30 s ago.
	f := &fakeSQS{fails: func(_ int, e entry) bool { return e.VisibilityTimeout > 43_100 }}
	queue := start(t, f)
	failed := queue.Hide(t.Context(), []dispatch.Hiding{
		{MessageID: "long", Receipt: "a", Wait: 12 * time.Hour},
		{MessageID: "short", Receipt: "b", Wait: time.Second},
	})
	if len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
	if second := f.requests[1].Entries; len(second) != 1 || second[0].VisibilityTimeout != 42_840 {
		t.Errorf("second request %+v", second)
	}
}

func TestHideReturnsWhatItCouldNotHide(t *testing.T) {
	f := &fakeSQS{fails: func(_ int, e entry) bool { return strings.HasSuffix(e.ReceiptHandle, "7") }}
	var hidings []dispatch.Hiding
	for i := range 25 {
		hidings = append(hidings, dispatch.Hiding{MessageID: fmt.Sprintf("m%d", i), Receipt: fmt.Sprintf("r%d", i), Wait: time.Minute})
	}
	failed := start(t, f).Hide(t.Context(), hidings)
	slices.Sort(failed)
	if diff := cmp.Diff([]string{"m17", "m7"}, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

func TestHideReturnsTheWholeBatchWhenTheCallFails(t *testing.T) {
	f := &fakeSQS{deny: func(string) (string, string) { return "com.amazonaws.sqs#QueueDoesNotExist", "gone" }}
	failed := start(t, f).Hide(t.Context(), []dispatch.Hiding{{MessageID: "a", Receipt: "a"}, {MessageID: "b", Receipt: "b"}})
	if diff := cmp.Diff([]string{"a", "b"}, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

func TestDepth(t *testing.T) {
	f := &fakeSQS{depth: "17"}
	depth, err := start(t, f).Depth(t.Context())
	if err != nil || depth != 17 {
		t.Errorf("depth %d, %v", depth, err)
	}
	if f.requests[0].QueueUrl != deadURL {
		t.Errorf("asked %q", f.requests[0].QueueUrl)
	}
}

func TestStartMove(t *testing.T) {
	refuse := func(message string) func(string) (string, string) {
		return func(action string) (string, string) {
			if action == "StartMessageMoveTask" {
				return "com.amazonaws.sqs#UnsupportedOperation", message
			}
			return "", ""
		}
	}
	tests := map[string]struct {
		fake    *fakeSQS
		running bool
		fails   bool
	}{
		"Starts":                 {fake: &fakeSQS{}},
		"RunningByTheMessage":    {fake: &fakeSQS{deny: refuse("There is already a task running.")}, running: true},
		"RunningByTheList":       {fake: &fakeSQS{deny: refuse("nope"), tasks: `{"Status":"RUNNING"}`}, running: true},
		"AnotherRefusalIsNoMove": {fake: &fakeSQS{deny: refuse("nope"), tasks: `{"Status":"COMPLETED"}`}, fails: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := start(t, test.fake).StartMove(t.Context())
			if errors.Is(err, webhook.ErrMoveRunning) != test.running || (err != nil) != (test.running || test.fails) {
				t.Errorf("error %v", err)
			}
			if got := test.fake.requests[0].SourceArn; got != deadARN {
				t.Errorf("moves from %q", got)
			}
		})
	}
}

func TestLatestMove(t *testing.T) {
	f := &fakeSQS{tasks: `{"Status":"FAILED","ApproximateNumberOfMessagesMoved":3,"ApproximateNumberOfMessagesToMove":9,` +
		`"StartedTimestamp":1764000000123,"FailureReason":"AccessDenied"}`}
	move, ok, err := start(t, f).LatestMove(t.Context())
	want := replay.Move{Status: "FAILED", Moved: 3, ToMove: 9, StartedAt: time.UnixMilli(1764000000123).UTC(), Failure: "AccessDenied"}
	if err != nil || !ok || move != want {
		t.Errorf("%+v, %v, %v", move, ok, err)
	}
	if _, ok, err := start(t, &fakeSQS{}).LatestMove(t.Context()); ok || err != nil {
		t.Errorf("without a move: %v, %v", ok, err)
	}
}
