package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"webhookrelay/shared/client"
)

// exampleRelay answers as a relay does that knows one tenant with two endpoints.
func exampleRelay() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tenants/acme/events", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"id":"order-1001","type":"order.placed","timestamp":"2026-11-23T12:00:00.000Z","deliveries":2}`)
	})
	mux.HandleFunc("GET /v1/tenants/acme/endpoints", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":[{"id":"erp","state":"enabled"},{"id":"shop","state":"disabled"}],"next_cursor":null}`)
	})
	mux.HandleFunc("GET /v1/tenants/acme/events/gone", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"type":"urn:webhookrelay:problem:not-found","title":"Not found","status":404,"detail":"Check the id."}`)
	})
	return httptest.NewServer(mux)
}

func ExampleClient_PostEvent() {
	relay := exampleRelay()
	defer relay.Close()
	c, err := client.New(client.Config{URL: relay.URL, Key: "relay_acme.…"})
	if err != nil {
		fmt.Println(err)
		return
	}
	accepted, err := c.PostEvent(context.Background(), "acme", client.NewEvent{
		ID: "order-1001", Type: "order.placed", Data: json.RawMessage(`{"total":"19.90"}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s goes to %d endpoints\n", accepted.ID, accepted.Deliveries)
	// Output: order-1001 goes to 2 endpoints
}

func ExampleClient_AllEndpoints() {
	relay := exampleRelay()
	defer relay.Close()
	c, err := client.New(client.Config{URL: relay.URL, Key: "relay_acme.…"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for endpoint, err := range c.AllEndpoints(context.Background(), "acme", client.PageOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(endpoint.ID, endpoint.State)
	}
	// Output:
	// erp enabled
	// shop disabled
}

func ExampleIsCode() {
	relay := exampleRelay()
	defer relay.Close()
	c, err := client.New(client.Config{URL: relay.URL, Key: "relay_acme.…"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.GetEvent(context.Background(), "acme", "gone")
	fmt.Println(client.IsCode(err, "not-found"), err)
	// Output: true Not found (404): Check the id.
}
