package dynamo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

// value writes an attribute as DynamoDB's own JSON does.
func value(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return map[string]any{"S": v.Value}
	case *types.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *types.AttributeValueMemberB:
		return map[string]any{"B": base64.StdEncoding.EncodeToString(v.Value)}
	case *types.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *types.AttributeValueMemberM:
		members := map[string]any{}
		for name, member := range v.Value {
			members[name] = value(member)
		}
		return map[string]any{"M": members}
	case *types.AttributeValueMemberL:
		elements := make([]any, len(v.Value))
		for i, element := range v.Value {
			elements[i] = value(element)
		}
		return map[string]any{"L": elements}
	}
	return fmt.Sprintf("%T", v)
}

// attribute reads what value wrote.
func attribute(t *testing.T, v any) types.AttributeValue {
	t.Helper()
	for kind, of := range v.(map[string]any) {
		switch kind {
		case "S":
			return &types.AttributeValueMemberS{Value: of.(string)}
		case "N":
			return &types.AttributeValueMemberN{Value: of.(string)}
		case "B":
			raw, err := base64.StdEncoding.DecodeString(of.(string))
			if err != nil {
				t.Fatal(err)
			}
			return &types.AttributeValueMemberB{Value: raw}
		case "BOOL":
			return &types.AttributeValueMemberBOOL{Value: of.(bool)}
		case "M":
			members := map[string]types.AttributeValue{}
			for name, member := range of.(map[string]any) {
				members[name] = attribute(t, member)
			}
			return &types.AttributeValueMemberM{Value: members}
		case "L":
			var elements []types.AttributeValue
			for _, element := range of.([]any) {
				elements = append(elements, attribute(t, element))
			}
			return &types.AttributeValueMemberL{Value: elements}
		}
	}
	t.Fatalf("%v is no attribute", v)
	return nil
}

// kept is one row as it is written, and what it says.
type kept struct {
	row  func() item
	read func(item) (any, error)
	says any
}

