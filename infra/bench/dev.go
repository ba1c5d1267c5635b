package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"webhookrelay/infra/measure"
)

// tenantID is the tenant of every event.
const tenantID = "bench"

// devResults is what one process with everything in it does on this machine.
type devResults struct {
	Durability  string               `json:"durability"`
	Comparisons []measure.Comparison `json:"comparisons"`
	// Memory in MiB: at rest after the start, and the most it held by the end of
	// a round of events.
	IdleMemory *measure.Spread `json:"idle_memory_mib,omitempty"`
	PeakMemory *measure.Spread `json:"peak_memory_mib,omitempty"`
	// DiskSync is one write of 4 KiB and fsync on the same file system, in ms.
	DiskSync   measure.Spread `json:"disk_sync_ms"`
	Delivered  int            `json:"delivered"`
	Duplicates int            `json:"duplicates"`
}

func (d *devResults) print(s settings) {
	fmt.Printf("relay dev: %s; %d rounds of %d events of %d bytes over %d connections\n\n",
		d.Durability, s.Rounds, s.Events, s.DataBytes, s.Connections)
	var rows [][]string
	for _, c := range d.Comparisons {
		rows = append(rows, c.Row())
	}
	measure.Table([]string{"median (min–max)", "unit", "relay", "floor", "relay ÷ floor"}, rows)
	measure.Table([]string{"median (min–max)", "unit", "value"}, [][]string{
		{"memory at rest after the start", "MiB", optional(d.IdleMemory)},
		{"most memory by the end of a round", "MiB", optional(d.PeakMemory)},
		{"one 4 KiB write and fsync, same file system", "ms", d.DiskSync.String()},
	})
	fmt.Printf("%d deliveries, none missing, %d duplicates\n\n", d.Delivered, d.Duplicates)
}

func optional(s *measure.Spread) string {
	if s == nil {
		return measure.Unknown
	}
	return s.String()
}

// devBench holds what the measurements of relay dev share.
type devBench struct {
	settings
	work, binary string
	receiver     *measure.Receiver
	bodies       [][]byte
	results      *devResults
	peaks        []float64
	serial       int
}

// newDevBench builds the relay and starts a receiver, which the caller closes.
func newDevBench(work string, s settings) (_ *devBench, err error) {
	b := &devBench{settings: s, work: work, results: &devResults{}}
	if b.binary, err = measure.BuildRelay(work); err != nil {
		return nil, err
	}
	if b.receiver, err = measure.NewReceiver(); err != nil {
		return nil, err
	}
	for n := range max(s.Events, s.PacedEvents) {
		b.bodies = append(b.bodies, measure.EventRequest(n))
	}
	return b, nil
}

func measureDev(work string, s settings) (*devResults, error) {
	b, err := newDevBench(work, s)
	if err != nil {
		return nil, err
	}
	defer b.receiver.Close()
	b.results.Durability = "SQLite on " + measure.Filesystem(work) + ", write-ahead log, synced to disk before each 202 and after each attempt"
	for _, measure := range []func() error{b.starts, b.throughput, b.fanOut, b.latency, b.disk} {
		if err := measure(); err != nil {
			return nil, err
		}
	}
	if len(b.peaks) > 0 {
		peak := measure.SpreadOf(b.peaks)
		b.results.PeakMemory = &peak
	}
	return b.results, nil
}

func (b *devBench) add(c measure.Comparison) {
	b.results.Comparisons = append(b.results.Comparisons, c)
}

// start starts a relay over a file of its own, subscribed at the paths of the
// receiver, and sends a few events through it, so that connections are open.
func (b *devBench) start(paths []string) (*measure.Relay, error) {
	b.serial++
	r, err := measure.StartRelay(b.binary, filepath.Join(b.work, fmt.Sprintf("data-%d", b.serial)))
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, path := range paths {
		urls = append(urls, b.receiver.URL+path)
	}
	if err := r.Subscribe(tenantID, urls...); err != nil {
		return nil, errors.Join(err, r.StopQuiet())
	}
	if _, err := b.round(b.loader(r), paths, b.bodies[:100], b.flooding); err != nil {
		return nil, errors.Join(fmt.Errorf("warm-up: %w", err), r.StopQuiet())
	}
	return r, nil
}

func (b *devBench) loader(r *measure.Relay) *measure.Loader {
	return measure.NewLoader(r.EventsURL(tenantID), b.Connections)
}

func (b *devBench) floorLoader(path string) *measure.Loader {
	l := measure.NewLoader(b.receiver.URL+path, b.Connections)
	l.Direct = true
	return l
}

