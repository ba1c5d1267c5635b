package paging

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"webhookrelay/infra/measure"
	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

var (
	full = flag.Bool("full", false, "fill the sizes in full, and store what a page costs; many minutes")
	// DynamoDB Local writes a few thousand rows a second; 1,000,000 events would take an hour.
	sizes = map[string]size{
		"SQLite":         {Tenants: 10, Endpoints: 1000, Events: 1_000_000},
		"DynamoDB Local": {Tenants: 10, Endpoints: 1000, Events: 100_000},
	}
	small = size{Tenants: 2, Endpoints: 60, Events: 3_000}
)

// longestWalk is how many pages of a list are measured at most.
const longestWalk = 200

// cost is what the pages of a list took.
type cost struct {
	List  string `json:"list"`
	Pages int    `json:"pages"`
	Items int    `json:"items"`
	// Reads of each page: read request units of DynamoDB, or pages of 4 KB that
	// SQLite took from its file, as a mean and at most.
	Reads     float64 `json:"reads"`
	MostReads float64 `json:"most_reads"`
	// Milliseconds of each page: the median, and at most.
	Median float64 `json:"median_ms"`
	Most   float64 `json:"most_ms"`
}

// lister is a list with how many items it holds in full; 0: as many as it may.
type lister struct {
	name string
	want int
	call func(ctx context.Context, p webhook.Page) (n int, next string, err error)
}

func pageOf[T any](items []T, next string, err error) (int, string, error) {
	return len(items), next, err
}

// lists are those that are measured, with the page size that each is asked for.
func (f *filled) lists() []lister {
	deliveries := func(name string, want int, filter history.Filter) lister {
		return lister{name, want, func(ctx context.Context, p webhook.Page) (int, string, error) {
			return pageOf(f.store.Deliveries(ctx, f.tenant, filter, p))
		}}
	}
	events := func(name string, want int, filter history.Filter) lister {
		return lister{name, want, func(ctx context.Context, p webhook.Page) (int, string, error) {
			return pageOf(f.store.Events(ctx, f.tenant, filter, p))
		}}
	}
	aDay := history.Filter{Since: f.now.Add(-11 * 24 * time.Hour), Until: f.now.Add(-10 * 24 * time.Hour)}
	ofOne := endpointID(1)
	return []lister{
		{"a tenant's endpoints", f.size.Endpoints, func(ctx context.Context, p webhook.Page) (int, string, error) {
			return pageOf(f.store.Endpoints(ctx, f.tenant, p))
		}},
		events("events", f.size.Events+1, history.Filter{}),
		events("events of one day", f.size.Events/30, aDay),
		events("events of a type, 1 of 500", f.size.Events/rare, history.Filter{Types: []webhook.Pattern{"order.refunded"}}),
		events("events with a tag, 1 of 500", f.size.Events/rare, history.Filter{Tag: "refund"}),
		deliveries("deliveries", f.size.Events+f.size.Endpoints, history.Filter{}),
		deliveries("deliveries to one endpoint", f.size.Events/f.size.Endpoints+1, history.Filter{Endpoint: ofOne}),
		deliveries("dead deliveries", f.size.Events/dead, history.Filter{State: webhook.Dead}),
		deliveries("dead deliveries of one day", f.size.Events/dead/30, history.Filter{State: webhook.Dead, Since: aDay.Since, Until: aDay.Until}),
		deliveries("queued deliveries", f.size.Events/queued, history.Filter{State: webhook.Queued}),
		{"export", f.size.Events + 1, func(ctx context.Context, p webhook.Page) (int, string, error) {
			return pageOf(f.store.Records(ctx, f.tenant, history.Filter{}, p))
		}},
		{"one event of many endpoints", f.size.Endpoints, func(ctx context.Context, _ webhook.Page) (int, string, error) {
			return pageOf2(f.store.EventDeliveries(ctx, f.tenant, f.wide.Ref))
		}},
		{"all endpoints, as ingest reads them", f.size.Endpoints, func(ctx context.Context, _ webhook.Page) (int, string, error) {
			return pageOf2(f.store.AllEndpoints(ctx, f.tenant))
		}},
	}
}

func pageOf2[T any](items []T, err error) (int, string, error) { return len(items), "", err }

// measured pages through a list, with pages of 50 as the API has them by default.
func measured(t *testing.T, l lister, most int, reads func() float64) cost {
	t.Helper()
	c := cost{List: l.name}
	var times []float64
	p := webhook.Page{Limit: 50}
	for more := true; more && c.Pages < most; more = p.After != "" {
		before, begun := reads(), time.Now()
		n, next, err := l.call(t.Context(), p)
		took, read := measure.Milliseconds(time.Since(begun)), reads()-before
		must(t, err)
		times = append(times, took)
		c.Pages, c.Items, c.Reads = c.Pages+1, c.Items+n, c.Reads+read
		c.MostReads, c.Most = max(c.MostReads, read), max(c.Most, took)
		p.After = next
	}
	c.Reads /= float64(c.Pages)
	c.Median = measure.Percentile(times, .5)
	if p.After == "" && (c.Items < l.want*98/100 || c.Items > l.want*102/100+2) {
		t.Errorf("%s: %d items in all, want about %d", l.name, c.Items, l.want)
	}
	return c
}

