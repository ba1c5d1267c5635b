package capacity

import "time"

// Limit is a quota of AWS or a parameter of the template.
type Limit struct {
	// Amount of the Need's unit.
	Amount float64
	// Raise says which setting moves it.
	Raise string
	// Source is where it is documented.
	Source string
}

// What AWS allows at first in a region, and what the template sets. Quotas of an
// account may be lower when it is new.
var (
	apiRequests = Limit{10_000, "Service Quotas, API Gateway: throttle rate", "API Gateway Developer Guide, \"Quotas\""}
	stageRate   = Limit{1_000, "ThrottleRate and ThrottleBurst", "template.yaml"}

	lambdaConcurrency = Limit{1_000, "Service Quotas, Lambda: concurrent executions", "Lambda Developer Guide, \"Lambda quotas\""}
	dispatchers       = Limit{100, "MaximumConcurrency", "template.yaml"}
	// mappingCeiling is how many invocations an event source mapping makes at
	// once however high its own maximum.
	mappingCeiling = Limit{1_000, "none by a setting; more than one queue", "Lambda Developer Guide, \"Using Lambda with Amazon SQS\""}

	newTableWrites = Limit{4_000, "warm throughput of the table before a launch", "DynamoDB Developer Guide, \"On-demand capacity mode\""}
	newTableReads  = Limit{12_000, "warm throughput of the table before a launch", "DynamoDB Developer Guide, \"On-demand capacity mode\""}
	tableWrites    = Limit{40_000, "Service Quotas, DynamoDB: table-level write throughput", "DynamoDB Developer Guide, \"Quotas\""}
	tableReads     = Limit{40_000, "Service Quotas, DynamoDB: table-level read throughput", "DynamoDB Developer Guide, \"Quotas\""}
	// A key takes so many units a second, and no setting moves that.
	keyWrites = Limit{1_000, "none by a setting; more tenants", "DynamoDB Developer Guide, \"Best practices for designing partition keys\""}
	keyReads  = Limit{3_000, "none by a setting; events in batches, or more tenants", "DynamoDB Developer Guide, \"Best practices for designing partition keys\""}

	inFlight = Limit{120_000, "a support case; the breaker keeps failures away from it", "SQS Developer Guide, \"Message quotas\""}
)

const (
	// attemptTimeout is how long an attempt lasts at most.
	attemptTimeout = 15 * time.Second
	// shards is dynamo.Shards: over how many keys a tenant's day is spread.
	shards = 8
	// waitsInQueue is how long a delivery that keeps failing is hidden in the queue: the
	// waits of the default schedule that are 6 minutes at most. In longer ones the
	// table holds it.
	waitsInQueue = 5*time.Second + 5*time.Minute
	// together is how many attempts to one endpoint a dispatcher makes at once.
	together = 5
)
