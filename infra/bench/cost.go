package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"webhookrelay/infra/cost"
	"webhookrelay/infra/measure"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

func costCases() (all []cost.Case) {
	add := func(ingest, endpoints, batch, failing int) {
		how := map[bool]string{true: "single", false: fmt.Sprintf("batches of %d", ingest)}[ingest == 1]
		to := map[bool]string{true: "1 endpoint", false: fmt.Sprintf("%d endpoints", endpoints)}[endpoints == 1]
		name := fmt.Sprintf("%s, %s, %d %% failing", how, to, failing)
		if batch == 1 {
			name += ", one message an invocation"
		}
		all = append(all, cost.Case{Name: name, Ingest: ingest, Endpoints: endpoints, Batch: batch, FailingPercent: failing})
	}
	for _, ingest := range []int{1, 100} {
		for _, endpoints := range []int{1, 10} {
			for _, failing := range []int{0, 1, 5} {
				add(ingest, endpoints, batch, failing)
			}
		}
	}
	add(1, 1, 1, 0)
	return all
}

func printCost(r *cost.Results) {
	fmt.Printf("what a million events cost, in dollars of %s, prices of %s\n\n", r.PricesIn, r.PricesOf)
	var rows [][]string
	for _, c := range r.Cases {
		per := float64(c.Work.Events)
		rows = append(rows, []string{
			c.Name, fmt.Sprintf("%.2f", c.Dollars), fmt.Sprintf("%.2f", c.Dollars/float64(c.Endpoints)), fmt.Sprintf("%.2f", c.Stored),
			measure.Show(c.Work.WriteUnits / per), measure.Show(c.Work.ReadUnits / per),
			measure.Show(float64(c.Work.SQS()) / per), measure.Show(float64(c.Work.DynamoDB()) / per),
			measure.Show(float64(c.Work.Ingest.Invocations) / per), measure.Show(float64(c.Work.Dispatcher.Invocations) / per),
		})
	}
	measure.Table([]string{"per million events", "$", "$ a delivery", "$ kept 30 days", "write units", "read units", "SQS requests", "DynamoDB requests", "ingest λ", "dispatcher λ"}, rows)
	for _, c := range []cost.Case{r.Cases[0], r.Cases[6]} {
		printBill(c.Name+", per million", c.PerMillion)
	}
	printBill("an idle month", r.IdleMonth)
	rows = nil
	for _, p := range cost.Peers {
		rows = append(rows, []string{p.Name, p.Million, p.Month, p.Limits, p.Read})
	}
	measure.Table([]string{"others", "a million events", "a month", "besides", "read"}, rows)
}

func printBill(name string, bill cost.Bill) {
	var rows [][]string
	for _, l := range bill {
		rows = append(rows, []string{l.Name, measure.Show(l.Quantity), l.Unit, fmt.Sprintf("%.3f", l.Dollars)})
	}
	measure.Table([]string{name, "quantity", "of", "$"}, append(rows, []string{"total", "", "", fmt.Sprintf("%.2f", bill.Dollars())}))
}

func measureCost(work string, events int) (_ *cost.Results, err error) {
	endpoint := os.Getenv(endpointVariable)
	if endpoint == "" || runtime.GOOS != "linux" {
		return nil, fmt.Errorf("needs Linux, and an emulator of AWS named by %s", endpointVariable)
	}
	ctx := context.Background()
	r, err := measure.NewReceiver()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	c, err := openCloud(ctx, endpoint, r.URL+"/hook")
	defer func() { err = errors.Join(err, c.close()) }()
	if err != nil {
		return nil, err
	}
	if err := c.startFunctions(work, runtime.GOARCH, endpoint); err != nil {
		return nil, err
	}
	results := &cost.Results{PricesOf: cost.PricesOf, PricesIn: cost.PricesIn, Assumptions: cost.Default, Cases: costCases()}
	m := &costMeter{cloud: c, receiver: r, tenants: map[int]webhook.TenantID{}}
	for i := range results.Cases {
		if err := m.measure(ctx, &results.Cases[i], events); err != nil {
			return nil, fmt.Errorf("%s: %w", results.Cases[i].Name, err)
		}
	}
	if results.Idle, err = m.idle(work, endpoint); err != nil {
		return nil, fmt.Errorf("idle: %w", err)
	}
	results.IdleMonth = results.Assumptions.Month(results.Idle)
	return results, nil
}

