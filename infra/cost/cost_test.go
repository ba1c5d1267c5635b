package cost_test

import (
	"maps"
	"math"
	"testing"

	"webhookrelay/infra/cost"
)

// work is a thousand events of one endpoint each, in full batches.
var work = cost.Work{
	Events: 1000, Deliveries: 1000, Attempts: 1000, Posts: 1000,
	Requests: map[string]int{
		"ingest dynamodb.GetItem": 1000, "ingest dynamodb.PutItem": 1000, "ingest sqs.SendMessage": 1000,
		"dispatcher dynamodb.BatchGetItem": 100, "dispatcher dynamodb.PutItem": 1000,
		"mapping sqs.ReceiveMessage": 100, "mapping sqs.DeleteMessageBatch": 100,
	},
	ReadUnits: 2000, WriteUnits: 2000,
	Ingest: cost.Function{Invocations: 1000}, Dispatcher: cost.Function{Invocations: 100},
	SentBytes: 1500 * 1000,
}

func find(t *testing.T, bill cost.Bill, name string) cost.Line {
	t.Helper()
	for _, l := range bill {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no line %q in %v", name, bill)
	return cost.Line{}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*max(1, math.Abs(b)) }

func TestPerMillion(t *testing.T) {
	t.Parallel()
	bill := cost.Default.PerMillion(work)
	for name, want := range map[string]float64{
		"API Gateway": 1.00, "DynamoDB writes": 1.25, "DynamoDB reads": 0.25, "SQS": 0.48, "SQS, fair queues": 0.12,
		"Lambda invocations": 0.22, "egress": 0.135,
		// 18 ms of calls at a quarter of a GB.
		"Lambda, ingest": 1e6 * 0.018 * 0.25 * 0.0000133334,
		// Two rounds of five attempts, after one read: 4 + 2 × (100 + 6) ms.
		"Lambda, dispatcher": 1e5 * 0.216 * 0.25 * 0.0000133334,
		// The API's access log alone: the functions of this test wrote nothing.
		"logs": 0.0875,
	} {
		if got := find(t, bill, name).Dollars; !near(got, want) {
			t.Errorf("%s: %.6f dollars, want %.6f", name, got, want)
		}
	}
	sum := 0.0
	for _, l := range bill {
		sum += l.Dollars
	}
	if !near(sum, bill.Dollars()) || sum < 3.5 || sum > 4 {
		t.Errorf("the total is %.4f, of the lines %.4f", bill.Dollars(), sum)
	}
}

func TestWhatChangesTheBill(t *testing.T) {
	t.Parallel()
	base := cost.Default.PerMillion(work).Dollars()
	for rule, tc := range map[string]struct {
		change func(*cost.Assumptions, *cost.Work)
		want   float64 // dollars more
	}{
		"ARESTAPIIsDearer":                    {func(a *cost.Assumptions, _ *cost.Work) { a.REST = true }, 2.5},
		"WithoutFairQueuesSQSIsCheaper":       {func(a *cost.Assumptions, _ *cost.Work) { a.Fair = false }, -0.12},
		"AKilobyteOfLogIsHalfADollar":         {func(_ *cost.Assumptions, w *cost.Work) { w.Dispatcher.LogBytes = 1000 * 1000 }, 0.5},
		"EveryLineOfLogIs26BytesMore":         {func(_ *cost.Assumptions, w *cost.Work) { w.Ingest.LogLines = 1000 }, 0.013},
		"ACallOfTheKeyForEachEventIs3Dollars": {func(_ *cost.Assumptions, w *cost.Work) { w.Requests["dispatcher kms.Decrypt"] = 1000 }, 3},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			a, w := cost.Default, work
			w.Requests = maps.Clone(work.Requests)
			tc.change(&a, &w)
			if got := a.PerMillion(w).Dollars() - base; !near(got, tc.want) {
				t.Errorf("%.6f dollars more, want %.6f", got, tc.want)
			}
		})
	}
}

// Processor time costs as much at every size of memory below a whole
// processor, while waiting costs more with more of it.
func TestMemoryIsPaidForByWaiting(t *testing.T) {
	t.Parallel()
	busy := work
	busy.Ingest.CPUSeconds = 1
	of := func(memory float64, w cost.Work) float64 {
		a := cost.Default
		a.MemoryMB = memory
		return find(t, a.PerMillion(w), "Lambda, ingest").Dollars
	}
	for _, memory := range []float64{128, 512, 1024} {
		waiting := of(memory, work)
		if want := of(256, work) * memory / 256; !near(waiting, want) {
			t.Errorf("%g MB: waiting costs %.6f, want %.6f", memory, waiting, want)
		}
		if got, want := of(memory, busy)-waiting, of(256, busy)-of(256, work); !near(got, want) {
			t.Errorf("%g MB: a second of processor time costs %.6f, with 256 MB %.6f", memory, got, want)
		}
	}
}

func TestIdleMonth(t *testing.T) {
	t.Parallel()
	idle := cost.Idle{AlarmMetrics: 13, OwnKey: true, SweepRequests: 9, SweepReadUnits: 9, SweepLogBytes: 100}
	bill := cost.Default.Month(idle)
	for name, want := range map[string]float64{
		"Lambda's polling of the queue": 0.2592, "KMS key": 1, "alarms": 1.3, "sweeper, reads": 0.0486,
		"schedule of the sweeper": 0, "table": 0,
	} {
		if got := find(t, bill, name).Dollars; !near(got, want) {
			t.Errorf("%s: %.4f dollars, want %.4f", name, got, want)
		}
	}
	later := idle
	later.RotationsKept, later.Dashboard, later.Composites, later.StoredGB = 5, true, 1, 10
	if got, want := cost.Default.Month(later).Dollars()-bill.Dollars(), 2+3+0.5+10*0.45; !near(got, want) {
		t.Errorf("a stack of some years: %.4f dollars more, want %.4f", got, want)
	}
	if own := cost.Default.Month(cost.Idle{}); own.Dollars() > 0.4 {
		t.Errorf("with a key of one's own and no alarms: %v", own)
	}
}
