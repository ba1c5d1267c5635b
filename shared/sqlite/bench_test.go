package sqlite_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"webhookrelay/shared/id"
	"webhookrelay/shared/sqlite"
	"webhookrelay/shared/webhook"
)

// BenchmarkPutEventAndSend accepts events as ingest does, each by two durable
// writes, from 64 goroutines.
func BenchmarkPutEventAndSend(b *testing.B) {
	s, err := sqlite.Open(sqlite.Config{Path: filepath.Join(b.TempDir(), "relay.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	const writers = 64
	q, ids, body := s.Queue(), id.NewSource(), bytes.Repeat([]byte("x"), 512)
	put := func(tenant webhook.TenantID) error {
		now := time.Now()
		e := webhook.Event{
			Tenant: tenant, Ref: ids.EventRef(now), Type: "invoice.paid", Timestamp: now, Body: body,
			Targets: []webhook.EndpointID{"ep"}, AcceptedAt: now, ExpiresAt: now.Add(time.Hour),
		}
		e.ID = id.EventID(e.Ref)
		if err := s.PutEvents(b.Context(), []webhook.Event{e}); err != nil {
			return err
		}
		return q.Send(b.Context(), []webhook.DeliveryKey{{Tenant: tenant, Event: e.Ref, Endpoint: "ep"}})
	}
	jobs := make(chan struct{}, b.N)
	for range b.N {
		jobs <- struct{}{}
	}
	close(jobs)
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range jobs {
				if err := put(webhook.TenantID(fmt.Sprintf("tenant-%d", i%8))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
