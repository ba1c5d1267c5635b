package simulate

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"webhookrelay/shared/announce"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/webhook"
)

// Operator is the tenant that gets the operational events.
const Operator webhook.TenantID = "operator"

// Operator adds the operator's tenant with an endpoint for all operational
// events, before the run.
func (w *World) Operator(script []Answer) {
	w.Tenant(Operator)
	w.Endpoint(Endpoint{Tenant: Operator, ID: "alerts", Script: script})
}

// announcer is the real one where the operator listens. Elsewhere nothing is
// asked: an operator that nobody knows costs one read per death, and worlds
// without one are the same as ever.
func (w *World) announcer(h *host) dispatch.Announcer {
	if w.tables.tenants[Operator] == nil {
		return unheard{}
	}
	return naming{announce.Announcer{Ingester: w.ingester(h), Tenant: Operator}}
}

// naming notes what an announcement is about with each of its calls: those of a
// batch's announcements are alike otherwise, and would come in any order.
type naming struct{ dispatch.Announcer }

type subjectKey struct{}

func about(ctx context.Context, subject string) context.Context {
	return context.WithValue(ctx, subjectKey{}, subject)
}

func subjectOf(ctx context.Context) string {
	subject, _ := ctx.Value(subjectKey{}).(string)
	return subject
}

func (n naming) HearsOfDeath(ctx context.Context, d webhook.Delivery) (bool, error) {
	return n.Announcer.HearsOfDeath(about(ctx, string(d.ID())), d)
}

func (n naming) DeliveryDied(ctx context.Context, d webhook.Delivery) error {
	return n.Announcer.DeliveryDied(about(ctx, string(d.ID())), d)
}

func (n naming) EndpointFailing(ctx context.Context, e webhook.Endpoint, h webhook.Health, number int, at time.Time) error {
	return n.Announcer.EndpointFailing(about(ctx, string(e.ID)), e, h, number, at)
}

func (n naming) EndpointRecovered(ctx context.Context, e webhook.Endpoint, h webhook.Health) error {
	return n.Announcer.EndpointRecovered(about(ctx, string(e.ID)), e, h)
}

func (n naming) EndpointDisabled(ctx context.Context, e webhook.Endpoint, reason webhook.Reason) error {
	return n.Announcer.EndpointDisabled(about(ctx, string(e.ID)), e, reason)
}

type unheard struct{}

func (unheard) HearsOfDeath(context.Context, webhook.Delivery) (bool, error) { return false, nil }
func (unheard) DeliveryDied(context.Context, webhook.Delivery) error         { return nil }
func (unheard) EndpointFailing(context.Context, webhook.Endpoint, webhook.Health, int, time.Time) error {
	return nil
}
func (unheard) EndpointRecovered(context.Context, webhook.Endpoint, webhook.Health) error { return nil }
func (unheard) EndpointDisabled(context.Context, webhook.Endpoint, webhook.Reason) error  { return nil }

// announcement is what an operational event says, read without the relay's help.
type announcement struct {
	Type webhook.EventType `json:"type"`
	Data struct {
		Tenant   webhook.TenantID   `json:"tenant_id"`
		Endpoint webhook.EndpointID `json:"endpoint_id"`
		Delivery webhook.DeliveryID `json:"delivery_id"`
	} `json:"data"`
}

func readAnnouncement(body []byte) (a announcement, err error) {
	err = json.Unmarshal(body, &a)
	return a, err
}

// announcement checks an operational event that reached its receiver.
func (c *watch) announcement(r *receiver, made *post, body []byte) {
	a, err := readAnnouncement(body)
	if err != nil || !slices.Contains(announce.Types, a.Type) || r.tenant != Operator {
		c.violate("TheBodyIsWhatWasSent", "%s at %s: %q", made.ID(), r.url, body)
	}
	if a.Data.Tenant == Operator {
		c.violate("NothingOfTheOperatorsIsAnnounced", "%s: %q", made.ID(), body)
	}
}

// announced: the operator was told of what is to be told, once.
func (c *watch) announced() {
	if c.w.tables.tenants[Operator] == nil {
		return
	}
	said := map[announcement]int{}
	for _, row := range c.w.tables.events {
		if row.current.Tenant != Operator {
			continue
		}
		a, err := readAnnouncement(row.current.Body)
		if err != nil {
			c.violate("TheBodyIsWhatWasSent", "%q", row.current.Body)
		}
		said[a]++
	}
	alerts := c.w.tables.endpoint(endpointKey{Operator, "alerts"})
	for k, row := range c.w.tables.deliveries {
		if alerts.State == webhook.EndpointDisabled {
			break // its own doing: nobody has heard since
		}
		if d := row.current; d.State == webhook.Dead && k.Tenant != Operator {
			c.toldOf(*d, said)
		}
	}
	for k, row := range c.w.tables.endpoints {
		e := row.current
		if e == nil || k.tenant == Operator || alerts.State == webhook.EndpointDisabled {
			continue
		}
		var a announcement
		a.Data.Tenant, a.Data.Endpoint = k.tenant, k.id
		a.Type = announce.EndpointDisabled
		if e.State == webhook.EndpointDisabled && e.DisabledReason != webhook.ReasonManual && said[a] == 0 {
			c.violate("TheOperatorHearsOfEveryDisabledEndpoint", "%s: %s", k.id, e.DisabledReason)
		}
		a.Type = announce.EndpointFailing
		if e.Health.Warned > 0 && said[a] == 0 { // where failures are rare, the first warning may be the second
			c.violate("TheOperatorIsWarned", "%s", k.id)
		}
	}
}

// toldOf: a death was announced, unless faults used up the receives of the
// message that was to do it.
func (c *watch) toldOf(d webhook.Delivery, said map[announcement]int) {
	var a announcement
	a.Type = announce.DeliveryDead
	a.Data.Tenant, a.Data.Endpoint, a.Data.Delivery = d.Tenant, d.Endpoint, d.ID()
	switch told := said[a]; {
	case !d.Untold && told == 0:
		c.violate("TheOperatorHearsOfEveryDeath", "%s", d.ID())
	case d.Untold && slices.ContainsFunc(c.w.queue.dead, func(m *message) bool {
		return m.subject != nil && m.subject.DeliveryKey == d.DeliveryKey && m.disturbed == 0
	}):
		c.violate("TheOperatorHearsOfEveryDeath", "%s, and no fault kept it from being told", d.ID())
	}
}