// bounds of a page's work, whatever the size: rows of a walk, and the buckets of the
// days that a walk may cross.
const (
	mostUnits     = 900
	mostFilePages = 9000
)

func listAll(t *testing.T, f *filled, most int, reads func() float64, bound float64) (costs []cost) {
	t.Helper()
	for _, l := range f.lists() {
		c := measured(t, l, most, reads)
		if c.MostReads > bound {
			t.Errorf("%s: a page took %.0f reads, more than %.0f", l.name, c.MostReads, bound)
		}
		costs = append(costs, c)
		t.Logf("%-36s %5d pages %7d items  %8.1f reads (at most %.1f)  %7.2f ms (at most %.2f)", c.List, c.Pages, c.Items, c.Reads, c.MostReads, c.Median, c.Most)
	}
	return costs
}

func TestPagesOfSQLite(t *testing.T) {
	z, most := small, 10_000
	if *full {
		z, most = sizes["SQLite"], longestWalk
	}
	s, err := sqlite.Open(sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	must(t, err)
	defer func() { _ = s.Close() }()
	f := fill(t, s, "p", z)
	keep(t, "SQLite", z, listAll(t, f, most, filePages, mostFilePages))
}

// filePages is how many pages of 4 KB this process has read from files; 0 where the
// system does not count.
func filePages() float64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "rchar: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.ParseFloat(line, 64)
	return n / 4096
}

func TestPagesOfDynamoDB(t *testing.T) {
	endpoint := os.Getenv("RELAY_TEST_AWS_ENDPOINT")
	if endpoint == "" {
		t.Skip("RELAY_TEST_AWS_ENDPOINT is not set")
	}
	z, most := small, 10_000
	if *full {
		z, most = sizes["DynamoDB Local"], longestWalk
	}
	var units atomic.Uint64 // in hundredths
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(counting(&units), middleware.Before)
		}},
	})
	table := "paging-" + id.NewSource().ULID(time.Now())
	_, err := client.CreateTable(t.Context(), dynamo.TableSchema.CreateTable(table))
	must(t, err)
	defer func() { _, _ = client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &table}) }()
	must(t, dynamodb.NewTableExistsWaiter(client).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, time.Minute))
	f := fill(t, dynamo.New(client, table, time.Now), "p", z)
	keep(t, "DynamoDB Local", z, listAll(t, f, most, func() float64 { return float64(units.Load()) / 100 }, mostUnits))
}

// counting asks for the consumed capacity of reads and adds it up.
func counting(units *atomic.Uint64) middleware.InitializeMiddleware {
	return middleware.InitializeMiddlewareFunc("ConsumedCapacity", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		const total = types.ReturnConsumedCapacityTotal
		switch p := in.Parameters.(type) {
		case *dynamodb.QueryInput:
			asked := *p
			asked.ReturnConsumedCapacity, in.Parameters = total, &asked
		case *dynamodb.GetItemInput:
			asked := *p
			asked.ReturnConsumedCapacity, in.Parameters = total, &asked
		case *dynamodb.BatchGetItemInput:
			asked := *p
			asked.ReturnConsumedCapacity, in.Parameters = total, &asked
		}
		out, metadata, err := next.HandleInitialize(ctx, in)
		var consumed []types.ConsumedCapacity
		switch o := out.Result.(type) {
		case *dynamodb.QueryOutput:
			consumed = append(consumed, one(o.ConsumedCapacity)...)
		case *dynamodb.GetItemOutput:
			consumed = append(consumed, one(o.ConsumedCapacity)...)
		case *dynamodb.BatchGetItemOutput:
			consumed = o.ConsumedCapacity
		}
		for _, c := range consumed {
			units.Add(uint64(aws.ToFloat64(c.CapacityUnits)*100 + .5))
		}
		return out, metadata, err
	})
}

func one(c *types.ConsumedCapacity) []types.ConsumedCapacity {
	if c == nil {
		return nil
	}
	return []types.ConsumedCapacity{*c}
}

// result is what was stored of a store.
type result struct {
	At      time.Time       `json:"at"`
	Commit  string          `json:"commit"`
	Machine measure.Machine `json:"machine"`
	Store   string          `json:"store"`
	Size    size            `json:"size"`
	Lists   []cost          `json:"lists"`
}

// keep stores the costs of a full run.
func keep(t *testing.T, name string, z size, costs []cost) {
	t.Helper()
	if !*full || t.Failed() {
		return
	}
	for i, c := range costs {
		costs[i].Reads, costs[i].MostReads = measure.Round4(c.Reads), measure.Round4(c.MostReads)
		costs[i].Median, costs[i].Most = measure.Round4(c.Median), measure.Round4(c.Most)
	}
	r := result{time.Now().UTC().Truncate(time.Second), measure.Commit(), measure.ThisMachine(t.TempDir()), name, z, costs}
	must(t, measure.Store(r, resultFile(name)))
	must(t, writeTable())
}

func resultFile(name string) string {
	return filepath.Join("results", strings.ReplaceAll(strings.ToLower(name), " ", "-")+".json")
}
