package dynamo

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"webhookrelay/shared/auth"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/replay"
	"webhookrelay/shared/webhook"
)

// This file is the only one that builds or takes apart keys. Ids hold letters,
// digits, "_" and "-" only (webhook.CheckID), so "#" separates without doubt;
// a claim's key may hold anything and therefore comes last.
//
//	row       pk                          sk
//	tenant    T#<tenant>                  META
//	endpoint  T#<tenant>                  EP#<endpoint>
//	listing   TENANTS                     <tenant>
//	claim     C#<tenant>#<claim key>      CLAIM
//	event     E#<tenant>#<day>#<shard>    <ref>
//	delivery  E#<tenant>#<day>#<shard>    <ref>#<endpoint>
//	turns     R#<tenant>#<endpoint>       <rate>
//	sweep     SWEEP                       STATE
//	API key   K#<tenant, or none>         <key id>
//	portal    PORTAL                      KEY
//	job       J#<tenant>                  <job id>
//	audit     A#<tenant>                  <line id>
//	audit     AUDIT#<shard>               <line id>
//	type      TYPES                       <event type>
//
// A line of the audit trail lies twice: with its tenant, if it has one, and with
// those of all tenants.
//
// A delivery that is retrying, parked, dead or cancelled is also in the index
// `failed` under fpk = <state>#<shard> and fsk = <tenant>#<ref>#<endpoint>. One
// that the store carries is in the index `held` under hpk = held#<shard> and
// hsk = <held until, in milliseconds>#<tenant>#<ref>#<endpoint>. A running job is
// there as well, under hpk = jobs and hsk = <tenant>#<job id>, and a scheduled event
// under hpk = due#<shard> and hsk = <deliver at, in milliseconds>#<tenant>#<ref>.

// Shards is over how many keys a tenant's day, and a state in the index, are
// spread. DynamoDB takes 1,000 write units/s per partition (Developer Guide,
// "Best practices for designing partition keys"); an event and its first-time
// success are two writes, so 8 shards carry about 4,000 events/s per tenant,
// and a list still needs no more than 8 queries a day.
const Shards = 8

// Schema describes the table that a Store works on; all keys are strings.
type Schema struct {
	PartitionKey, SortKey string
	// TTLAttribute holds epoch seconds.
	TTLAttribute string
	// Indexes are the global secondary indexes.
	Indexes []IndexSchema
}

// IndexSchema describes one index.
type IndexSchema struct {
	Name, PartitionKey, SortKey string
	Projection                  string
}

// TableSchema is what template.yaml and the tests create. It must not be changed.
var TableSchema = Schema{
	PartitionKey: attrPK,
	SortKey:      attrSK,
	TTLAttribute: attrTTL,
	Indexes: []IndexSchema{
		{Name: indexFailed, PartitionKey: attrFailedPK, SortKey: attrFailedSK, Projection: "KEYS_ONLY"},
		{Name: indexHeld, PartitionKey: attrHeldPK, SortKey: attrHeldSK, Projection: "KEYS_ONLY"},
	},
}

// Names of the key attributes.
const (
	attrPK       = "pk"
	attrSK       = "sk"
	attrFailedPK = "fpk"
	attrFailedSK = "fsk"
	attrHeldPK   = "hpk"
	attrHeldSK   = "hsk"
)

// Names of the indexes.
const (
	indexFailed = "failed"
	indexHeld   = "held"
)

const (
	metaSK         = "META"
	endpointPrefix = "EP#"
	listingPK      = "TENANTS"
	claimSK        = "CLAIM"
	separator      = "#"
	// afterSeparator follows the separator in DynamoDB's byte order: every
	// "x#…" lies between "x#" and "x$".
	afterSeparator = "$"
)

type key struct{ pk, sk string }

// portalKey is where the key lies that signs portal tokens.
var portalKey = key{"PORTAL", "KEY"}

// sweepKey is where the sweeper notes how far it got.
var sweepKey = key{"SWEEP", "STATE"}

func tenantKey(t webhook.TenantID) key   { return key{tenantPK(t), metaSK} }
func tenantPK(t webhook.TenantID) string { return "T#" + string(t) }

func listingKey(t webhook.TenantID) key { return key{listingPK, string(t)} }

func endpointKey(t webhook.TenantID, e webhook.EndpointID) key {
	return key{tenantPK(t), endpointPrefix + string(e)}
}

func endpointOf(sk string) webhook.EndpointID {
	return webhook.EndpointID(strings.TrimPrefix(sk, endpointPrefix))
}

func claimKey(t webhook.TenantID, claim string) key {
	return key{"C#" + string(t) + separator + claim, claimSK}
}

func turnsKey(t webhook.TenantID, e webhook.EndpointID, r webhook.Rate) key {
	return key{"R#" + string(t) + separator + string(e), r.String()}
}

// apiKeyPK is where a tenant's API keys lie; an empty tenant's are admin keys.
func apiKeyPK(t webhook.TenantID) string { return "K#" + string(t) }

