package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// awsTenant is whose events EventBridge's are, in samconfig.toml.
const awsTenant = "e2e-aws"

// sources is the deployment's queue for events from AWS.
type sources struct {
	stack
	url, arn, deadLetters string
}

func newSources(t testing.TB) sources {
	t.Helper()
	s := sources{stack: newStack(t), url: os.Getenv("RELAY_E2E_SOURCE_QUEUE_URL"), arn: os.Getenv("RELAY_E2E_SOURCE_QUEUE_ARN"), deadLetters: os.Getenv("RELAY_E2E_SOURCE_DLQ_URL")}
	if s.url == "" {
		t.Skip("the deployment takes no events from AWS")
	}
	return s
}

func (s sources) publish(t testing.TB, body string) {
	t.Helper()
	if _, err := s.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &s.url, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

// emulated makes a request to LocalStack, which tells a service by what is signed
// for and checks no signature.
func emulated(t testing.TB, service, method, path, target, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, os.Getenv("AWS_ENDPOINT_URL")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	if target != "" {
		request.Header.Set("X-Amz-Target", target)
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body) // for the message only
	if response.StatusCode/100 != 2 || strings.Contains(string(answer), `"FailedEntryCount":1`) {
		t.Fatalf("%s %s%s: %s %s", service, path, target, response.Status, answer)
	}
}

// rule leads events of EventBridge to the relay.
func (s sources) rule(t testing.TB, pattern string) {
	t.Helper()
	name := randomName("rule")
	emulated(t, "events", http.MethodPost, "/", "AWSEvents.PutRule", fmt.Sprintf(`{"Name":%q,"EventPattern":%q}`, name, pattern))
	emulated(t, "events", http.MethodPost, "/", "AWSEvents.PutTargets", fmt.Sprintf(`{"Rule":%q,"Targets":[{"Id":"relay","Arn":%q}]}`, name, s.arn))
}

func TestAMessageFromAProgramBecomesAnEventOnce(t *testing.T) {
	t.Parallel()
	s := newSources(t)
	n, h := newTenant(t), newHook(t)
	n.subscribe(t, h)
	body := fmt.Sprintf(`{"tenant":%q,"event":{"id":"order-1","type":"order.placed","data":{"n":1}}}`, n.id)
	s.publish(t, body)
	h.awaitEvent(t, "order-1")
	s.publish(t, body)
	s.publish(t, fmt.Sprintf(`{"tenant":%q,"event":{"id":"marker","type":"order.placed","data":1}}`, n.id))
	h.awaitEvent(t, "marker")
	for _, a := range h.got() {
		if a.failure != nil {
			t.Error(a.failure)
		}
	}
	if events := as[page[event]](t, n.get(t, n.at("/events"))).Data; len(events) != 2 {
		t.Errorf("%d events, want 2", len(events))
	}
}

func TestAMessageThatCanBeNoEventBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	s := newSources(t)
	shown := func(seconds string) error {
		_, err := s.queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
			QueueUrl: &s.url, Attributes: map[string]string{string(types.QueueAttributeNameVisibilityTimeout): seconds},
		})
		return err
	}
	if err := shown("1"); err != nil { // five receives take a quarter of an hour otherwise
		t.Fatal(err)
	}
	n, h, mark := newTenant(t), newHook(t), randomName("bad")
	n.subscribe(t, h)
	s.publish(t, fmt.Sprintf(`{"tenant":%q,"event":{"type":"no type","data":1}}`, mark))
	s.publish(t, fmt.Sprintf(`{"tenant":%q,"event":{"id":"good","type":"order.placed","data":1}}`, n.id))
	h.awaitEvent(t, "good")
	eventually(t, patience, func() (bool, string) {
		out, err := s.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &s.deadLetters, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.Messages {
			if strings.Contains(*m.Body, mark) {
				return true, ""
			}
		}
		return false, "it is not in the dead-letter queue"
	})
}

// EventBridge's events, and S3's among them, belong to one tenant, so both are
// one test.
func TestEventsOfEventBridgeBecomeTheRelays(t *testing.T) {
	t.Parallel()
	s := newSources(t)
	relay.send(t, http.MethodPut, "/v1/tenants/"+awsTenant, map[string]string{"name": t.Name()})
	n := tenant{relay.client, awsTenant}
	own, uploads := newHook(t), newHook(t)
	source, bucket := randomName("com.e2e"), randomName("bucket")
	n.subscribe(t, own, webhookType(source)+".*")
	n.subscribe(t, uploads, "aws.s3.*")

	s.rule(t, fmt.Sprintf(`{"source":[%q]}`, source))
	emulated(t, "events", http.MethodPost, "/", "AWSEvents.PutEvents",
		fmt.Sprintf(`{"Entries":[{"Source":%q,"DetailType":"Order Placed","Detail":"{\"n\":1}"}]}`, source))
	got := own.await(t, 1)[0]
	var placed struct {
		Type string
		Data struct {
			Detail struct{ N int }
		}
	}
	if err := json.Unmarshal(got.body, &placed); err != nil || got.failure != nil || !strings.HasPrefix(got.id, "eb_") ||
		placed.Type != webhookType(source)+".Order_Placed" || placed.Data.Detail.N != 1 {
		t.Errorf("%s %s, %v, %v", got.id, got.body, err, got.failure)
	}

	emulated(t, "s3", http.MethodPut, "/"+bucket, "", "")
	emulated(t, "s3", http.MethodPut, "/"+bucket+"?notification", "",
		`<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EventBridgeConfiguration/></NotificationConfiguration>`)
	s.rule(t, fmt.Sprintf(`{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":[%q]}}}`, bucket))
	emulated(t, "s3", http.MethodPut, "/"+bucket+"/report.csv", "", "a,b")
	var uploaded struct {
		Type string
		Data struct {
			Detail struct{ Object struct{ Key string } }
		}
	}
	eventually(t, time.Minute, func() (bool, string) {
		for _, a := range uploads.got() {
			if json.Unmarshal(a.body, &uploaded) == nil && uploaded.Data.Detail.Object.Key == "report.csv" {
				return true, ""
			}
		}
		return false, "the upload has not arrived"
	})
	if uploaded.Type != "aws.s3.Object_Created" {
		t.Errorf("type %s", uploaded.Type)
	}
}

// webhookType is what a source becomes in an event type.
func webhookType(source string) string { return strings.ReplaceAll(source, "-", "_") }
