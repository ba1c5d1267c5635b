// Command social is an app that tells many others what happens in it: readers,
// each of what they follow, moderators and an archive. README.md shows what it prints.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"webhookrelay/infra/examples/receiver"
	"webhookrelay/shared/client"
)

// tenant is the app's community.
const tenant = "social"

// subscribers is who hears of what. What is left out lets everything through.
func subscribers() (all []client.NewEndpoint) {
	// Channels are labels that the app puts on its events. Readers follow some.
	follows := [][]string{{"chess"}, {"cooking"}, {"cycling"}, {"chess", "cooking"}}
	for i := range 12 {
		all = append(all, client.NewEndpoint{
			ID: fmt.Sprintf("reader-%02d", i+1), EventTypes: []string{"post.created"}, Channels: follows[i%len(follows)],
		})
	}
	return append(all,
		// A filter looks into the event.
		client.NewEndpoint{ID: "moderators", EventTypes: []string{"post.reported"}, Filter: "data.reports >= 3"},
		client.NewEndpoint{ID: "archive"},
	)
}

// news is what happens in the app.
var news = []client.NewEvent{
	{Type: "post.created", Channels: []string{"chess"}, Data: json.RawMessage(`{"title":"A gambit"}`)},
	{Type: "post.created", Channels: []string{"chess", "cooking"}, Data: json.RawMessage(`{"title":"Pawns of marzipan"}`)},
	{Type: "post.reported", Channels: []string{"chess"}, Data: json.RawMessage(`{"title":"A gambit","reports":1}`)},
	{Type: "post.reported", Channels: []string{"chess"}, Data: json.RawMessage(`{"title":"A gambit","reports":3}`)},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "social:", err)
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
	if _, err := relay.PutTenant(ctx, tenant, "The community"); err != nil {
		return err
	}

	arrived := make(chan receiver.Webhook, 100)
	// One program plays all of them. Each has an address and a secret of its own.
	everyone, err := receiver.Start(func(w receiver.Webhook) error {
		arrived <- w
		return nil
	})
	if err != nil {
		return err
	}
	endpoints := subscribers()
	for _, endpoint := range endpoints {
		if err := everyone.Subscribe(ctx, relay, tenant, endpoint); err != nil {
			return err
		}
	}

	for _, event := range news {
		// One request, however many hear of it.
		accepted, err := relay.PostEvent(ctx, tenant, event)
		if err != nil {
			return err
		}
		fmt.Printf("social: %s in %s %s, for %d of %d\n", event.Type, strings.Join(event.Channels, " and "), event.Data, accepted.Deliveries, len(endpoints))
		heard, err := listen(ctx, arrived, accepted)
		if err != nil {
			return err
		}
		fmt.Println("  heard by", strings.Join(heard, " "))
	}
	return nil
}

// listen returns who got the event, once all did for whom it was.
func listen(ctx context.Context, arrived <-chan receiver.Webhook, event client.Accepted) ([]string, error) {
	heard := map[string]bool{}
	for len(heard) < event.Deliveries {
		select {
		case w := <-arrived:
			if w.ID == event.ID {
				heard[w.Endpoint] = true
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("%s reached %d of %d: %w", event.ID, len(heard), event.Deliveries, ctx.Err())
		}
	}
	return slices.Sorted(maps.Keys(heard)), nil
}
