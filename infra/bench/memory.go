package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"webhookrelay/infra/cost"
	"webhookrelay/infra/measure"
	"webhookrelay/shared/webhook"
)

// memoryResults are what the functions take with each setting of their memory,
// by which Lambda shares out processors too.
type memoryResults struct {
	// How says what held the processes to their share, and what stood in for AWS.
	How     string            `json:"how,omitempty"`
	Latency *cost.Assumptions `json:"latencies,omitempty"`
	Sizes   []memorySize      `json:"sizes,omitempty"`
	// Chosen is the cheapest setting that keeps the bounds.
	Chosen int `json:"chosen_mb,omitempty"`
	// NotMeasured says why there is none of it.
	NotMeasured string `json:"not_measured,omitempty"`
}

// memorySize is one setting.
type memorySize struct {
	MB         int            `json:"mb"`
	Share      float64        `json:"processor_share"`
	Ingest     memoryFunction `json:"ingest"`
	Dispatcher memoryFunction `json:"dispatcher"`
	// DispatcherOne is the dispatcher with one message a batch.
	DispatcherOne memoryFunction `json:"dispatcher_one_message"`
	// DollarsPerMillion are Lambda's for a million events to one endpoint, posted
	// singly and delivered in batches of ten.
	DollarsPerMillion float64 `json:"dollars_per_million"`
}

