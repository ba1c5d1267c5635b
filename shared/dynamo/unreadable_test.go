package dynamo_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// rows answers with two deliveries that are held, the first of which is damaged.
func rows(good, bad webhook.DeliveryKey) func(int, call) (int, string) {
	damaged := base64.StdEncoding.EncodeToString([]byte{1, 0xff})
	row := func(k webhook.DeliveryKey, more string) string {
		return fmt.Sprintf(`{"pk":{"S":"%s"},"sk":{"S":"%s#%s"},"s":{"S":"parked"},"v":{"N":"1"},"hu":{"N":"1"}%s}`, bucket(k.Event), k.Event, k.Endpoint, more)
	}
	index := func(k webhook.DeliveryKey) string {
		return fmt.Sprintf(`{"hsk":{"S":"0000000000001#%s#%s#%s"}}`, k.Tenant, k.Event, k.Endpoint)
	}
	return func(n int, c call) (int, string) {
		switch {
		case c.Operation == "BatchGetItem":
			return 200, `{"Responses":{"relay":[` + row(bad, `,"h":{"B":"`+damaged+`"}`) + "," + row(good, "") + `]}}`
		case n == 0:
			return 200, `{"Items":[` + index(bad) + "," + index(good) + `]}`
		}
		return 200, `{"Items":[]}`
	}
}

// bucket is the partition of an event's rows; see keys.go.
func bucket(ref webhook.EventRef) string {
	shard := 0
	for i, digit := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
		if byte(digit) == ref[len(ref)-1] {
			shard = i % 8
		}
	}
	return fmt.Sprintf("E#acme#20261123#%d", shard)
}

func twoKeys() (good, bad webhook.DeliveryKey) {
	ids := id.NewSource()
	good = webhook.DeliveryKey{Tenant: "acme", Event: ids.EventRef(fixedNow), Endpoint: "ep"}
	bad = webhook.DeliveryKey{Tenant: "acme", Event: ids.EventRef(fixedNow), Endpoint: "ep"}
	return good, bad
}

func TestADamagedRowSpoilsItsOwnAnswerOnly(t *testing.T) {
	good, bad := twoKeys()
	f := newFake(t, rows(good, bad))
	loaded, err := f.Load(t.Context(), []dispatch.Lookup{{DeliveryKey: bad, Fresh: true}, {DeliveryKey: good, Fresh: true}})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(loaded[0].Err, webhook.ErrUnreadable) || loaded[0].Delivery != nil {
		t.Errorf("the damaged one: %+v", loaded[0])
	}
	if loaded[1].Err != nil || loaded[1].Delivery == nil || loaded[1].Delivery.State != webhook.Parked {
		t.Errorf("the other: %+v", loaded[1])
	}
}

func TestADamagedRowKeepsNoOtherHeld(t *testing.T) {
	good, bad := twoKeys()
	f := newFake(t, rows(good, bad))
	held, err := f.Held(t.Context(), fixedNow, 10)
	if !errors.Is(err, webhook.ErrUnreadable) || len(held) != 1 || held[0].DeliveryKey != good {
		t.Errorf("%+v, %v", held, err)
	}
}
