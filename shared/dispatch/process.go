package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/trace"
	"webhookrelay/shared/webhook"
)

// process takes one loaded message to its fate.
func (d *Dispatcher) process(ctx, attempts context.Context, j *job) fate {
	event, endpoint := j.loaded.Event, j.loaded.Endpoint
	if event == nil {
		// Ingest stores the event before it sends the message, and retention
		// outlasts the queues: a restored or replaced table, or a wrong setting.
		d.Log.Error("event missing", "tenant_id", j.Tenant, "event_ref", j.Event, "endpoint_id", j.Endpoint,
			"message_id", j.message.ID, "receives", j.message.Receives, telemetry.Counted("MessagesRejected", 1))
		return leave
	}
	delivery := webhook.NewDelivery(*event, j.Endpoint)
	if j.loaded.Delivery != nil {
		delivery = *j.loaded.Delivery
	}
	now := d.Now()
	trigger := webhook.TriggerManual
	if !j.Once {
		var f fate
		var settled bool
		if trigger, f, settled = d.standing(ctx, j, delivery, endpoint, now); settled {
			return f
		}
	}
	reason, _ := event.Ended()
	if reason == "" && endpoint == nil {
		reason = webhook.ReasonEndpointDeleted
	}
	if reason != "" {
		if j.Once && !delivery.Pending() {
			return done // what has ended stays as it ended
		}
		return d.settle(ctx, j, delivery.Cancel(reason, now), done)
	}
	if j.Once {
		if f, settled := d.ask(ctx, j, delivery, trigger, now); settled {
			return f
		}
		return d.attempt(ctx, attempts, j, delivery, trigger, false)
	}
	if endpoint.State == webhook.EndpointDisabled {
		return d.settle(ctx, j, d.bury(ctx, j, delivery, delivery.Die(webhook.ReasonEndpointDisabled, now)), spin)
	}
	return d.proceed(ctx, attempts, j, delivery, trigger, now)
}

// proceed makes the attempt that is due, or puts the delivery on hold when none
// may be made now.
func (d *Dispatcher) proceed(ctx, attempts context.Context, j *job, delivery webhook.Delivery, trigger webhook.Trigger, now time.Time) fate {
	endpoint := *j.loaded.Endpoint
	held := delivery
	if trigger == webhook.TriggerRedrive {
		held = delivery.Reopen()
	}
	if endpoint.State == webhook.EndpointPaused {
		return d.pause(ctx, j, held, now)
	}
	if f, settled := d.ask(ctx, j, delivery, trigger, now); settled {
		return f
	}
	leave, ok := d.seats.take(attempts, endpoint)
	if !ok {
		return d.park(ctx, j, held, now, now, webhook.NextConcurrency)
	}
	defer leave()
	now = d.Now() // it may have had to wait
	probe, until := d.admit(ctx, endpoint, now)
	if !until.IsZero() {
		return d.park(ctx, j, held, until, now, webhook.NextBreaker)
	}
	if f, settled := d.await(ctx, j, held, now); settled {
		return f
	}
	return d.attempt(ctx, attempts, j, delivery, trigger, probe)
}

// standing looks at where the delivery stands: it settles the message when no
// attempt is due, and otherwise says what makes one due.
func (d *Dispatcher) standing(ctx context.Context, j *job, delivery webhook.Delivery, endpoint *webhook.Endpoint, now time.Time) (trigger webhook.Trigger, f fate, settled bool) {
	switch delivery.State {
	case webhook.Delivered, webhook.Cancelled:
		return "", done, true
	case webhook.Dead:
		if !delivery.HeldUntil.IsZero() {
			// Here is the message that is to lie in the dead-letter queue: the
			// store need not send one any more.
			return "", d.save(ctx, j, d.deadIn(j, delivery.Hold(time.Time{})), spin), true
		}
		if delivery.Untold {
			return "", d.tell(ctx, j, delivery), true
		}
		if !j.message.enteredAfter(delivery.DiedAt) {
			return "", spin, true
		}
		return webhook.TriggerRedrive, fate{}, false
	case webhook.Retrying:
		if delivery.NextAttemptAt.Sub(now) > early {
			return "", d.notYet(delivery), true
		}
	case webhook.Parked:
		if now.After(delivery.HoldEnds(d.lifetime(endpoint))) {
			return "", d.settle(ctx, j, d.bury(ctx, j, delivery, delivery.Die(webhook.ReasonParkedTooLong, now)), spin), true
		}
		if delivery.NextCause == webhook.NextTurn && delivery.NextAttemptAt.Sub(now) > early {
			return "", hideUntil(delivery.NextAttemptAt), true
		}
	case webhook.Queued:
		if delivery.NextCause == webhook.NextScheduled && delivery.NextAttemptAt.Sub(now) > early {
			return "", hideUntil(delivery.NextAttemptAt), true
		}
	}
	return triggerOf(delivery), fate{}, false
}

