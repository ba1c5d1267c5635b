package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/intake"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/webhook"
)

const (
	acme    = webhook.TenantID("acme")
	ourAWS  = webhook.TenantID("our-aws")
	ownForm = `{"tenant":"acme","event":{"type":"order.placed","data":{"n": 1}}}`
	bridged = `{"version":"0","id":"17793124-05d4-b198-2fde-7ededc63b103","detail-type":"Object Created","source":"aws.s3",` +
		`"account":"111122223333","time":"2026-11-12T00:00:00Z","region":"ca-central-1","resources":[],"detail":{"object":{"key":"a <b>"}}}`
)

var errBroken = errors.New("broken")

// queue is one that can fail.
type queue struct {
	ingest.Queue
	broken bool
}

func (q *queue) Send(ctx context.Context, keys []webhook.DeliveryKey) error {
	if q.broken {
		return errBroken
	}
	return q.Queue.Send(ctx, keys)
}

type world struct {
	t     *testing.T
	store *sqlite.Store
	queue *queue
	log   *bytes.Buffer
	intake.Intake
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: &bytes.Buffer{}}
	var err error
	if w.store, err = sqlite.Open(sqlite.Config{Path: sqlite.Memory, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	w.queue = &queue{Queue: w.store.Queue()}
	log := telemetry.NewLogger(w.log, 0)
	w.Intake = intake.Intake{Tenant: ourAWS, Log: log, Ingester: ingest.New(ingest.Config{
		Store: w.store, Queue: w.queue, IDs: id.NewSource(), Retention: 30 * 24 * time.Hour, Now: time.Now, Sleep: ingest.Sleep, Log: log,
	})}
	for _, tenant := range []webhook.TenantID{acme, ourAWS} {
		if _, _, err := w.store.PutTenant(t.Context(), webhook.Tenant{ID: tenant, CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := w.store.CreateEndpoint(t.Context(), webhook.Endpoint{Tenant: tenant, ID: "all", State: webhook.EndpointEnabled, Scheme: webhook.SchemeHMAC}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// handle hands over messages by their bodies, called m0, m1 and so on.
func (w *world) handle(bodies ...string) []string {
	w.t.Helper()
	var batch []intake.Message
	for i, body := range bodies {
		batch = append(batch, intake.Message{ID: "m" + string(rune('0'+i)), Body: []byte(body)})
	}
	return w.Handle(w.t.Context(), batch)
}

func (w *world) events(tenant webhook.TenantID) (all []webhook.Event) {
	w.t.Helper()
	listed, _, err := w.store.Events(w.t.Context(), tenant, history.Filter{}, webhook.Page{Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range listed {
		full, err := w.store.EventByRef(w.t.Context(), tenant, e.Ref)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, full)
	}
	return all
}

func TestAMessageInTheRelaysOwnForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if keep := w.handle(ownForm); keep != nil {
		t.Fatalf("kept %v: %s", keep, w.log)
	}
	all := w.events(acme)
	if len(all) != 1 || all[0].Type != "order.placed" || !strings.HasSuffix(string(all[0].Body), `"data":{"n": 1}}`) || len(all[0].Targets) != 1 {
		t.Errorf("%+v", all)
	}
}

func TestAnEventOfEventBridge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if keep := w.handle(bridged); keep != nil {
		t.Fatalf("kept %v: %s", keep, w.log)
	}
	all := w.events(ourAWS)
	if len(all) != 1 {
		t.Fatalf("%d events", len(all))
	}
	e := all[0]
	if e.ID != "eb_17793124-05d4-b198-2fde-7ededc63b103" || e.Type != "aws.s3.Object_Created" || !e.Timestamp.Equal(time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
	var body struct{ Data json.RawMessage }
	if err := json.Unmarshal(e.Body, &body); err != nil || string(body.Data) != bridged {
		t.Errorf("data %s, %v", body.Data, err)
	}
}

func TestAMessageThatComesAgainMakesNoSecondEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		if keep := w.handle(ownForm, bridged, bridged); keep != nil {
			t.Fatalf("kept %v: %s", keep, w.log)
		}
	}
	if own, theirs := len(w.events(acme)), len(w.events(ourAWS)); own != 1 || theirs != 1 {
		t.Errorf("%d and %d events", own, theirs)
	}
	// Another message with the same words is another event.
	if keep := w.Handle(t.Context(), []intake.Message{{ID: "another", Body: []byte(ownForm)}}); keep != nil || len(w.events(acme)) != 2 {
		t.Errorf("kept %v, %d events", keep, len(w.events(acme)))
	}
}

func TestOneBadMessageSpoilsNoOther(t *testing.T) {
	t.Parallel()
	for rule, bad := range map[string]string{
		"Text":                         `hello`,
		"AList":                        `[]`,
		"NoForm":                       `{"event":{"type":"a","data":1}}`,
		"NoEvent":                      `{"tenant":"acme"}`,
		"AnUnknownTenant":              `{"tenant":"nobody","event":{"type":"a","data":1}}`,
		"ATenantThatIsNoID":            `{"tenant":"a#b","event":{"type":"a","data":1}}`,
		"NoType":                       `{"tenant":"acme","event":{"data":1}}`,
		"NoData":                       `{"tenant":"acme","event":{"type":"a"}}`,
		"AnUnknownField":               `{"tenant":"acme","event":{"type":"a","data":1,"more":1}}`,
		"TooDeep":                      `{"tenant":"acme","event":{"type":"a","data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`,
		"AnIDOfEventBridgesThatIsNone": strings.Replace(bridged, "17793124-", "17793124#", 1),
		"ATypeThatIsTooLong":           strings.Replace(bridged, "Object Created", strings.Repeat("x", 200), 1),
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if diff := cmp.Diff([]string{"m1"}, w.handle(ownForm, bad, bridged)); diff != "" {
				t.Error(diff)
			}
			if len(w.events(acme)) != 1 || len(w.events(ourAWS)) != 1 {
				t.Errorf("%d and %d events", len(w.events(acme)), len(w.events(ourAWS)))
			}
			if !strings.Contains(w.log.String(), `"source message refused"`) || !strings.Contains(w.log.String(), `"SourceRefused":1`) {
				t.Errorf("logged %s", w.log)
			}
		})
	}
}

func TestTheSameIDWithOtherWordsIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const first, other = `{"tenant":"acme","event":{"id":"o1","type":"a","data":1}}`, `{"tenant":"acme","event":{"id":"o1","type":"a","data":2}}`
	if keep := w.handle(first); keep != nil {
		t.Fatal(keep)
	}
	if keep := w.handle(other); len(keep) != 1 || !strings.Contains(w.log.String(), "source message refused") {
		t.Errorf("kept %v: %s", keep, w.log)
	}
}

func TestEventBridgeIsRefusedWithoutATenantForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Tenant = ""
	if keep := w.handle(bridged); len(keep) != 1 || !strings.Contains(w.log.String(), "SourceTenant") {
		t.Errorf("kept %v: %s", keep, w.log)
	}
}

