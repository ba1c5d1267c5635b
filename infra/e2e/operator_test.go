package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// operatorTenant is the one that gets operational events by default.
const operatorTenant = "operator"

// announcement is an operational event.
type announcement struct {
	Type string
	Data struct {
		TenantID   string `json:"tenant_id"`
		EndpointID string `json:"endpoint_id"`
		DeliveryID string `json:"delivery_id"`
		Reason     string
	}
}

// about waits until the operator's hook has heard of something of the tenant.
func (h *hook) about(t *testing.T, tenantID, eventType string) announcement {
	t.Helper()
	var found announcement
	eventually(t, patience, func() (bool, string) {
		arrivals := h.got()
		for _, a := range arrivals {
			var said announcement
			if err := json.Unmarshal(a.body, &said); err != nil || a.failure != nil {
				t.Fatalf("%s: %v, %v", a.body, err, a.failure)
			}
			if said.Type == eventType && said.Data.TenantID == tenantID {
				found = said
				return true, ""
			}
		}
		return false, fmt.Sprintf("no %s of %s among %d events", eventType, tenantID, len(arrivals))
	})
	return found
}

func TestReceiversStopTheRelayAndTheOperatorHears(t *testing.T) {
	t.Parallel()
	alerts := newHook(t)
	relay.send(t, http.MethodPut, "/v1/tenants/"+operatorTenant, map[string]string{"name": "operator"})
	operator := tenant{relay.client, operatorTenant}
	e := operator.subscribe(t, alerts, "nothing.yet") // what other tests do is news, too, and comes before its key is known
	operator.change(t, e.ID, map[string]any{"event_types": []string{"delivery.dead", "endpoint.*"}})

	t.Run("AbortMessageGivesTheDeliveryUp", func(t *testing.T) {
		t.Parallel()
		n := newTenant(t)
		h := newHook(t, answer{status: 422, header: map[string]string{"Webhook-Delivery": "abort-message"}})
		e := n.subscribe(t, h)
		d := n.awaitState(t, n.post(t, "order.placed", "1").ID, e.ID, "dead")
		if d.Reason != "receiver_stop" || d.AttemptCount != 1 {
			t.Errorf("%s", d)
		}
		if said := alerts.about(t, n.id, "delivery.dead"); said.Data.DeliveryID != d.ID || said.Data.Reason != "receiver_stop" {
			t.Errorf("the operator heard %+v of %s", said, d.ID)
		}
	})
	t.Run("DisableEndsTheSubscription", func(t *testing.T) {
		t.Parallel()
		n := newTenant(t)
		h := newHook(t, answer{status: 200, header: map[string]string{"Webhook-Delivery": "disable"}})
		e := n.subscribe(t, h)
		n.awaitState(t, n.post(t, "order.placed", "1").ID, e.ID, "delivered")
		if said := alerts.about(t, n.id, "endpoint.disabled"); said.Data.EndpointID != e.ID || said.Data.Reason != "receiver_stop" {
			t.Errorf("the operator heard %+v", said)
		}
		eventually(t, patience, func() (bool, string) {
			got := as[endpoint](t, n.get(t, n.at("/endpoints/%s", e.ID)))
			return got.State == "disabled" && got.DisabledReason == "receiver_stop", fmt.Sprintf("%+v", got)
		})
		if got := n.post(t, "order.placed", "2"); got.Deliveries != 0 {
			t.Errorf("%d deliveries to an endpoint that wants no more", got.Deliveries)
		}
	})
}
