package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

// call is one request to the fake DynamoDB.
type call struct {
	Operation                           string `json:"-"`
	Item                                map[string]any
	Key                                 map[string]attribute
	ConditionExpression                 string
	ReturnValuesOnConditionCheckFailure string
	ConsistentRead                      bool
	RequestItems                        map[string]struct {
		Keys           []any
		ConsistentRead bool
	}
}

// attribute is one of a key.
type attribute struct{ S string }

// fake is a Store on a DynamoDB that answers from a script.
type fake struct {
	*dynamo.Store
	mu    sync.Mutex
	calls []call
	reply func(n int, c call) (status int, body string)
}

var fixedNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newFake calls reply, with the number of calls before it, for each request.
func newFake(t *testing.T, reply func(n int, c call) (int, string)) *fake {
	t.Helper()
	f := &fake{reply: reply}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client := newClient(server.URL)
	noRetries := func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 }
	f.Store = dynamo.New(dynamodb.New(client.Options(), noRetries), "relay", func() time.Time { return fixedNow })
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var c call
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, c.Operation, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	status, body := f.reply(len(f.calls), c)
	f.calls = append(f.calls, c)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

func exception(name, rest string) string {
	return fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"no"%s}`, name, rest)
}

func cancelled(codes ...string) string {
	var reasons []string
	for _, code := range codes {
		reasons = append(reasons, fmt.Sprintf(`{"Code":%q}`, code))
	}
	return exception("TransactionCanceledException", `,"CancellationReasons":[`+strings.Join(reasons, ",")+"]")
}

func always(status int, body string) func(int, call) (int, string) {
	return func(int, call) (int, string) { return status, body }
}

func newDelivery() webhook.Delivery {
	ref := id.NewSource().EventRef(fixedNow)
	return webhook.Delivery{DeliveryKey: webhook.DeliveryKey{Tenant: "acme", Event: ref, Endpoint: "ep"}, State: webhook.Delivered}
}

func TestHappyPathIsTwoWritesAndOneRead(t *testing.T) {
	f := newFake(t, always(200, `{}`))
	d := newDelivery()
	e := webhook.Event{Tenant: "acme", Ref: d.Event, Body: []byte("{}")}
	if err := f.PutEvents(t.Context(), []webhook.Event{e}); err != nil {
		t.Fatal(err)
	}
	if err := f.SaveDelivery(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if len(f.calls) != 2 || f.calls[0].Operation != "PutItem" || f.calls[1].Operation != "PutItem" {
		t.Errorf("calls %+v, want two PutItem", f.calls)
	}
	if _, indexed := f.calls[1].Item["fpk"]; indexed {
		t.Error("a delivered row is written to the index as well")
	}
}

func TestLoadReadsEachRowOnceAndConfirmsAbsence(t *testing.T) {
	f := newFake(t, always(200, `{"Responses":{"relay":[]}}`))
	d := newDelivery()
	other := d.DeliveryKey
	other.Endpoint = "ep_2"
	loaded, err := f.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: d.DeliveryKey}, {DeliveryKey: other}, {DeliveryKey: d.DeliveryKey}})
	if err != nil || len(loaded) != 3 || loaded[0] != (dispatch.Loaded{}) {
		t.Fatalf("%+v, %v", loaded, err)
	}
	if len(f.calls) != 2 {
		t.Fatalf("%d calls, want 2", len(f.calls))
	}
	first, second := f.calls[0].RequestItems["relay"], f.calls[1].RequestItems["relay"]
	if first.ConsistentRead || len(first.Keys) != 5 {
		t.Errorf("first read %+v, want 1 event, 2 endpoints and 2 deliveries, eventual", first)
	}
	if !second.ConsistentRead || len(second.Keys) != 3 {
		t.Errorf("second read %+v, want the event and 2 endpoints, strong", second)
	}
}

func TestLoadReadsFreshLookupsStrongly(t *testing.T) {
	f := newFake(t, always(200, `{"Responses":{"relay":[]}}`))
	key := newDelivery().DeliveryKey
	if _, err := f.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: key, Fresh: true}, {DeliveryKey: key}}); err != nil {
		t.Fatal(err)
	}
	if len(f.calls) != 1 || !f.calls[0].RequestItems["relay"].ConsistentRead {
		t.Errorf("calls %+v, want one strong read", f.calls)
	}
}

func TestLoadReadsUnprocessedKeysAgain(t *testing.T) {
	d := newDelivery()
	endpoint := `{"pk":{"S":"T#acme"},"sk":{"S":"EP#ep"},"s":{"S":"enabled"}}`
	event := fmt.Sprintf(`{"pk":{"S":"E#acme#20261123#%d"},"sk":{"S":%q}}`, strings.IndexByte("0123456789ABCDEFGHJKMNPQRSTVWXYZ", d.Event[25])%8, d.Event)
	f := newFake(t, func(n int, c call) (int, string) {
		switch n {
		case 0:
			return 200, `{"Responses":{"relay":[` + endpoint + `]},"UnprocessedKeys":{"relay":{"Keys":[` + event + `]}}}`
		case 1:
			return 200, `{"Responses":{},"UnprocessedKeys":{"relay":{"Keys":[` + event + `]}}}`
		default:
			return 200, `{"Responses":{"relay":[` + event + `]}}`
		}
	})
	loaded, err := f.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: d.DeliveryKey}})
	if err != nil || loaded[0].Event == nil || loaded[0].Endpoint == nil || loaded[0].Delivery != nil {
		t.Errorf("%+v, %v", loaded, err)
	}
	if len(f.calls) != 3 || len(f.calls[2].RequestItems["relay"].Keys) != 1 {
		t.Errorf("calls %+v", f.calls)
	}
}

func TestLoadOfUnprocessedKeysEndsWithItsContext(t *testing.T) {
	key := `{"pk":{"S":"T#acme"},"sk":{"S":"EP#ep"}}`
	f := newFake(t, always(200, `{"UnprocessedKeys":{"relay":{"Keys":[`+key+`,`+key+`,`+key+`]}}}`))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := f.Load(ctx, []dispatch.Lookup{{DeliveryKey: newDelivery().DeliveryKey}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestErrorsOfDynamoDBAreReturned(t *testing.T) {
	f := newFake(t, always(400, exception("AccessDeniedException", "")))
	d, ctx := newDelivery(), t.Context()
	for name, err := range map[string]error{
		"PutEvents":      f.PutEvents(ctx, []webhook.Event{{Tenant: "acme", Ref: d.Event}}),
		"MarkUnsent":     f.MarkUnsent(ctx, "acme", d.Event),
		"SaveDelivery":   f.SaveDelivery(ctx, d),
		"Claim":          second(f.Claim(ctx, ingest.Claim{Tenant: "acme", Key: "key:k"})),
		"UpdateClaim":    f.UpdateClaim(ctx, ingest.Claim{}, ingest.Claim{}),
		"EventByRef":     second(f.EventByRef(ctx, "acme", d.Event)),
		"Load":           second(f.Load(ctx, []dispatch.Lookup{{DeliveryKey: d.DeliveryKey}})),
		"ConfigVersion":  second(f.ConfigVersion(ctx, "acme")),
		"CreateEndpoint": f.CreateEndpoint(ctx, webhook.Endpoint{Tenant: "acme", ID: "ep"}),
		"Events":         third(f.Events(ctx, "acme", history.Filter{}, webhook.Page{Limit: 1})),
		"Deliveries":     third(f.Deliveries(ctx, "acme", history.Filter{State: webhook.Dead}, webhook.Page{Limit: 1})),
		"DeadLetters":    third(f.DeadLetters(ctx, webhook.Page{Limit: 1})),
		"Tenants":        third(f.Tenants(ctx, webhook.Page{Limit: 1})),
	} {
		if err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("%s: error %v", name, err)
		}
		for _, sentinel := range []error{webhook.ErrNotFound, webhook.ErrConflict, webhook.ErrExists} {
			if errors.Is(err, sentinel) {
				t.Errorf("%s: a refused call is taken for %q", name, sentinel)
			}
		}
	}
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func TestRefusedConditionsBecomeSentinels(t *testing.T) {
	f := newFake(t, always(400, exception("ConditionalCheckFailedException", "")))
	if err := f.SaveDelivery(t.Context(), newDelivery()); !errors.Is(err, webhook.ErrConflict) {
		t.Errorf("SaveDelivery: %v", err)
	}
	if err := f.UpdateClaim(t.Context(), ingest.Claim{}, ingest.Claim{}); !errors.Is(err, webhook.ErrConflict) {
		t.Errorf("UpdateClaim: %v", err)
	}
	if err := f.MarkUnsent(t.Context(), "acme", newDelivery().Event); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("MarkUnsent: %v", err)
	}
}

func TestAHeldClaimIsReturnedByTheRefusedWriteItself(t *testing.T) {
	held := `,"Item":{"pk":{"S":"C#acme#key:k"},"sk":{"S":"CLAIM"},"i":{"S":"01M83XJ8800000000000000000"},"d":{"BOOL":true}}`
	f := newFake(t, always(400, exception("ConditionalCheckFailedException", held)))
	got, err := f.Claim(t.Context(), ingest.Claim{Tenant: "acme", Key: "key:k", Ref: newDelivery().Event})
	if err != nil || got.Ref != "01M83XJ8800000000000000000" || !got.Done || got.Key != "key:k" {
		t.Errorf("%+v, %v", got, err)
	}
	if len(f.calls) != 1 || f.calls[0].ReturnValuesOnConditionCheckFailure != "ALL_OLD" {
		t.Errorf("calls %+v, want one that asks for the old row", f.calls)
	}
}

// Whoever comes second, also after a read that said there is none, signs with
// what the first one stored.
func TestAStoredPortalKeyIsReturnedByTheRefusedWriteItself(t *testing.T) {
	f := newFake(t, func(_ int, c call) (int, string) {
		if c.ReturnValuesOnConditionCheckFailure == "" {
			return 200, `{}`
		}
		return 400, exception("ConditionalCheckFailedException",
			`,"Item":{"pk":{"S":"PORTAL"},"sk":{"S":"KEY"},"p":{"B":"Zmlyc3Q="},"k":{"B":"c2VhbGVk"}}`)
	})
	got, err := f.PortalKey(t.Context(), &auth.PortalKey{Public: []byte("second")})
	if err != nil || string(got.Public) != "first" || string(got.Sealed) != "sealed" || len(f.calls) != 2 {
		t.Errorf("%q, %v after %d calls", got, err, len(f.calls))
	}
	if _, err := f.PortalKey(t.Context(), nil); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("without a fresh one: %v", err)
	}
}

func TestATransactionInTheWayIsWaitedOut(t *testing.T) {
	f := newFake(t, func(n int, _ call) (int, string) {
		if n < 3 {
			return 400, cancelled("TransactionConflict", "None")
		}
		return 200, `{}`
	})
	if err := f.CreateEndpoint(t.Context(), webhook.Endpoint{Tenant: "acme", ID: "ep"}); err != nil {
		t.Error(err)
	}
	if len(f.calls) != 4 {
		t.Errorf("%d calls, want 4", len(f.calls))
	}
}

func TestACancelledTransactionSaysWhy(t *testing.T) {
	endpoint := webhook.Endpoint{Tenant: "acme", ID: "ep", Rev: 1}
	line := audit.Line{ID: string(newDelivery().Event), Tenant: "acme"}
	const ok, refused = "None", "ConditionalCheckFailed"
	tests := map[string]struct {
		codes []string
		do    func(context.Context, *fake) error
		want  error
	}{
		"CreateWithoutTenant":  {[]string{refused, ok}, func(ctx context.Context, f *fake) error { return f.CreateEndpoint(ctx, endpoint) }, webhook.ErrNotFound},
		"CreateTaken":          {[]string{ok, refused}, func(ctx context.Context, f *fake) error { return f.CreateEndpoint(ctx, endpoint) }, webhook.ErrExists},
		"UpdateStale":          {[]string{ok, refused}, func(ctx context.Context, f *fake) error { return f.UpdateEndpoint(ctx, endpoint) }, webhook.ErrConflict},
		"DeleteAbsent":         {[]string{ok, refused}, func(ctx context.Context, f *fake) error { return f.DeleteEndpoint(ctx, "acme", "ep") }, webhook.ErrNotFound},
		"CreateTakenWithALine": {[]string{ok, refused, ok, ok}, func(ctx context.Context, f *fake) error { return f.CreateEndpoint(ctx, endpoint, line) }, webhook.ErrExists},
		"KeyTaken":             {[]string{refused, ok, ok}, func(ctx context.Context, f *fake) error { return f.CreateKey(ctx, auth.Key{ID: "key_1"}, line) }, webhook.ErrExists},
		"KeyAbsent":            {[]string{refused, ok, ok}, func(ctx context.Context, f *fake) error { return f.DeleteKey(ctx, "acme", "key_1", line) }, webhook.ErrNotFound},
		"DisableAgain": {[]string{ok, refused, ok, ok}, func(ctx context.Context, f *fake) error {
			return f.DisableEndpoint(ctx, "acme", "ep", webhook.ReasonHTTP410, fixedNow)
		}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, always(400, cancelled(test.codes...)))
			if err := test.do(t.Context(), f); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if len(f.calls) != 1 {
				t.Errorf("%d calls, want 1", len(f.calls))
			}
		})
	}
	f := newFake(t, always(400, cancelled("ValidationError", ok)))
	if err := f.CreateEndpoint(t.Context(), endpoint); err == nil || len(f.calls) != 1 {
		t.Errorf("a transaction that cannot succeed: error %v after %d calls", err, len(f.calls))
	}
}

func TestWritesNeedAULID(t *testing.T) {
	f := newFake(t, always(200, `{}`))
	d := newDelivery()
	d.Event = "not-a-ulid"
	if err := f.SaveDelivery(t.Context(), d); err == nil {
		t.Error("SaveDelivery: no error")
	}
	if err := f.PutEvents(t.Context(), []webhook.Event{{Tenant: "acme", Ref: "not-a-ulid"}}); err == nil {
		t.Error("PutEvent: no error")
	}
	loaded, err := f.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: d.DeliveryKey, Fresh: true}})
	if err != nil || loaded[0].Event != nil || loaded[0].Delivery != nil {
		t.Errorf("Load: %+v, %v", loaded, err)
	}
}
