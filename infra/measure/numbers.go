package measure

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Spread is what several rounds of one measurement came to.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// SpreadOf returns the spread of values, or the zero Spread of none.
func SpreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return Spread{}
	}
	return Spread{Round4(sorted[0]), Round4((sorted[(n-1)/2] + sorted[n/2]) / 2), Round4(sorted[n-1])}
}

// String is the median with the least and the most.
func (s Spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", Show(s.Median), Show(s.Min), Show(s.Max))
}

// Comparison is one quantity of the relay beside its floor, round by round.
type Comparison struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Relay  Spread    `json:"relay"`
	Floor  Spread    `json:"floor"`
	Ratio  Spread    `json:"ratio"`
	Relays []float64 `json:"relay_rounds"`
	Floors []float64 `json:"floor_rounds"`
}

// Compare pairs what was measured in the same round.
func Compare(name, unit string, relays, floors []float64) Comparison {
	ratios := make([]float64, len(relays))
	for i := range relays {
		ratios[i] = relays[i] / floors[i]
		relays[i], floors[i] = Round4(relays[i]), Round4(floors[i])
	}
	return Comparison{name, unit, SpreadOf(relays), SpreadOf(floors), SpreadOf(ratios), relays, floors}
}

// Row is the comparison as a row of a table.
func (c Comparison) Row() []string {
	return []string{c.Name, c.Unit, c.Relay.String(), c.Floor.String(), c.Ratio.String()}
}

// Percentile returns the value that the fraction p of values does not exceed.
func Percentile(values []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

// Milliseconds is d in milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Round4 keeps four significant digits, more than any of this is worth.
func Round4(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if scale < 1 {
		return math.Round(v)
	}
	return math.Round(v*scale) / scale
}

// Show writes v with two or three significant digits.
func Show(v float64) string {
	digits := 2
	switch {
	case math.Abs(v) >= 100:
		digits = 0
	case math.Abs(v) >= 10:
		digits = 1
	case math.Abs(v) < 0.1:
		digits = 3
	}
	text := fmt.Sprintf("%.*f", digits, v)
	if digits > 0 {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// Table prints rows in Markdown, aligned for reading as they are.
func Table(header []string, rows [][]string) {
	all := append([][]string{header}, rows...)
	widths := make([]int, len(header))
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range all {
		for j, cell := range row {
			fmt.Print("| ", cell, strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)+1))
		}
		fmt.Println("|")
		if i == 0 {
			for _, width := range widths {
				fmt.Print("| ", strings.Repeat("-", width), " ")
			}
			fmt.Println("|")
		}
	}
	fmt.Println()
}

// Markdown returns rows as a table in Markdown, without padding.
func Markdown(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(header)
	line(slices.Repeat([]string{"---"}, len(header)))
	for _, row := range rows {
		line(row)
	}
	return b.String()
}
