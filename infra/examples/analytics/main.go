// Command analytics counts the views of a web site's pages, and hands them over
// in batches. A dashboard gets each by a webhook. README.md shows what it prints.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"webhookrelay/infra/examples/receiver"
	"webhookrelay/shared/client"
)

const (
	// tenant is the web site whose pages are counted.
	tenant = "analytics"
	// batchSize is the most that the relay takes at once.
	batchSize = 100
	views     = 250
)

var pages = []string{"/", "/prices", "/docs", "/about"}

// view is one look at a page.
type view struct {
	Page string `json:"page"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "analytics:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	relay, err := client.New(client.Config{URL: os.Getenv("RELAY_URL"), Key: os.Getenv("RELAY_KEY")})
	if err != nil {
		return fmt.Errorf("RELAY_URL: %w", err)
	}
	if _, err := relay.PutTenant(ctx, tenant, "The web site"); err != nil {
		return err
	}

	arrived := make(chan receiver.Webhook, views)
	dashboard, err := receiver.Start(func(w receiver.Webhook) error {
		arrived <- w // a receiver answers first and works later
		return nil
	})
	if err != nil {
		return err
	}
	err = dashboard.Subscribe(ctx, relay, tenant, client.NewEndpoint{
		ID: "dashboard", Description: "Counts views of pages", EventTypes: []string{"page.*"},
	})
	if err != nil {
		return err
	}

	accepted, err := handOver(ctx, relay, collect())
	if err != nil {
		return err
	}
	counts, err := count(ctx, arrived, accepted)
	if err != nil {
		return err
	}
	for _, page := range pages {
		fmt.Printf("dashboard: %3d views of %s\n", counts[page], page)
	}
	return nil
}

// collect makes up what was collected. One event has a type that is none.
func collect() (events []client.NewEvent) {
	visit := rand.Text()[:6]
	for i := range views {
		data, _ := json.Marshal(view{Page: pages[i%len(pages)]}) // a string can be marshalled
		events = append(events, client.NewEvent{
			// With an id of its own, an event may be handed over again without risk.
			ID: fmt.Sprintf("view-%s-%03d", visit, i), Type: "page.viewed", Data: data,
		})
	}
	events[217].Type = "page viewed?"
	return events
}

// handOver gives the relay all events, a batch at a time, and returns the ids of
// those that it accepted.
func handOver(ctx context.Context, relay *client.Client, events []client.NewEvent) (accepted map[string]bool, err error) {
	accepted = map[string]bool{}
	for len(events) > 0 {
		batch := events[:min(batchSize, len(events))]
		events = events[len(batch):]
		answer, err := relay.PostEvents(ctx, tenant, batch)
		if err != nil {
			return nil, err
		}
		fmt.Printf("analytics: handed over %d views, %d accepted\n", len(batch), answer.Accepted)
		// Each event has an outcome of its own: one that is refused holds up no other.
		var again []client.NewEvent
		for i, outcome := range answer.Data {
			switch outcome.Status {
			case http.StatusAccepted:
				accepted[outcome.Event.ID] = true
			case http.StatusServiceUnavailable:
				again = append(again, batch[i])
			default:
				fmt.Printf("  not %s: %s\n", batch[i].ID, outcome.Problem.Detail)
			}
		}
		if len(again) > 0 {
			time.Sleep(time.Second)
			events = append(events, again...)
		}
	}
	return accepted, nil
}

// count counts what arrives by page, until all awaited events did. They come in
// any order, as a webhook that fails is delivered later.
func count(ctx context.Context, arrived <-chan receiver.Webhook, awaited map[string]bool) (map[string]int, error) {
	counts := map[string]int{}
	for len(awaited) > 0 {
		select {
		case w := <-arrived:
			if !awaited[w.ID] {
				continue // of an earlier run that was interrupted
			}
			delete(awaited, w.ID)
			var v view
			if err := json.Unmarshal(w.Data, &v); err != nil {
				return nil, fmt.Errorf("%s: %w", w.ID, err)
			}
			counts[v.Page]++
		case <-ctx.Done():
			return nil, fmt.Errorf("%d views did not arrive: %w", len(awaited), ctx.Err())
		}
	}
	return counts, nil
}
