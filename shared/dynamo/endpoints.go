package dynamo

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/webhook"
)

// Attributes of an endpoint's row.
const (
	endpointURL         = "u"
	endpointDescription = "ds"
	endpointTypes       = "ty" // patterns, joined by commas, which they cannot hold
	endpointState       = "s"
	endpointReason      = "r" // why it is disabled
	endpointScheme      = "sc"
	endpointHeaderNames = "hk" // joined by commas, which they cannot hold
	endpointHeaders     = "hv" // sealed
	endpointChannels    = "ch" // joined by commas, as tags are
	endpointFilter      = "f"
	endpointTags        = "tg"
	endpointMetadata    = "md" // map of strings
	endpointTimeout     = "to" // in milliseconds, as the waits of the schedule
	endpointSchedule    = "rs" // joined by commas; noRetries for none
	endpointRateCount   = "rc"
	endpointRateWindow  = "rw"
	endpointConcurrency = "cc"
	endpointSecrets     = "k" // list of maps of the three below
	endpointCreated     = "a"
	endpointUpdated     = "m"

	// Of its health, which only SaveHealth changes.
	healthFailures = "hn"
	healthSince    = "hs"
	healthLast     = "hl"
	healthOpened   = "ho"
	healthUntil    = "hu"
	healthWarned   = "hw"
	healthRev      = "hr"

	secretSealed  = "v"
	secretCreated = "a"
	secretExpires = "x"
)

// CreateEndpoint stores e as revision 1 and raises the config version, for 4
// write units and 4 per line. ErrExists: the id is taken. ErrNotFound: there is
// no such tenant.
func (s *Store) CreateEndpoint(ctx context.Context, e webhook.Endpoint, lines ...audit.Line) error {
	e.Rev = 1
	noTenant := fmt.Errorf("tenant %s: %w", e.Tenant, webhook.ErrNotFound)
	err := s.changeEndpoint(ctx, e.Tenant, s.putIf(encodeEndpoint(e), rowAbsent, nil), lines, noTenant, webhook.ErrExists)
	if err != nil {
		return fmt.Errorf("create endpoint %s: %w", e.ID, err)
	}
	return nil
}

// UpdateEndpoint stores e as revision e.Rev+1 and raises the config version,
// for 4 write units and 4 per line. ErrConflict: the stored revision is not
// e.Rev, or the endpoint is gone.
func (s *Store) UpdateEndpoint(ctx context.Context, e webhook.Endpoint, lines ...audit.Line) error {
	condition, values := atRevision(e.Rev)
	e.Rev++
	err := s.changeEndpoint(ctx, e.Tenant, s.putIf(encodeEndpoint(e), condition, values), lines, webhook.ErrConflict, webhook.ErrConflict)
	if err != nil {
		return fmt.Errorf("update endpoint %s: %w", e.ID, err)
	}
	return nil
}

// atRevision is the condition under which revision rev may be replaced.
func atRevision(rev int64) (string, item) {
	if rev == 0 {
		return rowAbsent, nil
	}
	return attrRev + " = :rev", item{":rev": numValue(rev)}
}

// DeleteEndpoint removes an endpoint and raises the config version, for 4
// write units and 4 per line. ErrNotFound: there is none.
func (s *Store) DeleteEndpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, lines ...audit.Line) error {
	gone := s.deleteIf(endpointKey(tenant, id), rowExists)
	err := s.changeEndpoint(ctx, tenant, gone, lines, webhook.ErrNotFound, webhook.ErrNotFound)
	if err != nil {
		return fmt.Errorf("delete endpoint %s: %w", id, err)
	}
	return nil
}

// DisableEndpoint sets the endpoint disabled for reason, raises the config
// version and writes the audit line, for 8 write units. An endpoint that is gone
// or disabled already stays as it is.
func (s *Store) DisableEndpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, reason webhook.Reason, now time.Time) error {
	disable := s.updateIf(endpointKey(tenant, id),
		"SET "+endpointState+" = :disabled, "+endpointReason+" = :reason, "+endpointUpdated+" = :now ADD "+attrRev+" :one",
		rowExists+" AND "+endpointState+" <> :disabled",
		item{
			":disabled": strValue(string(webhook.EndpointDisabled)),
			":reason":   strValue(string(reason)),
			":now":      numValue(now.UnixMilli()),
			":one":      numValue(1),
		})
	line := audit.Disabled(tenant, id, reason).Line(ctx, s.ids, now)
	if _, err := s.transact(ctx, s.with([]audit.Line{line}, s.raiseVersion(tenant), disable)...); err != nil {
		return fmt.Errorf("disable endpoint %s: %w", id, err)
	}
	return nil
}

// changeEndpoint makes the change, raises the tenant's config version and writes
// the audit lines, all or nothing. It returns noTenant when there is no such
// tenant, and refusal when the change's own condition fails.
func (s *Store) changeEndpoint(ctx context.Context, tenant webhook.TenantID, change types.TransactWriteItem, lines []audit.Line, noTenant, refusal error) error {
	refused, err := s.transact(ctx, s.with(lines, s.raiseVersion(tenant), change)...)
	switch {
	case err != nil:
		return err
	case refused == none:
		return nil
	case refused == 0:
		return noTenant
	default:
		return refusal
	}
}