// What the relay itself cannot do now stays in the queue, and is not called bad.
func TestAnOutageKeepsMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.broken = true
	if keep := w.handle(ownForm, bridged); len(keep) != 2 || strings.Contains(w.log.String(), "refused") {
		t.Fatalf("kept %v: %s", keep, w.log)
	}
	w.queue.broken = false
	if keep := w.handle(ownForm, bridged); keep != nil {
		t.Fatalf("kept %v: %s", keep, w.log)
	}
	if len(w.events(acme)) != 1 || len(w.events(ourAWS)) != 1 {
		t.Errorf("%d and %d events", len(w.events(acme)), len(w.events(ourAWS)))
	}
}

func TestTypeOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ source, detail, want string }{
		{"aws.s3", "Object Created", "aws.s3.Object_Created"},
		{"aws.ec2", "EC2 Instance State-change Notification", "aws.ec2.EC2_Instance_State_change_Notification"},
		{"com.acme.orders", "OrderPlaced", "com.acme.orders.OrderPlaced"},
		{"my-app", "order.placed", "my_app.order_placed"},
		{"a", "é", "a.__"},
	} {
		if got := intake.TypeOf(tc.source, tc.detail); got != tc.want {
			t.Errorf("%s, %s: %s, want %s", tc.source, tc.detail, got, tc.want)
		}
	}
}

// FuzzHandle: every message is either an event afterwards or kept.
func FuzzHandle(f *testing.F) {
	f.Add([]byte(ownForm))
	f.Add([]byte(bridged))
	f.Add([]byte(`{"tenant":"acme","event":{"type":"a","data":1,"idempotency_key":"k"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		taken := &taker{}
		in := intake.Intake{Tenant: ourAWS, Log: telemetry.NewLogger(&bytes.Buffer{}, 0), Ingester: taken}
		keep := in.Handle(t.Context(), []intake.Message{{ID: "m", Body: body}})
		if len(keep)+taken.count != 1 {
			t.Fatalf("kept %v, taken %d", keep, taken.count)
		}
	})
}

// taker takes everything.
type taker struct{ count int }

func (k *taker) AcceptAll(_ context.Context, _ webhook.TenantID, requests []ingest.Request) ([]ingest.Outcome, error) {
	k.count += len(requests)
	return make([]ingest.Outcome, len(requests)), nil
}

func TestEventsFromAWSAreHeldToTheCatalogueToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Types = catalogue.NewEnforcer(webhook.EnforceSchema, w.store, time.Now)
	if err := w.store.PutEventType(t.Context(), webhook.TypeEntry{Name: "order.placed", Schema: []byte(`{"type":"object"}`)}); err != nil {
		t.Fatal(err)
	}
	keep := w.handle(ownForm, strings.Replace(ownForm, `{"n": 1}`, `[]`, 1), bridged)
	if len(keep) != 2 || slices.Contains(keep, "m0") || len(w.events(acme)) != 1 || len(w.events(ourAWS)) != 0 {
		t.Errorf("kept %v: %s", keep, w.log)
	}
	if refused := strings.Count(w.log.String(), "source message refused"); refused != 2 {
		t.Errorf("%d are refused: %s", refused, w.log)
	}
}