func apiKeyKey(t webhook.TenantID, id auth.KeyID) key { return key{apiKeyPK(t), string(id)} }

func jobPK(t webhook.TenantID) string { return "J#" + string(t) }

func jobKey(t webhook.TenantID, id replay.JobID) key { return key{jobPK(t), string(id)} }

// runningJobsPK is where the index of what is held names the running jobs.
const runningJobsPK = "jobs"

func runningJobSK(t webhook.TenantID, id replay.JobID) string {
	return string(t) + separator + string(id)
}

func splitRunningJobSK(sk string) key {
	tenant, id, _ := strings.Cut(sk, separator)
	return jobKey(webhook.TenantID(tenant), replay.JobID(id))
}

// typesPK is where the catalogue of event types lies.
const typesPK = "TYPES"

func typeKey(name webhook.EventType) key { return key{typesPK, string(name)} }

func auditPK(t webhook.TenantID) string { return "A#" + string(t) }

func allAuditPK(shard int) string { return "AUDIT#" + strconv.Itoa(shard) }

func eventIDClaim(event webhook.EventID) string { return ingest.ClaimByID + string(event) }

// eventKey returns where an event is kept, and false when ref is not a ULID:
// then no event can be kept under it.
func eventKey(t webhook.TenantID, ref webhook.EventRef) (key, bool) {
	d, shard, ok := placeOf(ref)
	return key{bucketPK(t, d, shard), string(ref)}, ok
}

func deliveryKey(k webhook.DeliveryKey) (key, bool) {
	event, ok := eventKey(k.Tenant, k.Event)
	return key{event.pk, event.sk + separator + string(k.Endpoint)}, ok
}

func bucketPK(t webhook.TenantID, d day, shard int) string {
	return "E#" + string(t) + separator + d.String() + separator + strconv.Itoa(shard)
}

// splitBucketSK returns the event's ref and, for a delivery row, its endpoint.
func splitBucketSK(sk string) (webhook.EventRef, webhook.EndpointID) {
	ref, endpoint, _ := strings.Cut(sk, separator)
	return webhook.EventRef(ref), webhook.EndpointID(endpoint)
}

func failedPK(s webhook.State, shard int) string {
	return string(s) + separator + strconv.Itoa(shard)
}

func failedSK(k webhook.DeliveryKey) string {
	return string(k.Tenant) + separator + string(k.Event) + separator + string(k.Endpoint)
}

func heldPK(shard int) string { return indexHeld + separator + strconv.Itoa(shard) }

// heldSK sorts by time: 13 digits last until the year 2286.
func heldSK(until time.Time, k webhook.DeliveryKey) string {
	return heldBound(until) + separator + failedSK(k)
}

func heldBound(until time.Time) string { return fmt.Sprintf("%013d", until.UnixMilli()) }

func splitHeldSK(sk string) webhook.DeliveryKey {
	_, rest, _ := strings.Cut(sk, separator)
	return splitFailedSK(rest)
}

// duePK is where the index of what is held names scheduled events.
func duePK(shard int) string { return "due" + separator + strconv.Itoa(shard) }

func dueSK(e webhook.Event) string {
	return heldBound(e.DeliverAt) + separator + string(e.Tenant) + separator + string(e.Ref)
}

func splitDueSK(sk string) (webhook.TenantID, webhook.EventRef) {
	_, rest, _ := strings.Cut(sk, separator)
	tenant, ref, _ := strings.Cut(rest, separator)
	return webhook.TenantID(tenant), webhook.EventRef(ref)
}

func splitFailedSK(sk string) webhook.DeliveryKey {
	tenant, rest, _ := strings.Cut(sk, separator)
	ref, endpoint := splitBucketSK(rest)
	return webhook.DeliveryKey{Tenant: webhook.TenantID(tenant), Event: ref, Endpoint: endpoint}
}

// placeOf derives an event's day and shard from its ref alone, so that a read
// by ref needs no index. Both must never change: stored events would be lost.
func placeOf(ref webhook.EventRef) (d day, shard int, ok bool) {
	at, ok := id.Time(ref)
	if !ok {
		return 0, 0, false
	}
	const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	last := strings.IndexByte(crockford, ref[len(ref)-1])
	if last < 0 { // a lower-case ULID: id.Source makes none
		return 0, 0, false
	}
	return dayOf(at), last % Shards, true
}

// day counts UTC days since 1970.
type day int64

func dayOf(t time.Time) day { return day(t.Unix() / (24 * 60 * 60)) }

func (d day) String() string { return d.time().Format(dayLayout) }

func (d day) time() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

const dayLayout = "20060102"

func parseDay(text string) (day, bool) {
	t, err := time.Parse(dayLayout, text)
	return dayOf(t), err == nil
}

// mustExist reports whether k is the key of an event or an endpoint: rows that
// a queued delivery needs, where its own row may be still to come.
func mustExist(k key) bool {
	return strings.HasPrefix(k.sk, endpointPrefix) || !strings.Contains(k.sk, separator)
}
