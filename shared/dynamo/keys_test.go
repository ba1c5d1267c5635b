package dynamo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/id"
	"webhookrelay/shared/webhook"
)

// ids draws from few characters, the awkward ones among them, so that near
// misses such as "a", "a-" and "a_" come up.
var ids = rapid.StringMatching(`[aEP_-]{1,4}`)

var refs = rapid.Custom(func(t *rapid.T) webhook.EventRef {
	ms := rapid.Int64Range(1_700_000_000_000, 1_900_000_000_000).Draw(t, "ms")
	var u ulid.ULID
	if err := u.SetTime(uint64(ms)); err != nil {
		t.Fatal(err)
	}
	if err := u.SetEntropy(rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "entropy")); err != nil {
		t.Fatal(err)
	}
	return webhook.EventRef(u.String())
})

var deliveryKeys = rapid.Custom(func(t *rapid.T) webhook.DeliveryKey {
	return webhook.DeliveryKey{
		Tenant:   webhook.TenantID(ids.Draw(t, "tenant")),
		Event:    rapid.SampledFrom([]webhook.EventRef{"01M83XJ8800000000000000000", "01M83XJ8800000000000000008", refs.Draw(t, "ref")}).Draw(t, "which"),
		Endpoint: webhook.EndpointID(ids.Draw(t, "endpoint")),
	}
})

// The place of stored events follows from these values: they may not change.
func TestPlaceIsFixed(t *testing.T) {
	for ref, want := range map[webhook.EventRef]string{
		"01M83XJ8800000000000000000": "E#acme#20261123#0",
		"01M83XJ880000000000000000Z": "E#acme#20261123#7",
		"01M83XJ880000000000000000H": "E#acme#20261123#1",
		"01M85DMAZZ0000000000000009": "E#acme#20261123#1",
		"01M85DMB000000000000000008": "E#acme#20261124#0",
	} {
		if got, ok := eventKey("acme", ref); !ok || got.pk != want || got.sk != string(ref) {
			t.Errorf("%s is at %v, want %s", ref, got, want)
		}
	}
}

func TestPlaceFollowsFromTheRefAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := refs.Draw(t, "ref")
		d, shard, ok := placeOf(ref)
		at, _ := id.Time(ref)
		if !ok || d.String() != at.Format("20060102") || shard < 0 || shard >= Shards {
			t.Fatalf("%s of %s: day %s, shard %d, %v", ref, at, d, shard, ok)
		}
	})
}

func TestShardsAreUsedEvenly(t *testing.T) {
	const n = 8000
	source, counts := id.NewSource(), [Shards]int{}
	now := time.Now()
	for range n { // all within one millisecond, where ULIDs only count up
		_, shard, _ := placeOf(source.EventRef(now))
		counts[shard]++
	}
	for shard, count := range counts {
		if count < n/Shards*8/10 || count > n/Shards*12/10 {
			t.Errorf("shard %d has %d of %d", shard, count, n)
		}
	}
}

func TestNoPlaceWithoutULID(t *testing.T) {
	for _, ref := range []webhook.EventRef{"", "x", "01M83XJ880000000000000000", "01M83XJ8800000000000000000#ep",
		"81M83XJ0000000000000000000", "01M83XJ88000000000000000-_", "01m83xj880000000000000000z"} {
		if k, ok := eventKey("acme", ref); ok {
			t.Errorf("%q has the place %v", ref, k)
		}
	}
}

