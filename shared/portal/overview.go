package portal

import (
	"context"
	"sync"

	"webhookrelay/shared/client"
)

const (
	// lookedInto bounds how many failing endpoints are asked for their last failure.
	lookedInto = 20
	// sideBySide is how many calls of the API a page makes at a time.
	sideBySide = 8
	// recent is how many deliveries an endpoint's page shows.
	recent = 20
)

type overviewPage struct {
	Rows    []row
	Urgent  []row
	Verdict string
	Chart   chart
	// Troubled: the statistics could not be had, and why.
	Troubled string
}

func overview(v *visit) error {
	endpoints, err := v.endpoints()
	if err != nil {
		return err
	}
	shown := overviewPage{Rows: make([]row, len(endpoints))}
	day, err := v.relay.GetStats(v.r.Context(), v.tenant, client.DeliveryFilter{})
	if err != nil {
		// The endpoints are there all the same.
		shown.Troubled = "The counts could not be had just now. Load the page again in a moment."
	}
	tallies := make(map[string]client.Tally, len(day.Endpoints))
	for _, e := range day.Endpoints {
		tallies[e.EndpointID] = e.Tally
	}
	for i, e := range endpoints {
		shown.Rows[i] = row{Endpoint: e, Name: nameOf(e), Health: healthOf(e, tallies[e.ID]), Tally: tallies[e.ID]}
		if shown.Troubled != "" && shown.Rows[i].Health.Urgency == 0 {
			shown.Rows[i].Health = notCounted
		}
	}
	v.lookInto(shown.Rows)
	shown.Urgent = byUrgency(shown.Rows)
	if shown.Troubled == "" {
		shown.Verdict = verdict(shown.Rows, day.Total)
		if shown.Chart, err = v.chart(client.DeliveryFilter{}, day); err != nil {
			return err
		}
	}
	return v.show("overview", page{Title: "Overview", Nav: "overview", Alert: len(shown.Urgent) > 0, Data: shown})
}

// lookInto finds the last failure of each endpoint that had one.
func (v *visit) lookInto(rows []row) {
	var some []*row
	for i := range rows {
		if len(rows[i].Tally.Failures) > 0 && len(some) < lookedInto {
			some = append(some, &rows[i])
		}
	}
	inParallel(v.r.Context(), some, func(ctx context.Context, r *row) {
		filter := client.DeliveryFilter{Endpoint: r.ID}
		found, err := v.relay.ListDeliveries(ctx, v.tenant, filter, client.PageOptions{Limit: recent})
		if err != nil {
			return // the page is complete without it
		}
		for _, d := range found.Data {
			if a := lastFailure(d); a != nil && (r.Last == nil || a.At.After(r.Last.At)) {
				r.Last = a
			}
		}
	})
}

// inParallel calls f with each item, a few at a time, and returns when all are done.
func inParallel[T any](ctx context.Context, items []T, f func(context.Context, T)) {
	slots := make(chan struct{}, sideBySide)
	var wait sync.WaitGroup
	for _, item := range items {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			f(ctx, item)
		})
	}
	wait.Wait()
}

// chart draws what the filter lets through, over the range in the address. Day
// are the statistics of the last 24 hours, which need not be had again.
func (v *visit) chart(filter client.DeliveryFilter, day client.Stats) (chart, error) {
	r, now := rangeOf(v), v.Now()
	filter.Since, filter.Until = r.window(now)
	if day.Since.Equal(filter.Since) && day.Until.Equal(filter.Until) {
		return newChart(r, day, now), nil
	}
	stats, err := v.relay.GetStats(v.r.Context(), v.tenant, filter)
	if err != nil {
		return chart{}, err
	}
	return newChart(r, stats, now), nil
}

type endpointPage struct {
	row
	Chart      chart
	Deliveries []client.Delivery
	Next       *client.Delivery
}

func showEndpoint(v *visit) error {
	shown, day, err := v.endpointRow()
	if err != nil {
		return err
	}
	filter := client.DeliveryFilter{Endpoint: shown.ID}
	if shown.Chart, err = v.chart(filter, day); err != nil {
		return err
	}
	found, err := v.relay.ListDeliveries(v.r.Context(), v.tenant, filter, client.PageOptions{Limit: recent})
	if err != nil {
		return err
	}
	shown.Deliveries = found.Data
	for i, d := range found.Data {
		if a := lastFailure(d); a != nil && (shown.Last == nil || a.At.After(shown.Last.At)) {
			shown.Last = a
		}
		if d.NextAttemptAt != nil && (shown.Next == nil || d.NextAttemptAt.Before(*shown.Next.NextAttemptAt)) {
			shown.Next = &found.Data[i]
		}
	}
	return v.show("endpoint", page{
		Title: shown.Name, Nav: "overview", Alert: shown.NeedsAttention(), Data: shown,
	})
}

// endpointRow reads the endpoint in the path, with its last 24 hours.
func (v *visit) endpointRow() (endpointPage, client.Stats, error) {
	e, err := v.relay.GetEndpoint(v.r.Context(), v.tenant, v.r.PathValue("endpoint"))
	if err != nil {
		return endpointPage{}, client.Stats{}, err
	}
	day, err := v.relay.GetStats(v.r.Context(), v.tenant, client.DeliveryFilter{Endpoint: e.ID})
	if err != nil {
		return endpointPage{}, client.Stats{}, err
	}
	shown := row{Endpoint: e, Name: nameOf(e), Health: healthOf(e, day.Total), Tally: day.Total}
	return endpointPage{row: shown}, day, nil
}
