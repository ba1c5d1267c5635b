package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"webhookrelay/shared/registry"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

const (
	demoTenant   = "demo"
	demoEndpoint = "demo-receiver"
	// demoShown bounds the arrivals the page lists.
	demoShown = 50
)

// demo is a small receiver, so that a newcomer sees a first event arrive. It
// verifies each webhook as a real receiver would.
type demo struct {
	registry *registry.Registry
	url      string
	mux      *http.ServeMux

	mu       sync.Mutex
	arrivals []arrival
}

type arrival struct {
	At      time.Time
	ID      string
	Verdict string
	Body    string
}

func newDemo(endpoints *registry.Registry, url string) *demo {
	d := &demo{registry: endpoints, url: url, mux: http.NewServeMux()}
	d.mux.HandleFunc("POST /demo/receive", d.receive)
	d.mux.HandleFunc("GET /demo", d.page)
	return d
}

func (d *demo) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.mux.ServeHTTP(w, r) }

// register makes the demo tenant and points its endpoint at this process.
func (d *demo) register(ctx context.Context) error {
	if _, _, err := d.registry.PutTenant(ctx, demoTenant, "Demo"); err != nil {
		return err
	}
	url := d.url + "/demo/receive"
	_, err := d.registry.CreateEndpoint(ctx, demoTenant, registry.NewEndpoint{
		ID: demoEndpoint, URL: url, Description: "The receiver that relay dev hosts itself",
	})
	if errors.Is(err, webhook.ErrExists) {
		_, err = d.registry.ChangeEndpoint(ctx, demoTenant, demoEndpoint, registry.EndpointChange{URL: &url})
	}
	return err
}

func (d *demo) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "cannot read the body", http.StatusBadRequest)
		return
	}
	now := time.Now()
	got := arrival{At: now, ID: r.Header.Get(signature.HeaderID), Verdict: "signature verified", Body: string(body)}
	if err := d.verify(r, body, now); err != nil {
		got.Verdict = "refused: " + err.Error()
		http.Error(w, got.Verdict, http.StatusBadRequest)
	}
	d.mu.Lock()
	d.arrivals = append(d.arrivals, got)
	if over := len(d.arrivals) - demoShown; over > 0 {
		d.arrivals = slices.Delete(d.arrivals, 0, over)
	}
	d.mu.Unlock()
	fmt.Printf("%s  received %s  %s  %s\n", got.At.Format(time.TimeOnly), got.ID, got.Verdict, clip(got.Body, 200))
}

func (d *demo) verify(r *http.Request, body []byte, now time.Time) error {
	endpoint, err := d.registry.Store.Endpoint(r.Context(), demoTenant, demoEndpoint)
	if err != nil {
		return err
	}
	secrets, err := d.registry.Sealer.Secrets(r.Context(), endpoint, now)
	if err != nil {
		return err
	}
	return signature.Verify(r.Header, body, secrets, now)
}

//go:embed demo.html
var demoHTML string

var demoPage = template.Must(template.New("demo").Parse(demoHTML))

func (d *demo) page(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	newest := slices.Clone(d.arrivals)
	d.mu.Unlock()
	slices.Reverse(newest)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_ = demoPage.Execute(w, newest) // the browser is gone; nothing is left to say
}

func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}