// triggerOf says what makes an attempt that is due by the delivery's row.
func triggerOf(delivery webhook.Delivery) webhook.Trigger {
	switch delivery.NextCause {
	case webhook.NextRecover:
		return webhook.TriggerRecover
	case webhook.NextReplay:
		return webhook.TriggerReplay
	}
	return webhook.TriggerSchedule
}

// notYet is the fate of a message that came before its time: hidden until then,
// or dropped where the store carries the delivery and will send another.
func (d *Dispatcher) notYet(delivery webhook.Delivery) fate {
	if delivery.HeldUntil.IsZero() {
		return hideUntil(delivery.NextAttemptAt)
	}
	return done
}

// save records what took no attempt.
func (d *Dispatcher) save(ctx context.Context, j *job, row webhook.Delivery, f fate) fate {
	switch err := d.Store.SaveDelivery(ctx, row); {
	case errors.Is(err, webhook.ErrConflict):
		// Another consumer was faster; look again at what it left.
		return hideUntil(d.Now().Add(time.Second))
	case err != nil:
		d.Log.Error("store failed", "operation", "save", "delivery_id", row.ID(), "error", err.Error(), storeFailure)
		return d.putBack(j.message)
	}
	return f
}

// bury prepares the row of a delivery that has just died for its message's way
// to the dead-letter queue. Where the store carried the delivery, this message
// may be a duplicate of one that is gone: then the store goes on to hold the
// dead row, until it has seen a message of it again or sent one.
func (d *Dispatcher) bury(ctx context.Context, j *job, before, died webhook.Delivery) webhook.Delivery {
	died = d.deadIn(j, died)
	hears, err := d.Announcer.HearsOfDeath(ctx, died)
	died.Untold = hears || err != nil
	if !before.HeldUntil.IsZero() {
		died = died.Hold(died.DiedAt.Add(webhook.ResendAfter))
	}
	return died
}

// deadIn makes sure that this message does not look like one that was sent
// after the delivery died, whatever the queue's clock says.
func (d *Dispatcher) deadIn(j *job, died webhook.Delivery) webhook.Delivery {
	for _, entered := range []time.Time{j.message.SentAt, j.message.FirstReceivedAt} {
		if entered.After(died.DiedAt) {
			died.DiedAt = entered
		}
	}
	return died
}

// tell announces that a delivery died, and notes that it did. The message goes
// to the dead-letter queue only then: it comes back to tell until it has told.
func (d *Dispatcher) tell(ctx context.Context, j *job, died webhook.Delivery) fate {
	if err := d.Announcer.DeliveryDied(ctx, died); err != nil {
		d.Log.Error("not announced", "delivery_id", died.ID(), "error", err.Error())
		return d.putBack(j.message)
	}
	died.Untold = false
	return d.save(ctx, j, died, hideUntil(time.Time{}))
}

// settle records an end, or a hold, that took no attempt.
func (d *Dispatcher) settle(ctx context.Context, j *job, ended webhook.Delivery, f fate) fate {
	if got := d.save(ctx, j, ended, f); got != f || ended.State == webhook.Parked {
		return got // as many lines as there are deliveries on hold would say nothing new
	}
	attrs := []any{
		"tenant_id", ended.Tenant, "event_id", ended.EventID, "endpoint_id", ended.Endpoint,
		"delivery_id", ended.ID(), "state", ended.State, "reason", ended.Reason,
	}
	if ended.State == webhook.Dead {
		attrs = append(attrs, telemetry.Counted("DeliveriesDead", 1))
	}
	d.Log.Info("delivery ended", attrs...)
	return f
}

// attempt posts the event once and records what came of it. A probe asks whether
// an endpoint whose breaker is open has come back.
func (d *Dispatcher) attempt(ctx, attempts context.Context, j *job, delivery webhook.Delivery, trigger webhook.Trigger, probe bool) fate {
	result, err := d.Sender.Send(attempts, *j.loaded.Endpoint, *j.loaded.Event)
	if err != nil {
		d.Log.Error("attempt not made", "tenant_id", delivery.Tenant, "endpoint_id", delivery.Endpoint, "delivery_id", delivery.ID(),
			"error", err.Error(), telemetry.Counted("KeyFailures", 1))
		return d.putBack(j.message)
	}
	if result.Aborted {
		d.Log.Warn("attempt cut short", "delivery_id", delivery.ID(), "duration_ms", result.Duration.Milliseconds())
		return hideUntil(d.Now().Add(time.Second))
	}
	attempt := webhook.Attempt{
		// When the POST began; before it, secrets may have had to be opened.
		At: d.Now().Add(-result.Duration), Trigger: trigger, Reason: result.Reason, StatusCode: result.StatusCode,
		Detail: result.Detail, Response: result.Response, Duration: result.Duration,
	}
	health := d.heard(ctx, j, result)
	hold := time.Time{}
	if probe && health.Open() {
		hold = health.OpenUntil
	}
	recorded, f, err := d.record(ctx, j, delivery, attempt, result, hold)
	d.logAttempt(recorded, attempt, *j.loaded.Event, result.Span, err)
	if err != nil {
		// The endpoint may have the event, but nobody would know: try again later.
		return d.putBack(j.message)
	}
	if reason := d.unwanted(result, health); reason != "" {
		d.disable(ctx, *j.loaded.Endpoint, reason)
	}
	return f
}

