package paging

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

const (
	document   = "../docs/finding.md"
	beginsHere = "<!-- What a page costs: written by `make paging`. -->\n"
	endsHere   = "<!-- End of what a page costs. -->\n"
)

// table is what was measured last, as the document has it.
func table() (string, error) {
	var b strings.Builder
	for _, name := range []string{"SQLite", "DynamoDB Local"} {
		raw, err := os.ReadFile(resultFile(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		var r result
		if err := json.Unmarshal(raw, &r); err != nil {
			return "", err
		}
		unit := "pages of the file"
		if name != "SQLite" {
			unit = "read units"
		}
		fmt.Fprintf(&b, "\n%s: %d tenants with %d endpoints each, one of them with %d events and deliveries of %d days, commit %s.\n\n",
			r.Store, r.Size.Tenants, r.Size.Endpoints, r.Size.Events, int(span.Hours()/24), r.Commit)
		fmt.Fprintf(&b, "| list, in pages of 50 | pages, items | %s a page (at most) | ms a page (at most) |\n| --- | --- | --- | --- |\n", unit)
		for _, c := range r.Lists {
			fmt.Fprintf(&b, "| %s | %d, %d | %.1f (%.1f) | %.2f (%.2f) |\n", c.List, c.Pages, c.Items, c.Reads, c.MostReads, c.Median, c.Most)
		}
	}
	return b.String() + "\n", nil
}

// split returns what precedes and follows the table in the document.
func split() (before, between, after string, err error) {
	raw, err := os.ReadFile(document)
	if err != nil {
		return "", "", "", err
	}
	before, rest, ok := strings.Cut(string(raw), beginsHere)
	between, after, ok2 := strings.Cut(rest, endsHere)
	if !ok || !ok2 {
		return "", "", "", errors.New(document + " has no place for the table")
	}
	return before, between, after, nil
}

func writeTable() error {
	before, _, after, err := split()
	if err != nil {
		return err
	}
	text, err := table()
	if err != nil {
		return err
	}
	return os.WriteFile(document, []byte(before+beginsHere+text+endsHere+after), 0o644)
}

func TestTheDocumentStatesTheStoredRuns(t *testing.T) {
	want, err := table()
	must(t, err)
	_, got, _, err := split()
	must(t, err)
	if got != want {
		t.Errorf("%s says\n%s\nstored is\n%s", document, got, want)
	}
}