func (b *devBench) flooding(l *measure.Loader, bodies [][]byte) ([]measure.Posted, error) {
	return l.Flood(bodies, b.Connections)
}

func (b *devBench) pacing(l *measure.Loader, bodies [][]byte) ([]measure.Posted, error) {
	return l.Pace(bodies, b.PacedPerSecond)
}

// outcome is one round in which everything arrived.
type outcome struct {
	posted []measure.Posted
	measure.Received
	perSecond float64
}

// delays are the times from each post to its answer, and to its arrival at the
// path, in ms.
func (o outcome) delays(path string) (ack, arrive []float64) {
	for _, p := range o.posted {
		ack = append(ack, measure.Milliseconds(p.Acked.Sub(p.Sent)))
		arrive = append(arrive, measure.Milliseconds(o.First[measure.Arrival{Path: path, ID: p.ID}].Sub(p.Sent)))
	}
	return ack, arrive
}

// round posts the bodies and waits until each has arrived at every path.
func (b *devBench) round(l *measure.Loader, paths []string, bodies [][]byte, send func(*measure.Loader, [][]byte) ([]measure.Posted, error)) (outcome, error) {
	defer l.Close()
	b.receiver.Expect(len(bodies) * len(paths))
	began := time.Now()
	all, err := send(l, bodies)
	if err != nil {
		return outcome{}, err
	}
	got, err := b.receiver.Wait()
	if err == nil {
		err = got.Check(measure.IDs(all), paths)
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{all, got, float64(len(got.First)) / got.Last.Sub(began).Seconds()}, nil
}

// counted is a round of the relay, whose duplicates and memory are noted.
func (b *devBench) counted(r *measure.Relay, paths []string, bodies [][]byte, send func(*measure.Loader, [][]byte) ([]measure.Posted, error)) (outcome, error) {
	got, err := b.round(b.loader(r), paths, bodies, send)
	if err != nil {
		return got, err
	}
	b.results.Delivered += len(got.First)
	b.results.Duplicates += got.Repeats
	if peak, ok := measure.Memory(r.PID(), "VmHWM"); ok {
		b.peaks = append(b.peaks, peak)
	}
	return got, nil
}

// starts measures the time from exec to the first line. The floor is the same
// binary doing nothing but to print: `relay --help`.
func (b *devBench) starts() error {
	var relays, floors, idle []float64
	for i := range b.Starts + 1 {
		help := exec.Command(b.binary, "--help")
		_, floor, rest, err := measure.FirstLine(help)
		if err == nil {
			_, err = io.Copy(io.Discard, rest)
		}
		if err = errors.Join(err, help.Wait()); err != nil {
			return fmt.Errorf("relay --help: %w", err)
		}
		b.serial++
		r, err := measure.StartRelay(b.binary, filepath.Join(b.work, fmt.Sprintf("data-%d", b.serial)))
		if err != nil {
			return err
		}
		if i > 0 { // the first reads the binary from disk
			relays, floors = append(relays, measure.Milliseconds(r.Started)), append(floors, measure.Milliseconds(floor))
		}
		if i%3 == 1 { // settling takes a while, and memory varies little
			if rss, ok := settledMemory(r.PID()); ok {
				idle = append(idle, rss)
			}
		}
		if err := r.StopQuiet(); err != nil {
			return err
		}
	}
	b.add(measure.Compare("start, exec to first line (floor: `relay --help`)", "ms", relays, floors))
	if len(idle) > 0 {
		rest := measure.SpreadOf(idle)
		b.results.IdleMemory = &rest
	}
	return nil
}

// settledMemory returns a process's resident memory once it stays within 1 %
// for a second.
func settledMemory(pid int) (float64, bool) {
	last, still := 0.0, 0
	for range 50 {
		now, ok := measure.Memory(pid, "VmRSS")
		if !ok {
			return 0, false
		}
		if math.Abs(now-last) < last/100 {
			still++
		} else {
			last, still = now, 0
		}
		if still == 5 {
			return now, true
		}
		time.Sleep(200 * time.Millisecond)
	}
	return last, true
}

// speeds collects what alternating rounds came to.
type speeds struct{ relay, floor, relayCPU, floorCPU []float64 }

// floorTimes is how many times the relay's events a round of the floor posts:
// it is that much faster, and would be over before it could be measured.
const floorTimes = 5

// alternate runs rounds of the floor and of the relay in turn. A delivery of
// the floor is a post straight to the receiver, by the same loader.
func (b *devBench) alternate(paths []string, events int) (speeds, error) {
	var s speeds
	self := os.Getpid()
	var floorBodies [][]byte
	for range floorTimes {
		floorBodies = append(floorBodies, b.bodies[:b.Events]...)
	}
	for range b.Rounds {
		before := measure.SettledCPU(self)
		floor, err := b.round(b.floorLoader(paths[0]), paths[:1], floorBodies, b.flooding)
		if err != nil {
			return s, fmt.Errorf("floor: %w", err)
		}
		s.floor = append(s.floor, floor.perSecond)
		s.floorCPU = append(s.floorCPU, 1000*(measure.SettledCPU(self)-before)/float64(len(floor.First)))

		r, err := b.start(paths)
		if err != nil {
			return s, err
		}
		before = measure.SettledCPU(r.PID())
		got, err := b.counted(r, paths, b.bodies[:events], b.flooding)
		s.relay = append(s.relay, got.perSecond)
		s.relayCPU = append(s.relayCPU, 1000*(measure.SettledCPU(r.PID())-before)/float64(max(1, len(got.First))))
		if err = errors.Join(err, r.StopQuiet()); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (b *devBench) throughput() error {
	s, err := b.alternate([]string{"/hook/0"}, b.Events)
	if err != nil {
		return fmt.Errorf("throughput: %w", err)
	}
	b.add(measure.Compare("events, post to arrival", "1/s", s.relay, s.floor))
	b.addCPU("processor time per delivery, 1 endpoint", s)
	return nil
}

func (b *devBench) fanOut() error {
	var paths []string
	for i := range b.FanOut {
		paths = append(paths, fmt.Sprintf("/hook/%d", i))
	}
	s, err := b.alternate(paths, b.Events/b.FanOut)
	if err != nil {
		return fmt.Errorf("fan-out: %w", err)
	}
	b.add(measure.Compare(fmt.Sprintf("deliveries to %d endpoints", b.FanOut), "1/s", s.relay, s.floor))
	b.addCPU(fmt.Sprintf("processor time per delivery, %d endpoints", b.FanOut), s)
	return nil
}

func (b *devBench) addCPU(name string, s speeds) {
	for _, v := range append(s.relayCPU, s.floorCPU...) {
		if math.IsNaN(v) || v == 0 {
			return // the system does not tell, or too few events for its clock
		}
	}
	b.add(measure.Compare(name, "ms", s.relayCPU, s.floorCPU))
}

// latency paces events far below what the relay can take.
func (b *devBench) latency() error {
	paths, bodies := []string{"/hook/0"}, b.bodies[:b.PacedEvents]
	type tails struct{ ack50, ack99, arrive50, arrive99 []float64 }
	var relays, floors tails
	note := func(t *tails, o outcome) {
		ack, arrive := o.delays(paths[0])
		t.ack50, t.ack99 = append(t.ack50, measure.Percentile(ack, 0.5)), append(t.ack99, measure.Percentile(ack, 0.99))
		t.arrive50, t.arrive99 = append(t.arrive50, measure.Percentile(arrive, 0.5)), append(t.arrive99, measure.Percentile(arrive, 0.99))
	}
	for range b.Rounds {
		floor, err := b.round(b.floorLoader(paths[0]), paths, bodies, b.pacing)
		if err != nil {
			return fmt.Errorf("latency, floor: %w", err)
		}
		note(&floors, floor)
		r, err := b.start(paths)
		if err != nil {
			return err
		}
		got, err := b.counted(r, paths, bodies, b.pacing)
		if err = errors.Join(err, r.StopQuiet()); err != nil {
			return fmt.Errorf("latency: %w", err)
		}
		note(&relays, got)
	}
	rate := fmt.Sprintf(" at %d/s", b.PacedPerSecond)
	b.add(measure.Compare("post to 202, p50"+rate, "ms", relays.ack50, floors.ack50))
	b.add(measure.Compare("post to 202, p99"+rate, "ms", relays.ack99, floors.ack99))
	b.add(measure.Compare("post to arrival, p50"+rate, "ms", relays.arrive50, floors.arrive50))
	b.add(measure.Compare("post to arrival, p99"+rate, "ms", relays.arrive99, floors.arrive99))
	return nil
}

// disk measures what one sync costs here: the relay makes two one after the
// other before it answers 202.
func (b *devBench) disk() error {
	f, err := os.Create(filepath.Join(b.work, "sync"))
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 4<<10)
	var took []float64
	for i := range 256 {
		began := time.Now()
		// Twice over the same 512 KiB: from the second time on the file no longer grows.
		if _, err := f.WriteAt(block, int64(i%128)*int64(len(block))); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if i >= 128 {
			took = append(took, measure.Milliseconds(time.Since(began)))
		}
	}
	b.results.DiskSync = measure.SpreadOf(took)
	return nil
}
