package main

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// spread is what several rounds of one measurement came to.
type spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return spread{}
	}
	return spread{round4(sorted[0]), round4((sorted[(n-1)/2] + sorted[n/2]) / 2), round4(sorted[n-1])}
}

func (s spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", show(s.Median), show(s.Min), show(s.Max))
}

// comparison is one quantity of the relay beside its floor, round by round.
type comparison struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Relay  spread    `json:"relay"`
	Floor  spread    `json:"floor"`
	Ratio  spread    `json:"ratio"`
	Relays []float64 `json:"relay_rounds"`
	Floors []float64 `json:"floor_rounds"`
}

// compare pairs what was measured in the same round.
func compare(name, unit string, relays, floors []float64) comparison {
	ratios := make([]float64, len(relays))
	for i := range relays {
		ratios[i] = relays[i] / floors[i]
		relays[i], floors[i] = round4(relays[i]), round4(floors[i])
	}
	return comparison{name, unit, spreadOf(relays), spreadOf(floors), spreadOf(ratios), relays, floors}
}

func (c comparison) row() []string {
	return []string{c.Name, c.Unit, c.Relay.String(), c.Floor.String(), c.Ratio.String()}
}

// percentile returns the value that the fraction p of values does not exceed.
func percentile(values []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// round4 keeps four significant digits, more than any of this is worth.
func round4(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if scale < 1 {
		return math.Round(v)
	}
	return math.Round(v*scale) / scale
}

func show(v float64) string {
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

// table prints rows in Markdown, aligned for reading as they are.
func table(header []string, rows [][]string) {
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

// flat matches an object or array that holds no other.
var flat = regexp.MustCompile(`[\[{][^\[\]{}]*[\]}]`)

// compact puts what fits on one line of indented JSON onto one.
func compact(text []byte) []byte {
	return flat.ReplaceAllFunc(text, func(found []byte) []byte {
		if bytes.Contains(found, []byte(`": "`)) {
			return found // texts are easier to find on lines of their own
		}
		return bytes.Join(bytes.Fields(found), []byte(" "))
	})
}