// keptRows are rows with everything in them that version 1 wrote.
func keptRows() map[string]kept {
	const tenant, ref = webhook.TenantID("acme"), webhook.EventRef("01KAN54MC0ABCDEFGHJKMNPQRS")
	at := time.UnixMilli(1_763_812_000_000).UTC()
	key := webhook.DeliveryKey{Tenant: tenant, Event: ref, Endpoint: "shop"}
	event := webhook.Event{
		Tenant: tenant, Ref: ref, ID: "order-1001", Type: "order.placed", Channels: []webhook.Channel{"eu", "b2b"}, Timestamp: at,
		Body: []byte(`{"type":"order.placed","data":1}`), Targets: []webhook.EndpointID{"shop", "crm"},
		AcceptedAt: at.Add(time.Second), ExpiresAt: at.Add(720 * time.Hour), Unsent: true,
	}
	failing := webhook.Delivery{
		DeliveryKey: key, EventID: "order-1001", EventType: "order.placed", State: webhook.Retrying,
		AttemptCount: 2, BudgetStart: 1, NextAttemptAt: at.Add(time.Hour), NextCause: webhook.NextSlowDown, HeldUntil: at.Add(time.Hour),
		UpdatedAt: at, ExpiresAt: at.Add(720 * time.Hour), Rev: 2, Writer: "w1",
		Attempts: []webhook.Attempt{{
			Number: 2, At: at, Trigger: webhook.TriggerSchedule, Reason: webhook.ReasonHTTP5xx, StatusCode: 503,
			Detail: "busy", Response: []byte("later"), Duration: 120 * time.Millisecond,
		}},
	}
	dead := webhook.Delivery{
		DeliveryKey: key, EventID: "order-1001", EventType: "order.placed", State: webhook.Dead, Reason: webhook.ReasonExhausted,
		AttemptCount: 8, DiedAt: at, ParkedAt: at.Add(-time.Hour), Untold: true, UpdatedAt: at, ExpiresAt: at.Add(720 * time.Hour), Rev: 9, Writer: "w2",
	}
	claim := ingest.Claim{Tenant: tenant, Key: "key:k 1", Ref: ref, Fingerprint: "f00d", At: at, Done: true, ExpiresAt: at.Add(24 * time.Hour)}
	owner := webhook.Tenant{ID: tenant, Name: "Acme", CreatedAt: at}
	endpoint := webhook.Endpoint{
		Tenant: tenant, ID: "shop", URL: "https://example.com/hook", Description: "The shop", EventTypes: []webhook.Pattern{"order.*"},
		Channels: []webhook.Channel{"eu"}, State: webhook.EndpointDisabled, DisabledReason: webhook.ReasonHTTP410, Scheme: webhook.SchemeHMAC,
		Headers: webhook.SealedHeaders{Names: []string{"X-Key"}, Sealed: []byte("sealed headers")},
		Terms:   webhook.Terms{Timeout: 20 * time.Second, Concurrency: 3, Schedule: []time.Duration{time.Minute}},
		Tags:    []webhook.Tag{"beta"}, Metadata: map[string]string{"owner": "Zoë"},
		Secrets:   []webhook.Secret{{Sealed: []byte("one"), CreatedAt: at}, {Sealed: []byte("two"), CreatedAt: at, ExpiresAt: at.Add(time.Hour)}},
		CreatedAt: at, UpdatedAt: at, Rev: 4,
	}
	eventPlace, _ := eventKey(tenant, ref)
	deliveryPlace, _ := deliveryKey(key)
	return map[string]kept{
		"tenant":   {func() item { return encodeTenant(owner) }, func(row item) (any, error) { return decodeTenant(tenant, row), nil }, owner},
		"endpoint": {func() item { return encodeEndpoint(endpoint) }, func(row item) (any, error) { return decodeEndpoint(tenant, row), nil }, endpoint},
		"event":    {func() item { return encodeEvent(eventPlace, event) }, func(row item) (any, error) { return decodeEvent(tenant, row) }, event},
		"failing":  {func() item { return encodeDelivery(deliveryPlace, failing) }, func(row item) (any, error) { return decodeDelivery(tenant, row) }, failing},
		"dead":     {func() item { return encodeDelivery(deliveryPlace, dead) }, func(row item) (any, error) { return decodeDelivery(tenant, row) }, dead},
		"claim":    {func() item { return encodeClaim(claim) }, func(row item) (any, error) { return decodeClaim(tenant, "key:k 1", row), nil }, claim},
	}
}

// Rows live for weeks, and while functions are updated the code before and after
// work on the same ones. So those of version 1 must stay readable for ever; what
// is written today must be what version 1 reads, with new attributes beside it at
// most; and an attribute of a later release must do no harm.
func TestRowsOfVersion1AreReadAndWrittenAsEver(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/rows-1.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]map[string]any
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	all := keptRows()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(golden)), slices.Sorted(maps.Keys(all))); diff != "" {
		t.Fatal(diff)
	}
	for kind, k := range all {
		stored := item{}
		for name, v := range golden[kind] {
			stored[name] = attribute(t, v)
		}
		t.Run(kind+"/IsRead", func(t *testing.T) {
			t.Parallel()
			got, err := k.read(stored)
			if diff := cmp.Diff(k.says, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
		t.Run(kind+"/IsWritten", func(t *testing.T) {
			t.Parallel()
			now := map[string]any{}
			for name, v := range k.row() {
				now[name] = value(v)
			}
			if diff := cmp.Diff(golden[kind], now); diff != "" {
				t.Errorf("version 1 wrote otherwise, and may still read it:\n%s", diff)
			}
		})
		t.Run(kind+"/MayHoldMore", func(t *testing.T) {
			t.Parallel()
			later := maps.Clone(stored)
			later.setStr("of a later release", "x")
			got, err := k.read(later)
			if diff := cmp.Diff(k.says, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}