// unwanted is why the endpoint is to get no more events after an attempt with
// this result, empty while it is.
func (d *Dispatcher) unwanted(result webhook.Result, health webhook.Health) webhook.Reason {
	switch {
	case result.StatusCode == http.StatusGone:
		return webhook.ReasonHTTP410
	case result.Control == webhook.ControlDisable:
		return webhook.ReasonReceiverStop
	case !result.Delivered() && d.Breaker.GivenUp(health, d.Now()):
		return webhook.ReasonFailingTooLong
	}
	return ""
}

// record applies the attempt to the delivery's row. When another consumer has
// changed the row meanwhile, it applies it to what that one left. After a probe
// that failed, hold is when the delivery is looked at again.
func (d *Dispatcher) record(ctx context.Context, j *job, delivery webhook.Delivery, attempt webhook.Attempt, result webhook.Result, hold time.Time) (webhook.Delivery, fate, error) {
	var err error
	writer := strconv.FormatUint(rand.Uint64(), 36)
	for range saveTries {
		next, f := d.advance(ctx, j, delivery, attempt, result, hold)
		next.Writer = writer
		if err = d.Store.SaveDelivery(ctx, next); err == nil {
			return next, f, nil
		}
		if !errors.Is(err, webhook.ErrConflict) {
			return next, fate{}, err
		}
		loaded, loadErr := d.Store.Load(ctx, []Lookup{{DeliveryKey: j.DeliveryKey, Fresh: true}})
		if loadErr == nil {
			loadErr = loaded[0].Err
		}
		if loadErr != nil {
			return next, fate{}, loadErr
		}
		if loaded[0].Delivery != nil {
			delivery = *loaded[0].Delivery
		}
		if delivery.Writer == writer {
			// The client repeated a write whose answer was lost, and met its own row.
			return delivery, f, nil
		}
	}
	return delivery, fate{}, err
}

// advance is the verdict on an attempt: delivered, retry after a wait because
// of a rule, or give up because of a reason.
func (d *Dispatcher) advance(ctx context.Context, j *job, delivery webhook.Delivery, attempt webhook.Attempt, result webhook.Result, hold time.Time) (webhook.Delivery, fate) {
	if result.Delivered() {
		return delivery.Succeed(attempt), done
	}
	switch {
	case delivery.State == webhook.Delivered, delivery.State == webhook.Cancelled:
		return delivery.Fail(attempt), done
	case j.Once && delivery.State != webhook.Queued:
		// The message that carries the delivery goes on with the schedule, or
		// lies in the dead-letter queue.
		return delivery.Fail(attempt), done
	case delivery.State == webhook.Dead && attempt.Trigger == webhook.TriggerRedrive:
		delivery = delivery.Reopen()
	case delivery.State == webhook.Dead:
		// Given up by another consumer while this one was sending.
		return delivery.Fail(attempt), spin
	}
	if reason := final(result); reason != "" {
		return d.bury(ctx, j, delivery, delivery.GiveUp(attempt, reason)), d.afterDeath(j)
	}
	if !hold.IsZero() {
		// A probe asks for all; it does not use up the retries of the one that asks.
		return delivery.Fail(attempt).Park(hold, attempt.At.Add(attempt.Duration), webhook.NextBreaker), done
	}
	wait, cause, ok := d.policy(*j.loaded.Endpoint).Next(delivery.Spent()+1, result)
	if !ok {
		return d.bury(ctx, j, delivery, delivery.GiveUp(attempt, webhook.ReasonExhausted)), d.afterDeath(j)
	}
	due := attempt.At.Add(attempt.Duration + wait)
	next := delivery.Retry(attempt, due, cause)
	// A message has receives for the attempts of the operator's schedule. Those
	// beyond them, of an endpoint's own, get messages of their own.
	beyond := delivery.Spent() >= len(d.Policy.Schedule)
	// What the store carries it goes on to carry: this message may be a duplicate
	// of one that another consumer has deleted.
	if wait > LongestHide || beyond || !delivery.HeldUntil.IsZero() {
		return next.Hold(due), done
	}
	if j.Once {
		return next, done
	}
	return next, hideUntil(due)
}

