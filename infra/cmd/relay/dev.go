package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"webhookrelay/shared/announce"
	"webhookrelay/shared/api"
	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/config"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/filter"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/portal"
	"webhookrelay/shared/registry"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/retry"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/sender"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/telemetry"
	"webhookrelay/shared/throttle"
)

// receiveSlack is how many receives a message may have beyond its attempts:
// what crashes and store failures use up before SQS would call it dead.
const receiveSlack = 10

// drainTime bounds how long a stop waits for attempts under way.
const drainTime = 20 * time.Second

type devCommand struct {
	Listen        string   `default:"127.0.0.1:8080" env:"RELAY_LISTEN" help:"Address to serve on; port 0 picks a free one."`
	Data          string   `default:".relay/relay.db" env:"RELAY_DATA" help:"SQLite file; made when absent."`
	AdminKey      string   `env:"RELAY_ADMIN_KEY" hidden:"" help:"Admin key, from the environment only."`
	RetrySchedule string   `default:"${schedule}" env:"RELAY_RETRY_SCHEDULE" help:"Waits between attempts; n waits make n+1 attempts."`
	Breaker       string   `default:"${breaker}" env:"RELAY_BREAKER" help:"Failures in a row after which an endpoint is left alone and probed, and the longest time between two of them."`
	DisableAfter  string   `default:"${disableAfter}" env:"RELAY_DISABLE_AFTER" help:"How long an endpoint may do nothing but fail before it is disabled; 0s for ever."`
	ParkLifetime  string   `env:"RELAY_PARK_LIFETIME" placeholder:"72h" help:"How long a delivery may be on hold; twice what its retries take when empty."`
	AllowCIDR     []string `name:"allow-cidr" env:"RELAY_ALLOW_CIDRS" placeholder:"CIDR" help:"Networks that endpoints may lie in, replacing the default (this machine, and plain http everywhere)."`
	AllowPort     []string `name:"allow-port" default:"1-65535" env:"RELAY_ALLOW_PORTS" placeholder:"PORT" help:"Ports, or ranges such as 9000-9100, that endpoints may use besides 443."`
	RetentionDays string   `default:"30" env:"RELAY_RETENTION_DAYS" help:"How long events are kept, in days."`
	TenantRate    string   `default:"off" env:"RELAY_TENANT_RATE" help:"Events that a tenant may post in a second, and at once, such as 50/100."`
	KeyRate       string   `default:"off" env:"RELAY_KEY_RATE" help:"Other requests that a key may make in a second, and at once, such as 50/200."`
	Embedders     []string `name:"portal-embedder" env:"RELAY_PORTAL_EMBEDDERS" placeholder:"ORIGIN" help:"Origins, such as http://localhost:3000, whose pages may show the portal in a frame."`
	EventTypes    string   `default:"off" env:"RELAY_EVENT_TYPES" help:"What events have to be: off, known (of a type in the catalogue) or schema (and as its schema says)."`
	LogLevel      string   `default:"info" env:"RELAY_LOG_LEVEL" help:"Lowest level logged, as JSON on stderr: debug, info, warn or error."`
}

const (
	// releaseInterval is how often deliveries on hold are looked at.
	releaseInterval = 250 * time.Millisecond
	// putOff is how long they wait for an endpoint that is down; the store has
	// them fall due when it is back.
	putOff = 30 * time.Second
	// releaseRate is how many of them go to one endpoint in a second.
	releaseRate = 2000
)

// heapGrowth is GOGC unless the environment sets another: the heap is some MiB, and
// collecting it as often as Go does by itself took a tenth of the processor time.
const heapGrowth = 400

// maxHeader bounds a request's line and headers, in bytes, near API Gateway's
// 10,240 (net/http adds some slack of its own).
const maxHeader = 8 << 10

// loopback is what endpoints may use by default on a laptop besides public addresses.
const loopback = "127.0.0.0/8,::1/128"

