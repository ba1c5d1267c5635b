// Package receiver is the other side of the wire: what the customers of the
// example programs run. It does what infra/docs/receiving.md asks of a receiver.
package receiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"webhookrelay/shared/client"
)

// maxBody is more than the largest event, in bytes.
const maxBody = 1 << 20

// Webhook is an event as it reaches an endpoint.
type Webhook struct {
	// Endpoint is the id of the endpoint that it reached.
	Endpoint string `json:"-"`
	// ID is the event's, the same on every attempt.
	ID        string          `json:"-"`
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// Receiver serves any number of endpoints, each at an address of its own.
type Receiver struct {
	handle func(Webhook) error
	url    string

	secretsMu sync.Mutex
	secrets   map[string]*standardwebhooks.Webhook

	handleMu sync.Mutex
	handled  map[string]bool
}

// Start listens on a free port of this machine, until the process ends. Each
// webhook that is genuine and new is handed to handle, one at a time. An error
// of handle is answered with 503, and the relay tries again later.
func Start(handle func(Webhook) error) (*Receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Receiver{
		handle: handle, url: "http://" + listener.Addr().String() + "/webhooks/",
		secrets: map[string]*standardwebhooks.Webhook{}, handled: map[string]bool{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhooks/{endpoint}", r.receive)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with the process
	return r, nil
}

// Subscribe makes an endpoint whose address is here, or moves it here if an
// earlier run made it. A customer does this in the portal, or your product for it.
func (r *Receiver) Subscribe(ctx context.Context, relay *client.Client, tenant string, endpoint client.NewEndpoint) error {
	endpoint.URL = r.url + endpoint.ID
	_, err := relay.CreateEndpoint(ctx, tenant, endpoint)
	if client.IsStatus(err, http.StatusConflict) {
		_, err = relay.ChangeEndpoint(ctx, tenant, endpoint.ID, client.EndpointChange{URL: &endpoint.URL})
	}
	if err != nil {
		return fmt.Errorf("endpoint %s: %w", endpoint.ID, err)
	}
	// The relay drew a secret, by which this receiver knows the relay.
	signed, err := relay.GetSecret(ctx, tenant, endpoint.ID)
	if err != nil {
		return fmt.Errorf("secret of %s: %w", endpoint.ID, err)
	}
	verifier, err := standardwebhooks.NewWebhook(signed.Secret)
	if err != nil {
		return fmt.Errorf("secret of %s: %w", endpoint.ID, err)
	}
	r.secretsMu.Lock()
	defer r.secretsMu.Unlock()
	r.secrets[endpoint.ID] = verifier
	return nil
}

func (r *Receiver) receive(w http.ResponseWriter, request *http.Request) {
	webhook, err := r.verified(w, request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := r.once(webhook); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// verified reads a webhook, and checks that the relay signed it.
func (r *Receiver) verified(w http.ResponseWriter, request *http.Request) (webhook Webhook, err error) {
	r.secretsMu.Lock()
	verifier := r.secrets[request.PathValue("endpoint")]
	r.secretsMu.Unlock()
	if verifier == nil {
		return webhook, errors.New("no such endpoint")
	}
	// The signature is that of the bytes as they came, so it is checked before they are parsed.
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxBody))
	if err != nil {
		return webhook, err
	}
	if err := verifier.Verify(body, request.Header); err != nil {
		return webhook, err
	}
	if err := json.Unmarshal(body, &webhook); err != nil {
		return webhook, err
	}
	webhook.Endpoint, webhook.ID = request.PathValue("endpoint"), request.Header.Get("webhook-id")
	return webhook, nil
}

// once handles a webhook unless it was handled before: the relay promises that
// an event arrives at least once, so it may come again. A receiver that outlives
// its process keeps the ids where it keeps its data.
func (r *Receiver) once(webhook Webhook) error {
	r.handleMu.Lock()
	defer r.handleMu.Unlock()
	key := webhook.Endpoint + " " + webhook.ID
	if r.handled[key] {
		return nil
	}
	if err := r.handle(webhook); err != nil {
		return err
	}
	r.handled[key] = true
	return nil
}
