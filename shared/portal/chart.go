package portal

import (
	"fmt"
	"time"

	"webhookrelay/shared/client"
)

// chart is a bar for each stretch of time: above the axis what arrived and, on top
// of it, what is still on its way; below it what failed for good.
type chart struct {
	Bars   []bar
	Labels []label
	// Axis is the y of the line, Most the count at the top of the chart.
	Axis int
	Most int
	// Summary says in words what is to be seen.
	Summary string
	Since   time.Time
	// Range is 24h or 7d, as the address says it.
	Range string
	// Partial: only events since From could be counted.
	Partial bool
	From    time.Time
}

// bar holds its parts' places and counts.
type bar struct {
	Start                              time.Time
	X, W                               int
	Delivered, Waiting, Failed         int
	DeliveredY, DeliveredH             int
	WaitingY, WaitingH, FailedH, BackH int
}

type label struct {
	X    int
	Text string
}

// Measures of the drawing, in its own units.
const (
	chartWidth  = 720
	chartHeight = 180
	chartLeft   = 8
	chartTop    = 14
	chartFloor  = 158 // where the labels begin
)

// chartRange is what a chart may show.
type chartRange struct {
	name        string
	bars        int
	width       time.Duration
	labelEvery  int
	labelFormat string
}

var chartRanges = map[string]chartRange{
	"24h": {"24h", 24, time.Hour, 6, "15:04"},
	"7d":  {"7d", 28, 6 * time.Hour, 4, "Mon 2"},
}

// rangeOf reads the address; 24 hours is what is shown otherwise.
func rangeOf(v *visit) chartRange {
	if r, ok := chartRanges[v.r.URL.Query().Get("range")]; ok {
		return r
	}
	return chartRanges["24h"]
}

// window is what a chart's statistics are about: whole bars, to the end of the
// hour, or the day, that now lies in.
func (r chartRange) window(now time.Time) (since, until time.Time) {
	until = now.UTC().Truncate(r.width).Add(r.width)
	return until.Add(-time.Duration(r.bars) * r.width), until
}

// newChart draws the statistics of a window.
func newChart(r chartRange, stats client.Stats, now time.Time) chart {
	since, _ := r.window(now)
	c := chart{Since: since, Range: r.name, Partial: !stats.Complete, From: stats.From, Bars: make([]bar, r.bars)}
	for i := range c.Bars {
		c.Bars[i].Start = since.Add(time.Duration(i) * r.width)
	}
	for _, hour := range stats.Hours {
		i := int(hour.Start.Sub(since) / r.width)
		if hour.Start.Before(since) || i >= len(c.Bars) {
			continue
		}
		b, n := &c.Bars[i], hour.Deliveries
		b.Delivered += n[client.Delivered]
		b.Waiting += n[client.Queued] + n[client.Retrying] + n[client.Parked]
		b.Failed += n[client.Dead]
	}
	c.draw()
	for i := 0; i < r.bars; i += r.labelEvery {
		c.Labels = append(c.Labels, label{c.Bars[i].X, c.Bars[i].Start.Format(r.labelFormat)})
	}
	c.Summary = summary(stats.Total)
	return c
}

// draw places the bars. Both sides of the axis have one scale.
func (c *chart) draw() {
	most, below := 1, 0
	for _, b := range c.Bars {
		most, below = max(most, b.Delivered+b.Waiting), max(below, b.Failed)
	}
	c.Most = most
	room := chartFloor - chartTop
	height := func(n int) int {
		h := n * room / (most + below)
		if n > 0 && h < 2 {
			h = 2 // so that one of thousands is seen
		}
		return h
	}
	c.Axis = chartTop + most*room/(most+below)
	step := float64(chartWidth-2*chartLeft) / float64(len(c.Bars))
	for i := range c.Bars {
		b := &c.Bars[i]
		b.X = chartLeft + int(float64(i)*step)
		b.W = max(2, int(step)-4)
		b.DeliveredH, b.WaitingH, b.FailedH = height(b.Delivered), height(b.Waiting), height(b.Failed)
		b.DeliveredY = c.Axis - b.DeliveredH
		b.WaitingY = b.DeliveredY - b.WaitingH
		b.BackH = chartFloor - chartTop
	}
}

// summary says what the chart shows.
func summary(t client.Tally) string {
	n := t.Deliveries
	waiting := n[client.Queued] + n[client.Retrying] + n[client.Parked]
	if n[client.Delivered]+waiting+n[client.Dead] == 0 {
		return "No deliveries in this time."
	}
	return fmt.Sprintf("%s delivered, %s on the way, %s failed.", count(n[client.Delivered]), count(waiting), count(n[client.Dead]))
}
