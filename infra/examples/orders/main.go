// Command orders is a shop that announces the orders placed in it. Its warehouse
// hears of each by a webhook. README.md shows what it prints.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"webhookrelay/infra/examples/receiver"
	"webhookrelay/shared/client"
)

// tenant is whose events and endpoints these are. A platform with many shops
// makes each of them a tenant.
const tenant = "shop"

// order is what the shop says of an order placed.
type order struct {
	Number string `json:"number"`
	Item   string `json:"item"`
	Total  string `json:"total"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
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
	if _, err := relay.PutTenant(ctx, tenant, "The shop"); err != nil {
		return err
	}

	packed := make(chan receiver.Webhook, 1)
	warehouse, err := receiver.Start(pack(packed))
	if err != nil {
		return err
	}
	err = warehouse.Subscribe(ctx, relay, tenant, client.NewEndpoint{
		ID: "warehouse", Description: "Packs what was ordered", EventTypes: []string{"order.placed"},
		// Seconds between attempts. Left out, the relay goes on for a day.
		RetrySchedule: []int{1, 10, 60, 600},
	})
	if err != nil {
		return err
	}

	// Order numbers begin anew with each run, so the run is a part of the event's id.
	day := rand.Text()[:6]
	coffee, kettle := order{"1001", "coffee", "19.90"}, order{"1002", "kettle", "49.00"}
	if err := announce(ctx, relay, day, coffee); err != nil {
		return err
	}
	if err := await(ctx, packed, eventID(day, coffee)); err != nil {
		return err
	}
	// Say the shop crashed before it noted the answer, and announces the order
	// again. The relay knows it by its id: it is one event, delivered once.
	if err := announce(ctx, relay, day, coffee); err != nil {
		return err
	}
	if err := announce(ctx, relay, day, kettle); err != nil {
		return err
	}
	if err := await(ctx, packed, eventID(day, kettle)); err != nil {
		return err
	}
	return explain(ctx, relay, eventID(day, kettle))
}

func eventID(day string, o order) string { return "order-" + day + "-" + o.Number }

// announce tells the relay of an order. Once it returns without an error, the
// relay has it, and the shop need not think of it again.
func announce(ctx context.Context, relay *client.Client, day string, o order) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	accepted, err := relay.PostEvent(ctx, tenant, client.NewEvent{
		ID: eventID(day, o), Type: "order.placed", Data: data,
		Tags: []string{"order_" + o.Number}, // to find it by in the portal
	})
	if err != nil {
		return err
	}
	fmt.Printf("shop: order %s is event %s, for %d endpoint\n", o.Number, accepted.ID, accepted.Deliveries)
	return nil
}

// pack is what the warehouse does with an order. It has no kettle at first, and
// says so: after any answer but 2xx the relay brings the order again.
func pack(packed chan<- receiver.Webhook) func(receiver.Webhook) error {
	restocked := false
	return func(w receiver.Webhook) error {
		var o order
		if err := json.Unmarshal(w.Data, &o); err != nil {
			return err
		}
		if o.Item == "kettle" && !restocked {
			restocked = true
			return errors.New("no kettle left, come again")
		}
		packed <- w
		return nil
	}
}

// await returns once the warehouse packed the order of the event. Others may
// come before it, from an earlier run that was interrupted.
func await(ctx context.Context, packed <-chan receiver.Webhook, id string) error {
	for {
		select {
		case w := <-packed:
			fmt.Printf("warehouse: packed %s: %s\n", w.ID, w.Data)
			if w.ID == id {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("%s did not arrive: %w", id, ctx.Err())
		}
	}
}

// explain shows what the relay has on record of an event.
func explain(ctx context.Context, relay *client.Client, id string) error {
	for {
		event, err := relay.GetEvent(ctx, tenant, id)
		if err != nil {
			return err
		}
		delivery := event.Deliveries[0] // there is one endpoint
		if !delivery.State.Final() {
			time.Sleep(100 * time.Millisecond) // the relay is still writing down what the warehouse just answered
			continue
		}
		fmt.Printf("relay: %s is %s\n", id, delivery.State)
		for _, attempt := range delivery.Attempts {
			fmt.Printf("  attempt %d: %d, %s\n", attempt.Number, attempt.StatusCode, attempt.Outcome)
		}
		return nil
	}
}
