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
	"sync/atomic"

	"webhookrelay/infra/measure"
)

// endpointVariable names the emulator that requests are counted on.
const endpointVariable = "RELAY_BENCH_AWS_ENDPOINT"

// awsResults are what one event costs in requests to DynamoDB, SQS and KMS.
type awsResults struct {
	Cases []awsCase `json:"cases,omitempty"`
	// NotMeasured says why there are none.
	NotMeasured string `json:"not_measured,omitempty"`
}

// awsCase is one course of events; its numbers are per delivered event, or per
// attempt where it is called that.
type awsCase struct {
	Name       string             `json:"name"`
	Events     int                `json:"events"`
	ReadUnits  float64            `json:"read_units"`
	WriteUnits float64            `json:"write_units"`
	Requests   map[string]float64 `json:"requests"`
}

func (a *awsResults) print() {
	fmt.Print("requests to AWS\n\n")
	if a.NotMeasured != "" {
		fmt.Printf("not measured: %s\n\n", a.NotMeasured)
		return
	}
	measure.Table(a.table())
}

func (a *awsResults) table() (header []string, rows [][]string) {
	for _, c := range a.Cases {
		rows = append(rows, []string{c.Name, measure.Show(c.ReadUnits), measure.Show(c.WriteUnits), measure.Show(c.sqs()), c.calls()})
	}
	return []string{"per event", "read units", "write units", "SQS requests", "all requests"}, rows
}

// sqs sums the requests to SQS.
func (c awsCase) sqs() float64 {
	sum := 0.0
	for call, n := range c.Requests {
		if strings.Contains(call, " sqs.") {
			sum += n
		}
	}
	return sum
}

// calls lists the requests by caller.
func (c awsCase) calls() string {
	var text strings.Builder
	last := ""
	for _, call := range slices.Sorted(maps.Keys(c.Requests)) {
		caller, operation, _ := strings.Cut(call, " ")
		_, operation, _ = strings.Cut(operation, ".")
		switch {
		case last == "":
			text.WriteString(caller + ":")
		case caller != last:
			text.WriteString("; " + caller + ":")
		default:
			text.WriteString(",")
		}
		last = caller
		text.WriteString(" " + operation + " " + measure.Show(c.Requests[call]))
	}
	return text.String()
}

func measureAWS(work string, s settings) (_ *awsResults, err error) {
	endpoint := os.Getenv(endpointVariable)
	if endpoint == "" {
		return &awsResults{NotMeasured: endpointVariable + " is not set"}, nil
	}
	if runtime.GOOS != "linux" {
		return &awsResults{NotMeasured: "the functions run on Linux, this is " + runtime.GOOS}, nil
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
	b := &awsBench{cloud: c, receiver: r}
	if err := b.measure(ctx, s.AWSEvents); err != nil {
		return nil, err
	}
	return &b.results, nil
}

type awsBench struct {
	*cloud
	receiver *measure.Receiver
	results  awsResults
}

const batch = 10

func (b *awsBench) measure(ctx context.Context, events int) error {
	order, random := measure.EventRequest, measure.RandomRequest
	for _, c := range []struct {
		name         string
		events, size int
		request      func(int) []byte
	}{
		{"the very first of both processes", 1, 1, order},
		{"batches of 1", events, 1, order},
		{"batches of 10", events, batch, order},
		{"batches of 10, data of random base64", events, batch, random},
	} {
		err := b.count(c.name, c.events, func() error { return b.deliver(ctx, c.events, c.size, c.request) })
		if err != nil {
			return err
		}
	}
	for _, size := range []int{1, batch} {
		// Not counted: ingest, whose part is in the cases above.
		if err := b.accept(size, order); err != nil {
			return err
		}
		b.receiver.Answer(failing(size))
		b.receiver.Expect(size)
		err := b.count(fmt.Sprintf("a failed attempt, batches of %d", size), size, func() error { return b.turn(ctx, size, size) })
		if err != nil {
			return err
		}
		err = b.count(fmt.Sprintf("the retry that delivers, batches of %d", size), size, func() error { return b.turn(ctx, size, 0) })
		if err != nil {
			return err
		}
		if _, err := b.receiver.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// count runs a course of events and notes what it took per event.
func (b *awsBench) count(name string, events int, course func() error) error {
	b.tally.take()
	if err := course(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	got := b.tally.take()
	if got.errors > 0 {
		return fmt.Errorf("%s: %d requests failed: %v", name, got.errors, got.requests)
	}
	per := awsCase{
		Name: name, Events: events, Requests: map[string]float64{},
		ReadUnits: measure.Round4(got.readUnits / float64(events)), WriteUnits: measure.Round4(got.writeUnits / float64(events)),
	}
	for call, n := range got.requests {
		per.Requests[call] = measure.Round4(float64(n) / float64(events))
	}
	b.results.Cases = append(b.results.Cases, per)
	return nil
}

// accept has ingest take size events.
func (b *awsBench) accept(size int, request func(int) []byte) error {
	for n := range size {
		if err := b.post(request(n)); err != nil {
			return err
		}
	}
	return nil
}

// failing answers 500 that many times.
func failing(times int) measure.Answer {
	var left atomic.Int64
	left.Store(int64(times))
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if left.Add(-1) < 0 {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
}

// turn handles one batch, of which so many messages must be kept.
func (b *awsBench) turn(ctx context.Context, size, want int) error {
	kept, err := b.dispatch(ctx, size)
	if err == nil && kept != want {
		err = fmt.Errorf("%d of %d messages kept, %d were expected", kept, size, want)
	}
	return err
}

// deliver takes events all the way, in batches of size.
func (b *awsBench) deliver(ctx context.Context, events, size int, request func(int) []byte) error {
	b.receiver.Expect(events)
	for range events / size {
		if err := b.accept(size, request); err != nil {
			return err
		}
		if err := b.turn(ctx, size, 0); err != nil {
			return err
		}
	}
	_, err := b.receiver.Wait()
	return err
}
