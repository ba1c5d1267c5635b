// Package announce tells the operator what becomes of endpoints and deliveries,
// by operational events: events of the operator's own tenant, which the relay
// stores, signs and delivers to that tenant's endpoints like any other.
//
// Nothing of the operator's own tenant is announced, so an endpoint of the
// operator that fails does not announce its own failures.
package announce

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

// Types of operational events.
const (
	DeliveryDead      webhook.EventType = "delivery.dead"
	EndpointFailing   webhook.EventType = "endpoint.failing"
	EndpointDisabled  webhook.EventType = "endpoint.disabled"
	EndpointRecovered webhook.EventType = "endpoint.recovered"
)

// Types lists them all.
var Types = []webhook.EventType{DeliveryDead, EndpointFailing, EndpointDisabled, EndpointRecovered}

// Ingester accepts events; see ingest.Ingester.
type Ingester interface {
	Accept(ctx context.Context, r ingest.Request) (ingest.Accepted, error)
	Wants(ctx context.Context, tenant webhook.TenantID, t webhook.EventType) (bool, error)
}

// Announcer posts operational events. What is announced again makes no second
// event. Without a tenant of that name, or an endpoint that wants the type,
// nothing is stored. Safe for concurrent use.
type Announcer struct {
	Ingester Ingester
	// Tenant is the operator's.
	Tenant webhook.TenantID
}

// HearsOfDeath reports whether the death of d is to be announced.
func (a Announcer) HearsOfDeath(ctx context.Context, d webhook.Delivery) (bool, error) {
	if d.Tenant == a.Tenant {
		return false, nil
	}
	return a.Ingester.Wants(ctx, a.Tenant, DeliveryDead)
}

// DeliveryDied announces that d was given up.
func (a Announcer) DeliveryDied(ctx context.Context, d webhook.Delivery) error {
	data := deadDelivery{
		Tenant: d.Tenant, Endpoint: d.Endpoint, Event: d.EventID, EventType: d.EventType,
		Delivery: d.ID(), Reason: d.Reason, Attempts: d.AttemptCount, DiedAt: d.DiedAt.UTC(),
	}
	if n := len(d.Attempts); n > 0 {
		data.LastFailure, data.LastStatus = d.Attempts[n-1].Reason, d.Attempts[n-1].StatusCode
	}
	return a.post(ctx, d.Tenant, DeliveryDead, data, string(d.Event)+"_", string(d.Endpoint), stamp(d.DiedAt))
}

// EndpointFailing warns that e has failed since h.FailingSince, for the n-th
// time, and that it is disabled at the given time unless it recovers.
func (a Announcer) EndpointFailing(ctx context.Context, e webhook.Endpoint, h webhook.Health, n int, disabledAt time.Time) error {
	since := h.FailingSince.UTC()
	return a.post(ctx, e.Tenant, EndpointFailing, failingEndpoint{
		endpoint: describe(e), FailingSince: since, Warning: n, DisabledAt: disabledAt.UTC(),
	}, "", string(e.ID), stamp(since), strconv.Itoa(n))
}

// EndpointRecovered announces the first success of e after warnings.
func (a Announcer) EndpointRecovered(ctx context.Context, e webhook.Endpoint, h webhook.Health) error {
	since := h.FailingSince.UTC()
	return a.post(ctx, e.Tenant, EndpointRecovered, recoveredEndpoint{
		endpoint: describe(e), FailedSince: since, FailedUntil: h.LastFailureAt.UTC(),
	}, "", string(e.ID), stamp(since))
}

// EndpointDisabled announces that the relay disables e, for reason.
func (a Announcer) EndpointDisabled(ctx context.Context, e webhook.Endpoint, reason webhook.Reason) error {
	return a.post(ctx, e.Tenant, EndpointDisabled, disabledEndpoint{
		endpoint: describe(e), Reason: reason,
	}, "", string(e.ID), strconv.FormatInt(e.Rev, 10))
}

type deadDelivery struct {
	Tenant      webhook.TenantID   `json:"tenant_id"`
	Endpoint    webhook.EndpointID `json:"endpoint_id"`
	Event       webhook.EventID    `json:"event_id"`
	EventType   webhook.EventType  `json:"event_type"`
	Delivery    webhook.DeliveryID `json:"delivery_id"`
	Reason      webhook.Reason     `json:"reason"`
	Attempts    int                `json:"attempts"`
	LastFailure webhook.Reason     `json:"last_failure,omitempty"`
	LastStatus  int                `json:"last_status,omitempty"`
	DiedAt      time.Time          `json:"died_at"`
}

// endpoint leaves out the URL, which may hold a receiver's credentials.
type endpoint struct {
	Tenant      webhook.TenantID   `json:"tenant_id"`
	ID          webhook.EndpointID `json:"endpoint_id"`
	Description string             `json:"description,omitempty"`
}

func describe(e webhook.Endpoint) endpoint { return endpoint{e.Tenant, e.ID, e.Description} }

type failingEndpoint struct {
	endpoint
	FailingSince time.Time `json:"failing_since"`
	Warning      int       `json:"warning"`
	DisabledAt   time.Time `json:"disabled_at"`
}

type recoveredEndpoint struct {
	endpoint
	FailedSince time.Time `json:"failed_since"`
	FailedUntil time.Time `json:"failed_until"`
}

type disabledEndpoint struct {
	endpoint
	Reason webhook.Reason `json:"reason"`
}

func stamp(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// post makes one event of type t about tenant. Its id is made of what tells it
// from others, so that announcing it again finds it: subject, and a digest of all.
func (a Announcer) post(ctx context.Context, tenant webhook.TenantID, t webhook.EventType, data any, subject string, parts ...string) error {
	if tenant == a.Tenant {
		return nil
	}
	wanted, err := a.Ingester.Wants(ctx, a.Tenant, t)
	if err != nil {
		return fmt.Errorf("announce %s: %w", t, err)
	}
	if !wanted {
		return nil
	}
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("announce %s: %w", t, err)
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{string(t), string(tenant)}, parts...), "\n")))
	_, err = a.Ingester.Accept(ctx, ingest.Request{
		Tenant: a.Tenant, ID: webhook.EventID("op_" + subject + hex.EncodeToString(sum[:12])), Type: t, Data: body,
		// The endpoint was renamed meanwhile, or the delivery attempted by hand.
		Reworded: true,
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("announce %s: %w", t, err)
}