type costMeter struct {
	*cloud
	receiver *measure.Receiver
	// tenants by the number of their endpoints.
	tenants map[int]webhook.TenantID
}

// measure takes a case's events to their endpoints and notes what that took.
func (m *costMeter) measure(ctx context.Context, c *cost.Case, events int) error {
	events = max(c.Ingest, events/c.Endpoints)
	if err := m.prepare(ctx, *c); err != nil {
		return err
	}
	ingest, dispatcher := m.ingest.since(), m.dispatcher.since()
	m.tally.take()
	sent, err := m.deliver(ctx, *c, events)
	if err != nil {
		return err
	}
	got := m.tally.take()
	if got.errors > 0 {
		return fmt.Errorf("%d requests failed: %v", got.errors, got.requests)
	}
	c.Work = cost.Work{
		Events: events, Deliveries: events * c.Endpoints, Attempts: sent.attempts, Posts: events / c.Ingest,
		Requests: got.requests, ReadUnits: got.readUnits + got.absentUnits, WriteUnits: got.writeUnits,
		Ingest: ingest(events / c.Ingest), Dispatcher: dispatcher(sent.batches), SentBytes: sent.bytes,
	}
	c.PerMillion = cost.Default.PerMillion(c.Work)
	c.Dollars, c.Stored = measure.Round4(c.PerMillion.Dollars()), measure.Round4(cost.Default.StoredMonth(c.Work).Dollars())
	fmt.Printf("%s: %.2f $ per million\n", c.Name, c.Dollars)
	return nil
}

// prepare makes the case's tenant, and takes some events all the way, so that
// connections, endpoints and secrets are at hand: that is what a process does
// once and not for each event.
func (m *costMeter) prepare(ctx context.Context, c cost.Case) error {
	if m.tenants[c.Endpoints] == "" {
		var urls []string
		for i := range c.Endpoints {
			urls = append(urls, fmt.Sprintf("%s/hook-%d", m.receiver.URL, i))
		}
		m.tenants[c.Endpoints] = webhook.TenantID(fmt.Sprintf("endpoints-%d", c.Endpoints))
		if err := m.subscribe(ctx, m.tenants[c.Endpoints], urls...); err != nil {
			return err
		}
	}
	c.FailingPercent = 0
	_, err := m.deliver(ctx, c, c.Ingest)
	return err
}

// delivered is what the endpoints and the mapping saw.
type delivered struct{ attempts, batches, bytes int }

// deliver posts the events, a hundred at a time, and has the dispatcher handle
// full batches while there are any, then what is left. A retry comes among
// later first attempts, as it does with steady traffic.
func (m *costMeter) deliver(ctx context.Context, c cost.Case, events int) (delivered, error) {
	const chunk = 100
	watch := &watcher{seen: map[measure.Arrival]bool{}}
	if c.FailingPercent > 0 {
		watch.every = 100 / c.FailingPercent
	}
	m.receiver.Answer(watch.answer)
	defer m.receiver.Answer(nil)
	m.receiver.Expect(events * c.Endpoints)
	batches, queued := 0, 0
	for from := 0; from < events; from += chunk {
		upTo := min(from+chunk, events)
		if err := m.accept(c, from, upTo); err != nil {
			return delivered{}, err
		}
		queued += (upTo - from) * c.Endpoints
		for queued-watch.firsts() >= c.Batch {
			if err := m.round(ctx, c.Batch, c.Batch); err != nil {
				return delivered{}, err
			}
			batches++
		}
	}
	for m.receiver.Count() < events*c.Endpoints {
		if err := m.round(ctx, 1, c.Batch); err != nil {
			return delivered{}, err
		}
		batches++
	}
	if _, err := m.receiver.Wait(); err != nil {
		return delivered{}, err
	}
	return delivered{watch.posts, batches, watch.bytes}, nil
}

// accept has ingest take the events from and up to those numbers.
func (m *costMeter) accept(c cost.Case, from, upTo int) error {
	path := "/v1/tenants/" + string(m.tenants[c.Endpoints]) + "/events"
	for first := from; first < upTo; first += c.Ingest {
		request := measure.EventRequest(first)
		if c.Ingest > 1 {
			var all []string
			for n := range c.Ingest {
				all = append(all, string(measure.EventRequest(first+n)))
			}
			request = []byte(`{"events":[` + strings.Join(all, ",") + `]}`)
		}
		at := path
		if c.Ingest > 1 {
			at += "/batch"
		}
		if err := m.postTo(at, request); err != nil {
			return err
		}
	}
	return nil
}

