package capacity_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/infra/capacity"
	"webhookrelay/infra/cost"
)

// results are made up, so that sums can be done by hand: an event takes 2 writes,
// 2 reads and 1.2 requests to SQS, each endpoint more half of that, each failure 3 writes more.
func results() cost.Results {
	r := cost.Results{Assumptions: cost.Default}
	for _, ingest := range []int{1, 100} {
		for _, endpoints := range []int{1, 10} {
			for _, failing := range []int{0, 5} {
				more, failed := float64(endpoints-1), float64(failing)/100*float64(endpoints)
				c := cost.Case{Ingest: ingest, Endpoints: endpoints, Batch: 10, FailingPercent: failing, Dollars: 4 + more}
				c.Work = cost.Work{
					Events: 1000, Deliveries: 1000 * endpoints, Attempts: 1000*endpoints + 10*failing*endpoints,
					WriteUnits: 1000 * (2 + more + 3*failed), ReadUnits: 1000 * (2 + more),
					Requests: map[string]int{"ingest sqs.SendMessage": 1200},
				}
				r.Cases = append(r.Cases, c)
			}
		}
	}
	return r
}

func load(rate float64) capacity.Load {
	l := capacity.Default
	l.Rate = rate
	return l
}

func need(t *testing.T, p capacity.Plan, name string) capacity.Need {
	t.Helper()
	for _, n := range p.Needs {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("nothing of %q", name)
	return capacity.Need{}
}

func TestAPlanByHand(t *testing.T) {
	t.Parallel()
	l := load(1000)
	p, err := capacity.Of(l, results())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"requests to the stage": 1000,
		"table, writes":         2000,
		"table, reads":          2000,
		"a tenant's events: writes to each of its keys of a day": 250,
		// One to know the tenant's settings, and half a unit a batch for its endpoint.
		"a tenant's settings: reads of their key": 1050,
		// 100 batches a second of 4 + 2 × (100 + 6) ms.
		"dispatchers, full batches":                       21.6,
		"Lambda, ingest and dispatchers":                  1000*0.018 + 21.6,
		"Lambda, if batches held one message":             1000*0.018 + 1000*0.110,
		"SQS, in flight: in work and waiting for a retry": 216,
	} {
		if got := need(t, p, name).Amount; math.Abs(got-want) > 1e-6*want {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
	if p.PerMillion != 4 || math.Abs(p.Month-4*2592) > 1e-6 {
		t.Errorf("%g dollars a million, %g a month", p.PerMillion, p.Month)
	}
	stage := need(t, p, "requests to the stage")
	if stage.Share() != 1 || stage.Bites(1000) != 1000 {
		t.Errorf("the stage's rate bites at %g", stage.Bites(1000))
	}
}

func TestWhatALoadMeets(t *testing.T) {
	t.Parallel()
	base, err := capacity.Of(load(1000), results())
	if err != nil {
		t.Fatal(err)
	}
	for rule, tc := range map[string]struct {
		change func(*capacity.Load)
		need   string
		times  float64
	}{
		"BatchesOfEventsNeedFewerRequests":       {func(l *capacity.Load) { l.PerRequest = 100 }, "requests to API Gateway, all of the region", 0.01},
		"MoreTenantsNeedFewerUnitsOfAKey":        {func(l *capacity.Load) { l.Tenants = 4 }, "a tenant's events: writes to each of its keys of a day", 0.25},
		"TenEndpointsTakeElevenWritesAnEvent":    {func(l *capacity.Load) { l.Endpoints = 10 }, "table, writes", 5.5},
		"FailuresAreWritten":                     {func(l *capacity.Load) { l.Failing = 0.05 }, "table, writes", 2.15 / 2},
		"FailuresAreWrittenBeyondWhatIsMeasured": {func(l *capacity.Load) { l.Failing = 0.5 }, "table, writes", 3.5 / 2},
		"SlowEndpointsHoldDispatchers":           {func(l *capacity.Load) { l.Answer = 312 * time.Millisecond }, "dispatchers, full batches", 640.0 / 216},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			l := load(1000)
			tc.change(&l)
			p, err := capacity.Of(l, results())
			if err != nil {
				t.Fatal(err)
			}
			got, want := need(t, p, tc.need).Amount, need(t, base, tc.need).Amount*tc.times
			if math.Abs(got-want) > 1e-6*want {
				t.Errorf("%g, want %g", got, want)
			}
		})
	}
}