// Run serves until SIGINT or SIGTERM, then lets attempts under way finish.
func (c devCommand) Run() error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	set, err := c.settings()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.Data), 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	key, err := c.adminKey()
	if err != nil {
		return err
	}
	dataKeys, err := secretKey(c.Data)
	if err != nil {
		return err
	}
	store, err := sqlite.Open(sqlite.Config{Path: c.Data, MaxReceives: len(set.schedule) + 1 + receiveSlack})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("--listen: %w", err), store.Close())
	}
	relay := newRelay(c, set, store, seal.New(dataKeys, time.Now), key, "http://"+listener.Addr().String())
	return errors.Join(relay.serve(listener), store.Close())
}

// adminKey is the one given, or one made at the first start and kept beside the data.
func (c devCommand) adminKey() (string, error) {
	if c.AdminKey != "" {
		return c.AdminKey, nil
	}
	path := filepath.Join(filepath.Dir(c.Data), "admin-key")
	kept, err := os.ReadFile(path)
	if key := strings.TrimSpace(string(kept)); err == nil && key != "" {
		return key, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	key := auth.NewKey("", auth.Bootstrap)
	return key, os.WriteFile(path, []byte(key+"\n"), 0o600)
}

// relay is the whole relay in one process: what four Lambda functions, a table
// and two queues are in a deployment.
type relay struct {
	command    devCommand
	url, key   string
	handler    http.Handler
	dispatcher *dispatch.Dispatcher
	sweeper    sweep.Sweeper
	worker     replay.Worker
	store      *sqlite.Store
	queue      *sqlite.Queue
	demo       *demo
	log        *slog.Logger
}

func newRelay(c devCommand, set settings, store *sqlite.Store, sealer *seal.Sealer, key, url string) *relay {
	log := telemetry.NewLogger(os.Stderr, set.level)
	ids := id.NewSource()
	queue := store.Queue()
	past := history.History{Store: store}
	endpoints := registry.New(registry.Config{
		Store: store, Sealer: sealer, IDs: ids, CheckURL: set.outbound.CheckURL, Overlap: config.DefaultOverlap, Now: time.Now,
	})
	ingester := ingest.New(ingest.Config{
		Store: store, Queue: queue, Handover: store, IDs: ids, Retention: set.retention,
		Now: time.Now, Sleep: ingest.Sleep, Log: log,
	})
	trail := audit.Trail{Store: store, IDs: ids, Now: time.Now}
	admin := auth.DigestOf(key)
	callers := auth.New(auth.Config{Store: store, Admin: admin, Now: time.Now})
	demo := newDemo(endpoints, url)
	mux := http.NewServeMux()
	mux.Handle("/demo", demo)
	mux.Handle("/demo/", demo)
	handler := api.Handler(
		api.Config{Auth: callers, IDs: ids, Now: time.Now, Log: log, KeyRate: throttle.New(set.keyRate, time.Now)},
		api.Accept{
			Ingester: ingester, Rate: throttle.New(set.tenantRate, time.Now), Types: catalogue.NewEnforcer(set.types, store, time.Now),
		},
		api.Manage{
			Registry: endpoints, Ingester: ingester, History: past, Trail: trail, Types: catalogue.Catalogue{Store: store, IDs: ids, Now: time.Now},
			Replayer:   replay.Replayer{Deliveries: past, Rows: store, Queue: queue, DeadLetters: queue, Trail: trail, Now: time.Now},
			Withdrawer: replay.Withdrawer{Events: past, Store: store, Trail: trail, Now: time.Now},
			Jobs:       replay.Jobs{Store: store, Past: store, Endpoints: store, IDs: ids, Matcher: filter.NewMatcher(), Now: time.Now},
			Keyring: keyring.New(keyring.Config{
				Store: store, Tenants: store, Auth: callers, Sealer: sealer, Admin: admin, Trail: trail,
			}),
		},
	)
	mux.Handle("/", portal.New(portal.Config{
		API: handler, Now: time.Now, Log: log, Embedders: set.embedders, OperatorTenant: config.DefaultOperatorTenant,
	}).Beside(handler))
	return &relay{
		command: c, url: url, key: key, handler: mux, store: store, queue: queue, demo: demo, log: log,
		dispatcher: dispatch.New(dispatch.Config{
			Store: store, Queue: queue, Sender: sender.New(sender.Config{Policy: set.outbound, Sealer: sealer, Now: time.Now}),
			Announcer: announce.Announcer{Ingester: ingester, Tenant: config.DefaultOperatorTenant},
			Policy:    retry.Policy{Schedule: set.schedule, Rand: rand.Float64}, Breaker: set.breaker, Lifetime: set.lifetime,
			Now: time.Now, Log: log,
		}),
		sweeper: sweep.Sweeper{
			Store: store, Queue: queue, Breaker: set.breaker, Lifetime: set.lifetime, Interval: releaseInterval, PutOff: putOff, Rate: releaseRate,
			Now: time.Now, Log: log,
		},
		worker: replay.Worker{Store: store, Interval: releaseInterval, Matcher: filter.NewMatcher(), Now: time.Now, Log: log},
	}
}

func (r *relay) serve(listener net.Listener) error {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	server := &http.Server{
		Handler: r.handler, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	mapping := newMapping(r.queue, r.dispatcher, r.log)
	running := make(chan struct{})
	go func() { defer close(running); mapping.run(stop) }()
	go r.background(stop)

	r.greet(r.demo.register(stop))
	var err error
	select {
	case err = <-failed:
		cancel()
	case <-stop.Done():
		fmt.Println("stopping: attempts under way may finish")
	}
	// A second signal ends the process at once.
	cancel()
	drain, done := context.WithTimeout(context.Background(), drainTime)
	defer done()
	if shutdownErr := server.Shutdown(drain); shutdownErr != nil && err == nil {
		err = shutdownErr
	}
	select {
	case <-running:
	case <-drain.Done():
		r.log.Warn("attempts were cut short; they are made again at the next start")
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// every calls f at once and then at each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, f func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// background does until ctx ends what nobody asks for. Nothing of it waits for another
// part: thousands of deliveries on hold may fall due at once, to be put off one by one.
func (r *relay) background(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { every(ctx, releaseInterval, r.releaseEvents) })
	running.Go(func() { every(ctx, releaseInterval, r.releaseHeld) })
	running.Go(func() { every(ctx, releaseInterval, r.advance) })
	running.Go(func() { every(ctx, time.Minute, r.sweep) })
	running.Wait()
}

// releaseEvents and releaseHeld are the part of the sweeper that is worth more than
// a look a minute where a look costs nothing.
func (r *relay) releaseEvents(ctx context.Context) {
	if _, err := r.sweeper.ReleaseEvents(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("scheduled events not sent", "error", err.Error())
	}
}

func (r *relay) releaseHeld(ctx context.Context) {
	if _, err := r.sweeper.ReleaseHeld(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("release failed", "error", err.Error())
	}
}

// advance goes on with the jobs.
func (r *relay) advance(ctx context.Context) {
	if err := r.worker.Advance(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("jobs failed", "error", err.Error())
	}
}

// sweep is what a schedule runs in a deployment, and what DynamoDB's TTL does there.
func (r *relay) sweep(ctx context.Context) {
	if err := r.sweeper.Run(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("sweep failed", "error", err.Error())
	}
	// All of them: at a steady rate, as many rows expire in a minute as are stored in one.
	if _, err := r.store.Sweep(ctx, math.MaxInt); err != nil && ctx.Err() == nil {
		r.log.Error("expired rows not removed", "error", err.Error())
	}
}

func (r *relay) greet(demoErr error) {
	fmt.Printf("webhook relay   %s   (data in %s)\nadmin key       %s\n\n", r.url, r.command.Data, r.key)
	if demoErr != nil {
		fmt.Printf("The demo receiver is off: %v\n", demoErr)
		return
	}
	fmt.Printf(`Send a first event:

  curl -X POST %s/v1/tenants/%s/events \
    -H 'Authorization: Bearer %s' \
    -H 'Content-Type: application/json' \
    -d '{"type":"order.placed","data":{"order":"1001","total":"19.90"}}'

The demo receiver verifies what arrives and shows it below and at %s/demo
See what becomes of it, and sign in with the key, at %s%s

`, r.url, demoTenant, r.key, r.url, r.url, portal.Path)
}