// round receives one batch and has it handled. Receives that find nothing are
// not counted, for they are Lambda's idle polling.
func (m *costMeter) round(ctx context.Context, least, most int) error {
	var all events.SQSEvent
	receipts := map[string]string{}
	for empty := 0; len(all.Records) < least; {
		out, err := m.quiet.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &m.queueURL, MaxNumberOfMessages: int32(most - len(all.Records)), WaitTimeSeconds: 2,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			return err
		}
		if len(out.Messages) == 0 {
			if empty++; empty > 10 {
				return fmt.Errorf("%d messages came, %d were expected", len(all.Records), least)
			}
			continue
		}
		for _, message := range out.Messages {
			receipts[*message.MessageId] = *message.ReceiptHandle
			all.Records = append(all.Records, events.SQSMessage{
				MessageId: *message.MessageId, ReceiptHandle: *message.ReceiptHandle, Body: *message.Body, Attributes: message.Attributes,
			})
		}
	}
	m.tally.note("mapping sqs.ReceiveMessage")
	_, err := m.hand(ctx, all, receipts)
	return err
}

// watcher counts what is posted to the endpoints, and fails some first attempts.
type watcher struct {
	// every n-th first attempt fails; 0: none does.
	every int

	mu           sync.Mutex
	seen         map[measure.Arrival]bool
	posts, bytes int
}

func (w *watcher) firsts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

func (w *watcher) answer(writer http.ResponseWriter, r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts++
	w.bytes += sizeOfRequest(r)
	which := measure.Arrival{Path: r.URL.Path, ID: r.Header.Get(signature.HeaderID)}
	if w.seen[which] {
		return false
	}
	w.seen[which] = true
	if w.every == 0 || len(w.seen)%w.every != 0 {
		return false
	}
	writer.WriteHeader(http.StatusInternalServerError)
	return true
}

// sizeOfRequest is how many bytes a request took over HTTP/1.1.
func sizeOfRequest(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len("  HTTP/1.1\r\nHost: \r\n\r\n") + len(r.Host) + int(max(0, r.ContentLength))
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(": \r\n") + len(value)
		}
	}
	return size
}

// since returns a function that says what the function has taken from now on,
// over so many invocations.
func (f *function) since() func(invocations int) cost.Function {
	cpu, logged := measure.SettledCPU(f.command.Process.Pid), f.output.String()
	return func(invocations int) cost.Function {
		own := f.output.String()[len(logged):]
		return cost.Function{
			Invocations: invocations, CPUSeconds: measure.SettledCPU(f.command.Process.Pid) - cpu,
			LogLines: strings.Count(own, "\n"), LogBytes: len(own),
		}
	}
}

// idle measures the sweeper's runs that find nothing to do.
func (m *costMeter) idle(work, endpoint string) (cost.Idle, error) {
	const runs = 20
	binary, err := buildFunction(work, "sweeper", runtime.GOARCH)
	if err != nil {
		return cost.Idle{}, err
	}
	address, err := m.proxy(endpoint, "sweeper")
	if err != nil {
		return cost.Idle{}, err
	}
	sweeper, _, err := launch(binary, functionEnvironment(address, m.name, m.queueURL, m.secretsKey)...)
	if err != nil {
		return cost.Idle{}, err
	}
	defer sweeper.stop()
	var none any
	if err := sweeper.invoke(struct{}{}, &none); err != nil { // the daily walk
		return cost.Idle{}, err
	}
	since := sweeper.since()
	m.tally.take()
	for range runs {
		if err := sweeper.invoke(struct{}{}, &none); err != nil {
			return cost.Idle{}, err
		}
	}
	got, took := m.tally.take(), since(runs)
	idle := cost.Idle{AlarmMetrics: essentialMetrics, OwnKey: true, SweepReadUnits: (got.readUnits + got.absentUnits) / runs}
	for _, call := range slices.Sorted(maps.Keys(got.requests)) {
		idle.SweepRequests += float64(got.requests[call]) / runs
	}
	idle.SweepCPUSeconds = took.CPUSeconds / runs
	idle.SweepLogBytes = float64(took.LogBytes+cost.LineBytes*took.LogLines) / runs
	return idle, nil
}

// essentialMetrics is how many metrics the default alarms are on; infra/check
// counts them in the template.
const essentialMetrics = 13