// Rows of different things never share a key, whatever their ids.
func TestKeysNeverCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seen := map[key]string{}
		add := func(what string, k key) {
			if before, ok := seen[k]; ok && before != what {
				t.Fatalf("%v is the key of %s and of %s", k, before, what)
			}
			seen[k] = what
		}
		for _, k := range rapid.SliceOfN(deliveryKeys, 2, 6).Draw(t, "keys") {
			add("tenant "+string(k.Tenant), tenantKey(k.Tenant))
			add("listing "+string(k.Tenant), listingKey(k.Tenant))
			add("endpoint "+string(k.Tenant)+" "+string(k.Endpoint), endpointKey(k.Tenant, k.Endpoint))
			event, _ := eventKey(k.Tenant, k.Event)
			add("event "+string(k.Tenant)+" "+string(k.Event), event)
			delivery, _ := deliveryKey(k)
			add("delivery "+string(k.Tenant)+" "+string(k.ID()), delivery)
			claim := rapid.StringMatching(`(key|id):[a#:]{1,3}`).Draw(t, "claim")
			add("claim "+string(k.Tenant)+" "+claim, claimKey(k.Tenant, claim))
			name := ids.Draw(t, "name")
			add("API key "+string(k.Tenant)+" "+name, apiKeyKey(k.Tenant, auth.KeyID(name)))
			add("admin key "+name, apiKeyKey("", auth.KeyID(name)))
			line := audit.Line{ID: string(k.Event), Tenant: k.Tenant}
			for i, row := range encodeLine(line) {
				add([]string{"line among all " + line.ID, "line " + string(k.Tenant) + " " + line.ID}[i], row.key())
			}
			add("portal", portalKey)
			add("sweep", sweepKey)
		}
	})
}

func TestKeysCanBeTakenApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := deliveryKeys.Draw(t, "key")
		place, _ := deliveryKey(k)
		if ref, endpoint := splitBucketSK(place.sk); ref != k.Event || endpoint != k.Endpoint {
			t.Fatalf("%v holds %s and %s", place, ref, endpoint)
		}
		if got := splitFailedSK(failedSK(k)); got != k {
			t.Fatalf("%s holds %v", failedSK(k), got)
		}
		if got := endpointOf(endpointKey(k.Tenant, k.Endpoint).sk); got != k.Endpoint {
			t.Fatalf("endpoint %s", got)
		}
	})
}

// The index sorts by tenant, and a tenant's range holds no one else's rows.
func TestIndexRangeIsTheTenantsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := deliveryKeys.Draw(t, "a"), deliveryKeys.Draw(t, "b")
		sk := failedSK(b)
		within := sk >= string(a.Tenant)+separator && sk <= string(a.Tenant)+afterSeparator
		if within != (a.Tenant == b.Tenant) {
			t.Fatalf("%q within the range of %q: %v", sk, a.Tenant, within)
		}
		if a.Tenant != b.Tenant && (a.Tenant < b.Tenant) != (failedSK(a) < failedSK(b)) {
			t.Fatalf("%q and %q do not sort by tenant", failedSK(a), failedSK(b))
		}
		if sk < "-" || sk > "~" {
			t.Fatalf("%q is outside the range of all tenants", sk)
		}
	})
}

func TestPositionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := deliveryKeys.Draw(t, "key")
		d, _, _ := placeOf(k.Event)
		for _, p := range []position{{}, {day: d}, {day: d, ref: k.Event}, {day: d, ref: k.Event, endpoint: k.Endpoint}} {
			if got, err := parsePosition(p.String()); err != nil || got != p {
				t.Fatalf("%q is read as %+v, %v", p, got, err)
			}
		}
		if got, err := parseDeadPosition(deadPosition(k)); err != nil || got != k {
			t.Fatalf("%q is read as %+v, %v", deadPosition(k), got, err)
		}
	})
}

func TestUnknownPositionsAreRefused(t *testing.T) {
	const ref = "01M83XJ8800000000000000000"
	for _, text := range []string{"x", "20251323", "19600101", "2025112", strings.ToLower(ref), ref + ".", ref + "#ep",
		ref + ".a.b", ref + ".ü", "acme." + ref, "01M83XJ880000000000000000U"} {
		if p, err := parsePosition(text); !errors.Is(err, webhook.ErrBadCursor) {
			t.Errorf("position %q is read as %+v, %v", text, p, err)
		}
	}
	for _, text := range []string{"x", ref, "acme." + ref, "acme." + ref + ".", "." + ref + ".ep", "a#b." + ref + ".ep", "acme." + ref + ".ep.x"} {
		if k, err := parseDeadPosition(text); !errors.Is(err, webhook.ErrBadCursor) {
			t.Errorf("dead-letter position %q is read as %+v, %v", text, k, err)
		}
	}
}
