package cost_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"webhookrelay/infra/cost"
)

// What the documents say is what was measured last.
func TestTheDocumentsStateTheStoredRun(t *testing.T) {
	t.Parallel()
	run, err := cost.Latest()
	if err != nil {
		t.Fatal(err)
	}
	single, ok1 := run.Cost.Find(1, 1, 10, 0)
	batched, ok2 := run.Cost.Find(100, 1, 10, 0)
	if !ok1 || !ok2 {
		t.Fatalf("the run of commit %s lacks a case", run.Commit)
	}
	figures := []string{
		fmt.Sprintf("$%.2f", single.Dollars), fmt.Sprintf("$%.2f", batched.Dollars), fmt.Sprintf("$%.2f", run.Cost.IdleMonth.Dollars()),
	}
	wanted := map[string][]string{"../../README.md": figures, "../docs/costs.md": {"commit " + run.Commit}}
	for _, peer := range cost.Peers {
		wanted["../docs/costs.md"] = append(wanted["../docs/costs.md"], "| "+peer.Name+" | "+peer.Million+" |")
	}
	for file, texts := range wanted {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if !strings.Contains(string(raw), text) {
				t.Errorf("%s does not say %q", file, text)
			}
		}
	}
}

// Whoever changes a price or an assumption measures again, or states why not.
func TestTheStoredBillsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	run, err := cost.Latest()
	if err != nil {
		t.Fatal(err)
	}
	if run.Cost.Assumptions != cost.Default || run.Cost.PricesOf != cost.PricesOf {
		t.Errorf("stored with %+v and prices of %s", run.Cost.Assumptions, run.Cost.PricesOf)
	}
	for _, c := range run.Cost.Cases {
		if got := cost.Default.PerMillion(c.Work).Dollars(); got < 0.999*c.Dollars || got > 1.001*c.Dollars {
			t.Errorf("%s: stored as %g dollars, is %g", c.Name, c.Dollars, got)
		}
	}
}

// The API writes its log itself, so a line's size is that of the template's format
// with usual values in it.
func TestTheAccessLogIsAsLongAsAssumed(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	formats := regexp.MustCompile(`Format: '(\{"id".*\})'`).FindAllStringSubmatch(string(raw), -1)
	if len(formats) != 2 || formats[0][1] != formats[1][1] {
		t.Fatalf("the two kinds of API log %q", formats)
	}
	usual := strings.NewReplacer(
		"$context.requestId", "JKJaXmPLvHcESHA=", "$context.identity.sourceIp", "203.0.113.100", "$context.httpMethod", "POST",
		"$context.path", "/v1/tenants/customer-1234567890/events", "$context.status", "202", "$context.responseLatency", "35",
		"$context.integrationErrorMessage", "-",
	).Replace(formats[0][1])
	if got := float64(len(usual) + cost.LineBytes); strings.Contains(usual, "$") || got > cost.Default.AccessLogBytes || got < 0.9*cost.Default.AccessLogBytes {
		t.Errorf("%g bytes, assumed are %g: %s", got, cost.Default.AccessLogBytes, usual)
	}
}
