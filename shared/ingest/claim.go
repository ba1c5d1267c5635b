package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"webhookrelay/shared/webhook"
)

// claim ties r's idempotency key and event id to one event, and returns the
// claims made and the one that decides: a new one for ref, or the one an
// earlier request made. Without key and id it makes none.
func (in *Ingester) claim(ctx context.Context, r Request, ref webhook.EventRef, now time.Time) ([]Claim, Claim, error) {
	winner := Claim{Tenant: r.Tenant, Ref: ref, Fingerprint: r.fingerprint(), At: now}
	var claims []Claim
	take := func(key string, keep time.Duration) error {
		want := winner
		want.Key, want.ExpiresAt = key, now.Add(keep)
		got, err := in.hold(ctx, want)
		if err != nil {
			return err
		}
		claims = append(claims, got)
		winner = got
		return nil
	}
	if r.IdempotencyKey != "" {
		if err := take(ClaimByKey+r.IdempotencyKey, idempotencyWindow); err != nil {
			return nil, Claim{}, fmt.Errorf("idempotency key: %w", err)
		}
	}
	// The id is claimed for as long as the event is kept: it is also how the
	// event is found.
	if r.ID != "" && !winner.Done {
		if err := take(ClaimByID+string(r.ID), in.kept(r, now)); err != nil {
			return nil, Claim{}, fmt.Errorf("event id: %w", err)
		}
	}
	return claims, winner, nil
}

// hold takes want, or returns the claim of an earlier request with the same
// body: done, or taken over because its holder is gone. While the holder may
// still be at work it waits a little, so that of concurrent repeats one sends.
func (in *Ingester) hold(ctx context.Context, want Claim) (Claim, error) {
	for waited := time.Duration(0); ; waited += step {
		got, err := in.Store.Claim(ctx, want)
		if err != nil {
			return Claim{}, err
		}
		switch {
		case got.Fingerprint != want.Fingerprint:
			return Claim{}, ErrKeyReused
		case got.Done || got.Ref == want.Ref:
			return got, nil
		case in.Now().Sub(got.At) >= Lease:
			taken := got
			taken.At = in.Now().Truncate(time.Millisecond)
			err := in.Store.UpdateClaim(ctx, got, taken)
			if err == nil {
				return taken, nil
			}
			if !errors.Is(err, webhook.ErrConflict) {
				return Claim{}, err
			}
		case waited >= patience:
			return Claim{}, ErrInProgress
		}
		if err := in.Sleep(ctx, step); err != nil {
			return Claim{}, err
		}
	}
}

// release lets the next request with the same key take over at once, after this
// one failed. Failing to costs that request the rest of the lease.
func (in *Ingester) release(ctx context.Context, claims []Claim) {
	for _, c := range claims {
		released := c
		released.At = time.UnixMilli(0)
		if err := in.Store.UpdateClaim(context.WithoutCancel(ctx), c, released); err != nil {
			in.Log.Warn("claim not released", "tenant_id", c.Tenant, "event_ref", c.Ref, "error", err.Error())
		}
	}
}

// finish marks the claims done, so that a repeat does not send again, and ties
// them to the event under ref: a key may have been new where the id was not. Failing
// to is harmless: a repeat resumes the event, and its receivers may see it twice.
func (in *Ingester) finish(ctx context.Context, claims []Claim, ref webhook.EventRef) {
	for _, c := range claims {
		if c.Done {
			continue
		}
		finished := c
		finished.Done, finished.Ref = true, ref
		if err := in.Store.UpdateClaim(ctx, c, finished); err != nil {
			in.Log.Warn("claim not finished", "tenant_id", c.Tenant, "event_ref", c.Ref, "error", err.Error())
		}
	}
}
