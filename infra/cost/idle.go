package cost

// Idle describes a stack that does nothing for a month of 30 days.
type Idle struct {
	// AlarmMetrics are those that the alarms watch, and Composites the alarms of alarms.
	AlarmMetrics, Composites int
	// OwnKey: the stack made its KMS key. RotationsKept are the rotations billed, at most two.
	OwnKey        bool
	RotationsKept int
	Dashboard     bool
	// SweepReadUnits, SweepCPUSeconds and SweepLogBytes are those of one run of the sweeper.
	SweepReadUnits  float64
	SweepRequests   float64
	SweepCPUSeconds float64
	SweepLogBytes   float64
	StoredGB        float64
}

const (
	monthDays  = 30
	sweepsADay = 24 * 60
	// pollsAMonth: five pollers that each ask for 20 s at a time (Lambda Developer
	// Guide, "Using Lambda with Amazon SQS").
	pollsAMonth = 5 * 3 * 60 * 24 * monthDays
)

// Month is the idle stack's bill.
func (a Assumptions) Month(i Idle) Bill {
	sweeps := float64(sweepsADay * monthDays)
	waits := sweeps * i.SweepRequests * a.ReadMS / 1000
	bill := Bill{
		line("Lambda's polling of the queue", pollsAMonth, SQSRequest),
		line("sweeper, invocations", sweeps, LambdaRequest),
		line("sweeper, time", a.gbSeconds(waits, sweeps*i.SweepCPUSeconds), LambdaGBSecond),
		line("sweeper, reads", sweeps*i.SweepReadUnits, ReadUnit),
		line("sweeper, logs", sweeps*(i.SweepLogBytes+a.PlatformLogBytes)/1e9, LogGB),
		line("schedule of the sweeper", sweeps, Price{0, "event of a schedule", "https://aws.amazon.com/eventbridge/pricing/"}),
		line("alarms", float64(i.AlarmMetrics), AlarmMetricMonth),
	}
	if i.Composites > 0 {
		bill = append(bill, line("composite alarm", float64(i.Composites), CompositeMonth))
	}
	if i.OwnKey {
		bill = append(bill, line("KMS key", float64(1+min(i.RotationsKept, 2)), KMSKeyMonth))
	}
	if i.Dashboard {
		bill = append(bill, line("dashboard", 1, DashboardMonth))
	}
	return append(bill,
		line("table", i.StoredGB, TableGBMonth),
		line("point-in-time recovery", i.StoredGB, PITRGBMonth),
	)
}
