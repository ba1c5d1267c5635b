package capacity

import (
	"math"
	"time"

	"webhookrelay/infra/cost"
)

// Need is how much a load takes of something that is limited.
type Need struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Amount float64 `json:"amount"`
	Limit  float64 `json:"limit"`
	// Raise says which setting moves the limit, and Source where it is documented.
	Raise  string `json:"raise"`
	Source string `json:"source"`
}

// Share is how much of the limit is taken; above 1 the limit is in the way.
func (n Need) Share() float64 { return n.Amount / n.Limit }

// Bites is the rate of events at which the limit is reached.
func (n Need) Bites(rate float64) float64 { return rate / n.Share() }

// Plan is what a load needs.
type Plan struct {
	Needs []Need `json:"needs"`
	// PerMillion is what a million events cost, and Month what 30 days cost at the
	// rate, in dollars: the measured bill, with the time that dispatchers wait for the load's endpoints.
	PerMillion float64 `json:"dollars_per_million"`
	Month      float64 `json:"dollars_per_month"`
}

const secondsAMonth = 30 * 24 * 3600

// Of plans for a load by what was measured.
func Of(l Load, r cost.Results) (Plan, error) {
	if err := l.Check(); err != nil {
		return Plan{}, err
	}
	e, err := l.eventOf(r)
	if err != nil {
		return Plan{}, err
	}
	requests, attempts := l.Rate/l.PerRequest, l.Rate*e.attempts
	a := r.Assumptions
	processor := math.Min(1, a.MemoryMB/fullProcessorMB)
	ingest := requests*(a.ReadMS+a.WriteMS+a.QueueMS)/1000 + l.Rate*e.ingestCPU/processor
	cpu := 0.0 // of an attempt
	if e.attempts > 0 {
		cpu = e.dispatcherCPU / e.attempts / processor
	}
	full, single := l.dispatchers(a, attempts, cpu, fullBatch), l.dispatchers(a, attempts, cpu, 1)
	perTenant := 1 / l.Tenants
	// What was measured was billed for the endpoints' answers that it assumes.
	assumed := l
	assumed.Answer, assumed.Hanging = time.Duration(a.AnswerMS*float64(time.Millisecond)), 0
	waiting := (full - assumed.dispatchers(a, attempts, cpu, fullBatch)) / l.Rate // seconds of a dispatcher an event
	dollars := e.dollars + waiting*a.MemoryMB/1024*cost.LambdaGBSecond.Dollars
	plan := Plan{PerMillion: dollars * 1e6, Month: dollars * l.Rate * secondsAMonth}
	for _, n := range []struct {
		name, unit string
		amount     float64
		limit      Limit
	}{
		{"requests to the stage", "1/s", requests, stageRate},
		{"requests to API Gateway, all of the region", "1/s", requests, apiRequests},
		{"dispatchers, full batches", "at a time", full, dispatchers},
		{"dispatchers, what a mapping can start", "at a time", full, mappingCeiling},
		{"Lambda, ingest and dispatchers", "at a time", ingest + full, lambdaConcurrency},
		{"Lambda, if batches held one message", "at a time", ingest + single, lambdaConcurrency},
		{"table, writes when it is new", "units/s", l.Rate * e.writes, newTableWrites},
		{"table, writes", "units/s", l.Rate * e.writes, tableWrites},
		{"table, reads when it is new", "units/s", l.Rate * e.reads, newTableReads},
		{"table, reads", "units/s", l.Rate * e.reads, tableReads},
		{"a tenant's events: writes to each of its keys of a day", "units/s", l.Rate * e.writes * perTenant / shards, keyWrites},
		{"a tenant's settings: reads of their key", "units/s", (requests + attempts/fullBatch/2*math.Min(l.Endpoints, fullBatch)) * perTenant, keyReads},
		{"SQS, in flight: in work and waiting for a retry", "messages", l.inFlight(a, attempts), inFlight},
	} {
		plan.Needs = append(plan.Needs, Need{n.name, n.unit, n.amount, n.limit.Amount, n.limit.Raise, n.limit.Source})
	}
	return plan, nil
}

const fullProcessorMB = 1769

// batchSeconds is how long a dispatcher works on a batch: it reads at once, then
// makes the attempts, five at a time to one endpoint, and waits for the slowest.
func (l Load) batchSeconds(a cost.Assumptions, batch, cpu float64) float64 {
	rounds := math.Max(1, math.Ceil(batch/(together*math.Max(1, math.Min(l.Endpoints, batch)))))
	// Of batches with a share of attempts that hang, this share has one that does.
	hang := 1 - math.Pow(1-l.Hanging, batch)
	attempt := (1-hang)*l.Answer.Seconds() + hang*attemptTimeout.Seconds()
	return a.ReadMS/1000 + rounds*(attempt+a.WriteMS/1000) + batch*cpu
}

// dispatchers is how many work at a time, by Little's law.
func (l Load) dispatchers(a cost.Assumptions, attempts, cpu, batch float64) float64 {
	return attempts / batch * l.batchSeconds(a, batch, cpu)
}

// inFlight counts the messages in work, and those of failing deliveries, as
// though each would fail for all the waits that it spends in the queue.
func (l Load) inFlight(a cost.Assumptions, attempts float64) float64 {
	failing := l.Rate * l.Endpoints * math.Min(1, l.Failing+l.Hanging)
	return attempts*l.batchSeconds(a, fullBatch, 0) + failing*waitsInQueue.Seconds()
}