// memoryFunction is what one function took, times in ms.
type memoryFunction struct {
	StartMS float64 `json:"start_ms,omitempty"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	// BilledMS is the mean of the invocations, each rounded up to a millisecond.
	BilledMS float64 `json:"billed_ms"`
	// PeakMiB is the most memory it held, after its largest request or batch as well.
	PeakMiB float64 `json:"peak_mib,omitempty"`
}

// Bounds that a setting has to keep: ingest's 99th percentile beside that of the
// largest setting at the same time, and how much of the function's memory may be
// in use.
const (
	maxLatencyRatio = 1.25
	maxMemoryUsed   = 0.5
)

// fits reports whether the setting keeps the bounds, if the largest has that percentile.
func (m memorySize) fits(best float64) bool {
	most := max(m.Ingest.PeakMiB, m.Dispatcher.PeakMiB)
	return m.Ingest.P99 <= maxLatencyRatio*best && most <= maxMemoryUsed*float64(m.MB)
}

func (m *memoryResults) print() {
	fmt.Print("memory of the Lambda functions\n\n")
	if m.NotMeasured != "" {
		fmt.Printf("not measured: %s\n\n", m.NotMeasured)
		return
	}
	fmt.Printf("%s\n\n", m.How)
	measure.Table(m.table())
	fmt.Printf("%s\n\n", m.verdict())
}

func (m *memoryResults) table() (header []string, rows [][]string) {
	for _, s := range m.Sizes {
		rows = append(rows, []string{
			strconv.Itoa(s.MB), measure.Show(s.Ingest.StartMS), measure.Show(s.Dispatcher.StartMS),
			s.Ingest.times(), s.Dispatcher.times(), s.DispatcherOne.times(),
			measure.Show(s.Ingest.PeakMiB), measure.Show(s.Dispatcher.PeakMiB), fmt.Sprintf("%.2f", s.DollarsPerMillion),
		})
	}
	return []string{
		"MB", "start of ingest, ms", "of dispatcher", "ingest, p50 / p99 ms", "dispatcher, 10 messages", "dispatcher, 1 message",
		"peak of ingest, MiB", "of dispatcher", "$ a million events",
	}, rows
}

// verdict says which setting was chosen, and how.
func (m *memoryResults) verdict() string {
	return fmt.Sprintf("The cheapest with ingest's p99 at most %g times that of %d MB, and at most %g %% of the memory in use: %d MB.",
		maxLatencyRatio, memorySizes[len(memorySizes)-1], 100*maxMemoryUsed, m.Chosen)
}

func (f memoryFunction) times() string { return measure.Show(f.P50) + " / " + measure.Show(f.P99) }

var memorySizes = []int{128, 192, 256, 512, 1024, 1769}

// Invocations of a setting, and starts of each function.
const (
	memoryStarts   = 5
	ingestTimes    = 500
	batchTimes     = 50
	oneTimes       = 100
	memoryWarmUp   = 5
	messagesOfSize = (batchTimes+memoryWarmUp)*batch + oneTimes + memoryWarmUp
)

func measureMemory(work string) (*memoryResults, error) {
	if runtime.GOOS != "linux" {
		return &memoryResults{NotMeasured: "the binaries run on Linux, this is " + runtime.GOOS}, nil
	}
	probe, err := newQuota(1)
	if err != nil {
		return &memoryResults{NotMeasured: err.Error()}, nil
	}
	if err := probe.remove(); err != nil {
		return nil, err
	}
	r, err := newRig(work)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.fill(messagesOfSize * len(memorySizes)); err != nil {
		return nil, err
	}
	assumed := cost.Default
	r.stub.setLatency(&assumed)
	r.sink.set(time.Duration(assumed.AnswerMS * float64(time.Millisecond)))
	results := &memoryResults{
		How: fmt.Sprintf("a control group's quota of a processor, memory ÷ %d of each %d ms; AWS's answers take %g (reads), %g (writes) and %g ms (queue), the endpoint's %g ms",
			cost.FullProcessorMB, quotaPeriod/1000, assumed.ReadMS, assumed.WriteMS, assumed.QueueMS, assumed.AnswerMS),
		Latency: &assumed,
	}
	if results.Sizes, err = r.withMemories(memorySizes); err != nil {
		return nil, err
	}
	results.Chosen = cheapest(results.Sizes)
	return results, nil
}

// cheapest returns the memory of the cheapest setting that fits, or 0. The last is
// the largest.
func cheapest(sizes []memorySize) int {
	fitting := slices.DeleteFunc(slices.Clone(sizes), func(s memorySize) bool { return !s.fits(sizes[len(sizes)-1].Ingest.P99) })
	if len(fitting) == 0 {
		return 0
	}
	return slices.MinFunc(fitting, func(a, b memorySize) int { return cmp.Compare(a.DollarsPerMillion, b.DollarsPerMillion) }).MB
}

// sized are the functions of one setting, each in a group of its own.
type sized struct {
	memorySize
	ingest, dispatcher, single *held
}

// withMemories measures all settings at once, so that what else the machine does
// falls on all of them. The processes wait nearly all the time.
func (r *rig) withMemories(settings []int) (sizes []memorySize, err error) {
	var all []*sized
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.ingest.stop(), s.dispatcher.stop(), s.single.stop())
		}
	}()
	for _, mb := range settings {
		s := &sized{memorySize: memorySize{MB: mb, Share: measure.Round4(float64(mb) / cost.FullProcessorMB)}}
		all = append(all, s)
		for _, one := range []struct {
			name string
			held **held
			into *memoryFunction
		}{{"ingest", &s.ingest, &s.Ingest}, {"dispatcher", &s.dispatcher, &s.Dispatcher}, {"dispatcher", &s.single, &s.DispatcherOne}} {
			if *one.held, err = r.hold(one.name, mb, one.into); err != nil {
				return nil, err
			}
		}
	}
	var group errgroup.Group
	for _, s := range all {
		group.Go(func() error {
			return s.ingest.time(ingestTimes, func() error { return r.post(s.ingest.function, 1, measure.EventRequest) })
		})
		group.Go(func() error {
			return s.dispatcher.time(batchTimes, func() error { return r.deliver(s.dispatcher.function, batch) })
		})
		group.Go(func() error {
			return s.single.time(oneTimes, func() error { return r.deliver(s.single.function, 1) })
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, s := range all {
		s.price()
		if err := r.enlarge(s.ingest, s.dispatcher); err != nil {
			return nil, fmt.Errorf("%d MB: %w", s.MB, err)
		}
		sizes = append(sizes, s.memorySize)
	}
	return sizes, nil
}

// enlarge makes the largest request and hands over the largest batch, and notes
// the memory that both functions have held by then.
func (r *rig) enlarge(ingest, dispatcher *held) error {
	if err := r.post(ingest.function, largeEvents, largeRequest); err != nil {
		return err
	}
	messages, err := r.stub.takeLast(batch)
	if err != nil {
		return err
	}
	return errors.Join(dispatcher.handle(messages), ingest.peak(), dispatcher.peak())
}

// price notes what Lambda bills for a million events.
func (m *memorySize) price() {
	per := func(f memoryFunction) float64 {
		return cost.LambdaRequest.Dollars + f.BilledMS/1000*float64(m.MB)/1024*cost.LambdaGBSecond.Dollars
	}
	m.DollarsPerMillion = measure.Round4(1e6 * (per(m.Ingest) + per(m.Dispatcher)/batch))
}

// held is a function held to the share of a processor that its memory gives it.
type held struct {
	*function
	limit *quota
	into  *memoryFunction
}

// hold starts one a few times and keeps the last.
func (r *rig) hold(name string, mb int, into *memoryFunction) (*held, error) {
	limit, err := newQuota(float64(mb) / cost.FullProcessorMB)
	if err != nil {
		return nil, err
	}
	h := &held{limit: limit, into: into}
	var starts []float64
	for range memoryStarts {
		if h.function != nil {
			h.function.stop()
		}
		var took time.Duration
		if h.function, took, err = r.start(name, limit, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(mb)); err != nil {
			return nil, errors.Join(err, limit.remove())
		}
		starts = append(starts, measure.Milliseconds(took))
	}
	into.StartMS = measure.SpreadOf(starts).Median
	return h, nil
}

func (h *held) stop() error {
	if h == nil {
		return nil
	}
	h.function.stop()
	return h.limit.remove()
}

// time notes how long each invocation takes, after a few that do not count.
func (h *held) time(times int, do func() error) error {
	if err := repeat(memoryWarmUp, do); err != nil {
		return err
	}
	took := make([]float64, times)
	billed := 0.0
	for i := range took {
		if err := do(); err != nil {
			return err
		}
		took[i] = measure.Milliseconds(h.last)
		billed += math.Ceil(took[i])
	}
	h.into.P50, h.into.P99 = measure.Round4(measure.Percentile(took, 0.5)), measure.Round4(measure.Percentile(took, 0.99))
	h.into.BilledMS = measure.Round4(billed / float64(times))
	return nil
}

func (h *held) peak() error {
	mib, ok := measure.Memory(h.command.Process.Pid, "VmHWM")
	if !ok {
		return errors.New("the system does not tell a process's memory")
	}
	h.into.PeakMiB = measure.Round4(mib)
	return nil
}

// largeEvents are as many of the largest events as a request holds.
const largeEvents = 15

// largeRequest is an event of the largest size that is accepted.
func largeRequest(n int) []byte {
	data := make([]byte, 0, webhook.MaxDataBytes)
	data = append(data, '[')
	for i := 0; len(data) < webhook.MaxDataBytes-2*measure.DataBytes; i++ {
		data = append(append(data, measure.EventData(n*1000+i)...), ',')
	}
	return fmt.Appendf(nil, `{"type":%q,"data":%s0]}`, measure.EventType, data)
}