func (s *Store) raiseVersion(tenant webhook.TenantID) types.TransactWriteItem {
	return s.updateIf(tenantKey(tenant), "ADD "+tenantVersion+" :one", rowExists, item{":one": numValue(1)})
}

// Endpoint returns one endpoint, or ErrNotFound, for 1 read unit per 4 KB.
func (s *Store) Endpoint(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID) (webhook.Endpoint, error) {
	row, err := s.get(ctx, endpointKey(tenant, id), "")
	if err == nil && row == nil {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.Endpoint{}, fmt.Errorf("endpoint %s: %w", id, err)
	}
	return decodeEndpoint(tenant, row), nil
}

// Endpoints lists a tenant's endpoints by id, for 1 read unit per 4 KB.
func (s *Store) Endpoints(ctx context.Context, tenant webhook.TenantID, p webhook.Page) ([]webhook.Endpoint, string, error) {
	rows, next, err := s.list(ctx, tenantPK(tenant), endpointPrefix, p)
	if err != nil {
		return nil, "", fmt.Errorf("list endpoints of tenant %s: %w", tenant, err)
	}
	return decodeEndpoints(tenant, rows), next, nil
}

// AllEndpoints returns the tenant's endpoints, for 1 read unit per 4 KB of all
// of them together. Each is as it was at some moment of the call.
func (s *Store) AllEndpoints(ctx context.Context, tenant webhook.TenantID) ([]webhook.Endpoint, error) {
	rows, err := s.query(tenantPK(tenant)).withPrefix(endpointPrefix).all(ctx)
	if err != nil {
		return nil, fmt.Errorf("endpoints of tenant %s: %w", tenant, err)
	}
	return decodeEndpoints(tenant, rows), nil
}

func encodeEndpoint(e webhook.Endpoint) item {
	row := newItem(endpointKey(e.Tenant, e.ID))
	row.setStr(endpointURL, e.URL)
	row.setStr(endpointDescription, e.Description)
	row.setStr(endpointTypes, joinStrings(e.EventTypes))
	row.setStr(endpointState, string(e.State))
	row.setStr(endpointReason, string(e.DisabledReason))
	row.setStr(endpointScheme, string(e.Scheme))
	row.setTime(endpointCreated, e.CreatedAt)
	row.setTime(endpointUpdated, e.UpdatedAt)
	row.setNum(attrRev, e.Rev)
	row.setStr(endpointHeaderNames, joinStrings(e.Headers.Names))
	row.setBytes(endpointHeaders, e.Headers.Sealed)
	if len(e.Secrets) > 0 {
		row[endpointSecrets] = encodeSecrets(e.Secrets)
	}
	row.setStr(endpointChannels, joinStrings(e.Channels))
	row.setStr(endpointFilter, e.Filter)
	row.setStr(endpointTags, joinStrings(e.Tags))
	row.setStrings(endpointMetadata, e.Metadata)
	row.setTerms(e.Terms)
	row.setHealth(e.Health)
	return row
}

// noRetries stands for a schedule without waits, which is not the same as none.
const noRetries = "-"

func (it item) setTerms(t webhook.Terms) {
	it.setNum(endpointTimeout, t.Timeout.Milliseconds())
	it.setNum(endpointRateCount, int64(t.Rate.Count))
	it.setNum(endpointRateWindow, t.Rate.Window.Milliseconds())
	it.setNum(endpointConcurrency, int64(t.Concurrency))
	if t.Schedule == nil {
		return
	}
	waits := make([]string, len(t.Schedule))
	for i, wait := range t.Schedule {
		waits[i] = strconv.FormatInt(wait.Milliseconds(), 10)
	}
	it.setStr(endpointSchedule, cmp.Or(joinStrings(waits), noRetries))
}

func (it item) terms() webhook.Terms {
	t := webhook.Terms{
		Timeout:     time.Duration(it.num(endpointTimeout)) * time.Millisecond,
		Rate:        webhook.Rate{Count: int(it.num(endpointRateCount)), Window: time.Duration(it.num(endpointRateWindow)) * time.Millisecond},
		Concurrency: int(it.num(endpointConcurrency)),
	}
	switch text := it.str(endpointSchedule); text {
	case "":
	case noRetries:
		t.Schedule = []time.Duration{}
	default:
		for _, wait := range splitStrings[string](text) {
			millis, _ := strconv.ParseInt(wait, 10, 64) // as setTerms wrote it
			t.Schedule = append(t.Schedule, time.Duration(millis)*time.Millisecond)
		}
	}
	return t
}

func (it item) setHealth(h webhook.Health) {
	it.setNum(healthFailures, int64(h.Failures))
	it.setTime(healthSince, h.FailingSince)
	it.setTime(healthLast, h.LastFailureAt)
	it.setTime(healthOpened, h.OpenedAt)
	it.setTime(healthUntil, h.OpenUntil)
	it.setNum(healthWarned, int64(h.Warned))
	it.setNum(healthRev, h.Rev)
}

