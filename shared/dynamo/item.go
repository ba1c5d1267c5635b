package dynamo

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Attributes of every kind of row. Names are short because DynamoDB bills a
// row's names with its values, and a first-time success must stay within one
// write unit. The files that encode the rows explain the rest.
const (
	// attrTTL is the expiry in whole seconds, rounded up, by which DynamoDB
	// deletes; that may take days, so reads go by attrExpires.
	attrTTL = "ttl"
	// attrExpires is the expiry in milliseconds; a row without it never expires.
	attrExpires = "x"
	// attrRev is the row's revision.
	attrRev = "v"
)

// item is a row as DynamoDB takes and returns it. Empty strings, zero numbers
// and zero times are left out, and read back as such. Times are epoch
// milliseconds.
type item map[string]types.AttributeValue

func newItem(k key) item {
	it := make(item, 16)
	it.setStr(attrPK, k.pk)
	it.setStr(attrSK, k.sk)
	return it
}

func keyItem(k key) item {
	return item{attrPK: strValue(k.pk), attrSK: strValue(k.sk)}
}

func (it item) key() key { return key{it.str(attrPK), it.str(attrSK)} }

func strValue(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func numValue(v int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(v, 10)}
}

func (it item) setStr(name, v string) {
	if v != "" {
		it[name] = strValue(v)
	}
}

func (it item) setNum(name string, v int64) {
	if v != 0 {
		it[name] = numValue(v)
	}
}

func (it item) setTime(name string, t time.Time) {
	if !t.IsZero() {
		it[name] = numValue(t.UnixMilli())
	}
}

func (it item) setBytes(name string, v []byte) {
	if len(v) > 0 {
		it[name] = &types.AttributeValueMemberB{Value: v}
	}
}

func (it item) setBool(name string, v bool) {
	if v {
		it[name] = &types.AttributeValueMemberBOOL{Value: true}
	}
}

func (it item) setStrings(name string, v map[string]string) {
	if len(v) == 0 {
		return
	}
	m := item{}
	for key, text := range v {
		m[key] = strValue(text) // an empty one too
	}
	it[name] = &types.AttributeValueMemberM{Value: m}
}

func (it item) setExpiry(at time.Time) {
	if at.IsZero() {
		return
	}
	it.setTime(attrExpires, at)
	it.setNum(attrTTL, (at.UnixMilli()+999)/1000)
}

func (it item) str(name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func (it item) num(name string) int64 {
	v, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		return 0 // not a number that a Store wrote
	}
	return n
}

func (it item) time(name string) time.Time {
	if it[name] == nil {
		return time.Time{}
	}
	return time.UnixMilli(it.num(name)).UTC()
}

func (it item) bytes(name string) []byte {
	if v, ok := it[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

func (it item) strings(name string) map[string]string {
	m, ok := it[name].(*types.AttributeValueMemberM)
	if !ok {
		return nil
	}
	v := make(map[string]string, len(m.Value))
	for key := range m.Value {
		v[key] = item(m.Value).str(key)
	}
	return v
}

func (it item) bool(name string) bool {
	v, ok := it[name].(*types.AttributeValueMemberBOOL)
	return ok && v.Value
}

// expired reports whether the row's time has come, deleted yet or not.
func (it item) expired(now time.Time) bool {
	at := it.time(attrExpires)
	return !at.IsZero() && !now.Before(at)
}

// setPacked stores data under plain, or deflated under packed when the row then
// takes fewer write units. It goes last: the row's other attributes must be set.
func (it item) setPacked(plain, packed string, data []byte) {
	if len(data) == 0 {
		return
	}
	it.setBytes(plain, data)
	units := writeUnits(it.size())
	if units == 1 {
		return
	}
	whole := it[plain]
	delete(it, plain)
	it.setBytes(packed, deflate(data))
	if writeUnits(it.size()) >= units {
		delete(it, packed)
		it[plain] = whole
	}
}

// packed returns what setPacked stored, refusing more than limit bytes.
func (it item) packed(plain, packed string, limit int) ([]byte, error) {
	deflated := it.bytes(packed)
	if deflated == nil {
		return it.bytes(plain), nil
	}
	data, err := inflate(deflated, limit)
	if err != nil {
		return nil, fmt.Errorf("attribute %q: %w", packed, err)
	}
	return data, nil
}

// writeUnits is what one write of a row of size bytes is billed as
// (DynamoDB Developer Guide, "DynamoDB read and write operations").
func writeUnits(size int) int { return (size + 1023) / 1024 }

// size estimates the row's billed size in bytes (DynamoDB Developer Guide,
// "DynamoDB item sizes and formats"). A number's digits take half a byte each.
// Lists and maps, which only endpoints hold, are not counted.
func (it item) size() int {
	total := 0
	for name, v := range it {
		total += len(name) + valueSize(v)
	}
	return total
}

func valueSize(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return (len(v.Value)+1)/2 + 1
	case *types.AttributeValueMemberB:
		return len(v.Value)
	default:
		return 1
	}
}