func TestDispatchersThatWaitAreBilled(t *testing.T) {
	t.Parallel()
	l := load(1000)
	l.Answer = 312 * time.Millisecond
	p, err := capacity.Of(l, results())
	if err != nil {
		t.Fatal(err)
	}
	// 64 dispatchers in place of 21.6, of 256 MB, for the 1,000 seconds of a million events.
	if want := 4 + (64-21.6)*1000*0.25*cost.LambdaGBSecond.Dollars; math.Abs(p.PerMillion-want) > 1e-6 {
		t.Errorf("%g dollars a million, want %g", p.PerMillion, want)
	}
}

// Whatever the load, more events never need less of anything, and a limit bites
// at the rate at which it is full.
func TestNeedsGrowWithTheRate(t *testing.T) {
	t.Parallel()
	r := results()
	upTo := func(most float64) *rapid.Generator[float64] {
		return rapid.Map(rapid.Float64Range(0, most), func(x float64) float64 { return math.Round(x*1e6) / 1e6 })
	}
	rapid.Check(t, func(t *rapid.T) {
		l := capacity.Load{
			Rate:       rapid.Float64Range(0.01, 1e5).Draw(t, "rate"),
			PerRequest: rapid.Float64Range(1, 100).Draw(t, "per request"),
			Endpoints:  upTo(100).Draw(t, "endpoints"),
			Failing:    upTo(1).Draw(t, "failing"),
			Hanging:    upTo(1).Draw(t, "hanging"),
			Answer:     time.Duration(rapid.Int64Range(1, int64(15*time.Second)).Draw(t, "answer")),
			Tenants:    rapid.Float64Range(1, 1000).Draw(t, "tenants"),
		}
		few, err := capacity.Of(l, r)
		if err != nil {
			t.Fatal(err)
		}
		more := l
		more.Rate *= 10
		many, err := capacity.Of(more, r)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range few.Needs {
			m := many.Needs[i]
			if n.Amount < 0 || math.IsNaN(n.Amount) || math.Abs(m.Amount-10*n.Amount) > 1e-6*m.Amount {
				t.Errorf("%s: %g, of ten times the events %g", n.Name, n.Amount, m.Amount)
			}
			if bites := n.Bites(l.Rate); n.Amount > 0 && math.Abs(bites/l.Rate*n.Amount-n.Limit) > 1e-6*n.Limit {
				t.Errorf("%s bites at %g", n.Name, bites)
			}
			if n.Raise == "" || n.Source == "" {
				t.Errorf("%s: what raises it, and who says so?", n.Name)
			}
		}
	})
}

func TestALoadThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	for rule, change := range map[string]func(*capacity.Load){
		"NoEvents":                 func(l *capacity.Load) { l.Rate = 0 },
		"MoreThanABatchHolds":      func(l *capacity.Load) { l.PerRequest = 101 },
		"FewerThanNoEndpoints":     func(l *capacity.Load) { l.Endpoints = -1 },
		"MoreFailuresThanAttempts": func(l *capacity.Load) { l.Failing = 1.1 },
		"AnAnswerAfterTheTimeout":  func(l *capacity.Load) { l.Answer = time.Minute },
		"LessThanOneTenant":        func(l *capacity.Load) { l.Tenants = 0.5 },
		"MoreHangingThanThereAre":  func(l *capacity.Load) { l.Hanging = 2 },
		"ARateThatIsNoNumber":      func(l *capacity.Load) { l.Rate = math.NaN() },
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			l := load(10)
			change(&l)
			if _, err := capacity.Of(l, results()); err == nil {
				t.Error("it was planned for")
			}
		})
	}
}

// What is stored is enough to plan by.
func TestTheStoredRunPlansForTheDocumentedRates(t *testing.T) {
	t.Parallel()
	run, err := cost.Latest()
	if err != nil {
		t.Fatal(err)
	}
	for _, rate := range []float64{10, 1000, 20000} {
		p, err := capacity.Of(load(rate), run.Cost)
		if err != nil {
			t.Fatal(err)
		}
		if writes := need(t, p, "table, writes").Amount; writes < 1.9*rate || writes > 2.1*rate {
			t.Errorf("%g events/s: %g write units a second", rate, writes)
		}
	}
}