func (it item) health() webhook.Health {
	return webhook.Health{
		Failures:      int(it.num(healthFailures)),
		FailingSince:  it.time(healthSince),
		LastFailureAt: it.time(healthLast),
		OpenedAt:      it.time(healthOpened),
		OpenUntil:     it.time(healthUntil),
		Warned:        int(it.num(healthWarned)),
		Rev:           it.num(healthRev),
	}
}

// healthNames are the attributes of an endpoint's health.
var healthNames = []string{healthFailures, healthSince, healthLast, healthOpened, healthUntil, healthWarned, healthRev}

// SaveHealth stores h as revision h.Rev+1 of the endpoint's health, for the write
// units of the endpoint's row, or returns ErrConflict when the stored revision
// is not h.Rev or the endpoint is gone.
func (s *Store) SaveHealth(ctx context.Context, tenant webhook.TenantID, id webhook.EndpointID, h webhook.Health) error {
	condition := rowExists + " AND attribute_not_exists(" + healthRev + ")"
	values := item{}
	if h.Rev > 0 {
		condition = healthRev + " = :before"
		values.setNum(":before", h.Rev)
	}
	h.Rev++
	next := item{}
	next.setHealth(h)
	var set, remove []string
	for _, name := range healthNames {
		if value, ok := next[name]; ok {
			set = append(set, name+" = :"+name)
			values[":"+name] = value
		} else {
			remove = append(remove, name)
		}
	}
	update := "SET " + strings.Join(set, ", ")
	if len(remove) > 0 {
		update += " REMOVE " + strings.Join(remove, ", ")
	}
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 s.table,
		Key:                       keyItem(endpointKey(tenant, id)),
		UpdateExpression:          aws.String(update),
		ConditionExpression:       aws.String(condition),
		ExpressionAttributeValues: values,
	})
	if isConditional(err) {
		err = webhook.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("save health of endpoint %s: %w", id, err)
	}
	return nil
}

func encodeSecrets(secrets []webhook.Secret) types.AttributeValue {
	list := make([]types.AttributeValue, 0, len(secrets))
	for _, secret := range secrets {
		m := item{}
		m.setBytes(secretSealed, secret.Sealed)
		m.setTime(secretCreated, secret.CreatedAt)
		m.setTime(secretExpires, secret.ExpiresAt)
		list = append(list, &types.AttributeValueMemberM{Value: m})
	}
	return &types.AttributeValueMemberL{Value: list}
}

func decodeEndpoints(tenant webhook.TenantID, rows []item) []webhook.Endpoint {
	endpoints := make([]webhook.Endpoint, 0, len(rows))
	for _, row := range rows {
		endpoints = append(endpoints, decodeEndpoint(tenant, row))
	}
	return endpoints
}

func decodeEndpoint(tenant webhook.TenantID, row item) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant:         tenant,
		ID:             endpointOf(row.str(attrSK)),
		URL:            row.str(endpointURL),
		Description:    row.str(endpointDescription),
		EventTypes:     splitStrings[webhook.Pattern](row.str(endpointTypes)),
		State:          webhook.EndpointState(row.str(endpointState)),
		DisabledReason: webhook.Reason(row.str(endpointReason)),
		Headers:        webhook.SealedHeaders{Names: splitStrings[string](row.str(endpointHeaderNames)), Sealed: row.bytes(endpointHeaders)},
		Channels:       splitStrings[webhook.Channel](row.str(endpointChannels)),
		Filter:         row.str(endpointFilter),
		Terms:          row.terms(),
		Tags:           splitStrings[webhook.Tag](row.str(endpointTags)),
		Metadata:       row.strings(endpointMetadata),
		Scheme:         webhook.Scheme(row.str(endpointScheme)),
		Secrets:        decodeSecrets(row[endpointSecrets]),
		CreatedAt:      row.time(endpointCreated),
		UpdatedAt:      row.time(endpointUpdated),
		Rev:            row.num(attrRev),
		Health:         row.health(),
	}
}

func decodeSecrets(v types.AttributeValue) []webhook.Secret {
	list, ok := v.(*types.AttributeValueMemberL)
	if !ok {
		return nil
	}
	secrets := make([]webhook.Secret, 0, len(list.Value))
	for _, element := range list.Value {
		if m, ok := element.(*types.AttributeValueMemberM); ok {
			secret := item(m.Value)
			secrets = append(secrets, webhook.Secret{
				Sealed:    secret.bytes(secretSealed),
				CreatedAt: secret.time(secretCreated),
				ExpiresAt: secret.time(secretExpires),
			})
		}
	}
	return secrets
}

// joinStrings and splitStrings keep a list of names, none of which is empty or
// holds a comma, in one string: cheaper than a DynamoDB list, which takes a
// byte per element and is awkward to read in the console.
func joinStrings[T ~string](names []T) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(name))
	}
	return b.String()
}

func splitStrings[T ~string](joined string) []T {
	if joined == "" {
		return nil
	}
	names := make([]T, 0, 1+strings.Count(joined, ","))
	for name := range strings.SplitSeq(joined, ",") {
		names = append(names, T(name))
	}
	return names
}
