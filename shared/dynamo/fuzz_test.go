package dynamo

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/webhook"
)

// FuzzRow reads rows as no Store writes them.
func FuzzRow(f *testing.F) {
	const ref = "01M83XJ8800000000000000000"
	attempts := []byte("\x01\x02\x8a\x84\xc9\xfd\xc0\x68\x08schedule\x08http_5xx\xee\x07\x02no\x01\xff\x80\x89\x7a")
	f.Add(ref+"#ep_1", "1795428000005", "retrying", attempts, []byte(nil))
	f.Add(ref, "-1", "ep_1,ep_2", []byte("{}"), deflate(typicalBody))
	f.Add("EP#shop", "99999999999999999999", "enabled", []byte{1}, []byte{0xff})
	f.Add("#", "", ",,", []byte{2, 0}, []byte{})
	f.Fuzz(func(t *testing.T, sk, number, text string, plain, packed []byte) {
		s, n := &types.AttributeValueMemberS{Value: text}, &types.AttributeValueMemberN{Value: number}
		row := item{attrPK: strValue("E#acme#20261123#0"), attrSK: strValue(sk), attrTTL: n, attrExpires: n, attrRev: n}
		for _, name := range []string{deliveryNext, deliveryCount, deliveryBudget, deliveryDied, deliveryUpdated, deliveryHeld, deliveryParked, eventTimestamp} {
			row[name] = n
		}
		for _, name := range []string{deliveryState, deliveryReason, deliveryCause, eventTargets, eventType} {
			row[name] = s
		}
		row[deliveryAttempts], row[eventBody] = &types.AttributeValueMemberB{Value: plain}, &types.AttributeValueMemberB{Value: plain}
		if len(packed) > 0 {
			row[deliveryDeflated], row[eventDeflated] = &types.AttributeValueMemberB{Value: packed}, &types.AttributeValueMemberB{Value: packed}
		}
		row[endpointSecrets] = &types.AttributeValueMemberL{Value: []types.AttributeValue{s, n, &types.AttributeValueMemberM{Value: row}}}
		if d, err := decodeDelivery("acme", row); err == nil && d.Tenant != "acme" {
			t.Fatalf("%+v", d)
		}
		if e, err := decodeEvent("acme", row); err == nil && len(e.Body) > maxBodyBytes {
			t.Fatalf("a body of %d bytes", len(e.Body))
		}
		decodeEndpoint("acme", row)
		decodeTenant("acme", row)
		decodeClaim("acme", sk, row)
		splitHeldSK(sk)
	})
}

var typicalBody = []byte(strings.Repeat(`{"type":"order.placed","data":{"order":"1001"}}`, 100))

func FuzzAttempts(f *testing.F) {
	f.Add([]byte("\x01\x02\x8a\x84\xc9\xfd\xc0\x68\x08schedule\x08http_5xx\xee\x07\x02no\x01\xff\x80\x89\x7a"))
	f.Add([]byte{1})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		attempts, err := decodeAttempts(data)
		if err != nil {
			return
		}
		again, err := decodeAttempts(encodeAttempts(attempts))
		if diff := cmp.Diff(attempts, again); err != nil || diff != "" {
			t.Fatalf("%v; read and written again: %s", err, diff)
		}
	})
}

// FuzzPosition reads what a caller's cursor holds.
func FuzzPosition(f *testing.F) {
	for _, seed := range []string{"", "20261123", "01M83XJ8800000000000000000", "01M83XJ8800000000000000000.shop", "acme.01M83XJ8800000000000000000.shop", "00010101", "a.b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parsePosition(text); err == nil && p.String() != text {
			t.Fatalf("%q is read as %q", text, p)
		}
		if k, err := parseDeadPosition(text); err == nil && (deadPosition(k) != text || webhook.CheckID("tenant", string(k.Tenant)) != nil) {
			t.Fatalf("%q is read as %+v", text, k)
		}
	})
}
