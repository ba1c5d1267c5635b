package cost

// Price is one list price.
type Price struct {
	// Dollars for one Unit.
	Dollars float64
	Unit    string
	// Page is where AWS states it.
	Page string
}

// PricesOf is the date on which the prices below were noted down, and PricesIn
// the region they are for. No free tier is taken off. infra/docs/costs.md says where
// each was seen, as AWS's pages themselves could not be read.
const (
	PricesOf = "2026-11-23"
	PricesIn = "us-east-1"
)

// List prices of AWS that the relay's bill is made of.
var (
	HTTPAPIRequest   = Price{1.00e-6, "request of up to 512 KB, HTTP API", "https://aws.amazon.com/api-gateway/pricing/"}
	RESTAPIRequest   = Price{3.50e-6, "request, REST API", "https://aws.amazon.com/api-gateway/pricing/"}
	LambdaRequest    = Price{0.20e-6, "invocation", "https://aws.amazon.com/lambda/pricing/"}
	LambdaGBSecond   = Price{0.0000133334, "GB-second, arm64", "https://aws.amazon.com/lambda/pricing/"}
	WriteUnit        = Price{0.625e-6, "write request unit, on demand", "https://aws.amazon.com/dynamodb/pricing/on-demand/"}
	ReadUnit         = Price{0.125e-6, "read request unit, on demand", "https://aws.amazon.com/dynamodb/pricing/on-demand/"}
	TableGBMonth     = Price{0.25, "GB-month of a table", "https://aws.amazon.com/dynamodb/pricing/on-demand/"}
	PITRGBMonth      = Price{0.20, "GB-month of point-in-time recovery", "https://aws.amazon.com/dynamodb/pricing/on-demand/"}
	SQSRequest       = Price{0.40e-6, "request of up to 64 KB, standard queue", "https://aws.amazon.com/sqs/pricing/"}
	FairQueueRequest = Price{0.10e-6, "request more where a message names its group", "https://aws.amazon.com/sqs/pricing/"}
	LogGB            = Price{0.50, "GB of log taken in", "https://aws.amazon.com/cloudwatch/pricing/"}
	EgressGB         = Price{0.09, "GB sent to the internet", "https://aws.amazon.com/ec2/pricing/on-demand/"}
	KMSRequest       = Price{3.0e-6, "request", "https://aws.amazon.com/kms/pricing/"}
	KMSKeyMonth      = Price{1.00, "key-month", "https://aws.amazon.com/kms/pricing/"}
	AlarmMetricMonth = Price{0.10, "metric-month of an alarm", "https://aws.amazon.com/cloudwatch/pricing/"}
	CompositeMonth   = Price{0.50, "composite alarm-month", "https://aws.amazon.com/cloudwatch/pricing/"}
	DashboardMonth   = Price{3.00, "dashboard-month after the account's third", "https://aws.amazon.com/cloudwatch/pricing/"}
)

// Peer is what others charge, as they published it.
type Peer struct {
	Name    string
	Million string // what a million events cost
	Month   string // what is paid while nothing happens
	Limits  string
	// Read is when and where the price was read.
	Read string
}

// Peers are prices of hosted services that deliver webhooks. Theirs hold work
// that is yours with the relay, such as running it.
var Peers = []Peer{
	{"Svix", "$100 ($0.0001 a message beyond 50,000)", "$490 (Professional); free up to 50,000 messages", "payloads kept 30 days", "svix.com/pricing, September 2026"},
	{"Hookdeck", "metered above 10,000 events", "$39 (Team), $499 (Growth); free up to 10,000 events", "kept 7 or 30 days", "hookdeck.com/pricing, September 2026"},
	{"Convoy", "nothing beyond the plan", "$99 (Cloud Pro), $999 (Premium, on your own servers)", "a fixed address is $100 more", "getconvoy.io/pricing, May to September 2026"},
	{"EventBridge API destinations", "$1.20 ($1.00 an event, $0.20 a delivery)", "nothing", "5 s to answer, 24 h of retries, no signature over the body", "aws.amazon.com/eventbridge/pricing, June 2026"},
}
