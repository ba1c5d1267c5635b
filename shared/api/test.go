package api

import (
	"encoding/json"
	"net/http"

	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

// postTest sends an event to one endpoint alone.
func (m Manage) postTest(w http.ResponseWriter, r *http.Request) error {
	request := ingest.Request{Tenant: tenantOf(r), Only: endpointOf(r)}
	err := decode(r, webhook.MaxDataBytes+envelopeAllowance, fields{
		"type": into("type", "a string", &request.Type),
		"data": func(raw json.RawMessage) error { request.Data = raw; return nil },
	})
	if err != nil {
		return err
	}
	if err := checkEvent(request); err != nil {
		return err
	}
	endpoint, err := m.endpoint(r)
	if err != nil {
		return err
	}
	if endpoint.State == webhook.EndpointDisabled {
		return replay.ErrDisabled
	}
	accepted, err := m.Ingester.Accept(r.Context(), request)
	if err != nil {
		return err
	}
	ref, _ := id.RefOf(accepted.ID) // made by the relay, since the request names none
	delivery, err := m.History.Delivery(r.Context(), webhook.DeliveryKey{Tenant: request.Tenant, Event: ref, Endpoint: endpoint.ID})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, viewDelivery(delivery))
	return nil
}
