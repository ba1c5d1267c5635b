package cost

// Work is what a number of events asked of AWS from their acceptance until all
// their deliveries had arrived, as it was counted.
type Work struct {
	Events     int `json:"events"`
	Deliveries int `json:"deliveries"`
	// Attempts are more than Deliveries where some failed.
	Attempts int `json:"attempts"`
	// Posts are the requests to the relay's API.
	Posts int `json:"posts"`
	// Requests to AWS, by "caller service.Operation"; the caller "mapping" is
	// Lambda's event source mapping.
	Requests   map[string]int `json:"requests"`
	ReadUnits  float64        `json:"read_units"`
	WriteUnits float64        `json:"write_units"`
	Ingest     Function       `json:"ingest"`
	Dispatcher Function       `json:"dispatcher"`
	// SentBytes went to the endpoints: headers and bodies, without TLS.
	SentBytes int `json:"sent_bytes"`
}

// Function is what one function took.
type Function struct {
	Invocations int `json:"invocations"`
	// CPUSeconds is its processor time on the machine of the measurement.
	CPUSeconds float64 `json:"cpu_seconds"`
	// LogLines and LogBytes are what it wrote itself.
	LogLines int `json:"log_lines"`
	LogBytes int `json:"log_bytes"`
}

// Assumptions are what cannot be counted on one machine.
type Assumptions struct {
	// MemoryMB of both functions. A function has a processor's share of it: all
	// of one at 1,769 MB (Lambda Developer Guide, "Configure Lambda function memory").
	MemoryMB float64 `json:"memory_mb"`
	// ReadMS, WriteMS and QueueMS are how long a call of DynamoDB or SQS takes
	// within the region, AnswerMS how long an endpoint takes to answer.
	ReadMS   float64 `json:"read_ms"`
	WriteMS  float64 `json:"write_ms"`
	QueueMS  float64 `json:"queue_ms"`
	AnswerMS float64 `json:"answer_ms"`
	// AccessLogBytes is the API's log line of a request, with what CloudWatch adds
	// to each line when it counts (26 bytes, see LineBytes).
	AccessLogBytes float64 `json:"access_log_bytes"`
	// PlatformLogBytes are the lines that Lambda itself writes for an invocation
	// (platform.start, platform.report), 0 where the template switches them off.
	PlatformLogBytes float64 `json:"platform_log_bytes"`
	// ItemBytes are what an event and its first delivery take in the table.
	Fair bool `json:"fair_queues"`
	REST bool `json:"rest_api"`
}

// LineBytes is what CloudWatch adds to the size of each line of log
// (CloudWatch Logs API Reference, "PutLogEvents").
const LineBytes = 26

// Default is the template's default with latencies as AWS's documentation and
// common experience have them. None of them was measured on AWS.
var Default = Assumptions{
	MemoryMB: 256, ReadMS: 4, WriteMS: 6, QueueMS: 8, AnswerMS: 100,
	AccessLogBytes: 175, PlatformLogBytes: 0, Fair: true,
}

// FullProcessorMB is the memory with which a function has one processor to itself.
const FullProcessorMB = 1769

// Line is one part of a bill.
type Line struct {
	Name     string  `json:"name"`
	Quantity float64 `json:"quantity"`
	Unit     string  `json:"unit"`
	Dollars  float64 `json:"dollars"`
}

// Bill is what something costs, part by part.
type Bill []Line

// Dollars is the bill's total.
func (b Bill) Dollars() (sum float64) {
	for _, l := range b {
		sum += l.Dollars
	}
	return sum
}

func line(name string, quantity float64, p Price) Line {
	return Line{name, quantity, p.Unit, quantity * p.Dollars}
}

const million = 1e6

