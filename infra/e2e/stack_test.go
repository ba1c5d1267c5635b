package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// stack is a deployment on this machine's LocalStack, which a test may do harm
// to: its queues, and its functions, which are processes here. Tests that use it
// do not run side by side with others.
type stack struct {
	queues                 *sqs.Client
	queue, deadLetterQueue string
	// name is what its functions' names begin with.
	name string
	// endpointFile tells functions started from now on how to reach AWS.
	endpointFile string
}

// Functions, as the template names them.
const (
	dispatcherFunction = "DispatcherFunction"
	ingestFunction     = "IngestFunction"
	sourceFunction     = "SourceFunction"
	anyFunction        = ""
)

// newStack skips the test where nothing is deployed. Where nothing may be
// skipped, a deployment has to be one that can be harmed.
func newStack(t testing.TB) stack {
	t.Helper()
	if !relay.deployed {
		t.Skip("concerns a deployment only")
	}
	variable := func(name string) string {
		value := os.Getenv(name)
		switch {
		case value != "":
		case os.Getenv("RELAY_TEST_REQUIRED") == "1":
			t.Fatalf("%s is not set", name)
		default:
			t.Skipf("%s is not set: this is no deployment on LocalStack", name)
		}
		return value
	}
	return stack{
		queue: variable("RELAY_E2E_QUEUE_URL"), deadLetterQueue: variable("RELAY_E2E_DLQ_URL"),
		name: variable("RELAY_E2E_STACK"), endpointFile: variable("RELAY_E2E_ENDPOINT_FILE"),
		queues: sqs.New(sqs.Options{
			Region:       os.Getenv("AWS_REGION"),
			BaseEndpoint: aws.String(variable("AWS_ENDPOINT_URL")),
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
			}),
		}),
	}
}

// hideFor sets, until the test ends, for how long a received message stays
// hidden, whole seconds. The deployment's six minutes are how long a test would
// wait for the batch of a killed dispatcher.
func (s stack) hideFor(t testing.TB, timeout time.Duration) {
	t.Helper()
	name := types.QueueAttributeNameVisibilityTimeout
	before, err := s.queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &s.queue, AttributeNames: []types.QueueAttributeName{name},
	})
	if err != nil {
		t.Fatal(err)
	}
	set := func(ctx context.Context, seconds string) {
		_, err := s.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
			QueueUrl: &s.queue, Attributes: map[string]string{string(name): seconds},
		})
		if err != nil {
			t.Error(err)
		}
	}
	set(t.Context(), strconv.Itoa(int(timeout/time.Second)))
	t.Cleanup(func() { set(context.Background(), before.Attributes[string(name)]) })
}

// reroute lets all functions reach AWS by way of url until the test ends.
func (s stack) reroute(t testing.TB, url string) {
	t.Helper()
	before, err := os.ReadFile(s.endpointFile) // see recordCalls
	if err != nil {
		t.Fatal(err)
	}
	lead := func(to []byte) {
		if err := os.WriteFile(s.endpointFile, to, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		lead(before)
		s.kill(t, anyFunction)
	})
	lead([]byte(url))
	s.kill(t, anyFunction) // who runs already reads no file
}

// kill ends all processes of a function at once, and returns how many there were.
func (s stack) kill(t testing.TB, function string) int {
	t.Helper()
	killed, err := killAll(s.name + "-" + function)
	if err != nil {
		t.Fatal(err)
	}
	return killed
}

// killAll ends the processes of all functions whose names begin with prefix, as
// a crash of the machine does. It returns when they are gone, and how many there were.
func killAll(prefix string) (int, error) {
	pids, err := processesOf(prefix)
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		process, err := os.FindProcess(pid)
		if err == nil {
			err = process.Kill()
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return 0, fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	gone, _ := poll(patience, func() (bool, string) {
		return !slices.ContainsFunc(pids, func(pid int) bool { return runs(pid, prefix) }), ""
	})
	if !gone {
		return 0, fmt.Errorf("of the killed processes %v some are still there", pids)
	}
	return len(pids), nil
}

// processesOf finds the processes of functions whose names begin with prefix, as
// Linux shows them.
func processesOf(prefix string) (pids []int, err error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(folders) == 0 {
		return nil, errors.New("the functions' processes are found in /proc, and this system has none")
	}
	for _, folder := range folders {
		pid, _ := strconv.Atoi(filepath.Base(folder))
		if runs(pid, prefix) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// runs reports whether the process is a function's whose name begins with
// prefix. Lambda tells a function its name in its environment.
func runs(pid int, prefix string) bool {
	folder := fmt.Sprintf("/proc/%d/", pid)
	program, err := os.Readlink(folder + "exe")
	if err != nil || filepath.Base(program) != "bootstrap" {
		return false
	}
	environment, err := os.ReadFile(folder + "environ")
	if err != nil {
		return false
	}
	for variable := range bytes.SplitSeq(environment, []byte{0}) {
		if name, ok := strings.CutPrefix(string(variable), "AWS_LAMBDA_FUNCTION_NAME="); ok {
			return strings.HasPrefix(name, prefix)
		}
	}
	return false
}

// send puts a message into the delivery queue.
func (s stack) send(t testing.TB, body string) {
	t.Helper()
	if _, err := s.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &s.queue, MessageBody: &body}); err != nil {
		t.Fatalf("%s: %v", clip(body, 80), err)
	}
}

// deadLetters returns the messages in the dead-letter queue, and leaves them there.
func (s stack) deadLetters(t testing.TB) (all []types.Message) {
	t.Helper()
	for {
		batch, err := s.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &s.deadLetterQueue, MaxNumberOfMessages: 10, VisibilityTimeout: 60,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(batch.Messages) == 0 {
			break
		}
		all = append(all, batch.Messages...)
	}
	for _, m := range all {
		_, err := s.queues.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{
			QueueUrl: &s.deadLetterQueue, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// deleteDeadLetter removes a message that deadLetters returned: one that nobody can read
// would be redriven for ever.
func (s stack) deleteDeadLetter(t testing.TB, m types.Message) {
	t.Helper()
	if _, err := s.queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &s.deadLetterQueue, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Error(err)
	}
}