// policy says when an endpoint's deliveries are tried again.
func (d *Dispatcher) policy(endpoint webhook.Endpoint) retry.Policy {
	policy := d.Policy
	if endpoint.Terms.Schedule != nil {
		policy.Schedule = endpoint.Terms.Schedule
	}
	return policy
}

// final is why a failed attempt is the last whatever the schedule says, empty
// when it is not.
func final(result webhook.Result) webhook.Reason {
	switch {
	case result.StatusCode == http.StatusGone:
		return webhook.ReasonHTTP410
	case result.Control != "":
		return webhook.ReasonReceiverStop
	}
	return ""
}

// afterDeath: a message that asked for one attempt only is not what carries the
// delivery to the dead-letter queue.
func (d *Dispatcher) afterDeath(j *job) fate {
	if j.Once {
		return done
	}
	return spin
}

// disable stops the endpoint from matching further events: it said itself that
// it is gone for good (410, Standard Webhooks) or wants no more, or it has failed
// for too long. When that cannot be announced or stored, the next attempt does it.
func (d *Dispatcher) disable(ctx context.Context, endpoint webhook.Endpoint, reason webhook.Reason) {
	if endpoint.State == webhook.EndpointDisabled {
		return
	}
	if err := d.Announcer.EndpointDisabled(ctx, endpoint, reason); err != nil {
		d.Log.Error("not announced", "endpoint_id", endpoint.ID, "error", err.Error())
		return
	}
	if err := d.Store.DisableEndpoint(ctx, endpoint.Tenant, endpoint.ID, reason, d.Now()); err != nil {
		d.Log.Error("store failed", "operation", "disable endpoint", "endpoint_id", endpoint.ID, "error", err.Error(), storeFailure)
		return
	}
	d.Log.Warn("endpoint disabled", "tenant_id", endpoint.Tenant, "endpoint_id", endpoint.ID, "reason", reason,
		telemetry.Counted("EndpointsDisabled", 1))
}

// logAttempt writes the one line an attempt has, with what is to be counted. No
// payload, no secrets, no answer of the receiver; and nothing that the rest of the line
// says already, for it is the most frequent line there is.
func (d *Dispatcher) logAttempt(delivery webhook.Delivery, attempt webhook.Attempt, event webhook.Event, span string, err error) {
	outcome, count := "failed", "AttemptsFailed"
	if attempt.Reason == "" {
		outcome, count = "delivered", "AttemptsDelivered"
	}
	attrs := []slog.Attr{
		slog.String("tenant_id", string(delivery.Tenant)),
		slog.String("event_id", string(delivery.EventID)),
		slog.String("event_type", string(delivery.EventType)),
		slog.String("endpoint_id", string(delivery.Endpoint)),
		slog.Int("attempt", delivery.AttemptCount),
		slog.String("outcome", outcome),
		telemetry.Counted(count, 1),
		telemetry.Lasted("AttemptDuration", attempt.Duration),
	}
	if delivery.EventID != id.EventID(delivery.Event) { // the delivery's id is made of the ref
		attrs = append(attrs, slog.String("event_ref", string(delivery.Event)))
	}
	if attempt.Trigger != webhook.TriggerSchedule {
		attrs = append(attrs, slog.String("trigger", string(attempt.Trigger)))
	}
	if string(delivery.State) != outcome {
		attrs = append(attrs, slog.String("state", string(delivery.State)))
	}
	if attempt.StatusCode != 0 {
		attrs = append(attrs, slog.Int("status", attempt.StatusCode))
	}
	if delivery.AttemptCount == 1 {
		attrs = append(attrs, telemetry.Aged("DeliveryLag", attempt.At.Sub(event.Due())))
	}
	if delivery.State == webhook.Dead && !delivery.DiedAt.Before(attempt.At) {
		attrs = append(attrs, telemetry.Counted("DeliveriesDead", 1))
	}
	if attempt.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(attempt.Reason)))
	}
	if attempt.Detail != "" {
		attrs = append(attrs, slog.String("detail", attempt.Detail))
	}
	if span != "" {
		attrs = append(attrs, slog.String("trace_id", trace.ID(event.Trace)), slog.String("span_id", span))
	}
	if !delivery.NextAttemptAt.IsZero() {
		attrs = append(attrs, slog.Time("next_attempt_at", delivery.NextAttemptAt), slog.String("next_cause", string(delivery.NextCause)))
	}
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	d.Log.LogAttrs(context.Background(), level, "attempt", attrs...)
}