// PerMillion is the bill of a million events like those of w, without storage.
func (a Assumptions) PerMillion(w Work) Bill {
	scale := million / float64(w.Events)
	api := HTTPAPIRequest
	if a.REST {
		api = RESTAPIRequest
	}
	requests := float64(w.SQS()) * scale
	bill := Bill{
		line("API Gateway", float64(w.Posts)*scale, api),
		line("DynamoDB writes", w.WriteUnits*scale, WriteUnit),
		line("DynamoDB reads", w.ReadUnits*scale, ReadUnit),
		line("SQS", requests, SQSRequest),
	}
	if a.Fair {
		bill = append(bill, line("SQS, fair queues", requests, FairQueueRequest))
	}
	invocations := float64(w.Ingest.Invocations+w.Dispatcher.Invocations) * scale
	return append(bill,
		line("Lambda invocations", invocations, LambdaRequest),
		line("Lambda, ingest", a.ingestGBSeconds(w)*scale, LambdaGBSecond),
		line("Lambda, dispatcher", a.dispatcherGBSeconds(w)*scale, LambdaGBSecond),
		line("logs", a.logGB(w)*scale, LogGB),
		line("KMS", float64(w.count("kms"))*scale, KMSRequest),
		line("egress", float64(w.SentBytes)*scale/1e9, EgressGB),
	)
}

// ingestGBSeconds: a request reads the tenant, writes its events and sends their
// messages, one after the other; of a batch the calls of each kind go side by side,
// eight at a time.
func (a Assumptions) ingestGBSeconds(w Work) float64 {
	n := float64(w.Ingest.Invocations)
	waits := a.ReadMS*w.turns("ingest", "GetItem", "Query", "BatchGetItem") +
		a.WriteMS*w.turns("ingest", "PutItem", "BatchWriteItem", "UpdateItem") +
		a.QueueMS*w.turns("ingest", "SendMessage", "SendMessageBatch")
	return a.gbSeconds(n*waits/1000, w.Ingest.CPUSeconds)
}

// sideBySide is how many calls of a kind an invocation makes at once, and
// perEndpoint how many attempts to one endpoint.
const (
	sideBySide  = 8
	perEndpoint = 5
)

// turns is how many times in a row an invocation of ingest waits for calls of the kinds.
func (w Work) turns(caller string, operations ...string) float64 {
	calls := 0
	for _, operation := range operations {
		for _, service := range []string{"dynamodb", "sqs"} {
			calls += w.Requests[caller+" "+service+"."+operation]
		}
	}
	each := float64(calls) / float64(w.Ingest.Invocations)
	if each <= 1 {
		return each
	}
	return float64((int(each) + sideBySide - 1) / sideBySide)
}

// dispatcherGBSeconds: a batch is read at once; of its messages to one endpoint
// five are posted and recorded at a time.
func (a Assumptions) dispatcherGBSeconds(w Work) float64 {
	n := float64(w.Dispatcher.Invocations)
	batch := float64(w.Attempts) / n
	endpoints := float64(w.Deliveries) / float64(w.Events)
	rounds := max(1, batch/(perEndpoint*max(1, min(endpoints, batch))))
	hides := float64(w.Requests["dispatcher sqs.ChangeMessageVisibilityBatch"]) / n
	waits := a.ReadMS + rounds*(a.AnswerMS+a.WriteMS) + hides*a.QueueMS
	return a.gbSeconds(n*waits/1000, w.Dispatcher.CPUSeconds)
}

// gbSeconds is what Lambda bills for time spent waiting and for work that takes
// so much of a whole processor.
func (a Assumptions) gbSeconds(waiting, cpu float64) float64 {
	share := min(1, a.MemoryMB/FullProcessorMB)
	return (waiting + cpu/share) * a.MemoryMB / 1024
}

func (a Assumptions) logGB(w Work) float64 {
	bytes := a.AccessLogBytes*float64(w.Posts) + a.PlatformLogBytes*float64(w.Ingest.Invocations+w.Dispatcher.Invocations)
	for _, f := range []Function{w.Ingest, w.Dispatcher} {
		bytes += float64(f.LogBytes + LineBytes*f.LogLines)
	}
	return bytes / 1e9
}

// StoredMonth is the bill of keeping a million events like those of w for 30
// days. What they take is bounded by what was written: 1 KB for each unit, and the
// 100 bytes that DynamoDB adds to each item.
func (a Assumptions) StoredMonth(w Work) Bill {
	rows := float64(w.Events+w.Deliveries) / float64(w.Events) * million
	gb := rows * 1.1e3 / 1e9
	return Bill{line("table", gb, TableGBMonth), line("point-in-time recovery", gb, PITRGBMonth)}
}
