package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"webhookrelay/shared/client"
)

// note says a line to the person, beside the output proper.
func (s *session) note(format string, values ...any) { s.say(format+"\n", values...) }

// say is note without an end of line. Who closed standard error wants to hear nothing.
func (s *session) say(format string, values ...any) { _, _ = fmt.Fprintf(s.err, format, values...) }

// json prints a value as one line of JSON.
func (s *session) json(value any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// show prints value as JSON if that is asked for, and the lines otherwise.
func (s *session) show(value any, lines ...string) error {
	if s.remote.JSON {
		return s.json(value)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(s.out, line); err != nil {
			return err
		}
	}
	return nil
}

// printable shows control characters and those that turn text around as
// escapes: what a relay stores may come from anywhere.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) || r == utf8.RuneError {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// cell is printable text that fits into one line.
func cell(text string) string { return strings.ReplaceAll(printable(text), "\n", "\\n") }

// Colours by meaning. The word is always there too.
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	plain  = "\x1b[0m"
)

// colours says whether standard output takes them.
func (s *session) colours() bool {
	return s.outTerminal && s.getenv("NO_COLOR") == "" && s.getenv("TERM") != "dumb"
}

var colourOf = map[string]string{
	"delivered": green, "ok": green, "enabled": green, "matches": green,
	"retrying": yellow, "parked": yellow, "failing": yellow, "warn": yellow,
	"dead": red, "open": red, "disabled": red, "FAIL": red,
}

// paint colours text by the word it is, or begins with.
func (s *session) paint(text string) string {
	word, _, _ := strings.Cut(strings.TrimRight(text, " "), " ")
	if colour := colourOf[word]; colour != "" && s.colours() {
		return colour + text + plain
	}
	return text
}

// time shows an instant: local on a terminal, RFC 3339 in UTC elsewhere.
func (s *session) time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if !s.outTerminal {
		return t.UTC().Format(time.RFC3339)
	}
	return t.In(s.zone).Format("2006-01-02 15:04:05 MST")
}

func (s *session) timeIf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return s.time(*t)
}

// table prints rows: aligned under a header on a terminal, tab-separated
// without one elsewhere, and as JSON when that is asked for.
type table struct {
	s    *session
	out  *bufio.Writer
	rows [][]string
}

func (s *session) table(header ...string) *table {
	return &table{s: s, out: bufio.NewWriter(s.out), rows: [][]string{header}}
}

// add prints a row, or keeps it until its column's width is known.
func (t *table) add(value any, cells ...string) error {
	if t.s.remote.JSON {
		return t.s.json(value)
	}
	for i := range cells {
		cells[i] = cell(cells[i])
	}
	if !t.s.outTerminal {
		_, err := fmt.Fprintln(t.out, strings.Join(cells, "\t"))
		return err
	}
	t.rows = append(t.rows, cells)
	return nil
}

// end prints what is kept.
func (t *table) end() error {
	if len(t.rows) > 1 {
		widths := make([]int, len(t.rows[0]))
		for _, row := range t.rows {
			for i, text := range row {
				widths[i] = max(widths[i], utf8.RuneCountInString(text))
			}
		}
		for n, row := range t.rows {
			var line strings.Builder
			for i, text := range row {
				padded := text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2)
				if n > 0 {
					padded = t.s.paint(padded)
				}
				line.WriteString(padded)
			}
			_, _ = fmt.Fprintln(t.out, strings.TrimRight(line.String(), " "))
		}
	}
	return t.out.Flush() // which reports what could not be written
}

// listFlags say how much of a list is shown.
type listFlags struct {
	Limit int  `short:"n" default:"20" help:"How many to show at most."`
	All   bool `help:"Show all there are."`
}

// options ask for one more than is shown, to know whether there are more.
func (l listFlags) options() client.PageOptions {
	if l.All {
		return client.PageOptions{Limit: client.MaxPage}
	}
	return client.PageOptions{Limit: max(1, min(l.Limit+1, client.MaxPage))}
}

// list prints the items of a list under a header.
func list[T any](s *session, l listFlags, header []string, items iter.Seq2[T, error], row func(T) []string) error {
	out := s.table(header...)
	n, more := 0, false
	for item, err := range items {
		if err != nil {
			_ = out.end()
			return err
		}
		if more = !l.All && n >= l.Limit; more {
			break
		}
		n++
		if err := out.add(item, row(item)...); err != nil {
			return err
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	switch {
	case more:
		s.note("There are more than these %d: add --limit N or --all.", n)
	case n == 0:
		s.note("There are none.")
	}
	return nil
}
